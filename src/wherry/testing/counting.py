"""A way to the API that counts what goes over it."""

import asyncio
from collections.abc import AsyncIterator, Callable

from wherry.objects import errors
from wherry.objects.requests import Object, Request, Transport, WatchEvent


class CountingTransport:
    """Passes requests on.

    Attributes:
        sent: How many there were, but for watches and logs.
        most: How many were under way at the same time.
        refuses: Says which are refused; by default none.
    """

    def __init__(self, transport: Transport) -> None:
        """Take where they go."""
        self._transport = transport
        self._under_way = 0
        self.sent = 0
        self.most = 0
        self.refuses: Callable[[Request], bool] = lambda _: False

    async def send(self, request: Request) -> Object:
        """Pass a request on, unless it is refused."""
        self.sent += 1
        self._under_way += 1
        self.most = max(self.most, self._under_way)
        try:
            if self.refuses(request):
                raise errors.ServiceUnavailableError("not now")
            await asyncio.sleep(0)  # as over a network: others get their turn
            return await self._transport.send(request)
        finally:
            self._under_way -= 1

    def watch(self, request: Request) -> AsyncIterator[WatchEvent]:
        """Pass a watch on."""
        return self._transport.watch(request)

    def chunks(self, request: Request) -> AsyncIterator[bytes]:
        """Pass a request for bytes on."""
        return self._transport.chunks(request)

    async def close(self) -> None:
        """Close what is behind."""
        await self._transport.close()
