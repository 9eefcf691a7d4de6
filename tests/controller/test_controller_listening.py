"""The end of a server over TLS: nothing is left, although its clients do nothing for it."""

import asyncio
import contextlib
import datetime
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
from aiohttp import web

from wherry.controller.serving import certificates
from wherry.controller.serving.listening import late, listening


def read_to_the_end(sock: socket.socket) -> None:
    """Read what comes without knowing of TLS, until the other side ends the connection."""
    sock.settimeout(60)
    with sock, contextlib.suppress(ConnectionResetError):
        while sock.recv(65536):
            pass


def ask(address: tuple[str, int], authority: bytes) -> socket.socket:
    """Call the server once over TLS; return the connection without its TLS."""
    context = ssl.create_default_context(cadata=authority.decode())
    tls = context.wrap_socket(socket.create_connection(address), server_hostname=address[0])
    tls.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
    assert b"200 OK" in tls.recv(65536)
    return socket.socket(fileno=tls.detach())


async def healthy(_: web.Request) -> web.Response:
    return web.Response(text="ok")


@pytest.fixture
def pair() -> certificates.Pair:
    return certificates.make(["127.0.0.1"], datetime.datetime.now(datetime.UTC))


@pytest.fixture
def app() -> web.Application:
    made = web.Application()
    made.router.add_get("/healthz", healthy)
    return made


async def test_connections_end_with_it_although_no_client_agrees(
    app: web.Application, pair: certificates.Pair
) -> None:
    async with listening(app, "127.0.0.1", 0, pair.ssl_context()) as address:
        idle = await asyncio.to_thread(ask, address, pair.certificate)
    await asyncio.to_thread(read_to_the_end, idle)


async def test_one_that_agrees_on_tls_too_late_is_cut_off(
    app: web.Application, pair: certificates.Pair
) -> None:
    context = ssl.create_default_context(cadata=pair.certificate.decode())
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = context.wrap_bio(back, there, server_hostname="127.0.0.1")
    async with listening(app, "127.0.0.1", 0, pair.ssl_context()) as address:
        reader, writer = await asyncio.open_connection(*address)
        with pytest.raises(ssl.SSLWantReadError):
            client.do_handshake()
        writer.write(there.read())
        back.write(await reader.read(65536))
    client.do_handshake()
    writer.write(there.read())
    with contextlib.suppress(ConnectionError):
        async with asyncio.timeout(60):
            await reader.read()
    writer.close()
    with contextlib.suppress(ConnectionError):
        await writer.wait_closed()


async def test_whoever_is_cancelled_while_it_begins_leaves_no_socket(
    app: web.Application, pair: certificates.Pair
) -> None:
    context, before = pair.ssl_context(), _listening()
    for steps in range(40):

        async def serve() -> None:
            async with listening(app, "127.0.0.1", 0, context):
                await asyncio.Event().wait()

        task = asyncio.create_task(serve())
        for _ in range(steps):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait({task})
    assert not await asyncio.to_thread(_listening) - before


def _listening() -> set[str]:
    """Return which sockets of this process listen."""
    inodes = {
        one.partition(":")[2].strip("[]") for one in _descriptors() if one.startswith("socket:")
    }
    rows = [row.split() for row in Path("/proc/self/net/tcp").read_text().splitlines()[1:]]
    return {row[9] for row in rows if row[3] == "0A"} & inodes


def _descriptors() -> Iterator[str]:
    for link in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):
            yield str(link.readlink())


def asked(address: tuple[str, int]) -> bytes:
    """Return what the server says to a call without TLS; empty where it ends the connection."""
    with socket.create_connection(address) as sock, contextlib.suppress(ConnectionResetError):
        sock.settimeout(60)
        sock.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        return b"".join(iter(lambda: sock.recv(65536), b""))
    return b""


async def test_what_answers_is_made_for_the_first_who_calls(app: web.Application) -> None:
    made = []

    def make() -> web.Application:
        made.append(app)
        return app

    async with late(make, "127.0.0.1", 0) as address:
        assert not made
        both = [asyncio.to_thread(asked, address) for _ in range(2)]
        answers = [*await asyncio.gather(*both), await asyncio.to_thread(asked, address)]
        assert all(answer.endswith(b"ok") for answer in answers)
        assert len(made) == 1
    with pytest.raises(ConnectionRefusedError):
        await asyncio.to_thread(asked, address)


async def test_what_cannot_be_made_is_told_and_made_later(
    app: web.Application, caplog: pytest.LogCaptureFixture
) -> None:
    failures = [RuntimeError("no such thing"), OSError("nobody there")]

    def make() -> web.Application:
        if failures:
            raise failures.pop(0)
        return app

    async with late(make, "127.0.0.1", 0) as address:
        answers = [await asyncio.to_thread(asked, address)]
        async with asyncio.timeout(30):
            while not answers[-1].endswith(b"ok"):
                await asyncio.sleep(0.1)
                answers.append(await asyncio.to_thread(asked, address))
    assert b" 503 " in answers[0]
    assert b"RuntimeError: no such thing" in answers[0]
    assert b"Retry-After: 2" in answers[0]
    assert not failures
    assert "nobody there" in caplog.text


async def test_what_cannot_be_made_ends_with_it() -> None:
    def make() -> web.Application:
        raise RuntimeError("no such thing")

    before = _listening()
    async with late(make, "127.0.0.1", 0) as address:
        assert b"no such thing" in await asyncio.to_thread(asked, address)
    assert not await asyncio.to_thread(_listening) - before
    with pytest.raises(ConnectionRefusedError):
        await asyncio.to_thread(asked, address)


async def test_it_ends_although_nobody_has_called(app: web.Application) -> None:
    async with late(lambda: app, "127.0.0.1", 0) as address:
        pass
    with pytest.raises(ConnectionRefusedError):
        await asyncio.to_thread(asked, address)
