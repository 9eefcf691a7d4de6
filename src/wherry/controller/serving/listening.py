"""A server over TLS that is gone when it is said to be, whatever its clients do."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator

from aiohttp import web

_HANDSHAKE_SECONDS = 10.0
_GRACE_SECONDS = 5.0
"""How long requests under way may take at the end."""


class _Connection(web.RequestHandler):
    """One connection, which is cut at the end: its client may never agree to an orderly end of TLS."""

    __slots__ = ("_ended",)

    def __init__(self, server: web.Server, ended: asyncio.Event) -> None:
        loop = asyncio.get_running_loop()
        # None is what aiohttp's own runner says for no log, whatever the annotation.
        super().__init__(server, loop=loop, access_log=None)  # type: ignore[arg-type]  # as said
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
    app: web.Application, host: str, port: int, tls: ssl.SSLContext
) -> AsyncIterator[tuple[str, int]]:
    """Serve an application while the block runs, and give the address and the port.

    Args:
        app: What answers.
        host: Address to listen on.
        port: Port; 0 for any free one.
        tls: The server's side of it.

    Raises:
        OSError: the port is taken, or the address not this machine's.
    """
    runner, ended = web.AppRunner(app, shutdown_timeout=_GRACE_SECONDS), asyncio.Event()
    await runner.setup()
    server = runner.server
    assert server is not None
    try:
        listener = await asyncio.get_running_loop().create_server(
            lambda: _Connection(server, ended),
            host,
            port,
            ssl=tls,
            ssl_handshake_timeout=_HANDSHAKE_SECONDS,
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
