"""Artifacts packed and unpacked: ``tgz`` and ``zip``, as upstream writes and reads them."""

import shutil
import tarfile
import uuid
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Final

from wherry.pipelines.workflows.agent.failing import AgentError

_MOST_FILES: Final = 1_000_000
_USUAL_LEVEL: Final = 6


def tar(source: Path, target: Path, name: str, level: int | None) -> None:
    """Pack a file or folder; links stay links.

    Args:
        source: What is packed.
        target: The archive.
        name: What it is called in it.
        level: Of compression, 0 to 9; None: the usual one.
    """
    depth = _USUAL_LEVEL if level is None else level
    with tarfile.open(target, "w:gz", compresslevel=depth) as archive:
        archive.add(source, arcname=name)


def zipped(source: Path, target: Path, name: str) -> None:
    """Pack a file or folder; links, pipes and the like are left out."""
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        if not source.is_dir():
            archive.write(source, name)
            return
        archive.write(source, name)
        for each in sorted(source.rglob("*")):
            if not each.is_symlink() and (each.is_file() or each.is_dir()):
                archive.write(each, f"{name}/{each.relative_to(source)}")


def unpack(path: Path, target: Path, wanted: str) -> bool:
    """Unpack a file that is an archive; return whether it was one.

    Args:
        path: The file.
        target: What comes out: the one file or folder that is in it, else a folder with all.
        wanted: ``tar``, ``zip``, or empty: ``tar`` where it looks like one.

    Raises:
        AgentError: it is no archive of the kind that is wanted, or holds what it should not.
    """
    if wanted == "zip":
        _out(path, target, _unzip)
        return True
    if wanted == "tar" or (not wanted and path.is_file() and _is_tar(path)):
        _out(path, target, _untar)
        return True
    return False


def _is_tar(path: Path) -> bool:
    # An empty file is an empty archive to `tarfile`.
    return path.stat().st_size > 0 and tarfile.is_tarfile(path)


def _out(path: Path, target: Path, extract: Callable[[Path, Path], None]) -> None:
    draft = target.with_name(f".{uuid.uuid4().hex}.part")
    draft.mkdir(parents=True)
    try:
        try:
            extract(path, draft)
        except (tarfile.TarError, zipfile.BadZipFile, OSError, ValueError) as error:
            raise AgentError(f"{path.name} cannot be unpacked: {error}") from error
        inside = [*draft.iterdir()]
        (inside[0] if len(inside) == 1 else draft).rename(target)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _untar(path: Path, folder: Path) -> None:
    with tarfile.open(path) as archive:
        for number, member in enumerate(archive):
            if number >= _MOST_FILES:
                raise ValueError(f"more than {_MOST_FILES} files")
            archive.extract(member, folder, filter="data")


def _unzip(path: Path, folder: Path) -> None:
    with zipfile.ZipFile(path) as archive:
        if len(archive.infolist()) > _MOST_FILES:
            raise ValueError(f"more than {_MOST_FILES} files")
        for member in archive.infolist():
            made = Path(archive.extract(member, folder))
            mode = (member.external_attr >> 16) & 0o777
            if mode and not made.is_symlink():
                made.chmod(mode)
