"""Layers compressed with zstd are read through the program of that name: Python's library has it from 3.14 on only."""

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from typing import BinaryIO, cast

MAGIC = b"\x28\xb5\x2f\xfd"
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_MEMORY = "--memory=256MB"
"""More than any level needs that is meant for others to read."""


class ZstdError(Exception):
    """It cannot be read; the message says why."""


@contextlib.contextmanager
def decompressed(archive: BinaryIO) -> Iterator[BinaryIO]:
    """Give what is compressed in a file while the block runs; the block is to read all of it.

    Args:
        archive: A file of the file system; it is read from its start.

    Raises:
        ZstdError: there is no program, or the file is damaged.
    """
    program = shutil.which("zstd", path=f"{os.environ.get('PATH', '')}:{_PATH}")
    if program is None:
        raise ZstdError("it is compressed with zstd: install that program (apt-get install zstd)")
    # Whoever has read of it through a buffer has read more than it got.
    os.lseek(archive.fileno(), 0, os.SEEK_SET)
    process = subprocess.Popen(  # noqa: S603 - the program that was just found, fixed arguments
        [program, "--decompress", "--stdout", "--quiet", _MEMORY],
        stdin=archive,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={"PATH": _PATH},
    )
    with process:
        try:
            yield cast("BinaryIO", process.stdout)
        except BaseException:
            process.kill()
            raise
    if process.returncode != 0:
        raise ZstdError("it is not what zstd has compressed, or damaged")
