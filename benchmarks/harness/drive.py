"""Starts the load and the bare server as processes of their own, and reads the server's CPU time."""

import base64
import contextlib
import dataclasses
import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from harness import processes

_HARNESS = Path(__file__).resolve().parent
CONNECTIONS = 32


@dataclasses.dataclass(frozen=True)
class Target:
    """A server under load."""

    pid: int
    port: int
    pki: Path


@dataclasses.dataclass(frozen=True)
class Throughput:
    """What one round of requests gave.

    Attributes:
        requests_per_second: Over all connections.
        cpu_ms: Of the server, a request, with what it did afterwards because of them.
        client_share: CPU time of the client by elapsed time; near 1 it was the bottleneck.
    """

    requests_per_second: float
    cpu_ms: float
    client_share: float


def throughput(
    target: Target, requests: Sequence[bytes], *, connections: int = CONNECTIONS
) -> Throughput:
    """Send requests over connections that stay open.

    Raises:
        RuntimeError: an answer was no success.
    """
    job = _job(target, requests) | {"connections": connections}
    answer, cpu = _run(target, job)
    count = len(answer["seconds"])
    return Throughput(
        requests_per_second=count / answer["elapsed"],
        cpu_ms=cpu / count * 1000,
        client_share=answer["client_cpu"] / answer["elapsed"],
    )


def latencies(target: Target, requests: Sequence[bytes], *, connections: int) -> list[float]:
    """Send requests over connections that stay open; return how many seconds each answer took.

    Unlike `throughput` it does not wait for the server to come to rest: others may be at it too.

    Raises:
        RuntimeError: an answer was no success.
    """
    answer = _answer(_job(target, requests) | {"connections": connections}, lambda: None)
    found: list[float] = answer["seconds"]
    return found


def watch(
    target: Target, watch: bytes, creates: Sequence[bytes], *, watchers: int
) -> tuple[list[float], float]:
    """Create objects one by one under the eyes of watchers.

    Returns:
        Seconds from the call to each watcher's line, and CPU seconds of the server.
    """
    job = _job(target, creates)
    job |= {"watch": base64.b64encode(watch).decode(), "watchers": watchers}
    answer, cpu = _run(target, job)
    delays: list[float] = answer["delays"]
    return delays, cpu


@contextlib.contextmanager
def bare_server(pki: Path, status: int, body: bytes, event: bytes = b"") -> Iterator[Target]:
    """Run the peer for the time of a `with` block."""
    answers = {"pki": str(pki), "status": status, "body": body.decode(), "event": event.decode()}
    with _python("bare_server") as process:
        _say(process, answers)
        assert process.stdout is not None
        yield Target(process.pid, int(process.stdout.readline()), pki)


def _job(target: Target, requests: Sequence[bytes]) -> dict[str, Any]:
    encoded = [base64.b64encode(one).decode() for one in requests]
    return {"port": target.port, "pki": str(target.pki), "requests": encoded}


def _run(target: Target, job: dict[str, Any]) -> tuple[dict[str, Any], float]:
    before = 0.0

    def rest() -> None:
        nonlocal before
        before = processes.settled_cpu_seconds(target.pid)

    answer = _answer(job, rest)
    return answer, processes.settled_cpu_seconds(target.pid) - before


def _answer(job: dict[str, Any], rest: Callable[[], None]) -> dict[str, Any]:
    """Run a job; ``rest`` is called when its connections stand and before it begins."""
    with _python("load") as process:
        _say(process, job)
        assert process.stdout is not None
        if process.stdout.readline().strip() != b"ready":
            raise RuntimeError("the load could not connect; its error stands above")
        rest()
        _say(process, "go")
        answer: dict[str, Any] = json.loads(
            process.stdout.readline() or b'{"failure": "the load broke off"}'
        )
    if answer["failure"]:
        raise RuntimeError(f"the server did not do as asked: {answer['failure']}")
    return answer


@contextlib.contextmanager
def _python(module: str) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(
        [sys.executable, "-m", f"harness.{module}"],
        cwd=_HARNESS.parent,
        env=processes.environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    try:
        yield process
    finally:
        for pipe in (process.stdin, process.stdout):
            assert pipe is not None
            with contextlib.suppress(OSError):
                pipe.close()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _say(process: subprocess.Popen[bytes], words: object) -> None:
    assert process.stdin is not None
    process.stdin.write(json.dumps(words).encode() + b"\n")
    process.stdin.flush()
