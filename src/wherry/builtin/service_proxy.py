"""Makes cluster IPs connect: a relay that listens on each and passes connections to endpoints.

On a cluster this is kube-proxy's work, in the kernel; here pods are processes on loopback
addresses, and a user-space relay reaches them without any privilege. Pods themselves rarely come
here: on Linux the launcher leads their connections straight to an endpoint. What is left are
clients outside of pods, node ports, and endpoints that are no pods.
"""

import asyncio
import itertools
import logging
from collections.abc import Mapping
from typing import NamedTuple, cast

_LOG = logging.getLogger("wherry.builtin.service_proxy")
_CONNECT_SECONDS = 5.0


class Address(NamedTuple):
    """Where something listens."""

    ip: str
    port: int


class Backends:
    """The endpoints of one service port, taken in turns."""

    def __init__(self) -> None:
        self._endpoints: tuple[Address, ...] = ()
        self._turn = itertools.count()
        self._by_client = False

    def set(self, endpoints: tuple[Address, ...], *, by_client: bool) -> None:
        """Replace the endpoints.

        Args:
            endpoints: Where ready pods listen.
            by_client: Whether one client always gets the same endpoint (sessionAffinity ClientIP).
        """
        self._endpoints = endpoints
        self._by_client = by_client

    def candidates(self, client: str) -> list[Address]:
        """Return all endpoints in the order in which a new connection should try them."""
        count = len(self._endpoints)
        if not count:
            return []
        first = hash(client) % count if self._by_client else next(self._turn) % count
        return [self._endpoints[(first + offset) % count] for offset in range(count)]


class _Half(asyncio.Protocol):
    """One direction of a relayed connection: what arrives here goes out at the peer."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None
        self.peer: _Half | None = None
        self.ended = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # Not asserted: uvloop's transports do the same things without being of this class.
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        if self.peer is not None and self.peer.transport is not None:
            self.peer.transport.write(data)

    def eof_received(self) -> bool:
        self.ended = True
        if self.peer is None or self.peer.transport is None:
            return False
        if self.peer.ended:
            # Both have said all: closing sends what is still buffered.
            self.peer.transport.close()
            return False
        if self.peer.transport.can_write_eof():
            self.peer.transport.write_eof()
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        if self.peer is not None and self.peer.transport is not None:
            self.peer.transport.close()

    def pause_writing(self) -> None:
        if self.peer is not None and self.peer.transport is not None:
            self.peer.transport.pause_reading()

    def resume_writing(self) -> None:
        if self.peer is not None and self.peer.transport is not None:
            self.peer.transport.resume_reading()


class _Front(_Half):
    """The client's side: finds an endpoint, then relays."""

    def __init__(
        self, backends: Backends, connecting: set[asyncio.Task[None]], relayed: set["_Front"]
    ) -> None:
        super().__init__()
        self._backends = backends
        self._connecting = connecting
        self._relayed = relayed
        # What the client says before an endpoint answers. It is kept rather than left unread:
        # uvloop begins to read after `connection_made` whatever that has said about it.
        self._early: list[bytes] = []
        self._early_end = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._relayed.add(self)
        task = asyncio.get_running_loop().create_task(self._connect())
        self._connecting.add(task)
        task.add_done_callback(self._connecting.discard)

    def connection_lost(self, exc: Exception | None) -> None:
        self._relayed.discard(self)
        super().connection_lost(exc)

    def drop(self) -> None:
        """End both sides at once, whatever is under way."""
        for half in (self, self.peer):
            if half is not None and half.transport is not None:
                half.transport.abort()

    async def _connect(self) -> None:
        assert self.transport is not None
        loop = asyncio.get_running_loop()
        client = (self.transport.get_extra_info("peername") or ("",))[0]
        for endpoint in self._backends.candidates(client):
            try:
                async with asyncio.timeout(_CONNECT_SECONDS):
                    _, back = await loop.create_connection(_Half, endpoint.ip, endpoint.port)
            except OSError:
                continue  # it has just gone; TimeoutError is an OSError too
            if self.transport.is_closing():
                assert back.transport is not None
                back.transport.close()
                return
            self._join(back)
            return
        # A client should see what a cluster shows it: nobody is there.
        self.transport.abort()

    def _join(self, back: _Half) -> None:
        assert self.transport is not None
        self.peer, back.peer = back, self
        for data in self._early:
            super().data_received(data)
        if self._early_end:
            super().eof_received()
        if self._early:
            self.transport.resume_reading()
        self._early = []

    def data_received(self, data: bytes) -> None:
        if self.peer is not None:
            super().data_received(data)
            return
        self._early.append(data)
        if self.transport is not None:
            self.transport.pause_reading()

    def eof_received(self) -> bool:
        if self.peer is not None:
            return super().eof_received()
        self._early_end = True
        return True


class ServiceProxy:
    """Listens wherever services want to be reached. All calls on one event loop."""

    def __init__(self) -> None:
        self._listening: dict[Address, asyncio.Server] = {}
        self._backends: dict[Address, Backends] = {}
        self._connecting: set[asyncio.Task[None]] = set()
        self._relayed: set[_Front] = set()

    async def listen(
        self, address: Address, endpoints: tuple[Address, ...], *, by_client: bool
    ) -> str:
        """Listen on an address, or change its endpoints; return why it cannot be done, if so.

        Args:
            address: Cluster IP and service port.
            endpoints: Ready endpoints; with none, connections are refused one by one.
            by_client: Whether a client stays with one endpoint.
        """
        backends = self._backends.setdefault(address, Backends())
        backends.set(endpoints, by_client=by_client)
        if address in self._listening:
            return ""
        loop = asyncio.get_running_loop()
        try:
            # Known before it begins, so that it is closed where whoever asked is cancelled meanwhile.
            server = self._listening[address] = await loop.create_server(
                lambda: _Front(backends, self._connecting, self._relayed),
                address.ip,
                address.port,
                backlog=1024,
                start_serving=False,
            )
            await server.start_serving()
        except OSError as error:
            del self._backends[address]
            if (begun := self._listening.pop(address, None)) is not None:
                begun.close()
            hint = (
                "; ports below 1024 need root here, take a higher one"
                if isinstance(error, PermissionError)
                else ""
            )
            return f"cannot listen on {address.ip}:{address.port}: {error.strerror}{hint}"
        return ""

    async def unlisten(self, address: Address) -> None:
        """Accept no more connections there; those that are open go on."""
        self._backends.pop(address, None)
        server = self._listening.pop(address, None)
        if server is not None:
            server.close()

    def listening(self) -> Mapping[Address, asyncio.Server]:
        """Return what is being listened on. Not to be changed."""
        return self._listening

    async def close(self) -> None:
        """Stop listening everywhere and drop all connections."""
        for address in list(self._listening):
            await self.unlisten(address)
        for task in list(self._connecting):
            task.cancel()
        for front in list(self._relayed):
            front.drop()
