"""Connections as plain bytes, once HTTP is over: the socket itself, or binary WebSocket messages."""

import asyncio
import contextlib
import select
from collections.abc import Callable, Collection
from typing import Any, NoReturn, Protocol, cast

from aiohttp import WSMsgType, web

from wherry.objects import errors

MAX_MESSAGE_BYTES = 16 * 1024 * 1024
"""Of one WebSocket message; clients may send what they write to a command in one."""

_READ_BYTES = 64 * 1024
_BUFFER_BYTES = 256 * 1024
GOODBYE_SECONDS = 30.0
"""What a slow client gets to read the rest."""
_CLOSE_SECONDS = 2.0
_CHECK_SECONDS = 3.0
_FLUSH_SECONDS = 0.05


def hung_up(transport: asyncio.BaseTransport | None) -> bool:
    """Whether the other side has gone, also where that cannot be read because we do not read at all."""
    if transport is None or transport.is_closing():
        return True
    socket = transport.get_extra_info("socket")
    if socket is None or socket.fileno() < 0:
        return socket is not None
    poll = select.poll()
    poll.register(socket.fileno(), getattr(select, "POLLRDHUP", 0))
    return bool(poll.poll(0))


class ByteStream(Protocol):
    """A connection on which bytes come and go. Reading is for one task at a time, writing likewise."""

    @property
    def gone(self) -> bool:
        """Whether the other side has hung up, as far as is known without reading."""
        ...

    async def read(self) -> bytes:
        """Return what has come; empty at the end."""
        ...

    async def write(self, data: bytes) -> None:
        """Send, waiting while the other side is behind.

        Raises:
            ConnectionError: The other side has gone.
        """
        ...

    async def close(self) -> None:
        """End it properly. Idempotent."""
        ...


class SocketStream:
    """The two halves of a connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @property
    def gone(self) -> bool:
        """Whether the other side has hung up."""
        return hung_up(self._writer.transport)

    async def read(self) -> bytes:
        """Return what has come; empty at the end, also at a bad one."""
        try:
            return await self._reader.read(_READ_BYTES)
        except OSError:
            return b""

    async def write(self, data: bytes) -> None:
        """Send."""
        if self._writer.is_closing():
            raise ConnectionResetError("the other side has gone")
        self._writer.write(data)
        await self._writer.drain()

    def end(self) -> None:
        """Send no more; what is still to come is read."""
        with contextlib.suppress(OSError, NotImplementedError):
            if self._writer.can_write_eof():
                self._writer.write_eof()

    async def close(self) -> None:
        """End it."""
        self._writer.close()
        try:
            with contextlib.suppress(OSError, TimeoutError):
                async with asyncio.timeout(_CLOSE_SECONDS):
                    await self._writer.wait_closed()
        finally:
            self._writer.transport.abort()


class WebSocketStream:
    """Bytes in binary messages, whose borders mean nothing."""

    def __init__(self, socket: web.WebSocketResponse, request: web.BaseRequest) -> None:
        self._socket = socket
        self._request = request

    @property
    def gone(self) -> bool:
        """Whether the other side has hung up."""
        return self._socket.closed or hung_up(self._request.transport)

    async def read(self) -> bytes:
        """Return the next message that has bytes."""
        async for message in self._socket:
            if message.type is WSMsgType.BINARY and message.data:
                return bytes(message.data)
            if message.type is WSMsgType.TEXT:
                break
        return b""

    async def write(self, data: bytes) -> None:
        """Send one message."""
        await self._socket.send_bytes(data)

    async def close(self) -> None:
        """Close with 1000."""
        await close(self._socket, self._request)


async def close(socket: web.WebSocketResponse, request: web.BaseRequest) -> None:
    """Close a WebSocket with 1000, once the other side has read everything; not for ever."""
    try:
        if socket.closed:
            await asyncio.sleep(_FLUSH_SECONDS)  # the other side closed it: let our answer get out
        with contextlib.suppress(ConnectionError, RuntimeError):
            await socket.close()
    finally:
        # TLS would wait for a goodbye of its own, which not all clients say.
        if request.transport is not None:
            request.transport.abort()


async def first_done(tasks: Collection["asyncio.Future[Any]"], gone: Callable[[], bool]) -> None:
    """Wait until one of the tasks is done, or the other side has gone.

    A task that waits for something slow to be written reads nothing meanwhile, and would not notice.
    """
    done: set[asyncio.Future[Any]] = set()
    while not done and not gone():
        done, _ = await asyncio.wait(
            tasks, timeout=_CHECK_SECONDS, return_when=asyncio.FIRST_COMPLETED
        )


def is_upgrade(request: web.BaseRequest, protocol: str) -> bool:
    """Whether a request asks to go on in another protocol (``websocket``, ``SPDY/3.1``)."""
    tokens = {token.strip().lower() for token in request.headers.get("Connection", "").split(",")}
    wanted = request.headers.get("Upgrade", "").strip().lower()
    return "upgrade" in tokens and wanted == protocol.lower()


async def accept_websocket(
    request: web.BaseRequest, protocols: tuple[str, ...]
) -> web.WebSocketResponse:
    """Go on as a WebSocket.

    Args:
        request: Not answered yet.
        protocols: Subprotocols that are spoken; a client that offers others is refused, one that offers none is not.

    Raises:
        BadRequestError: They have none in common.
    """
    offered = request.headers.get("Sec-WebSocket-Protocol", "")
    names = [name.strip() for name in offered.split(",") if name.strip()]
    if names and not set(names) & set(protocols):
        raise errors.BadRequestError(
            f"unable to upgrade: none of the subprotocols {', '.join(names)[:200]} is spoken here; "
            f"there are {', '.join(protocols)}"
        )
    socket = web.WebSocketResponse(
        protocols=protocols, max_msg_size=MAX_MESSAGE_BYTES, compress=False, timeout=GOODBYE_SECONDS
    )
    await socket.prepare(request)
    return socket


class _Takeover(asyncio.StreamReaderProtocol):
    """Reads a connection in the HTTP server's stead, and tells it when that has ended."""

    def __init__(self, reader: asyncio.StreamReader, before: asyncio.BaseProtocol) -> None:
        super().__init__(reader)
        self._before = before

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._before.connection_lost(exc)


def take_over(request: web.BaseRequest, head: bytes) -> SocketStream:
    """Answer a request with ``head`` and go on with the bare connection.

    The client must not send anything before it has the answer: what the HTTP server has read
    already is lost.

    Args:
        request: Not answered yet, its body read.
        head: Status line and headers, with the empty line.

    Raises:
        ConnectionError: The client has gone.
    """
    transport = request.transport
    if transport is None or transport.is_closing():
        raise ConnectionResetError("the client has gone")
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=_BUFFER_BYTES, loop=loop)
    protocol = _Takeover(reader, transport.get_protocol())
    transport.set_protocol(protocol)
    protocol.connection_made(transport)
    # Not asserted: uvloop's transports do the same things without being of this class.
    writer = asyncio.StreamWriter(cast(asyncio.WriteTransport, transport), protocol, reader, loop)
    transport.resume_reading()
    writer.write(head)
    return SocketStream(reader, writer)


class Done(web.StreamResponse):
    """The answer to a request whose connection has been taken over: nothing is left to be sent."""

    def __init__(self, status: int = 101) -> None:
        super().__init__(status=status)

    async def prepare(self, request: web.BaseRequest) -> NoReturn:
        """Send nothing.

        Raises:
            ConnectionResetError: Always; the HTTP server then lets go of the connection.
        """
        raise ConnectionResetError("the connection has been taken over")
