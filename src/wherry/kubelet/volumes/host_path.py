"""A file or folder of the machine itself."""

import stat
from collections.abc import Callable
from pathlib import Path

from wherry.kubelet.volume import Context, NotReadyError, Prepared
from wherry.objects.requests import Object

_CHECKS: dict[str, Callable[[int], bool]] = {
    "Directory": stat.S_ISDIR,
    "DirectoryOrCreate": stat.S_ISDIR,
    "File": stat.S_ISREG,
    "FileOrCreate": stat.S_ISREG,
    "Socket": stat.S_ISSOCK,
    "CharDevice": stat.S_ISCHR,
    "BlockDevice": stat.S_ISBLK,
}


class HostPathVolume:
    """`hostPath`, with upstream's types."""

    name = "hostPath"

    async def prepare(self, volume: Object, context: Context) -> Prepared:
        """Check the path, make it where the type says so."""
        source = volume["hostPath"]
        return Prepared(resolve(str(source.get("path", "")), str(source.get("type") or "")))


def resolve(text: str, kind: str) -> Path:
    """Return the path if it is of the kind.

    Args:
        text: Absolute path on the machine.
        kind: A hostPath type; empty takes what is there and makes a folder where there is nothing.

    Raises:
        NotReadyError: the path is not absolute, not there, or something else.
    """
    path = Path(text)
    if not path.is_absolute() or ".." in path.parts:
        raise NotReadyError(f"hostPath {text!r} must be absolute and must not contain '..'")
    try:
        if not path.exists():
            _create(path, kind)
        mode = path.stat().st_mode
    except OSError as error:
        raise NotReadyError(f"hostPath {text}: {error.strerror or error}") from error
    if kind and kind not in _CHECKS:
        raise NotReadyError(f"hostPath type {kind!r} is unknown: want one of {', '.join(_CHECKS)}")
    if kind and not _CHECKS[kind](mode):
        raise NotReadyError(
            f"hostPath type check failed: {text} is not a {kind.removesuffix('OrCreate')}"
        )
    return path


def _create(path: Path, kind: str) -> None:
    if kind in {"", "DirectoryOrCreate"}:
        path.mkdir(parents=True, exist_ok=True)
    elif kind == "FileOrCreate":
        path.touch()
    else:
        raise NotReadyError(f"hostPath type check failed: {path} does not exist and type is {kind}")
