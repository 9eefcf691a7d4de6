"""Into a running pod: what a command costs in it, what a byte there and back, and how much gets through."""

import asyncio
import contextlib
import json
import os
import re
import subprocess
import sys
import time
import urllib.parse
from collections.abc import Iterator
from pathlib import Path

import aiohttp
from harness import control_plane, pods, processes, source
from harness.control_plane import ControlPlane
from harness.exchange import HOST
from harness.rows import Row, median, percentile

_HARNESS = Path(source.__file__).resolve().parent
_FORK, _PIPES = "bare fork and exec", "the same process by pipes"
_PROXY = "bare TCP proxy in Python"
_STDIN, _STDOUT, _STATUS = 0, 1, 3
_POD, _PORT = "target", 18080
_MEBIBYTE = 1024 * 1024


def bench(*, quick: bool) -> list[Row]:
    """Measure exec and port-forward."""
    with (
        control_plane.fresh() as plane,
        subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as cat,
    ):
        _start_pod(plane)
        execs = asyncio.run(_execs(plane, cat, 5 if quick else 100))
        return [*execs, *_forwards(plane, 1 if quick else 5, (4 if quick else 128) * _MEBIBYTE)]


def _start_pod(plane: ControlPlane) -> None:
    spec = pods.pod_spec(["python", str(_HARNESS / "source.py"), str(_PORT)])
    spec["containers"][0]["readinessProbe"] = {"tcpSocket": {"port": _PORT}, "periodSeconds": 1}
    plane.call("POST", pods.PATH, {"metadata": {"name": _POD}, "spec": spec})
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        status = plane.call("GET", f"{pods.PATH}/{_POD}")["status"]
        if any(one["ready"] for one in status.get("containerStatuses", ())):
            return
        time.sleep(0.05)
    raise TimeoutError(f"pod {_POD} is not ready: {status}")


# exec


async def _execs(plane: ControlPlane, cat: "subprocess.Popen[bytes]", count: int) -> list[Row]:
    ours, bare, there, piped = [], [], [], []
    tls = aiohttp.TCPConnector(ssl=control_plane.admin_context(plane.directory / "pki"))
    async with aiohttp.ClientSession(f"wss://{HOST}:{plane.port}", connector=tls) as session:
        echo = await _exec(session, "cat", stdin=True)
        for _ in range(count):
            ours.append(await _run(session))
            bare.append(_run_bare())
            there.append(await _there_and_back(echo))
            piped.append(_through(cat))
        await echo.close()
    rows = []
    for case, seconds, peer, others in (
        ("exec of true", ours, _FORK, bare),
        ("exec, a byte there and back", there, _PIPES, piped),
    ):
        for percent in (50, 99):
            value, of_peer = (percentile(each, percent) * 1000 for each in (seconds, others))
            rows.append(Row(f"{case}, p{percent}", value, "ms", peer, of_peer))
    return rows


async def _exec(
    session: aiohttp.ClientSession, *command: str, stdin: bool = False
) -> aiohttp.ClientWebSocketResponse:
    query = [("command", word) for word in command]
    query += [("stdout", "true"), ("stdin", str(stdin).lower())]
    path = f"{pods.PATH}/{_POD}/exec?{urllib.parse.urlencode(query)}"
    return await session.ws_connect(path, protocols=["v5.channel.k8s.io"])


async def _run(session: aiohttp.ClientSession) -> float:
    """Return the seconds from the request, on a new connection, until the command's status is there."""
    started = time.perf_counter()
    socket = await _exec(session, "true")
    status = await _next(socket, _STATUS)
    elapsed = time.perf_counter() - started
    await socket.close()
    if json.loads(status)["status"] != "Success":
        raise RuntimeError(f"exec of true: {status!r}")
    return elapsed


async def _there_and_back(echo: aiohttp.ClientWebSocketResponse) -> float:
    started = time.perf_counter()
    await echo.send_bytes(bytes([_STDIN]) + b"x")
    await _next(echo, _STDOUT)
    return time.perf_counter() - started


