"""Unpacks one layer into a folder of its own, as overlayfs wants it.

The archive is somebody else's: no entry of it may reach outside the folder, whatever its name, its
links and their order; nor may it be larger than the bounds. Symbolic links are kept as they are and
followed as if the folder were the root, which is what they mean in a container.

Source: the OCI image-spec's layer media type (whiteouts) and overlayfs' own marks for the same.
"""

import contextlib
import gzip
import hashlib
import os
import shutil
import stat
import tarfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Self, cast

from wherry.kubelet.oci import zstd

_WHITEOUT = ".wh."
_OPAQUE = ".wh..wh..opq"
_MAX_LINKS = 255
_MAX_PATH = 4096
_XATTR = "SCHILY.xattr."
_GZIP = b"\x1f\x8b"
_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL
_CHUNK_BYTES = 1024 * 1024
_MAX_HEADER_BYTES = 1024 * 1024
_EXTENDED = {
    tarfile.XHDTYPE,
    tarfile.XGLTYPE,
    tarfile.SOLARIS_XHDTYPE,
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
}
_XATTRS_KEPT = ("user.", "security.capability")


class LayerError(Exception):
    """The layer is malformed, dangerous or too large; the message says what of it."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much a layer may bring."""

    size_bytes: int
    entries: int = 1_000_000


def opaque_name() -> str:
    """Return the attribute that hides what lower layers have in a folder."""
    return "trusted.overlay.opaque" if os.geteuid() == 0 else "user.overlay.opaque"


def is_whiteout(mode: int, device: int) -> bool:
    """Return whether a file's facts are those of overlayfs' mark for "removed"."""
    return stat.S_ISCHR(mode) and device == 0


def unpack(archive: Path, folder: Path, bounds: Bounds) -> tuple[str, int]:
    """Unpack a layer.

    Args:
        archive: A tar file, plain or compressed with gzip or zstd.
        folder: Empty, and closed to others.
        bounds: Where to stop.

    Returns:
        The digest of the uncompressed archive, and how many bytes its files have.

    Raises:
        LayerError: the layer is not acceptable; the folder is to be thrown away.
        OSError: the disk is full, say.
    """
    unpacker = Unpacker(folder, bounds)
    try:
        with archive.open("rb") as raw, _decompressed(raw) as plain:
            stream = _Counted(plain, bounds.size_bytes * 2)
            source = cast("BinaryIO", stream)
            with tarfile.open(fileobj=source, mode="r|", tarinfo=_BoundedEntry) as tar:
                for entry in tar:
                    unpacker.add(entry, _content(tar, entry))
                unpacker.finish()
            while stream.read(_CHUNK_BYTES):
                pass
    except (tarfile.TarError, EOFError, gzip.BadGzipFile, zlib.error, UnicodeError) as error:
        raise LayerError(f"the layer is not a tar archive: {error}") from error
    except zstd.ZstdError as error:
        raise LayerError(f"the layer cannot be read: {error}") from error
    return f"sha256:{stream.digest.hexdigest()}", unpacker.size


def _content(tar: tarfile.TarFile, entry: tarfile.TarInfo) -> Callable[[BinaryIO], None]:
    def write(target: BinaryIO) -> None:
        source = tar.extractfile(entry)
        if source is not None:
            shutil.copyfileobj(source, target, _CHUNK_BYTES)

    return write


def _decompressed(raw: BinaryIO) -> contextlib.AbstractContextManager[BinaryIO]:
    start = raw.read(len(zstd.MAGIC))
    raw.seek(0)
    if start == zstd.MAGIC:
        return zstd.decompressed(raw)
    if start.startswith(_GZIP):
        return contextlib.closing(cast("BinaryIO", gzip.GzipFile(fileobj=raw)))
    return contextlib.nullcontext(raw)


