"""The control groups of a container whose engine was killed before it had noted that it made them."""

import contextlib
import errno
import os
import signal
import time
from collections.abc import Iterable
from pathlib import Path

MOUNTED = Path("/sys/fs/cgroup")
_PATIENCE_SECONDS = 5.0
_POLL_SECONDS = 0.01


def name(container: str) -> str:
    """Return what a container's group is called, in every hierarchy and wherever its engine puts it."""
    return f"wherry-{container}"


def gone(folders: Iterable[str]) -> bool:
    """Return whether none of these groups is there any more."""
    return not any(Path(folder).exists() for folder in folders)


def remove(container: str) -> bool:
    """Kill what is in a container's groups and remove them. Blocks for seconds if that takes time.

    Args:
        container: Its id, which no other platform has.

    Returns:
        False if a process is still in one of them.
    """
    wanted = name(container)
    found = [Path(at, wanted) for at, folders, _ in os.walk(MOUNTED) if wanted in folders]
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while found := [folder for folder in found if not _removed(folder)]:
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL_SECONDS)
    return True


def _removed(top: Path) -> bool:
    """Return whether it is gone, or no waiting would help."""
    for at, _, _ in os.walk(top, topdown=False):
        folder = Path(at)
        _kill(folder)
        try:
            folder.rmdir()
        except OSError as error:
            if error.errno == errno.EBUSY:
                return False
    return True


def _kill(folder: Path) -> None:
    with contextlib.suppress(OSError):
        for pid in map(int, (folder / "cgroup.procs").read_text().split()):
            # Who cannot be seen from here is listed as 0, which would be this very process's group.
            if pid > 0:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
