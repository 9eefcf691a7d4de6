"""Artifacts as Argo keeps them, a tar packed with gzip: one file in, one file out. Pure.

Source: argo-workflows after 4.1.2, ``docs/fields.md`` (``archive``), and kubeflow/pipelines 2.17,
``backend/src/common/util/tgz.go``.
"""

import gzip
import io
import tarfile
import zlib
from typing import Final

_GZIP: Final = b"\x1f\x8b"
_OVERHEAD: Final = 64 * 1024
"""Bytes that an archive adds to its first file."""
_BROKEN: Final = (tarfile.TarError, zlib.error, EOFError, OSError)


def packed(name: str, content: bytes) -> bytes:
    """Return a file in an archive; the same file gives the same bytes."""
    made = io.BytesIO()
    with (
        gzip.GzipFile(fileobj=made, mode="wb", mtime=0) as zipped,
        tarfile.open(fileobj=zipped, mode="w") as archive,
    ):
        entry = tarfile.TarInfo(name)
        entry.size = len(content)
        archive.addfile(entry, io.BytesIO(content))
    return made.getvalue()


def is_packed(content: bytes) -> bool:
    """Tell whether bytes are packed with gzip."""
    return content.startswith(_GZIP)


def first(content: bytes, most: int) -> bytes:
    """Return the first file of an archive; what is none stands for itself.

    Args:
        content: Maybe packed.
        most: Bytes that it may have unpacked.

    Raises:
        ValueError: it is broken, or has no file, or a larger one.
    """
    if not is_packed(content):
        return content
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(content)) as zipped:
            plain = zipped.read(most + _OVERHEAD)
        return _first(plain, most)
    except _BROKEN as error:
        raise ValueError(f"the archive cannot be read: {error}") from error


def _first(plain: bytes, most: int) -> bytes:
    with tarfile.open(fileobj=io.BytesIO(plain), mode="r:") as archive:
        for member in archive:
            file = archive.extractfile(member) if member.isreg() else None
            if file is not None:
                found = file.read(most + 1)
                if len(found) > most:
                    raise ValueError(f"the file has more than {most} bytes")
                return found
    raise ValueError("there is no file in the archive")
