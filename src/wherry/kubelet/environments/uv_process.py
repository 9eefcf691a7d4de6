"""Runs uv: in a session of its own, ended with us, its output as lines that people may see."""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path

import uv

from wherry.kubelet.environments import failures, requirements, tether

_TAIL_LINES = 12
_STOP_SECONDS = 5.0
_OURS = frozenset({"VIRTUAL_ENV", "PYTHONHOME", "PYTHONPATH", "PYTHONDONTWRITEBYTECODE"})
"""What describes our own environment must not leak into the one that is made."""

Progress = Callable[[str], None]


class UvError(Exception):
    """uv failed; the message holds the end of its output and a hint."""


async def run(arguments: list[str], progress: Progress, variables: Mapping[str, str]) -> None:
    """Run uv to its end.

    Args:
        arguments: uv's.
        progress: Called with each line of output.
        variables: Added to our own environment.

    Raises:
        UvError: it failed.
    """
    kept = {name: value for name, value in os.environ.items() if name not in _OURS}
    fixed = {"UV_PYTHON_DOWNLOADS": "never", "NO_COLOR": "1", "UV_NO_PROGRESS": "1"}
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-I",
        "-S",
        str(Path(tether.__file__)),
        str(os.getpid()),
        uv.find_uv_bin(),
        *arguments,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env={**kept, **fixed, **variables},
        start_new_session=True,
    )
    tail: list[str] = []
    try:
        async for line in _lines(process):
            tail = [*tail[-_TAIL_LINES + 1 :], line]
            progress(line)
        code = await process.wait()
    finally:
        await _end(process)
    if code != 0:
        raise UvError(failures.explain(code, tail))


async def _lines(process: asyncio.subprocess.Process) -> AsyncIterator[str]:
    stream = process.stdout
    assert stream is not None
    rest = b""
    while chunk := await stream.read(4096):
        *whole, rest = (rest + chunk)[-65536:].split(b"\n")
        for line in whole:
            if line.strip():
                yield _text(line)
    if rest.strip():
        yield _text(rest)


def _text(line: bytes) -> str:
    return requirements.shown(line.decode(errors="replace").rstrip())


async def _end(process: asyncio.subprocess.Process) -> None:
    """End it with what it has started: compilers of bytecode, build backends."""
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_STOP_SECONDS):
                await process.wait()
