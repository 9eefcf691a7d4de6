"""What a product is given beyond the API: a folder of its own, and settings of its administrator."""

from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

_PREFIX: Final = "WHERRY_"


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """Where a manager runs.

    Attributes:
        home: Folder in which each product may keep files below its own name; None: nothing is kept
            beyond the life of the process.
        options: Settings of products by name, such as ``tuning-database``; a product knows its own
            and leaves the others alone.
        local: Whether pods are processes of this machine, and reach what listens on its loopback
            address.
        fronted: Where products serve who want to know who calls through the API server's proxy: host
            and port, and a secret that only it and they have. They put it there themselves.
    """

    home: Path | None = None
    options: Mapping[str, str] = field(default_factory=dict)
    local: bool = False
    fronted: MutableMapping[tuple[str, int], str] = field(default_factory=dict)

    def folder(self, product: str) -> Path | None:
        """Return a product's folder, made with mode 0700; None where nothing is kept.

        Raises:
            OSError: It cannot be made.
        """
        if self.home is None:
            return None
        folder = self.home / product
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return folder


def variable(option: str) -> str:
    """Return the environment variable that sets an option."""
    return f"{_PREFIX}{option.upper().replace('-', '_')}"


def options_of(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the options that environment variables set: ``WHERRY_TUNING_DATABASE`` is ``tuning-database``.

    Variables, because a URL with a password in it has no place among the arguments of a process.
    """
    return {
        name.removeprefix(_PREFIX).lower().replace("_", "-"): value
        for name, value in environment.items()
        if name.startswith(_PREFIX) and value
    }
