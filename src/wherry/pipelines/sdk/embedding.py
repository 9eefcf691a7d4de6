"""Files that a component brings along: an archive in its source."""

import base64
import contextlib
import gzip
import io
import sys
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from wherry.pipelines.sdk import inlined
from wherry.pipelines.sdk.errors import CompileError
from wherry.pipelines.sdk.inlined import embedded_files

_MOST_BYTES: Final = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Embedded:
    """Files to bring along, as they were when the component was made.

    Attributes:
        archive: A compressed tar file in base64; of the same files always the same.
        file: The name of the one file in it; empty: it is a folder's content.
    """

    archive: str
    file: str

    def source(self) -> str:
        """Return what unpacks them in the module of a component."""
        text = inlined.text(embedded_files)
        return f"{text}\n\nglobals().update(wherry_unpack({self.archive!r}, {self.file!r}))\n"

    @contextlib.contextmanager
    def unpacked(self) -> Iterator[Mapping[str, Any]]:
        """Unpack them in this process; yield what a component's module has then."""
        names = embedded_files.wherry_unpack(self.archive, self.file)
        try:
            yield names
        finally:
            folder = names["wherry_embedded_folder"]
            with contextlib.suppress(ValueError):  # where the function took it away itself
                sys.path.remove(folder.name)
            folder.cleanup()


def embed(path: Path) -> Embedded:
    """Return a file, or what is in a folder, to be brought along.

    Raises:
        CompileError: There is no such file, or one in the folder leads out of it.
    """
    if not path.exists():
        raise CompileError(f"{path}: there is no such file or folder to embed")
    root = path.resolve()
    files = (
        [root]
        if root.is_file()
        else sorted(each for each in root.rglob("*") if _is_kept(each, root))
    )
    size = sum(each.stat().st_size for each in files if each.is_file())
    if size > _MOST_BYTES:
        raise CompileError(
            f"{path}: {size} bytes are too many to embed; {_MOST_BYTES} are the most"
        )
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", dereference=True) as archive:
        for each in files:
            name = path.name if each == root else str(each.relative_to(root))
            archive.add(each, name, recursive=False, filter=_plain)
    encoded = base64.b64encode(gzip.compress(packed.getvalue(), mtime=0))
    return Embedded(encoded.decode(), path.name if root.is_file() else "")


def _is_kept(path: Path, root: Path) -> bool:
    """Tell whether a path below a folder is embedded; Python's own leavings are not.

    Raises:
        CompileError: It leads out of the folder, or nowhere, or is no file.
    """
    if path.is_symlink() and (path.is_dir() or not path.resolve().is_relative_to(root)):
        raise CompileError(f"{path}: a link to embed must lead to a file in {root}")
    if not (path.is_dir() or path.is_file()):
        raise CompileError(f"{path}: this is no file, and cannot be embedded")
    return "__pycache__" not in path.parts


def _plain(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    """Leave out who has the file and since when: the same files are the same step to the cache."""
    entry.mtime = entry.uid = entry.gid = 0
    entry.uname = entry.gname = ""
    return entry
