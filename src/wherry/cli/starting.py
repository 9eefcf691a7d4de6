"""Starting a platform in the background and hearing from it how that went."""

import contextlib
import fcntl
import json
import os
import select
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from wherry.cli.failures import CommandError
from wherry.cli.home import Home
from wherry.cli.progress import Progress

_START_SECONDS = 120.0
_POLL_SECONDS = 0.2
_STOP_SECONDS = 10.0
_LOG_BYTES = 10 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Started:
    """A platform that has just become ready.

    Attributes:
        pid: Its process.
        url: Where its API answers.
        seconds: How long that took.
    """

    pid: int
    url: str
    seconds: float


@contextlib.contextmanager
def alone(home: Home) -> Iterator[None]:
    """Hold the lock that keeps two `wherry up` from starting one platform each."""
    home.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (home.directory / "up.lock").open("w") as file, Progress() as progress:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                progress.show("another `wherry up` is starting Wherry; waiting for it")
                time.sleep(_POLL_SECONDS)
        yield


def start(home: Home, arguments: Sequence[str]) -> Started:
    """Start a platform in a session of its own, and wait until it is ready.

    Args:
        home: Whose.
        arguments: For `python -m wherry.embedded`, without the directory.

    Raises:
        CommandError: it did not start; the message has the reason and the end of its log.
    """
    _rotate(home)
    reader, writer = os.pipe()
    # -P: modules in the folder where the command was typed must not replace ours.
    command = [sys.executable, "-P", "-m", "wherry.embedded", "--directory", str(home.directory)]
    command += ["--ready-fd", str(writer), *arguments]
    with home.log.open("ab") as log:
        written = log.tell()
        process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=home.directory,
            pass_fds=[writer],
            start_new_session=True,
        )
    os.close(writer)
    try:
        said = _listen(home, reader, written)
    except BaseException:
        _end(process)
        raise
    finally:
        os.close(reader)
    if "url" in said:
        return Started(process.pid, str(said["url"]), float(said.get("seconds", 0.0)))
    _end(process)
    reason = said.get("error") or f"it ended with code {process.returncode}"
    raise CommandError(_failure(home, str(reason), written))


def _listen(home: Home, reader: int, written: int) -> dict[str, Any]:
    """Return the line by which the platform says how it went; empty if it ended without one."""
    deadline = time.monotonic() + _START_SECONDS
    heard = b""
    with Progress() as progress:
        while time.monotonic() < deadline:
            if select.select([reader], [], [], _POLL_SECONDS)[0]:
                chunk = os.read(reader, 65536)
                heard += chunk
                if not chunk or heard.endswith(b"\n"):
                    return _decode(heard)
            last = home.log_tail(1, since=written)
            progress.show(f"starting Wherry in {home.directory}" + (f": {last}" if last else ""))
    return {"error": f"it was not ready after {_START_SECONDS:.0f} s"}


def _decode(line: bytes) -> dict[str, Any]:
    try:
        said = json.loads(line)
    except ValueError:
        return {}
    return said if isinstance(said, dict) else {}


def _failure(home: Home, reason: str, written: int) -> str:
    tail = home.log_tail(15, since=written)
    shown = f"\nThe end of {home.log}:\n{tail}" if tail else ""
    return f"Wherry did not start: {reason}{shown}"


def _end(process: "subprocess.Popen[bytes]") -> None:
    process.terminate()
    try:
        process.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _rotate(home: Home) -> None:
    with contextlib.suppress(FileNotFoundError):
        if home.log.stat().st_size > _LOG_BYTES:
            home.log.replace(home.log.with_suffix(".log.1"))
