"""What a run has left in a folder of the node is removed. Blocking.

Steps write into the folder, and may put links there: no link is followed on the way down.
"""

import contextlib
import os
import stat
import uuid
from collections.abc import Collection
from pathlib import Path, PurePath
from typing import Final

_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def remove(path: Path, within: Path, keep: Collection[Path]) -> None:
    """Remove a file, or a folder with what is in it, where it is there.

    Args:
        path: What goes.
        within: Folder above it that no step can put something else in place of.
        keep: What stays, with the folders above it.

    Raises:
        ValueError: it is not in the folder.
        OSError: it cannot be removed, or there is a link on the way to it.
    """
    *above, name = path.relative_to(within).parts
    kept = {each.relative_to(path) for each in keep if each.is_relative_to(path)}
    with contextlib.ExitStack() as opened, contextlib.suppress(FileNotFoundError):
        at = _opened(within, None, opened)
        for part in above:
            at = _opened(Path(part), at, opened)
        _remove(at, name, kept)


def _opened(path: Path, at: int | None, opened: contextlib.ExitStack) -> int:
    descriptor = os.open(path, _FOLDER, dir_fd=at)
    opened.callback(os.close, descriptor)
    return descriptor


def _remove(at: int, name: str, keep: Collection[PurePath]) -> None:
    """Remove a name from an open folder but for some of what is below it."""
    if any(not each.parts for each in keep):
        return
    try:
        descriptor = os.open(name, _FOLDER, dir_fd=at)
    except OSError:
        os.unlink(name, dir_fd=at)
        return
    try:
        if keep:
            for inner in os.listdir(descriptor):  # noqa: PTH208 - of an open folder
                below = {PurePath(*each.parts[1:]) for each in keep if each.parts[0] == inner}
                _remove(descriptor, inner, below)
    finally:
        os.close(descriptor)
    if not keep:
        _remove_folder(at, name)


def _remove_folder(at: int, name: str) -> None:
    """Remove a folder with all that is in it.

    The folders in it come up to its first level, one after the other: steps may have made them deeper
    than a call for each level can go, and than files can be open at once.
    """
    with contextlib.ExitStack() as opened:
        top = _opened(Path(name), at, opened)
        while folders := _emptied(top):
            for each in folders:
                with contextlib.ExitStack() as inner:
                    folder = _opened(Path(each), top, inner)
                    for below in _emptied(folder):
                        _allow(folder, below)
                        os.rename(below, uuid.uuid4().hex, src_dir_fd=folder, dst_dir_fd=top)
                os.rmdir(each, dir_fd=top)
    os.rmdir(name, dir_fd=at)


def _emptied(folder: int) -> list[str]:
    """Remove what is no folder from an open folder; return the names of the folders in it."""
    os.fchmod(folder, stat.S_IRWXU)
    with os.scandir(folder) as entries:
        found = {each.name: each.is_dir(follow_symlinks=False) for each in entries}
    for name in (name for name, is_folder in found.items() if not is_folder):
        os.unlink(name, dir_fd=folder)
    return [name for name, is_folder in found.items() if is_folder]


def _allow(at: int, name: str) -> None:
    """Let a folder be moved: programs leave some that not even their owner may write to, such as caches."""
    with contextlib.ExitStack() as opened:
        os.fchmod(_opened(Path(name), at, opened), stat.S_IRWXU)
