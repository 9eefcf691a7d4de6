"""Files that appear and change in one step, whatever a reader is doing.

The scheme is upstream's, which readers rely on: the files lie in a folder of their own, `..data`
is a symbolic link to it, and the visible names are links through `..data`. A change makes a new
folder and swaps the one link. Here the folder is named by its content, so that an unchanged
payload is recognised without reading it.
"""

import hashlib
import os
import shutil
import stat
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from wherry.objects.requests import Object

DEFAULT_MODE = 0o644
_CURRENT = "..data"
_NEXT = "..data_next"


_GROUP_READS = 0o440
"""What a file that belongs to the pod's group may be at least."""


@dataclass(frozen=True, slots=True)
class File:
    """Content and permission bits of one file, and whose it is; None leaves it the agent's."""

    content: bytes
    mode: int = DEFAULT_MODE
    uid: int | None = None
    gid: int | None = None

    def of_group(self, gid: int) -> "File":
        """Return the file as one that a group may read."""
        return replace(self, mode=self.mode | _GROUP_READS, gid=gid)


class PayloadError(Exception):
    """The files cannot be made: a key is missing, or a path leaves the volume."""


def relative_path(text: str) -> str:
    """Return a path within a volume, as it was given.

    Raises:
        PayloadError: it is absolute, empty, or has a part that is `..` or begins with it.
    """
    path = PurePosixPath(text)
    if not text or path.is_absolute() or any(part.startswith("..") for part in path.parts):
        raise PayloadError(f"path {text!r} must be relative and must not contain '..'")
    if "\0" in text or str(path) == "." or len(text) > 4096:
        raise PayloadError(f"path {text!r} is not a file name")
    return str(path)


def select(
    data: Mapping[str, bytes], items: list[Object] | None, *, mode: int, optional: bool
) -> dict[str, File]:
    """Return which keys become which files.

    Args:
        data: The keys of a ConfigMap or Secret.
        items: The `items` of the volume; None takes every key under its own name.
        mode: Permission bits where an item names none.
        optional: Whether items may name keys that are not there.

    Raises:
        PayloadError: a key is missing, or a path is not allowed.
    """
    if not items:
        return {relative_path(key): File(content, mode) for key, content in data.items()}
    result: dict[str, File] = {}
    for item in items:
        key = str(item["key"])
        if key in data:
            own = item.get("mode")
            result[relative_path(str(item["path"]))] = File(
                data[key], mode if own is None else int(own)
            )
        elif not optional:
            raise PayloadError(f"references non-existent key: {key}")
    return result


def write(folder: Path, payload: Mapping[str, File], *, gid: int | None = None) -> bool:
    """Make the folder show exactly the payload, in one step.

    Args:
        folder: Made where it is not there.
        payload: The files by path.
        gid: A group that may read all of them.

    Returns:
        Whether anything changed.
    """
    if gid is not None:
        payload = {path: file.of_group(gid) for path, file in payload.items()}
    folder.mkdir(parents=True, exist_ok=True, mode=0o755)
    name = f"..{_digest(payload)}"
    current = folder / _CURRENT
    previous = current.readlink().name if current.is_symlink() else None
    if previous == name:
        return False
    _write_files(folder, name, payload)
    following = folder / _NEXT
    following.unlink(missing_ok=True)
    following.symlink_to(name)
    following.replace(current)
    _link_names(folder, payload, fresh=previous is None)
    if previous is not None:
        shutil.rmtree(folder / previous, ignore_errors=True)
    return True


def _digest(payload: Mapping[str, File]) -> str:
    digest = hashlib.sha256()
    for path in sorted(payload):
        file = payload[path]
        head = f"{len(path)}:{path}:{file.mode:o}:{file.uid}:{file.gid}:{len(file.content)}:"
        digest.update(head.encode())
        digest.update(file.content)
    return digest.hexdigest()[:24]


def _write_files(folder: Path, name: str, payload: Mapping[str, File]) -> None:
    making = folder / f"..making-{os.getpid()}"
    try:
        making.mkdir(mode=0o755)
    except FileExistsError:  # of a try that was cut off
        shutil.rmtree(making)
        making.mkdir(mode=0o755)
    for path, file in payload.items():
        target = making / path
        if "/" in path:
            target.parent.mkdir(parents=True, exist_ok=True, mode=0o755)
        # Made closed and opened up afterwards: a secret is never readable in between.
        handle = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "wb") as stream:
            stream.write(file.content)
            if file.uid is not None or file.gid is not None:
                os.fchown(stream.fileno(), _number(file.uid), _number(file.gid))
            os.fchmod(stream.fileno(), stat.S_IMODE(file.mode))
    if (folder / name).exists():  # of a try that was cut off after that
        shutil.rmtree(folder / name)
    making.rename(folder / name)


def _number(who: int | None) -> int:
    return -1 if who is None else who


def _link_names(folder: Path, payload: Mapping[str, File], *, fresh: bool) -> None:
    wanted = {path.partition("/")[0] for path in payload}
    for entry in [] if fresh else folder.iterdir():
        if entry.is_symlink() and not entry.name.startswith("..") and entry.name not in wanted:
            entry.unlink()
    for name in wanted:
        link = folder / name
        if not link.is_symlink():
            link.symlink_to(f"{_CURRENT}/{name}")
