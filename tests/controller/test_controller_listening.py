"""The end of a server over TLS: nothing is left, although its clients do nothing for it."""

import asyncio
import contextlib
import datetime
import socket
import ssl

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
