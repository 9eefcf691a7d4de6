"""A way to the API before another one: what is done otherwise on it, its subclasses say."""

from collections.abc import AsyncIterator

from wherry.objects.requests import Object, Request, Transport, WatchEvent


class PassingTransport:
    """Passes requests on; conforms to `wherry.objects.requests.Transport`."""

    def __init__(self, transport: Transport) -> None:
        """Take where they go."""
        self._transport = transport

    async def send(self, request: Request) -> Object:
        """Pass a request on."""
        return await self._transport.send(request)

    def watch(self, request: Request) -> AsyncIterator[WatchEvent]:
        """Pass a watch on."""
        return self._transport.watch(request)

    def chunks(self, request: Request) -> AsyncIterator[bytes]:
        """Pass a request for bytes on."""
        return self._transport.chunks(request)

    async def close(self) -> None:
        """Close what is behind."""
        await self._transport.close()
