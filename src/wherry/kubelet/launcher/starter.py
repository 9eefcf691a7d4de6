"""Reaching the launcher of a folder from the control plane; one is started if none answers."""

import asyncio
import contextlib
import os
import pathlib
import socket
import sys
import time

from wherry.kubelet.launcher import protocol, types

_START_SECONDS = 20.0
_POLL_SECONDS = 0.02
_KEPT_ENVIRONMENT = ("PATH", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "TZ")
_MAIN = pathlib.Path(__file__).with_name("__main__.py")


async def reach(directory: pathlib.Path, *, idle_seconds: float) -> socket.socket:
    """Connect to the launcher of ``directory``.

    Args:
        directory: Its folder.
        idle_seconds: For a launcher that has to be started.

    Returns:
        A connected, non-blocking socket.

    Raises:
        LauncherError: It cannot be started; the message has the end of its log.
    """
    deadline = time.monotonic() + _START_SECONDS
    while True:
        with contextlib.suppress(FileNotFoundError, ConnectionRefusedError):
            return _connect(directory)
        await _start(directory, idle_seconds)
        with contextlib.suppress(FileNotFoundError, ConnectionRefusedError):
            return _connect(directory)
        if time.monotonic() > deadline:
            raise types.LauncherError(_complaint(directory, "does not answer"))
        await asyncio.sleep(_POLL_SECONDS)  # another process is starting it


def _connect(directory: pathlib.Path) -> socket.socket:
    peer = socket.socket(socket.AF_UNIX)
    try:
        _dial(peer, directory)
    except BaseException:
        peer.close()
        raise
    peer.settimeout(0)
    return peer


def _dial(peer: socket.socket, directory: pathlib.Path) -> None:
    path = directory / protocol.SOCKET_NAME
    try:
        peer.connect(os.fspath(path))
    except OSError as error:
        if error.errno is not None or sys.platform != "linux":
            raise
        # A Unix socket's address holds 107 bytes; the way through an open folder is always short.
        folder = os.open(directory, os.O_PATH | os.O_DIRECTORY)
        try:
            peer.connect(f"/proc/self/fd/{folder}/{protocol.SOCKET_NAME}")
        finally:
            os.close(folder)


async def _start(directory: pathlib.Path, idle_seconds: float) -> None:
    environment = {name: os.environ[name] for name in _KEPT_ENVIRONMENT if name in os.environ}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-I", "-S", os.fspath(_MAIN), os.fspath(directory), str(idle_seconds)),
        env=environment,
        stdin=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
    _, complaint = await process.communicate()
    if process.returncode != 0:
        raise types.LauncherError(
            _complaint(directory, f"does not start: {complaint.decode(errors='replace')[-2000:]}")
        )


def _complaint(directory: pathlib.Path, what: str) -> str:
    log = directory / protocol.LOG_NAME
    try:
        tail = log.read_text(errors="replace")[-2000:].strip()
    except OSError:
        tail = ""
    return f"the launcher in {directory} {what.strip()}" + (f"; {log} ends: {tail}" if tail else "")
