"""Clients that hold connections by doing little: cut off in time, without harm to the others."""

import asyncio
import contextlib
import dataclasses
import json
import resource
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import aiohttp
import pytest
import uvloop

from wherry.apiserver.http import bodies, streams
from wherry.apiserver.http.limits import Limits
from wherry.apiserver.identity import Decision
from wherry.apiserver.server import ApiServer, Extensions
from wherry.store import Store

MAPS = "/api/v1/namespaces/default/configmaps"
LIMITS = Limits(
    head_seconds=0.4, idle_seconds=1.0, answer_seconds=1.0, connections=40, streams_per_user=3
)


@pytest.fixture
def limits() -> Limits:
    """Give the bounds of `strict`; a test may have others."""
    return LIMITS


@pytest.fixture
async def strict(store, server, limits) -> AsyncIterator[ApiServer]:
    """Give a second server over the same store, with small bounds."""
    made = type(server)(
        store,
        authenticator=server._handler._parts.authenticator,
        authorizer=server._handler._parts.authorizer,
        extensions=Extensions(limits=limits),
    )
    await made.start()
    yield made
    await made.stop()


async def open_(
    server: ApiServer, text: str = ""
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(text.encode())
    await writer.drain()
    return reader, writer


async def ended(reader: asyncio.StreamReader) -> bytes:
    """Read until the server ends the connection."""
    parts = []
    async with asyncio.timeout(60):
        with contextlib.suppress(ConnectionError):
            while part := await reader.read(65536):
                parts.append(part)
    return b"".join(parts)


def stop_reading(writer: asyncio.StreamWriter) -> None:
    transport = writer.transport
    assert isinstance(transport, asyncio.Transport)
    transport.pause_reading()


async def until(holds: Callable[[], bool]) -> None:
    """Wait until something holds."""
    async with asyncio.timeout(60):
        while not holds():  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.05)


async def test_a_head_that_comes_letter_by_letter_is_cut_off(strict):
    reader, writer = await open_(strict, "GET /readyz HTTP/1.1\r\nHost: x\r\nX-Slow: ")

    async def drip() -> None:
        with contextlib.suppress(ConnectionError):
            while True:
                writer.write(b"a")
                await writer.drain()
                await asyncio.sleep(0.05)

    dripping = asyncio.ensure_future(drip())
    assert await ended(reader) == b""
    dripping.cancel()
    writer.close()
    assert strict.connections.refused["slow"] == 1


class Nobody:
    async def authenticate(self, headers: object, peer_certificate: object) -> None:
        return None


class Nothing:
    def authorize(self, attributes: object) -> Decision:
        return Decision(False)


def test_bounds_hold_on_the_event_loop_that_the_platform_runs_on():
    """Its transports are of no class of asyncio's."""

    async def wait_for_the_end() -> int:
        async with Store.in_memory() as store:
            bounded = Extensions(limits=Limits(head_seconds=0.4))
            server = ApiServer(
                store, authenticator=Nobody(), authorizer=Nothing(), extensions=bounded
            )
            await server.start()
            reader, writer = await open_(server, "GET /readyz HTTP/1.1\r\nX-")
            await ended(reader)
            writer.close()
            await server.stop()
            return server.connections.refused["slow"]

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        assert runner.run(wait_for_the_end()) == 1


