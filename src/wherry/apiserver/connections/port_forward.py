"""Port-forward over SPDY, bare or in a WebSocket: for each connection a stream of data and one for errors.

Source: the kubelet's `portforward` package (pairing by request id, messages).
"""

import asyncio
import os
from collections.abc import Awaitable, Callable

from aiohttp import web

from wherry.apiserver.connections import byte_streams, options, spdy_requests
from wherry.apiserver.connections.spdy.connection import Stream
from wherry.objects import errors

PROTOCOL = "portforward.k8s.io"
TUNNEL = f"{spdy_requests.PROTOCOL}+{PROTOCOL}"

_MOST_UNPAIRED = 100

Dial = Callable[[int], Awaitable[tuple[asyncio.StreamReader, asyncio.StreamWriter]]]
"""Connects to a port of the pod; raises OSError or ApiError."""


async def serve(request: web.BaseRequest, dial: Dial) -> web.StreamResponse:
    """Forward ports on a bare SPDY connection.

    Raises:
        BadRequestError: No protocol in common.
    """
    protocol = spdy_requests.negotiate(request, (PROTOCOL,))
    return await spdy_requests.upgrade(request, protocol, _Forwarder(dial).serve)


async def serve_tunnel(request: web.BaseRequest, dial: Dial) -> web.StreamResponse:
    """Forward ports on a SPDY connection inside a WebSocket."""
    response = await byte_streams.accept_websocket(request, (TUNNEL,))
    stream = byte_streams.WebSocketStream(response, request)
    await spdy_requests.run(stream, _Forwarder(dial).serve)
    return response


class _Forwarder:
    """Pairs streams and carries the connections."""

    def __init__(self, dial: Dial) -> None:
        self._dial = dial
        self._unpaired: dict[str, dict[str, Stream]] = {}

    async def serve(self, opened: "asyncio.Queue[Stream]") -> None:
        async with asyncio.TaskGroup() as connections:
            while True:
                pair = self._paired(await opened.get())
                if pair is not None:
                    connections.create_task(self._forward(**pair))
                elif len(self._unpaired) > _MOST_UNPAIRED:
                    return

    def _paired(self, stream: Stream) -> dict[str, Stream] | None:
        kind = stream.headers.get("streamtype", "")
        if kind not in {"data", "error"}:
            return None
        key = stream.headers.get("requestid") or str(stream.number - 2 * (kind == "data"))
        pair = self._unpaired.setdefault(key, {})
        pair[kind] = stream
        return self._unpaired.pop(key) if len(pair) == 2 else None

    async def _forward(self, data: Stream, error: Stream) -> None:
        try:
            port = options.port(data.headers.get("port", ""))
            reader, writer = await self._dial(port)
        except (OSError, errors.ApiError) as reason:
            await _refuse(data, error, why(data.headers.get("port", ""), reason))
            return
        target = byte_streams.SocketStream(reader, writer)
        sending = asyncio.create_task(_send(data, target))
        try:
            while chunk := await target.read():
                await data.write(chunk)
        except ConnectionError:
            pass
        finally:
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)
            data.drop()
            await data.end()
            await error.end()
            await target.close()


async def _send(data: Stream, target: byte_streams.SocketStream) -> None:
    try:
        while chunk := await data.read():
            await target.write(chunk)
    except ConnectionError:
        data.drop()
        return
    target.end()


async def _refuse(data: Stream, error: Stream, why: str) -> None:
    data.drop()
    try:
        await error.write(why.encode())
    except ConnectionError:
        return
    await error.end()
    await data.end()


def why(port: str, reason: Exception) -> str:
    """Return what a client is told about a port that cannot be reached."""
    if isinstance(reason, TimeoutError):
        return f"error forwarding port {port}: nobody answers there"
    number = reason.errno if isinstance(reason, OSError) else None
    text = str(reason) if number is None else os.strerror(number)
    return f"error forwarding port {port}: {text}"
