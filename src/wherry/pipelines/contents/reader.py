"""Reads what is in an object store, or packs a folder: ``python -m wherry.pipelines.contents.reader``.

A process of its own, started for one artifact: what stores need is large, and packing takes time. It has
nothing to lose: how the store is reached, and the keys, come over its standard input, and no others are
used. The first line of the input, JSON, says what is wanted; the first line of the output what there is,
or why nothing is; the second line of the input which bytes are wanted, which then follow. It ends with
its input.
"""

import gzip
import json
import os
import posixpath
import sys
import tarfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO, Final

from wherry.metadata.artifacts import storage, uris
from wherry.metadata.artifacts.providers import Providers, ProvidersError
from wherry.metadata.artifacts.storage import MissingError, Storage, StorageError
from wherry.pipelines.contents import folders

_PIECE: Final = 4 * 1024 * 1024
_MOST_FILES: Final = 100_000
_MOST_BYTES: Final = 64 * 1024**3
"""Of a folder, before it is packed; single files are read in parts, of any size."""
_FILE_MODE: Final = 0o644
_FAILURES: Final = (StorageError, uris.UriError, ProvidersError, OSError, ValueError)


class _Stored:
    """A file or folder of a store."""

    def __init__(self, told: Mapping[str, Any]) -> None:
        self._uri = str(told["uri"])
        providers = Providers(told["config"], told["root"])
        self._storage = Storage(providers, told["keys"], ambient=False)
        found = self._storage.list(self._uri, limit=_MOST_FILES + 1)
        if not found:
            raise MissingError(f"{self._uri}: there is nothing")
        if len(found) > _MOST_FILES:
            raise StorageError(f"{self._uri}: it has more than {_MOST_FILES} files")
        # Read before the first byte is sent, when it can still be told that one leads out of the folder.
        self._files = [(uri, storage.inner_name(uri, self._bare), size) for uri, size in found]
        self.is_folder = [name for name, _ in found] != [self._bare]
        self.size = sum(size for _, size in found)
        if self.is_folder:
            _check_bytes(self.size)

    @property
    def _bare(self) -> str:
        return self._uri.partition("?")[0].rstrip("/")

    def write(self, target: BinaryIO, start: int, length: int) -> None:
        """Write some of the bytes of a file."""
        end = start + length
        for at in range(start, end, _PIECE):
            wanted = min(_PIECE, end - at)
            found = self._storage.read(self._uri, limit=wanted, offset=at)
            target.write(found)
            if len(found) < wanted:
                raise StorageError(f"{self._uri}: it has become shorter")

    def pack(self, archive: tarfile.TarFile) -> None:
        """Put the files of a folder into an archive."""
        for uri, name, size in self._files:
            info = tarfile.TarInfo(name)
            info.size, info.mode = size, _FILE_MODE
            archive.addfile(info, _Pieces(self._pieces(uri, size)))

    def _pieces(self, uri: str, size: int) -> Iterator[bytes]:
        for at in range(0, size, _PIECE):
            yield self._storage.read(uri, limit=min(_PIECE, size - at), offset=at)


class _Pieces:
    """A file that is read from its beginning to its end."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._held = b""

    def read(self, size: int = -1, /) -> bytes:
        """Return so many bytes; fewer at the end."""
        while len(self._held) < size and (piece := next(self._pieces, b"")):
            self._held += piece
        found, self._held = self._held[:size], self._held[size:]
        return found


class _Folder:
    """A folder of this machine."""

    is_folder: Final = True
    size: Final = 0

    def __init__(self, told: Mapping[str, Any]) -> None:
        self._at = folders.opened(Path(told["path"]), Path(told["within"]))
        # What is too much is told before the first byte, when it can still be told.
        for _ in self._members():
            pass

    def write(self, target: BinaryIO, start: int, length: int) -> None:
        """Say that a folder is only packed."""
        raise StorageError("a folder has no bytes of its own")

    def pack(self, archive: tarfile.TarFile) -> None:
        """Put the files of the folder into an archive, and the links that stay within it."""
        for name, found in self._members():
            info = tarfile.TarInfo(name)
            if isinstance(found, str):
                if _stays(name, found):
                    info.type, info.linkname = tarfile.SYMTYPE, found
                    archive.addfile(info)
                continue
            state = os.fstat(found)
            info.size, info.mode, info.mtime = state.st_size, _FILE_MODE, int(state.st_mtime)
            with open(found, "rb", closefd=False) as file:
                archive.addfile(info, file)

    def _members(self) -> Iterator[tuple[str, int | str]]:
        """Yield what `folders.walk` does, until it is too much."""
        size = 0
        for name, found in folders.walk(self._at, most=_MOST_FILES):
            if isinstance(found, int):
                size += os.fstat(found).st_size
                _check_bytes(size)
            yield name, found


def _check_bytes(size: int) -> None:
    """Refuse a folder with too many bytes.

    Raises:
        StorageError: it has them.
    """
    if size > _MOST_BYTES:
        raise StorageError(
            f"it is a folder with more than {_MOST_BYTES} bytes, which is not packed; "
            "read its files where they are"
        )


def _stays(name: str, link: str) -> bool:
    """Return whether a link leads to what is in the same folder, or below it."""
    target = posixpath.normpath(posixpath.join(posixpath.dirname(name), link))
    return not link.startswith("/") and target.split("/")[0] != ".."


def main() -> int:
    """Do what the input says; return the exit code, having told why where it is not 0."""
    asked, target = sys.stdin.buffer, sys.stdout.buffer
    try:
        told = json.loads(asked.readline())
        found = _Stored(told) if "uri" in told else _Folder(told)
    except (MissingError, FileNotFoundError) as error:
        _tell(target, {"missing": str(error)})
        return 1
    except _FAILURES as error:
        _tell(target, {"failed": str(error)})
        return 1
    _tell(target, {"folder": found.is_folder, "size": found.size})
    wanted = json.loads(asked.readline() or b"null")
    if wanted is None:
        return 0
    try:
        _send(found, target, wanted)
    except _FAILURES as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


def _send(found: _Stored | _Folder, target: BinaryIO, wanted: Mapping[str, int]) -> None:
    if found.is_folder:
        with (
            gzip.GzipFile("", "wb", compresslevel=1, fileobj=target, mtime=0) as packed,
            tarfile.open(fileobj=packed, mode="w|") as archive,
        ):
            found.pack(archive)
    else:
        found.write(target, wanted["start"], wanted["length"])
    target.flush()


def _tell(target: BinaryIO, what: Mapping[str, Any]) -> None:
    target.write(json.dumps(what).encode() + b"\n")
    target.flush()


if __name__ == "__main__":
    sys.exit(main())
