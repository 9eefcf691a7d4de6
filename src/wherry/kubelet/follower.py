"""Reads a log as it grows, through rotation, until its container has ended."""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import BinaryIO

from wherry.kubelet import log_files

_PAUSE_SECONDS = 0.05
_CHUNK = 256 * 1024


Pause = Callable[[float], Awaitable[None]]
"""Returns after so many seconds, or sooner, where there may be something new."""


async def follow(
    log: Path,
    snapshot: log_files.Snapshot,
    *,
    running: Callable[[], bool],
    pause: Pause = asyncio.sleep,
) -> AsyncIterator[log_files.Record]:
    """Yield what is written after the snapshot, until the container has ended.

    Args:
        log: The current file of the attempt; it may not be there yet.
        snapshot: What was read before; its file is taken over and closed.
        running: Whether the container may still write.
        pause: Waits between two looks.
    """
    stream = snapshot.current
    if stream is not None:
        stream.seek(snapshot.end)
    else:
        stream = await _open(log, running, pause)
    rest = b""
    while stream is not None:
        # Asked before reading: what was written before the end is then surely read.
        more = running()
        chunk = stream.read(_CHUNK)
        if chunk:
            *lines, rest = (rest + chunk).split(b"\n")
            for record in map(log_files.parse, lines):
                if record is not None:
                    yield record
            continue
        following = _following(log, stream)
        if following is not None:
            stream.close()
            stream, rest = following, b""
        elif more:
            await pause(_PAUSE_SECONDS)
        else:
            stream.close()
            stream = None


async def _open(log: Path, running: Callable[[], bool], pause: Pause) -> BinaryIO | None:
    while True:
        more = running()
        found = _opened(log)
        if found is not None or not more:
            return found
        await pause(_PAUSE_SECONDS)


def _opened(log: Path) -> BinaryIO | None:
    try:
        return log.open("rb")
    except FileNotFoundError:
        return None


def _following(log: Path, stream: BinaryIO) -> BinaryIO | None:
    """Return the file after the one that was read to its end; None if that is the newest."""
    own = os.fstat(stream.fileno()).st_ino
    try:
        if log.stat().st_ino == own:
            return None
    except FileNotFoundError:
        pass  # being rotated
    files = log_files.files(log)
    try:
        inodes = [path.stat().st_ino for path in files]
        if not inodes or inodes[-1] == own:
            return None
        # A file that is no longer there was overtaken by rotation: go on with the oldest there is.
        index = inodes.index(own) + 1 if own in inodes else 0
        return files[index].open("rb")
    except FileNotFoundError:
        # Rotated between two looks; the next look finds it.
        return None
