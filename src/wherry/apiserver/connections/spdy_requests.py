"""Requests that go on as SPDY/3.1: accepted, and carried to their end.

Source: `k8s.io/apimachinery/pkg/util/httpstream/spdy` (the handshake).
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

from aiohttp import web

from wherry.apiserver.connections import byte_streams
from wherry.apiserver.connections.spdy.connection import Connection, Stream
from wherry.objects import errors

PROTOCOL = "SPDY/3.1"
_VERSION_HEADER = "X-Stream-Protocol-Version"

Serve = Callable[["asyncio.Queue[Stream]"], Awaitable[None]]
"""Serves the streams that come; the connection ends with it."""


def negotiate(request: web.BaseRequest, spoken: tuple[str, ...]) -> str:
    """Return the first protocol that the client offers and the server speaks.

    Raises:
        BadRequestError: There is none.
    """
    offered = [
        name.strip()
        for value in request.headers.getall(_VERSION_HEADER, [])
        for name in value.split(",")
    ]
    for name in offered:
        if name in spoken:
            return name
    raise errors.BadRequestError(
        f"unable to upgrade: {_VERSION_HEADER} offers {', '.join(offered)[:200] or 'nothing'}; "
        f"spoken here: {', '.join(spoken)}"
    )


async def upgrade(request: web.BaseRequest, protocol: str, serve: Serve) -> web.StreamResponse:
    """Accept a request and carry it on.

    Raises:
        ConnectionError: The client has gone.
    """
    head = (
        "HTTP/1.1 101 Switching Protocols\r\n"
        f"Connection: Upgrade\r\nUpgrade: {PROTOCOL}\r\n{_VERSION_HEADER}: {protocol}\r\n\r\n"
    )
    stream = byte_streams.take_over(request, head.encode())
    await run(stream, serve)
    return byte_streams.Done()


async def run(stream: byte_streams.ByteStream, serve: Serve) -> None:
    """Speak SPDY until ``serve`` is done or the client has gone."""
    opened: asyncio.Queue[Stream] = asyncio.Queue()
    connection = asyncio.create_task(Connection(stream, opened.put_nowait).run())
    serving = asyncio.ensure_future(serve(opened))
    try:
        await byte_streams.first_done((connection, serving), lambda: stream.gone)
        if serving.done():
            # The client hangs up when it has read everything; closing before could cost it the end.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(byte_streams.GOODBYE_SECONDS):
                    await byte_streams.first_done((connection,), lambda: stream.gone)
    finally:
        for task in (connection, serving):
            task.cancel()
        await asyncio.gather(connection, serving, return_exceptions=True)
        with contextlib.suppress(ConnectionError):
            await stream.close()
