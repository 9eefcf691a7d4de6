"""Port-forward in WebSocket channels, as the Python clients speak it.

Port number n of the query has channel 2n for its data and 2n+1 for an error; the first message of
each tells the port, two bytes, the lower one first.
"""

import asyncio

from aiohttp import web

from wherry.apiserver.connections import byte_streams, channels, port_forward
from wherry.objects import errors

_PROTOCOLS = (channels.V4, channels.V4_BASE64)


async def serve(
    request: web.BaseRequest, ports: list[int], dial: port_forward.Dial
) -> web.StreamResponse:
    """Connect to all ports at once and carry the connections until all have ended.

    Raises:
        BadRequestError: No subprotocol in common.
    """
    response = await byte_streams.accept_websocket(request, _PROTOCOLS)
    socket = channels.ChannelSocket(response, request)
    targets: dict[int, byte_streams.SocketStream] = {}
    try:
        await _dial_all(socket, ports, dial, targets)
        await _carry(socket, targets)
    except ConnectionError:
        pass
    finally:
        for target in targets.values():
            await target.close()
        await byte_streams.close(response, request)
    return response


async def _dial_all(
    socket: channels.ChannelSocket,
    ports: list[int],
    dial: port_forward.Dial,
    targets: dict[int, byte_streams.SocketStream],
) -> None:
    for number, port in enumerate(ports):
        for channel in (2 * number, 2 * number + 1):
            await socket.send(channel, port.to_bytes(2, "little"))
    for number, port in enumerate(ports):
        try:
            targets[2 * number] = byte_streams.SocketStream(*await dial(port))
        except (OSError, errors.ApiError) as reason:
            await socket.send(2 * number + 1, port_forward.why(str(port), reason).encode())


async def _carry(
    socket: channels.ChannelSocket, targets: dict[int, byte_streams.SocketStream]
) -> None:
    """Carry all connections until all have ended, or the client has gone."""
    showing = asyncio.gather(*(_show(socket, *entry) for entry in targets.items()))
    receiving = asyncio.ensure_future(_receive(socket, dict(targets)))
    try:
        await byte_streams.first_done((receiving, showing), lambda: socket.gone)
    finally:
        for each in (receiving, showing):
            each.cancel()
        await asyncio.gather(receiving, showing, return_exceptions=True)


async def _show(
    socket: channels.ChannelSocket, channel: int, target: byte_streams.SocketStream
) -> None:
    while data := await target.read():
        await socket.send(channel, data)


async def _receive(
    socket: channels.ChannelSocket, targets: dict[int, byte_streams.SocketStream]
) -> None:
    """Pass on what the client sends; returns when it has gone."""
    while (message := await socket.receive()) is not None:
        channel, data = message
        target = targets.get(channel)
        if target is None:
            continue
        try:
            await target.write(data)
        except ConnectionError:
            targets.pop(channel)
