"""Which method a REST call means. Pure."""

import re
import urllib.parse
from collections.abc import Callable, Iterable
from typing import Final

from wherry.objects import errors
from wherry.pipelines.api.methods import Method

_FIELD: Final = re.compile(r"\\\{(\w+)\\\}")
_SHOWN: Final = 200


class WrongMethodError(errors.MethodNotAllowedError):
    """There is something at a path, but not by that method of HTTP.

    Attributes:
        allowed: Those by which there is, as the header ``Allow`` has them.
    """

    def __init__(self, told: str, allowed: str) -> None:
        """Say what was asked for, and what there is."""
        super().__init__(f"{told}: there is {allowed}")
        self.allowed = allowed


class Routes:
    """Finds methods by HTTP method and path."""

    def __init__(self, methods: Iterable[Method]) -> None:
        """Take the methods; of several that fit, the first is meant."""
        self._routes = [(_pattern(method.path), method) for method in methods]

    def find(self, http: str, raw_path: str) -> tuple[Method, dict[str, str]]:
        """Return the method that is meant, and the fields of its request that the path says.

        Args:
            http: Of HTTP.
            raw_path: As it was sent, without the query. Slashes may be doubled, as by clients that
                put together what ends with one and what begins with one.

        Raises:
            NotFoundError: there is nothing at this path.
            WrongMethodError: there is, but not by this method of HTTP.
        """
        path = re.sub("//+", "/", raw_path)
        found = [(method, match) for route, method in self._routes if (match := route(path))]
        for method, match in found:
            if method.http == http:
                return method, {k: _decoded(v) for k, v in match.groupdict().items()}
        told = f"{http} {path[:_SHOWN]}"
        if found:
            allowed = ", ".join(sorted({method.http for method, _ in found}))
            raise WrongMethodError(told, allowed)
        raise errors.NotFoundError(f"{told}: there is no such method")


def _pattern(path: str) -> Callable[[str], re.Match[str] | None]:
    # A colon begins what is done to the thing: `/runs/{run_id}:archive`.
    text = _FIELD.sub(r"(?P<\1>[^/:]+)", re.escape(path))
    return re.compile(text).fullmatch


def _decoded(text: str) -> str:
    return urllib.parse.unquote(text, errors="surrogateescape")