class _BoundedEntry(tarfile.TarInfo):
    """An entry whose extended headers, which are read into memory, have a bound."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
        """Read a header block.

        Raises:
            LayerError: an extended header that follows is too long.
        """
        found = super().frombuf(buf, encoding, errors)
        if found.type in _EXTENDED and found.size > _MAX_HEADER_BYTES:
            raise LayerError(f"a header of the layer has more than {_MAX_HEADER_BYTES} bytes")
        return found


class _Counted:
    """A stream that hashes what is read and ends when there is too much of it."""

    def __init__(self, source: BinaryIO, limit: int) -> None:
        self._source = source
        self._left = limit
        self.digest = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        piece = self._source.read(size)
        self.digest.update(piece)
        self._left -= len(piece)
        if self._left < 0:
            raise LayerError("the layer is larger than allowed when it is unpacked")
        return piece


class Unpacker:
    """Lays entries of an archive into a folder."""

    def __init__(self, folder: Path, bounds: Bounds) -> None:
        self._root = os.path.realpath(folder)
        self._bounds = bounds
        self._entries = 0
        self._folders: dict[str, tarfile.TarInfo] = {}
        self._owner = os.geteuid() == 0
        self.size = 0

    def add(self, entry: tarfile.TarInfo, write: Callable[[BinaryIO], None]) -> None:
        """Lay down one entry.

        Raises:
            LayerError: it is not acceptable.
        """
        self._count(entry)
        parts = _parts(entry.name)
        if not parts:
            return
        parent = self._folder(parts[:-1])
        name = parts[-1]
        if name == _OPAQUE:
            os.setxattr(parent, opaque_name(), b"y")
        elif name.startswith(_WHITEOUT):
            self._white_out(parent, name.removeprefix(_WHITEOUT))
        else:
            self._lay(entry, f"{parent}/{name}", write)

    def finish(self) -> None:
        """Give folders their times, which their contents have changed."""
        for path, entry in self._folders.items():
            # A later entry may have put a link in its place, or in that of a folder above it.
            if stat.S_ISDIR(_mode(path)) and os.path.realpath(path) == path:
                _set_time(path, entry)

    def _count(self, entry: tarfile.TarInfo) -> None:
        self._entries += 1
        self.size += max(entry.size, 0) if entry.isreg() else 0
        if self._entries > self._bounds.entries:
            raise LayerError(f"the layer has more than {self._bounds.entries} entries")
        if self.size > self._bounds.size_bytes:
            raise LayerError(f"the layer has more than {self._bounds.size_bytes} bytes")

    def _folder(self, parts: list[str]) -> str:
        """Return where folders lead, made where they are missing; never outside the root."""
        at: list[str] = []
        todo, links = parts[::-1], 0
        while todo:
            name = todo.pop()
            if name in {"", "."}:
                continue
            if name == "..":
                # Only out of links: names in the archive have none.
                at = at[:-1]
                continue
            here = "/".join((self._root, *at, name))
            mode = _mode(here)
            if stat.S_ISLNK(mode):
                links += 1
                if links > _MAX_LINKS:
                    raise LayerError(f"{'/'.join(parts)!r} runs through too many symbolic links")
                leads_to = os.readlink(here)  # noqa: PTH115 - texts throughout: a path is made only from checked parts
                at = [] if leads_to.startswith("/") else at
                todo += leads_to.split("/")[::-1]
                continue
            if not stat.S_ISDIR(mode):
                if mode:
                    self._clear(here)
                os.mkdir(here, 0o755)  # noqa: PTH102 - as above
                if mode:
                    os.setxattr(here, opaque_name(), b"y")
            at.append(name)
        return "/".join((self._root, *at))

    def _white_out(self, parent: str, name: str) -> None:
        if name in {"", ".", ".."}:
            raise LayerError(f"{_WHITEOUT}{name} removes nothing that has a name")
        path = f"{parent}/{name}"
        mode = _mode(path)
        if stat.S_ISDIR(mode):
            os.setxattr(path, opaque_name(), b"y")
        elif not mode:
            os.mknod(path, 0o600 | stat.S_IFCHR, os.makedev(0, 0))

    def _lay(self, entry: tarfile.TarInfo, path: str, write: Callable[[BinaryIO], None]) -> None:
        mode = _mode(path)
        replaced = bool(mode) and not stat.S_ISDIR(mode)
        if replaced or (mode and not entry.isdir()):
            self._clear(path)
        if entry.isdir():
            self._lay_folder(entry, path, replaced=replaced)
        elif entry.isreg():
            with os.fdopen(os.open(path, _NEW_FILE, 0o600), "wb") as file:
                write(file)
        elif entry.islnk():
            self._link(entry, path)
            return
        elif entry.issym():
            os.symlink(entry.linkname[:_MAX_PATH], path)  # noqa: PTH211 - texts throughout
        elif not self._special(entry, path):
            return
        self._dress(entry, path)

    def _lay_folder(self, entry: tarfile.TarInfo, path: str, *, replaced: bool) -> None:
        with contextlib.suppress(FileExistsError):
            os.mkdir(path, 0o700)  # noqa: PTH102 - texts throughout
        if replaced:
            os.setxattr(path, opaque_name(), b"y")
        self._folders[path] = entry

    def _link(self, entry: tarfile.TarInfo, path: str) -> None:
        parts = _parts(entry.linkname)
        source = f"{self._folder(parts[:-1])}/{parts[-1]}" if parts else self._root
        mode = _mode(source)
        if not mode or stat.S_ISDIR(mode):
            raise LayerError(
                f"{entry.name!r} is a link to {entry.linkname!r}, which is no file here"
            )
        os.link(source, path, follow_symlinks=False)

    def _special(self, entry: tarfile.TarInfo, path: str) -> bool:
        """Make a pipe or a device; devices are left out where only root may make them."""
        if entry.isfifo():
            os.mkfifo(path)
            return True
        if not (entry.ischr() or entry.isblk()):
            raise LayerError(f"{entry.name!r} is of an unknown type {entry.type!r}")
        if not self._owner or (entry.devmajor, entry.devminor) == (0, 0):
            return False
        kind = stat.S_IFCHR if entry.ischr() else stat.S_IFBLK
        os.mknod(path, 0o600 | kind, os.makedev(entry.devmajor, entry.devminor))
        return True

    def _dress(self, entry: tarfile.TarInfo, path: str) -> None:
        """Give owner, mode, attributes and time, in the order in which they undo one another."""
        if self._owner:
            os.lchown(path, entry.uid, entry.gid)
        if not entry.issym():
            own = 0 if self._owner else 0o700 if entry.isdir() else 0o600
            os.chmod(path, stat.S_IMODE(entry.mode) | own)  # noqa: PTH101 - texts throughout
        for key, value in entry.pax_headers.items():
            name = key.removeprefix(_XATTR)
            if name != key and name.startswith(_XATTRS_KEPT) and "overlay" not in name:
                with contextlib.suppress(OSError):  # not every file system has them
                    os.setxattr(
                        path, name, value.encode(errors="surrogateescape"), follow_symlinks=False
                    )
        if not entry.isdir():
            _set_time(path, entry)

    @staticmethod
    def _clear(path: str) -> None:
        if stat.S_ISDIR(_mode(path)):
            shutil.rmtree(path)
        else:
            os.unlink(path)  # noqa: PTH108 - texts throughout


def _parts(name: str) -> list[str]:
    """Return the names of a path, which may be written as absolute."""
    if len(name) > _MAX_PATH or "\0" in name:
        raise LayerError(f"{name[:80]!r} is longer than {_MAX_PATH} or has a NUL in it")
    parts = [part for part in name.split("/") if part not in {"", "."}]
    if ".." in parts:
        raise LayerError(f"{name!r} leads out of the layer")
    return parts


def _mode(path: str) -> int:
    """Return the type and permissions of what is there, 0 if nothing is."""
    try:
        return os.lstat(path).st_mode
    except (FileNotFoundError, NotADirectoryError):
        return 0


def _set_time(path: str, entry: tarfile.TarInfo) -> None:
    seconds = min(max(entry.mtime, 0), 2**33)
    with contextlib.suppress(OSError):
        os.utime(path, (seconds, seconds), follow_symlinks=False)
