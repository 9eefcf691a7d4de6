"""Several streams in one WebSocket: each message begins with the number of its channel.

``v4.channel.k8s.io`` carries them as binary messages, its base64 variant as text, and
``v5.channel.k8s.io`` adds that a client can end one channel: ``255`` and its number.
"""

import base64
import binascii

from aiohttp import WSMsgType, web

from wherry.apiserver.connections import byte_streams

CLOSE = 255
V4, V5, V4_BASE64 = "v4.channel.k8s.io", "v5.channel.k8s.io", "v4.base64.channel.k8s.io"


class ChannelSocket:
    """A WebSocket with channels. Reading is for one task at a time."""

    def __init__(self, socket: web.WebSocketResponse, request: web.BaseRequest) -> None:
        self._socket = socket
        self._request = request
        self._text = socket.ws_protocol == V4_BASE64

    @property
    def gone(self) -> bool:
        """Whether the client has gone."""
        return self._socket.closed or byte_streams.hung_up(self._request.transport)

    async def receive(self) -> tuple[int, bytes] | None:
        """Return the next message's channel and content; None when the client has gone, or talks nonsense."""
        async for message in self._socket:
            if self._text and message.type is WSMsgType.TEXT:
                return _decoded(message.data)
            if message.type is WSMsgType.TEXT:
                data = message.data.encode()  # Python's official client sends text so
            elif message.type is WSMsgType.BINARY:
                data = bytes(message.data)
            else:
                return None
            if data:
                return data[0], data[1:]
        return None

    async def send(self, channel: int, data: bytes) -> None:
        """Send on a channel, waiting while the client is behind.

        Raises:
            ConnectionError: The client has gone.
        """
        if self._text:
            await self._socket.send_str(f"{channel}{base64.b64encode(data).decode()}")
        else:
            await self._socket.send_bytes(bytes((channel,)) + data)


def _decoded(text: str) -> tuple[int, bytes] | None:
    try:
        return int(text[:1]), base64.b64decode(text[1:], validate=True)
    except (ValueError, binascii.Error):
        return None
