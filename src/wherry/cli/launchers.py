"""The launcher of a platform, if it has one; none is started for the asking."""

import contextlib
import os
import signal
import socket
import struct
from collections.abc import Iterator
from pathlib import Path

from wherry.cli import processes
from wherry.kubelet.launcher import protocol
from wherry.kubelet.launcher.client import Launcher

_STOP_SECONDS = 30.0
_DARWIN_PEER_PID = (0, 2)
"""`SOL_LOCAL` and `LOCAL_PEERPID` of macOS, which Python does not name."""


async def connect(directory: Path) -> Launcher | None:
    """Return the launcher of a folder; None if none runs there.

    Raises:
        LauncherError: it is of another version of Wherry; `terminate` stops it all the same.
    """
    return await Launcher.connect(directory) if process_id(directory) else None


def process_id(directory: Path) -> int:
    """Return the process that listens in a launcher's folder, 0 if none does."""
    with _peer(directory) as peer:
        if peer is None:
            return 0
        if hasattr(socket, "SO_PEERCRED"):
            raw = peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
            return int(struct.unpack("3i", raw)[0])
        return peer.getsockopt(*_DARWIN_PEER_PID)


def terminate(directory: Path) -> bool:
    """Have the launcher of a folder end itself and its pods, whatever version it is of.

    Returns:
        Whether it has ended.
    """
    pid = process_id(directory)
    if not pid:
        return True
    os.kill(pid, signal.SIGTERM)
    return processes.wait_for_end(pid, _STOP_SECONDS)


@contextlib.contextmanager
def _peer(directory: Path) -> Iterator[socket.socket | None]:
    """Give a connection to whoever listens, or None."""
    if not (directory / protocol.SOCKET_NAME).exists():
        yield None
        return
    # The address of a Unix socket is short, the folder's path need not be.
    folder = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        with socket.socket(socket.AF_UNIX) as peer:
            here = Path(f"/proc/self/fd/{folder}")
            place = here if here.exists() else directory
            try:
                peer.connect(os.fspath(place / protocol.SOCKET_NAME))
            except OSError:
                yield None
            else:
                yield peer
    finally:
        os.close(folder)
