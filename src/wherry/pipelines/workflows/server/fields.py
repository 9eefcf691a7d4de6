"""Which fields of an answer a client asks for: ``items.metadata.name``, or ``-items.status`` for all others. Pure."""

from collections.abc import Mapping
from typing import Any, Final

from wherry.objects import errors

MOST: Final = 64


class Fields:
    """Some fields, or all but some."""

    def __init__(self, text: str) -> None:
        """Read what a client has asked for; an empty text asks for everything.

        Args:
            text: Paths separated by commas, ``-`` before the first: these are left out.

        Raises:
            BadRequestError: there are too many.
        """
        self._left_out = text.startswith("-")
        named = [each.strip() for each in text.removeprefix("-").split(",") if each.strip()]
        if len(named) > MOST:
            raise errors.BadRequestError(f"fields: {len(named)} paths; at most {MOST} are taken")
        self._paths = [tuple(each.split(".")) for each in named]

    def of(self, value: Any) -> Any:
        """Return a value with these fields only. Paths go through lists as if these were not there."""
        return self._of(value, ()) if self._paths else value

    def below(self, name: str) -> "Fields":
        """Return these fields as they are below one of them, such as ``items`` or ``result.object``."""
        made, above = Fields(""), tuple(name.split("."))
        made._left_out = self._left_out
        made._paths = [
            path[len(above) :] if path[: len(above)] == above else path for path in self._paths
        ]
        return made

    def _of(self, value: Any, path: tuple[str, ...]) -> Any:
        if isinstance(value, list):
            return [self._of(each, path) for each in value]
        if not isinstance(value, Mapping):
            return value
        made = {}
        for key, each in value.items():
            here = (*path, key)
            named = here in self._paths
            begun = any(each[: len(here)] == here for each in self._paths)
            if (not named) if self._left_out else begun:
                made[key] = each if named else self._of(each, here)
        return made
