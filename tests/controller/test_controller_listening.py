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
from wherry.controller.serving.listening import listening


def read_to_the_end(sock: socket.socket) -> None:
    """Read what comes without knowing of TLS, until the other side ends the connection."""
    sock.settimeout(5)
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
        async with asyncio.timeout(5):
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
    assert await asyncio.to_thread(_listening) == before


def _listening() -> int:
    """Return how many sockets of this process listen."""
    inodes = {
        one.partition(":")[2].strip("[]") for one in _descriptors() if one.startswith("socket:")
    }
    rows = [row.split() for row in Path("/proc/self/net/tcp").read_text().splitlines()[1:]]
    return sum(row[3] == "0A" and row[9] in inodes for row in rows)


def _descriptors() -> Iterator[str]:
    for link in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):
            yield str(link.readlink())