async def _next(socket: aiohttp.ClientWebSocketResponse, channel: int) -> bytes:
    while True:
        data = await socket.receive_bytes(timeout=20)
        if data[0] == channel and len(data) > 1:
            return data[1:]


def _run_bare() -> float:
    started = time.perf_counter()
    subprocess.run(["true"], check=True)
    return time.perf_counter() - started


def _through(cat: "subprocess.Popen[bytes]") -> float:
    assert cat.stdin is not None
    assert cat.stdout is not None
    started = time.perf_counter()
    cat.stdin.write(b"x")
    cat.stdin.flush()
    os.read(cat.stdout.fileno(), 1)
    return time.perf_counter() - started


# port-forward


def _forwards(plane: ControlPlane, rounds: int, count: int) -> Iterator[Row]:
    with _forwarded(plane) as ours, _bare() as (bare, proxy_pid):
        sides = [_Side(ours, plane.pid), _Side(bare, proxy_pid)]
        for verb, case in (
            ("get", "port-forward, from the pod"),
            ("put", "port-forward, to the pod"),
        ):
            for side in sides:
                side.clear()
                side.measure(verb, _MEBIBYTE)
                side.clear()
            for _ in range(rounds):
                for side in sides:
                    side.measure(verb, count)
            value, peer = (median(side.rates) for side in sides)
            yield Row(case, value, "MB/s", _PROXY, peer)
            value, peer = (median(side.cpu) for side in sides)
            yield Row(case, value, "cpu-ms/MB", _PROXY, peer)


class _Side:
    """One way to a server of bytes.

    Attributes:
        rates: Megabytes a second, of each round.
        cpu: CPU milliseconds a megabyte of the process in between, of each round.
    """

    def __init__(self, port: int, pid: int) -> None:
        self.rates: list[float] = []
        self.cpu: list[float] = []
        self._port, self._pid = port, pid

    def clear(self) -> None:
        self.rates, self.cpu = [], []

    def measure(self, verb: str, count: int) -> None:
        megabytes = count / 1e6
        before = processes.settled_cpu_seconds(self._pid)
        started = time.perf_counter()
        source.move(self._port, verb, count)
        self.rates.append(megabytes / (time.perf_counter() - started))
        used = processes.settled_cpu_seconds(self._pid) - before
        self.cpu.append(used * 1000 / megabytes)


@contextlib.contextmanager
def _forwarded(plane: ControlPlane) -> Iterator[int]:
    """Have kubectl forward a local port to the pod, as its users do."""
    kubectl = Path(sys.executable).with_name("kubectl")
    command = [str(kubectl), f"--kubeconfig={plane.directory / 'kubeconfig'}", "port-forward"]
    command += [f"--namespace={control_plane.NAMESPACE}", f"pod/{_POD}", f":{_PORT}"]
    with _process(command) as process:
        assert process.stdout is not None
        found = re.search(rb"127\.0\.0\.1:(\d+)", process.stdout.readline())
        if found is None:
            raise RuntimeError("kubectl port-forward did not start; its error stands above")
        yield int(found[1])


@contextlib.contextmanager
def _bare() -> Iterator[tuple[int, int]]:
    """Run the same server of bytes and the proxy before it; give the proxy's port and process."""
    with (
        _process([sys.executable, str(_HARNESS / "source.py"), "0"]) as server,
        _process([sys.executable, "-m", "harness.bare_proxy", _said(server)]) as proxy,
    ):
        yield int(_said(proxy)), proxy.pid


@contextlib.contextmanager
def _process(command: list[str]) -> Iterator["subprocess.Popen[bytes]"]:
    process = subprocess.Popen(
        command,
        cwd=_HARNESS.parent,
        env=processes.environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def _said(process: "subprocess.Popen[bytes]") -> str:
    assert process.stdout is not None
    return process.stdout.readline().decode().strip()
