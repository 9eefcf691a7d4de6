"""A way to the API that counts what goes over it."""

import asyncio
from collections.abc import Callable

from wherry.objects import errors
from wherry.objects.requests import Object, Request, Transport
from wherry.testing.passing import PassingTransport


class CountingTransport(PassingTransport):
    """Passes requests on, and counts them.

    Attributes:
        sent: How many there were, but for watches and logs.
        most: How many were under way at the same time.
        refuses: Says which are refused; by default none.
    """

    def __init__(self, transport: Transport) -> None:
        """Take where they go."""
        super().__init__(transport)
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
            return await super().send(request)
        finally:
            self._under_way -= 1
