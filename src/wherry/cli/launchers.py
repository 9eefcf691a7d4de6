"""The launcher of a platform, if it has one; none is started for the asking."""

import os
import socket
from pathlib import Path

from wherry.kubelet.launcher import protocol
from wherry.kubelet.launcher.client import Launcher


async def connect(directory: Path) -> Launcher | None:
    """Return the launcher of a folder; None if none runs there.

    Raises:
        LauncherError: it does not understand this version of Wherry.
    """
    return await Launcher.connect(directory) if _listens(directory) else None


def _listens(directory: Path) -> bool:
    if not (directory / protocol.SOCKET_NAME).exists():
        return False
    # The address of a Unix socket is short, the folder's path need not be.
    folder = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        here = Path(f"/proc/self/fd/{folder}")
        place = here if here.exists() else directory
        with socket.socket(socket.AF_UNIX) as peer:
            peer.connect(os.fspath(place / protocol.SOCKET_NAME))
    except OSError:
        return False
    finally:
        os.close(folder)
    return True
