"""Mounts without namespaces: a symbolic link at the target, where nothing is yet, removed afterwards."""

import contextlib
import os
import pathlib
from collections.abc import Iterable, Sequence

from wherry.kubelet.launcher import types

Link = tuple[str, str]
"""(target, source)."""

_SETTING = "the launcher runs this container without a mount namespace (isolate is off or not supported here)"


def plan(mounts: Sequence[types.Mount]) -> list[Link]:
    """Return the links that stand in for ``mounts``.

    Args:
        mounts: Of one container.

    Returns:
        What ``make`` takes; nothing is done yet.

    Raises:
        LauncherError: One of them cannot be had; the message names it and says why.
    """
    for mount in mounts:
        problem = _problem(mount)
        if problem:
            raise types.LauncherError(f"mount {mount.target}: {problem}; {_SETTING}")
    return [(mount.target.rstrip("/"), mount.source) for mount in mounts]


def _problem(mount: types.Mount) -> str:
    target = pathlib.Path(mount.target)
    if mount.kind == "tmpfs":
        return "a tmpfs cannot be made"
    if not pathlib.Path(mount.source).exists():
        return f"source {mount.source} does not exist"
    if target.is_symlink() or target.exists():
        return "the path exists on the host, so nothing else can appear there"
    if not target.parent.is_dir():
        return f"the folder {target.parent} does not exist on the host"
    if not os.access(target.parent, os.W_OK):
        return f"the folder {target.parent} is not writable by this user"
    return ""


def make(links: Iterable[Link]) -> None:
    """Make the links, which must be on record already.

    Raises:
        LauncherError: One cannot be made.
    """
    for target, source in links:
        try:
            pathlib.Path(target).symlink_to(source)
        except OSError as error:
            raise types.LauncherError(f"mount {target}: {error.strerror}; {_SETTING}") from error


def remove(links: Iterable[Link]) -> None:
    """Remove those of the links that still lead where they did."""
    for target, source in links:
        path = pathlib.Path(target)
        with contextlib.suppress(OSError):
            if path.is_symlink() and str(path.readlink()) == source:
                path.unlink()
