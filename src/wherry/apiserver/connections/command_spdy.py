"""exec and attach over SPDY: a stream each for error, stdin, stdout, stderr and resize."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable

from aiohttp import web

from wherry.apiserver.connections import commands, spdy_requests
from wherry.apiserver.connections.options import CommandOptions
from wherry.apiserver.connections.spdy.connection import Stream
from wherry.apiserver.pod_streams import Session
from wherry.objects import errors

_PROTOCOLS = ("v4.channel.k8s.io",)
_STREAMS_SECONDS = 30.0
_KINDS = {
    "stdin": commands.STDIN,
    "stdout": commands.STDOUT,
    "stderr": commands.STDERR,
    "error": commands.ERROR,
    "resize": commands.RESIZE,
}


class _Peer:
    """A client with streams."""

    def __init__(self, streams: dict[int, Stream]) -> None:
        self._streams = streams

    @property
    def gone(self) -> bool:
        """Never known here: the connection's end cancels what is under way."""
        return False

    async def inputs(self) -> AsyncIterator[commands.Input]:
        queue: asyncio.Queue[commands.Input] = asyncio.Queue(1)

        async def pump(channel: int) -> None:
            while data := await self._streams[channel].read():
                await queue.put(commands.Input(channel, data))
            await queue.put(commands.Input(channel, None))

        read = {commands.STDIN, commands.RESIZE} & self._streams.keys()
        pumps = [asyncio.create_task(pump(channel)) for channel in read]
        try:
            while True:
                yield await queue.get()
        finally:
            for task in pumps:
                task.cancel()

    async def send(self, channel: int, data: bytes) -> None:
        await self._streams[channel].write(data)


async def serve(
    request: web.BaseRequest, options: CommandOptions, begin: Callable[[], Awaitable[Session]]
) -> web.StreamResponse:
    """Carry a session over SPDY.

    Args:
        request: Not answered yet.
        options: What streams the client is going to open.
        begin: Starts the session; what it refuses is told on the error stream.

    Raises:
        BadRequestError: No protocol in common.
    """
    protocol = spdy_requests.negotiate(request, _PROTOCOLS)

    async def carry(opened: "asyncio.Queue[Stream]") -> None:
        streams = await _streams(opened, _expected(options))
        try:
            session = await begin()
        except errors.ApiError as error:
            status = error.to_status()
        else:
            shown = frozenset({commands.STDOUT, commands.STDERR} & streams.keys())
            found = await commands.carry(session, _Peer(streams), shown)
            if found is None:
                return
            status = found
        await streams[commands.ERROR].write(json.dumps(status).encode())
        for stream in streams.values():
            stream.drop()
            await stream.end()

    return await spdy_requests.upgrade(request, protocol, carry)


def _expected(options: CommandOptions) -> set[int]:
    wishes = {
        commands.ERROR: True,
        commands.STDIN: options.stdin,
        commands.STDOUT: options.stdout,
        commands.STDERR: options.stderr and not options.tty,
        commands.RESIZE: options.tty,
    }
    return {channel for channel, wish in wishes.items() if wish}


async def _streams(opened: "asyncio.Queue[Stream]", expected: set[int]) -> dict[int, Stream]:
    """Wait for the streams that the client has announced.

    Raises:
        TimeoutError: They do not come.
    """
    streams: dict[int, Stream] = {}
    async with asyncio.timeout(_STREAMS_SECONDS):
        while expected - streams.keys():
            stream = await opened.get()
            channel = _KINDS.get(stream.headers.get("streamtype", ""))
            if channel is not None:
                streams[channel] = stream
    return streams
