"""The Python interpreters that this machine has.

Found by their names and places; none is started while looking, because a version manager's shims
take longer to answer than a pod to start.
"""

import operator
import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

_PROGRAM = re.compile(r"python(\d+)\.(\d+)")
_FOLDER = re.compile(r"(?:cpython-)?(\d+)\.(\d+)(?:\.(\d+))?(?:-.*)?")

Version = tuple[int, ...]

_BOUND = re.compile(r"\s*(==|!=|>=|<=|>|<)\s*([0-9.]+)\s*")
_COMPARE: dict[str, Callable[[Version, Version], bool]] = {
    "==": operator.eq,
    "!=": operator.ne,
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
}


@dataclass(frozen=True, slots=True)
class Interpreter:
    """One interpreter.

    Attributes:
        path: The program itself, not a shim or a virtual environment's link.
        version: As far as it is known: (3, 11) or (3, 11, 7).
    """

    path: Path
    version: Version

    @property
    def text(self) -> str:
        """The version as people write it."""
        return ".".join(str(number) for number in self.version)


class InterpreterMissingError(Exception):
    """The machine has no interpreter of the version; the message lists those it has."""


def own() -> Interpreter:
    """Return the interpreter that Wherry runs on, outside of its virtual environment."""
    # The attribute is CPython's own record of what a venv was made from.
    path = Path(getattr(sys, "_base_executable", sys.executable) or sys.executable).resolve()
    return Interpreter(path, sys.version_info[:3])


def parse_version(text: str) -> Version:
    """Read ``3.12`` or ``3.12.1``.

    Raises:
        ValueError: it is not two or three numbers.
    """
    if not re.fullmatch(r"\d{1,3}(\.\d{1,3}){1,2}", text):
        raise ValueError(f"python version {text!r} must be like 3.12 or 3.12.1")
    return tuple(int(number) for number in text.split("."))


def fits(version: str, found: Version) -> bool:
    """Return whether an interpreter is of a version or within a range.

    As many numbers are compared as are given: 3.11.7 counts as 3.11 for ``<=3.11``.

    Args:
        version: ``3.12``, ``3.12.1`` or bounds such as ``>=3.10,<3.13``.
        found: The interpreter's.

    Raises:
        ValueError: not a version and not bounds.
    """
    if not version.strip().startswith(("=", "!", "<", ">")):
        wanted = parse_version(version)
        return found[: len(wanted)] == wanted
    for part in version.split(","):
        match = _BOUND.fullmatch(part)
        if match is None:
            raise ValueError(f"python version {version!r} must be like 3.12 or >=3.10,<3.13")
        wanted = parse_version(match[2])
        length = min(len(wanted), len(found))
        if not _COMPARE[match[1]](found[:length], wanted[:length]):
            return False
    return True


def find(version: str, among: Iterable[Interpreter] | None = None) -> Interpreter:
    """Return an interpreter of the version: our own where it fits, else the newest.

    Args:
        version: ``3.12`` takes any 3.12.x, ``>=3.10,<3.13`` any between; empty takes our own.
        among: What there is; by default what is found on the machine.

    Raises:
        InterpreterMissingError: none fits.
    """
    if not version:
        return own()
    have = list(installed() if among is None else among)
    fitting = [found for found in have if fits(version, found.version)]
    if not fitting:
        raise InterpreterMissingError(
            f"Python {version} is not installed here; there is {_listing(have)}. Install it (for "
            f"example with `uv python install '{version}'`) or name another version in spec.python"
        )
    if fitting[0].path == own().path:
        return fitting[0]
    return max(fitting, key=lambda found: found.version)


def _listing(have: list[Interpreter]) -> str:
    versions = sorted({found.version[:2] for found in have}, reverse=True)
    return ", ".join(f"{major}.{minor}" for major, minor in versions) or "none"


def installed() -> list[Interpreter]:
    """Return the interpreters on this machine, our own first; each file once."""
    result: dict[Path, Interpreter] = {}
    for found in _candidates():
        result.setdefault(found.path, found)
    return list(result.values())


def _candidates() -> Iterator[Interpreter]:
    yield own()
    home = Path.home()
    pyenv = Path(os.environ.get("PYENV_ROOT") or home / ".pyenv") / "versions"
    managed = os.environ.get("UV_PYTHON_INSTALL_DIR")
    uv = Path(managed) if managed else home / ".local/share/uv/python"
    for folder in (pyenv, uv):
        yield from _in_version_folders(folder)
    for text in dict.fromkeys(
        [*os.get_exec_path(), "/usr/local/bin", "/usr/bin", "/opt/homebrew/bin"]
    ):
        yield from _in_folder(Path(text))


def _in_version_folders(folder: Path) -> Iterator[Interpreter]:
    for entry in _entries(folder):
        match = _FOLDER.fullmatch(entry.name)
        program = entry / "bin" / "python3"
        if match and os.access(program, os.X_OK):
            version = tuple(int(number) for number in match.groups() if number is not None)
            yield Interpreter(program.resolve(), version)


def _in_folder(folder: Path) -> Iterator[Interpreter]:
    # A version manager's shims carry the names of versions that may not be there.
    if folder.name == "shims":
        return
    for entry in _entries(folder):
        match = _PROGRAM.fullmatch(entry.name)
        if match and os.access(entry, os.X_OK) and not _in_virtual_environment(entry):
            yield Interpreter(entry.resolve(), (int(match[1]), int(match[2])))


def _entries(folder: Path) -> list[Path]:
    """Return what is in a folder; nothing where it is missing or not this user's to look into."""
    try:
        return sorted(folder.iterdir())
    except OSError:
        return []


def _in_virtual_environment(program: Path) -> bool:
    return (program.parent.parent / "pyvenv.cfg").exists()
