"""Files in a folder of this machine into which steps write. Blocking.

Steps may put links there: none is followed on the way to a file, for it would have files read that are
not theirs.
"""

import contextlib
import itertools
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final

_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_ANY: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


def opened(path: Path, within: Path) -> int:
    """Return a descriptor of a file or folder; who takes it closes it.

    Args:
        path: Of it.
        within: Folder above it that no step can put something else in place of.

    Raises:
        OSError: it is not there, or cannot be read, or there is a link on the way to it.
        ValueError: it is not in that folder.
    """
    parts = path.relative_to(within).parts
    if ".." in parts:
        raise ValueError(f"{path}: goes up")
    at = os.open(within, _FOLDER)
    for part in parts:
        above = at
        try:
            at = os.open(part, _ANY, dir_fd=above)
        finally:
            os.close(above)
    return at


def is_folder(descriptor: int) -> bool:
    """Return whether a descriptor is of a folder."""
    return stat.S_ISDIR(os.fstat(descriptor).st_mode)


def is_file(descriptor: int) -> bool:
    """Return whether a descriptor is of a file, and not of a pipe or a device."""
    return stat.S_ISREG(os.fstat(descriptor).st_mode)


def tag(descriptor: int) -> str:
    """Return what is another one where a file has changed, in the form of HTTP."""
    told = os.fstat(descriptor)
    return f'"{told.st_ino:x}-{told.st_size:x}-{told.st_mtime_ns:x}"'


class TooManyError(OSError):
    """There is more in a folder than may be looked at."""


def walk(folder: int, *, most: int, depth: int = 64) -> Iterator[tuple[str, int | str]]:
    """Yield the files and links in a folder and below it, by name.

    Args:
        folder: Its descriptor.
        most: So many names are looked at, those of folders and of what is no file among them.
        depth: So many folders within one another are looked into.

    Yields:
        The name, and of a file a descriptor that is good until the next one, of a link what it says.

    Raises:
        TooManyError: there are more names; all that came before may have been yielded.
        OSError: the folder cannot be listed.
    """
    yield from _walk(folder, "", depth, _Names(most))


class _Names:
    """Lists folders until there were too many names in all of them."""

    def __init__(self, most: int) -> None:
        self._most = self._left = most

    def of(self, folder: int) -> list[str]:
        """Return the names in a folder, sorted."""
        with os.scandir(folder) as found:
            # A folder of any size is never held as a whole.
            names = [each.name for each in itertools.islice(found, self._left + 1)]
        if len(names) > self._left:
            raise TooManyError(f"there are more than {self._most} files, links and folders")
        self._left -= len(names)
        return sorted(names)


def _walk(folder: int, above: str, depth: int, names: _Names) -> Iterator[tuple[str, int | str]]:
    for name in names.of(folder):
        shown = f"{above}{name}"
        try:
            at = os.open(name, _ANY, dir_fd=folder)
        except OSError:
            # A link; or what may not be read, or has just gone.
            with contextlib.suppress(OSError):
                yield shown, os.readlink(name, dir_fd=folder)
            continue
        try:
            if is_folder(at) and depth:
                yield from _walk(at, f"{shown}/", depth - 1, names)
            elif is_file(at):
                yield shown, at
        finally:
            os.close(at)
