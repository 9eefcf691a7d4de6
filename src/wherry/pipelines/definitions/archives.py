"""Files in archives that strangers send: nothing is written, and no more is unpacked than is bounded. Pure."""

import gzip
import io
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from typing import Final

from wherry.objects import errors

MOST_FILE: Final = 4 * 1024 * 1024
"""Bytes of one unpacked file; what is kept of it, as JSON, is a quarter."""
MOST_UNPACKED: Final = 16 * 1024 * 1024
"""Bytes that all files together take."""
MOST_FILES: Final = 1000
SUFFIXES: Final = (".yaml", ".yml", ".json")
"""What is taken out; other files are passed over."""

_ENTRY: Final = b"PK\x01\x02"
_METHODS: Final = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_ENCRYPTED: Final = 0x1
_BROKEN: Final = (
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    OSError,
    ValueError,
    NotImplementedError,
)


def unpacked(data: bytes) -> Mapping[str, bytes] | None:
    """Return the files of an archive by their names; None: it is none.

    Args:
        data: A zip, or a tar packed with gzip.

    Raises:
        BadRequestError: it is broken, or has files that lead out of it, or too many.
        RequestEntityTooLargeError: it holds more than it may.
    """
    read = _reader(data)
    if read is None:
        return None
    try:
        return dict(read(data))
    except _BROKEN as error:
        raise errors.BadRequestError(f"the archive cannot be read: {str(error)[:200]}") from error


def _reader(data: bytes) -> Callable[[bytes], Iterator[tuple[str, bytes]]] | None:
    if data.startswith(b"PK"):
        return _zip
    return _tar if data.startswith(b"\x1f\x8b") else None


def _zip(data: bytes) -> Iterator[tuple[str, bytes]]:
    # Before the list is read: a hundred bytes of it become a thousand.
    _check_count(data.count(_ENTRY))
    left = MOST_UNPACKED
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        for entry in archive.infolist():
            _check_place(entry.filename, is_link=stat.S_ISLNK(entry.external_attr >> 16))
            if entry.is_dir() or not entry.filename.endswith(SUFFIXES):
                continue
            if entry.flag_bits & _ENCRYPTED or entry.compress_type not in _METHODS:
                raise errors.BadRequestError(
                    f"{_shown(entry.filename)} is encrypted, or packed in an unusual way"
                )
            with archive.open(entry) as file:
                content = _bounded(file.read(MOST_FILE + 1), entry.filename)
            left -= len(content)
            if left < 0:
                raise _too_large()
            yield entry.filename, content


def _tar(data: bytes) -> Iterator[tuple[str, bytes]]:
    with (
        gzip.GzipFile(fileobj=io.BytesIO(data)) as packed,
        tarfile.open(fileobj=_Bounded(packed), mode="r|") as archive,
    ):
        for count, member in enumerate(archive, 1):
            _check_count(count)
            _check_place(member.name, is_link=member.issym() or member.islnk())
            if member.isreg() and member.name.endswith(SUFFIXES):
                file = archive.extractfile(member)
                content = file.read(MOST_FILE + 1) if file is not None else b""
                yield member.name.removeprefix("./"), _bounded(content, member.name)


class _Bounded(io.RawIOBase):
    """Gives no more than `MOST_UNPACKED` bytes."""

    def __init__(self, inner: gzip.GzipFile) -> None:
        super().__init__()
        self._inner = inner
        self._left = MOST_UNPACKED

    def read(self, size: int = -1, /) -> bytes:
        """Return the next bytes.

        Raises:
            RequestEntityTooLargeError: there are too many.
        """
        wanted = self._left + 1 if size < 0 else min(size, self._left + 1)
        found = self._inner.read(wanted)
        self._left -= len(found)
        if self._left < 0:
            raise _too_large()
        return found


def _bounded(content: bytes, name: str) -> bytes:
    if len(content) > MOST_FILE:
        raise errors.RequestEntityTooLargeError(
            f"{_shown(name)} is larger than {MOST_FILE} bytes unpacked"
        )
    return content


def _check_count(count: int) -> None:
    if count > MOST_FILES:
        raise errors.BadRequestError(f"the archive has more than {MOST_FILES} files")


def _check_place(name: str, *, is_link: bool) -> None:
    parts = name.replace("\\", "/").split("/")
    leads_out = name.startswith(("/", "\\")) or ".." in parts or ":" in parts[0]
    if is_link or leads_out:
        what = "is a link" if is_link else "leads out of the archive"
        raise errors.BadRequestError(f"{_shown(name)} {what}; an archive has plain files only")


def _too_large() -> errors.RequestEntityTooLargeError:
    return errors.RequestEntityTooLargeError(
        f"the archive holds more than {MOST_UNPACKED} bytes unpacked"
    )


def _shown(name: str) -> str:
    return repr(name if len(name) <= 100 else f"{name[:100]}…")
