"""Reads a log as it grows, through rotation, until its container has ended."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import BinaryIO

from wherry.kubelet import log_files

_PAUSE_SECONDS = 0.05
_CHUNK = 256 * 1024


async def follow(
    log: Path, *, skip: int, running: Callable[[], bool]
) -> AsyncIterator[log_files.Record]:
    """Yield records from the beginning of the current file on.

    Args:
        log: The current file of the attempt; it may not be there yet.
        skip: Bytes of that file that are left out.
        running: Whether the container may still write.
    """
    stream = await _open(log, running)
    if stream is None:
        return
    try:
        stream.seek(skip)
        rest = b""
        while True:
            # Asked before reading: what was written before the end is then surely read.
            more = running()
            chunk = stream.read(_CHUNK)
            if chunk:
                *lines, rest = (rest + chunk).split(b"\n")
                for line in lines:
                    record = log_files.parse(line)
                    if record is not None:
                        yield record
                continue
            following = _following(log, stream)
            if following is not None:
                stream.close()
                stream, rest = following, b""
            elif not more:
                return
            else:
                await asyncio.sleep(_PAUSE_SECONDS)
    finally:
        stream.close()


async def _open(log: Path, running: Callable[[], bool]) -> BinaryIO | None:
    while True:
        more = running()
        try:
            return log.open("rb")
        except FileNotFoundError:
            if not more:
                return None
        await asyncio.sleep(_PAUSE_SECONDS)


def _following(log: Path, stream: BinaryIO) -> BinaryIO | None:
    """Return the file after the one that was read to its end; None if that is the newest."""
    own = os.fstat(stream.fileno()).st_ino
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
