import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from wherry.kubelet import grpc_health, handlers, probes
from wherry.kubelet.launcher.types import Execution
from wherry.objects.requests import Object


@pytest.mark.parametrize(
    ("answers", "successes", "failures", "verdicts"),
    [
        ("110", 1, 2, [True, True, True]),
        ("1100", 1, 2, [True, True, True, False]),
        ("0101", 2, 3, [None, None, None, None]),
        ("0011", 2, 2, [None, False, False, True]),
    ],
)
def test_thresholds(
    answers: str, successes: int, failures: int, verdicts: list[bool | None]
) -> None:
    count = probes.Count(probes.Timing(0, 1, 1, successes, failures), verdict=None)
    found = []
    for answer in answers:
        count.add(success=answer == "1")
        found.append(count.verdict)
    assert found == verdicts


def test_defaults_are_upstreams() -> None:
    assert probes.Timing.of({}) == probes.Timing(0, 1, 10, 1, 3)


class Heard:
    def __init__(self) -> None:
        self.unhealthy: list[str] = []
        self.failed: list[tuple[str, float | None]] = []

    def reports(self) -> probes.Reports:
        return probes.Reports(
            changed=lambda: None,
            unhealthy=self.unhealthy.append,
            failed=lambda kind, grace: self.failed.append((kind, grace)),
        )


class Inside:
    """A container whose commands end with a code that tests choose."""

    def __init__(self) -> None:
        self.code = 0
        self.asked = 0

    async def execute(self, argv: tuple[str, ...], seconds: float) -> Execution:
        self.asked += 1
        return Execution(exit_code=self.code, output=b"not well")


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as found:
        yield found


def probe(**more: Any) -> Object:
    return {"exec": {"command": ["check"]}, "periodSeconds": 0.01, **more}


async def until(condition: Any) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.005)


async def test_readiness_follows_and_liveness_reports(session: aiohttp.ClientSession) -> None:
    inside, heard = Inside(), Heard()
    container = {
        "name": "c",
        "startupProbe": probe(),
        "readinessProbe": probe(failureThreshold=1),
        "livenessProbe": probe(failureThreshold=2, terminationGracePeriodSeconds=7),
    }
    target = handlers.Target(container, "127.0.0.1", inside.execute, session)
    found = probes.ContainerProbes(target, heard.reports(), started=False, ready=False)
    assert [found.started, found.ready] == [False, False]
    found.start()
    await until(lambda: found.started and found.ready)
    inside.code = 1
    await until(lambda: not found.ready and heard.failed)
    assert heard.failed == [("liveness", 7.0)] * len(heard.failed)
    assert "Readiness probe failed: not well" in heard.unhealthy
    found.stop()


async def test_a_startup_probe_that_fails_reports(session: aiohttp.ClientSession) -> None:
    inside, heard = Inside(), Heard()
    inside.code = 1
    container = {"name": "c", "startupProbe": probe(failureThreshold=2), "readinessProbe": probe()}
    target = handlers.Target(container, "127.0.0.1", inside.execute, session)
    found = probes.ContainerProbes(target, heard.reports(), started=False, ready=False)
    found.start()
    await until(lambda: heard.failed)
    assert heard.failed[0] == ("startup", None)
    assert not found.started
    found.stop()


async def test_without_probes_there_is_nothing_to_wait_for(
    session: aiohttp.ClientSession,
) -> None:
    target = handlers.Target({"name": "c"}, "127.0.0.1", Inside().execute, session)
    found = probes.ContainerProbes(target, Heard().reports(), started=False, ready=False)
    assert found.started
    assert found.ready


@pytest.mark.parametrize(
    ("handler", "message"),
    [
        ({"tcpSocket": {"port": "nope"}}, "no port named 'nope'"),
        ({"tcpSocket": {"port": 1}}, "Connect call failed"),
        ({"httpGet": {"port": 1}}, "Cannot connect"),
        ({"exec": {}}, "no command"),
        ({}, "no handler"),
        ({"sleep": {"seconds": 1000}}, "timed out after 0.2s"),
    ],
)
async def test_failures_are_told(
    handler: Object, message: str, session: aiohttp.ClientSession
) -> None:
    target = handlers.Target({"name": "c"}, "127.0.0.1", Inside().execute, session)
    with pytest.raises(handlers.HandlerError, match=message):
        await handlers.run(handler, target, timeout_seconds=0.2 if "sleep" in handler else 60)


@pytest.mark.parametrize(
    ("body", "message"),
    [(b"\x08\x01", ""), (b"\x08\x02", "not serving"), (None, "refused")],
)
async def test_grpc_health(body: bytes | None, message: str) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"/grpc.health.v1.Health/Check")
        writer.write(b"\0\0\0\x04\0\0\0\0\0")
        if body is None:
            writer.write(b"\0\0\x01\x01\x05\0\0\0\x01\x88")
        else:
            message = b"\0" + len(body).to_bytes(4, "big") + body
            writer.write(len(message).to_bytes(3, "big") + b"\0\0\0\0\0\x01" + message)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    if message:
        with pytest.raises(grpc_health.HealthError, match=message):
            await grpc_health.check("127.0.0.1", port, "svc")
    else:
        await grpc_health.check("127.0.0.1", port, "svc")
    server.close()
    await server.wait_closed()