async def test_a_second_head_is_bounded_like_the_first(strict):
    reader, writer = await open_(strict, "GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
    assert b"200" in await reader.readline()
    await asyncio.sleep(0.1)
    writer.write(b"GET /livez HTTP/1.1\r\nX-")
    assert b"HTTP" not in await ended(reader)
    assert strict.connections.refused["slow"] == 1
    writer.close()


async def test_a_connection_that_asks_nothing_is_closed_and_an_idle_one_too(strict):
    silent, unused = await open_(strict)
    idle, writer = await open_(strict, "GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
    await ended(silent)
    assert b"200 OK" in await ended(idle)
    for each in (writer, unused):
        each.close()
    await until(lambda: not len(strict.connections))


@pytest.mark.parametrize("framing", ["Content-Length: 2000000", "Transfer-Encoding: chunked"])
async def test_a_body_that_comes_too_slowly_is_given_up(strict, monkeypatch, framing):
    monkeypatch.setattr(bodies, "_FREE_SECONDS", 0.3)
    head = f"POST {MAPS} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n{framing}\r\n\r\n"
    reader, writer = await open_(strict, head)
    said = b""
    async with asyncio.timeout(60):
        while b"too slowly" not in said:
            writer.write(b" " if "Length" in framing else b"1\r\n \r\n")
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(0.05):
                    said += await reader.read(65536)
    assert said.startswith(b"HTTP/1.1 400"), said
    assert json.loads(said.partition(b"\r\n\r\n")[2])["reason"] == "BadRequest"
    writer.close()


async def test_an_answer_that_nobody_takes_is_given_up(strict, session):
    for number in range(12):
        body = {"metadata": {"name": f"large-{number}"}, "data": {"x": "x" * 900_000}}
        async with session.post(MAPS, json=body) as response:
            assert response.status == 201
    reader, writer = await open_(strict, "")
    await until(lambda: len(strict.connections) == 1)
    stop_reading(writer)
    writer.write(f"GET {MAPS} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    await until(lambda: not len(strict.connections))
    assert strict.connections.refused["slow"] == 1
    del reader
    writer.close()


@pytest.mark.parametrize(
    "limits", [dataclasses.replace(LIMITS, head_seconds=60, idle_seconds=60, answer_seconds=60)]
)
async def test_too_many_connections_push_out_the_oldest_that_asks_nothing(strict):
    watching, keep = await open_(strict, f"GET {MAPS}?watch=true HTTP/1.1\r\nHost: x\r\n\r\n")
    assert b"200" in await watching.readline()
    opened = [await open_(strict) for _ in range(60)]
    async with (
        aiohttp.ClientSession(f"http://127.0.0.1:{strict.port}") as fresh,
        fresh.get("/livez") as response,
    ):
        assert response.status == 200
    assert len(strict.connections) <= 40
    assert strict.connections.refused["total"] >= 20
    assert not watching.at_eof()
    for _, writer in (*opened, (watching, keep)):
        writer.close()


async def test_one_user_has_so_many_streams_and_another_still_gets_one(strict):
    headers = {"X-Test-User": "bob"}
    async with contextlib.AsyncExitStack() as stack:
        url = f"http://127.0.0.1:{strict.port}{MAPS}?watch=true"
        client = await stack.enter_async_context(aiohttp.ClientSession())
        for _ in range(3):
            response = await stack.enter_async_context(client.get(url, headers=headers))
            assert response.status == 200
        async with client.get(url, headers=headers) as response:
            assert response.status == 429
            assert response.headers["Retry-After"] == "10"
            assert "3 watches" in (await response.json())["message"]
        async with client.get(url, headers={"X-Test-User": "alice"}) as response:
            assert response.status == 200


async def test_a_url_that_is_too_long_is_refused(strict):
    reader, writer = await open_(strict, f"GET /{'a' * 9000} HTTP/1.1\r\nHost: x\r\n\r\n")
    assert b" 400 " in await reader.readline()
    writer.close()
    reader, writer = await open_(strict, f"GET /?{'a' * 40_000} HTTP/1.1\r\nHost: x\r\n\r\n")
    assert b" 400 " in await ended(reader)
    writer.close()


async def test_a_head_request_is_never_a_watch_nor_a_log(session):
    """Its answer would have a body that the client takes for the next answer."""
    async with session.head(f"{MAPS}?watch=true&timeoutSeconds=1") as response:
        assert (response.status, await response.read()) == (200, b"")
    async with session.head("/api/v1/namespaces/default/pods/x/log") as response:
        assert response.status == 405


async def test_answers_name_the_schema_and_level(session):
    async with session.get(MAPS, headers={"X-Test-User": "bob"}) as response:
        assert response.status == 200
        assert "X-Kubernetes-PF-FlowSchema-UID" not in response.headers, "none is stored here"


async def test_twenty_watchers_that_never_read_do_not_hold_up_the_others(
    server, session, monkeypatch
):
    monkeypatch.setattr(streams, "_WRITE_SECONDS", 1.0)
    stuck = []
    for _ in range(20):
        _, writer = await open_(server, f"GET {MAPS}?watch=true HTTP/1.1\r\nHost: x\r\n\r\n")
        stop_reading(writer)
        stuck.append(writer)
    # More than the sockets' buffers hold: from here on the server has to keep it or to let go.
    version = ""
    for number in range(24):
        version = await _create(session, f"burst-{number}", "x" * 500_000)
    before = _resident_bytes()
    async with aiohttp.ClientSession(
        f"http://127.0.0.1:{server.port}", connector=aiohttp.TCPConnector(limit=0)
    ) as client:
        readers = [asyncio.ensure_future(_names(client, version, 30)) for _ in range(180)]
        # Those that are stuck may have been let go by now.
        await until(lambda: len(server.connections) >= 181)
        for number in range(30):
            await _create(session, f"event-{number}", "x")
        async with asyncio.timeout(60):
            told = await asyncio.gather(*readers)
    assert told == [[f"event-{number}" for number in range(30)]] * 180
    await until(lambda: len(server.connections) <= 1)
    assert _resident_bytes() - before < 100 * 1024 * 1024
    for writer in stuck:
        writer.close()


async def test_a_watcher_that_falls_behind_is_cut_off_and_its_buffer_is_freed(server, session):
    """The store's own bound: what waits for one watcher is dropped with it."""
    _, writer = await open_(server, f"GET {MAPS}?watch=true HTTP/1.1\r\nHost: x\r\n\r\n")
    stop_reading(writer)
    await until(lambda: len(server._handler._watches) == 1)
    (watch,) = server._handler._watches
    for number in range(60):
        await _create(session, f"large-{number}", "x" * 500_000)
    assert watch._subscription._waiting_bytes <= 17 * 1024 * 1024
    assert not watch._subscription._batches, "dropped, not kept for one who does not come"
    writer.close()


async def _create(session: aiohttp.ClientSession, name: str, text: str) -> str:
    body = {"metadata": {"name": name}, "data": {"x": text}}
    async with session.post(MAPS, json=body) as response:
        assert response.status == 201
        version: str = (await response.json())["metadata"]["resourceVersion"]
        return version


async def _names(client: aiohttp.ClientSession, version: str, count: int) -> list[str]:
    names: list[str] = []
    params = {"watch": "true", "resourceVersion": version}
    async with client.get(MAPS, params=params) as response:
        while len(names) < count:
            line = await response.content.readline()
            names.append(json.loads(line)["object"]["metadata"]["name"])
    return names


def _resident_bytes() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize()
