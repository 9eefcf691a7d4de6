"""A server, over TLS or not, that is gone when it is said to be, whatever its clients do."""

import asyncio
import contextlib
import itertools
import logging
import math
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from typing import Any, Final

from aiohttp import web

from wherry.controller.queue import Backoff

_HANDSHAKE_SECONDS = 30.0
_GRACE_SECONDS = 5.0
"""How long requests under way may take at the end."""
_LINE_BYTES = 32 * 1024
_FIELD_BYTES = 16 * 1024
"""As the API server's: what it takes also comes through its proxy."""
_WAITING = 100
"""Connections that may wait while an application is made; asyncio's number."""
_AGAIN: Final = Backoff(base_seconds=1.0, cap_seconds=30.0)
"""How long until what answers is made again, where that has failed."""
_UNAVAILABLE: Final = 14
"""The code of gRPC, which clients of such services look for."""
_SHOWN: Final = 500
_LOG = logging.getLogger("wherry.controller.serving")


class _Connection(web.RequestHandler):
    """One connection, which is cut at the end: its client may never agree to an orderly end of TLS."""

    __slots__ = ("_ended",)

    def __init__(self, server: web.Server, ended: asyncio.Event) -> None:
        loop = asyncio.get_running_loop()
        # None is what aiohttp's own runner says for no log, whatever the annotation.
        super().__init__(
            server,
            loop=loop,
            access_log=None,  # type: ignore[arg-type]  # as said
            max_line_size=_LINE_BYTES,
            max_field_size=_FIELD_BYTES,
        )
        self._ended = ended

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin, unless the end came before the client and we had agreed on TLS."""
        super().connection_made(transport)
        if self._ended.is_set():
            self.force_close()

    def force_close(self) -> None:
        """Cut it."""
        if self.transport is not None:
            # In some patch levels of Python, TLS that was closed twice cannot be aborted any more.
            with contextlib.suppress(AttributeError):
                self.transport.abort()
        super().force_close()


@contextlib.asynccontextmanager
async def listening(
    app: web.Application, host: str, port: int, tls: ssl.SSLContext | None = None
) -> AsyncIterator[tuple[str, int]]:
    """Serve an application while the block runs, and give the address and the port.

    Args:
        app: What answers.
        host: Address to listen on.
        port: Port; 0 for any free one.
        tls: The server's side of it; None: it serves without.

    Raises:
        OSError: the port is taken, or the address not this machine's.
    """
    async with _serving(app, tls=tls, host=host, port=port) as place:
        yield place


@contextlib.asynccontextmanager
async def late(
    make: Callable[[], web.Application], host: str, port: int
) -> AsyncIterator[tuple[str, int]]:
    """Serve an application that is made for the first who connects; else as `listening`.

    Where it cannot be made, callers are told why, and it is made anew after a while.

    Args:
        make: Makes it; called until it succeeds.
        host: Address to listen on.
        port: Port; 0 for any free one.

    Raises:
        OSError: the port is taken, or the address not this machine's.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    taken = socket.create_server((host, port), family=family, backlog=_WAITING)
    taken.settimeout(0)
    serving = asyncio.ensure_future(_serve_when_called(make, taken))
    try:
        yield taken.getsockname()[:2]
    finally:
        serving.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await serving
        taken.close()


async def _serve_when_called(make: Callable[[], web.Application], taken: socket.socket) -> None:
    for failures in itertools.count(1):
        await _called(taken)
        try:
            with taken.dup() as own:
                async with _serving(make(), sock=own):
                    await asyncio.Event().wait()
        except Exception as error:  # noqa: BLE001 - whatever it is, who waits is to hear of it
            seconds = _AGAIN.delay(failures)
            _LOG.exception("what answers at %s cannot be made; again in %.1f s", taken, seconds)
            try:
                await _refuse(taken, error, seconds)
            except OSError:  # there is not even a descriptor left for that
                await asyncio.sleep(seconds)


async def _called(taken: socket.socket) -> None:
    """Wait until somebody wants to be answered."""
    loop, called = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(taken, called.set)
    try:
        await called.wait()
    finally:
        loop.remove_reader(taken)


async def _refuse(taken: socket.socket, error: Exception, seconds: float) -> None:
    """Answer so long that there is nothing, and why."""
    why = f"{type(error).__name__}: {error}"[:_SHOWN]
    told = {
        "message": f"this service cannot be started, which is tried again and again: {why}",
        "code": _UNAVAILABLE,
    }

    async def refuse(_: web.BaseRequest) -> web.Response:
        headers = {"Retry-After": str(math.ceil(seconds)), "Connection": "close"}
        return web.json_response({"error": told["message"], **told}, status=503, headers=headers)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", refuse)
    with taken.dup() as own:
        async with _serving(app, sock=own):
            await asyncio.sleep(seconds)


@contextlib.asynccontextmanager
async def _serving(
    app: web.Application, *, tls: ssl.SSLContext | None = None, **where: Any
) -> AsyncIterator[tuple[str, int]]:
    runner, ended = web.AppRunner(app, shutdown_timeout=_GRACE_SECONDS), asyncio.Event()
    await runner.setup()
    server = runner.server
    assert server is not None
    try:
        listener = await asyncio.get_running_loop().create_server(
            lambda: _Connection(server, ended),
            **where,
            ssl=tls,
            ssl_handshake_timeout=None if tls is None else _HANDSHAKE_SECONDS,
            # Begun below: whoever is cancelled while it begins would not get what it could close.
            start_serving=False,
        )
        try:
            await listener.start_serving()
            yield listener.sockets[0].getsockname()[:2]
        finally:
            listener.close()
    finally:
        ended.set()
        await runner.cleanup()
