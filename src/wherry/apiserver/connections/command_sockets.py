"""exec and attach over WebSocket."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable

from aiohttp import web

from wherry.apiserver.connections import byte_streams, channels, commands
from wherry.apiserver.connections.options import CommandOptions
from wherry.apiserver.pod_streams import Session
from wherry.objects import errors

_PROTOCOLS = (channels.V5, channels.V4, channels.V4_BASE64)


class _Peer:
    """A client with channels."""

    def __init__(self, socket: channels.ChannelSocket) -> None:
        self._socket = socket

    @property
    def gone(self) -> bool:
        return self._socket.gone

    async def inputs(self) -> AsyncIterator[commands.Input]:
        while (message := await self._socket.receive()) is not None:
            channel, data = message
            if channel == channels.CLOSE:
                if data[:1] == bytes((commands.STDIN,)):
                    yield commands.Input(commands.STDIN, None)
            elif channel in {commands.STDIN, commands.RESIZE}:
                yield commands.Input(channel, data)
            else:
                return

    async def send(self, channel: int, data: bytes) -> None:
        await self._socket.send(channel, data)


async def serve(
    request: web.BaseRequest, options: CommandOptions, begin: Callable[[], Awaitable[Session]]
) -> web.StreamResponse:
    """Carry a session over a WebSocket.

    Args:
        request: Not answered yet.
        options: What the client wants to see.
        begin: Starts the session; what it refuses is told on the status channel.

    Raises:
        BadRequestError: No subprotocol in common.
    """
    response = await byte_streams.accept_websocket(request, _PROTOCOLS)
    socket = channels.ChannelSocket(response, request)
    wanted = frozenset(
        channel
        for channel, wish in ((commands.STDOUT, options.stdout), (commands.STDERR, options.stderr))
        if wish
    )
    try:
        # Some clients take the first message for the sign that they are connected.
        await socket.send(min(wanted, default=commands.ERROR), b"")
        try:
            session = await begin()
        except errors.ApiError as error:
            status = error.to_status()
        else:
            found = await commands.carry(session, _Peer(socket), wanted)
            if found is None:
                return response
            status = found
        await socket.send(commands.ERROR, json.dumps(status).encode())
    except ConnectionError:
        pass
    finally:
        await byte_streams.close(response, request)
    return response
