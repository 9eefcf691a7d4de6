"""Bounds on connections: how many, how slow, how long idle. Nobody can hold one open by doing little.

Most of HTTP's own bounds are aiohttp's; here is what it leaves open: a client that sends a request's
head letter by letter, one that takes no answer, and one that opens connections without end.
"""

import asyncio
import contextlib
import resource
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from wherry.apiserver.identity import MASTERS, User
from wherry.objects import errors

_SWEEP_SECONDS = 1.0
_LOOPBACK = frozenset({"127.0.0.1", "::1"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Bounds of one server."""

    connections: int = 8192
    """Connections at once; count. Half of the files that the process may open, if that is less."""

    connections_per_address: int = 1024
    """Connections of one client address at once; count. Loopback is bounded by `connections` only: all
    users of this machine share it."""

    streams_per_user: int = 2048
    """Watches, logs and terminals of one user at once; count. Administrators are not counted."""

    head_seconds: float = 15.0
    """How long the head of a request may take from its first byte; on a new connection, from then."""

    idle_seconds: float = 90.0
    """How long a connection may lie idle between two requests."""

    answer_seconds: float = 30.0
    """How long a client may take nothing of an answer."""

    line_bytes: int = 32 * 1024
    """Length of a request line; bytes. Selectors stand in it."""

    field_bytes: int = 16 * 1024
    """Length of a header field; bytes. Tokens stand there."""

    handshake_seconds: float = 30.0
    """How long a client may take to agree on TLS."""


class Connection(web.RequestHandler):
    """One connection, with a note of since when it owes something."""

    __slots__ = ("_address", "_bounds", "_now", "_since", "_told_since", "_told_size", "answering")

    def __init__(self, bounds: "Connections", server: web.Server, **options: Any) -> None:
        super().__init__(server, **options)
        self._bounds = bounds
        self._now: Callable[[], float] = options["loop"].time
        self._since = 0.0
        self._told_size = 0
        self._told_since = 0.0
        self._address = ""
        self.answering = False
        """Whether a request of it is being answered."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Count the connection; close it where there are too many."""
        super().connection_made(transport)
        peer = transport.get_extra_info("peername")
        self._address = peer[0] if peer else ""
        self._since = self._now()
        self._bounds.opened(self, self._address)

    def connection_lost(self, exc: BaseException | None) -> None:
        """Forget the connection."""
        self._bounds.closed(self, self._address)
        super().connection_lost(exc)

    def force_close(self) -> None:
        """Cut the connection: a client that is gone never agrees to an orderly end of TLS."""
        if self.transport is not None:
            # In some patch levels of Python, TLS that was closed twice cannot be aborted any more.
            with contextlib.suppress(AttributeError):
                self.transport.abort()
        super().force_close()

    def data_received(self, data: bytes) -> None:
        """Note when a request begins."""
        if not self._since and not self.answering:
            self._since = self._now()
        super().data_received(data)

    def begin(self) -> None:
        """Note that a request is there: what follows takes as long as it takes."""
        self.answering = True
        self._since = 0.0

    def end(self) -> None:
        """Note that the request is answered, up to sending it."""
        self.answering = False
        self._told_since = 0.0

    def overdue(self, now: float, limits: Limits) -> bool:
        """Return whether the client has owed something for too long."""
        if self.answering:
            return False
        if self._since:
            return now - self._since > limits.head_seconds
        transport = self.transport
        left = transport.get_write_buffer_size() if transport is not None else 0
        if not left or not self._told_since or left < self._told_size:
            self._told_since, self._told_size = (now if left else 0.0), left
        return bool(left) and now - self._told_since > limits.answer_seconds


class Connections:
    """All connections of a server."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.refused: Counter[str] = Counter()
        """Connections that were cut off, by reason."""
        self._most = min(limits.connections, resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 2)
        self._open: dict[Connection, None] = {}
        self._by_address: Counter[str] = Counter()
        self._streams: Counter[str] = Counter()
        self._sweep: asyncio.TimerHandle | None = None
        self._ended = False

    def __len__(self) -> int:
        return len(self._open)

    def factory(self, server: web.Server) -> Callable[[], Connection]:
        """Return what makes the protocol of a new connection."""
        loop, limits = asyncio.get_running_loop(), self.limits
        self._ended = False
        return lambda: Connection(
            self,
            server,
            loop=loop,
            access_log=None,
            keepalive_timeout=limits.idle_seconds,
            max_line_size=limits.line_bytes,
            max_field_size=limits.field_bytes,
        )

    def opened(self, connection: Connection, address: str) -> None:
        """Take in a new connection, and close one where that makes too many."""
        if self._ended:
            # The server stopped while they were agreeing on TLS.
            connection.force_close()
            return
        self._open[connection] = None
        self._by_address[address] += 1
        if self._sweep is None:
            loop = asyncio.get_running_loop()
            self._sweep = loop.call_later(_SWEEP_SECONDS, self._look)
        bounded = address not in _LOOPBACK
        if bounded and self._by_address[address] > self.limits.connections_per_address:
            self._cut(connection, "address")
        elif len(self._open) > self._most:
            # The oldest that asks for nothing: whoever has just come may be the one who cleans up.
            idle = next((each for each in self._open if not each.answering), connection)
            self._cut(idle, "total")

    def closed(self, connection: Connection, address: str) -> None:
        """Forget a connection."""
        if connection not in self._open:
            return
        del self._open[connection]
        self._by_address[address] -= 1
        if not self._by_address[address]:
            del self._by_address[address]

    @contextlib.contextmanager
    def stream(self, user: User) -> Iterator[None]:
        """Count a stream of a user while it lasts.

        Raises:
            TooManyRequestsError: The user has too many.
        """
        name, most = user.name, self.limits.streams_per_user
        if self._streams[name] >= most and MASTERS not in user.groups:
            raise errors.TooManyRequestsError(
                f'user "{name}" has {most} watches and other streams open; no more are allowed',
                {"retryAfterSeconds": 10},
            )
        self._streams[name] += 1
        try:
            yield
        finally:
            self._streams[name] -= 1
            if not self._streams[name]:
                del self._streams[name]

    def close(self) -> None:
        """Stop looking after them, and take none any more."""
        self._ended = True
        if self._sweep is not None:
            self._sweep.cancel()
            self._sweep = None

    def _look(self) -> None:
        loop = asyncio.get_running_loop()
        now = loop.time()
        for connection in [each for each in self._open if each.overdue(now, self.limits)]:
            self._cut(connection, "slow")
        self._sweep = loop.call_later(_SWEEP_SECONDS, self._look) if self._open else None

    def _cut(self, connection: Connection, why: str) -> None:
        self.refused[why] += 1
        # Not asked for its class: uvloop's transports do the same things without being of asyncio's.
        if connection.transport is not None:
            connection.transport.abort()
