"""A container's files from its image's layers: as a mount where the kernel can, copied where it cannot."""

import contextlib
import os
import shutil
import stat
from collections.abc import Sequence
from pathlib import Path

from wherry.kubelet.launcher.types import Mount
from wherry.kubelet.oci import unpacking

_MAX_OPTIONS = 4000
"""The kernel takes one page."""

_MAX_ACCOUNTS_BYTES = 1024 * 1024


def overlay(layers: Path, names: Sequence[str], bundle: Path) -> Mount:
    """Return the mount that shows all layers as one, writable in the bundle; its folders are made.

    Args:
        layers: Folder of all layers.
        names: The image's, below it, lowest first.
        bundle: The container's.

    Raises:
        ValueError: too many layers, or paths too long, for one mount.
    """
    for name in ("upper", "work", "rootfs"):
        (bundle / name).mkdir(exist_ok=True)
        (bundle / name).chmod(0o755)
    unique = list(dict.fromkeys(reversed(names)))
    lower = ":".join(unique)
    options = f"lowerdir={lower},upperdir={bundle / 'upper'},workdir={bundle / 'work'}"
    if len(options) > _MAX_OPTIONS or set(str(bundle)) & {",", ":", "\\"}:
        raise ValueError(f"{len(names)} layers below {bundle} do not fit into one mount")
    return Mount(source=str(layers), target=str(bundle / "rootfs"), kind="overlay", options=options)


def flatten(layers: Path, names: Sequence[str], bundle: Path) -> None:
    """Copy all layers over one another to the bundle's `rootfs`."""
    target = bundle / "rootfs"
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir()
    target.chmod(0o755)
    for name in names:
        _merge(str(layers / name), str(target))


def _merge(source: str, target: str) -> None:
    links: dict[tuple[int, int], str] = {}
    for folder, folders, files in os.walk(source):
        into = target + folder[len(source) :]
        for name in (*folders, *files):
            _copy(f"{folder}/{name}", f"{into}/{name}", links)


def _copy(source: str, target: str, links: dict[tuple[int, int], str]) -> None:
    facts = os.lstat(source)
    directory = stat.S_ISDIR(facts.st_mode)
    hides = directory and _is_opaque(source)
    _make_room(target, keep=directory and not hides)
    if unpacking.is_whiteout(facts.st_mode, facts.st_rdev):
        return
    known = links.get((facts.st_dev, facts.st_ino)) if facts.st_nlink > 1 else None
    if directory:
        Path(target).mkdir(exist_ok=True)
        shutil.copystat(source, target)
    elif known is not None:
        os.link(known, target, follow_symlinks=False)
        return
    elif stat.S_ISREG(facts.st_mode) or stat.S_ISLNK(facts.st_mode):
        shutil.copy2(source, target, follow_symlinks=False)
    else:
        os.mknod(target, facts.st_mode, facts.st_rdev)
    links[facts.st_dev, facts.st_ino] = target
    if os.geteuid() == 0:
        os.lchown(target, facts.st_uid, facts.st_gid)
    if not stat.S_ISLNK(facts.st_mode):
        Path(target).chmod(stat.S_IMODE(facts.st_mode))  # a change of owner takes bits away


def _make_room(target: str, *, keep: bool) -> None:
    path = Path(target)
    if path.is_symlink() or not path.is_dir():
        path.unlink(missing_ok=True)
    elif not keep:
        shutil.rmtree(path)


def _is_opaque(folder: str) -> bool:
    with contextlib.suppress(OSError):
        return os.getxattr(folder, unpacking.opaque_name()) == b"y"
    return False


def accounts(layers: Path, names: Sequence[str], file: str) -> str:
    """Return an image's `/etc/passwd` or `/etc/group`, empty where it has none.

    Args:
        layers: Folder of all layers.
        names: The image's, lowest first.
        file: `passwd` or `group`.
    """
    for name in reversed(names):
        path = layers / name / "etc" / file
        if path.parent.is_symlink():
            continue
        with contextlib.suppress(OSError):
            mode = path.lstat().st_mode
            if not stat.S_ISREG(mode):
                return ""
            # A link instead could name any file of the machine; it was not one just now.
            handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
            with os.fdopen(handle, errors="replace") as stream:
                return stream.read(_MAX_ACCOUNTS_BYTES)
    return ""
