"""Messages on the launcher's socket: a four-byte length, then a JSON object.

A request is ``{"call": n, "method": …, "params": {…}}``, its answer ``{"call": n, "result": …}`` or
``{"call": n, "error": {"kind": …, "message": …}}``. What nobody asked for is ``{"event": …}``.
"""

import json
import struct
from typing import Any

VERSION = 4
"""Raised when a message changes its meaning; both sides compare it first thing."""

MAX_MESSAGE_BYTES = 16 * 1024 * 1024
"""A container's environment may hold whole ConfigMaps (1 MiB each), so this is generous."""

SOCKET_NAME = "launcher.sock"
LOCK_NAME = "launcher.lock"
LOG_NAME = "launcher.log"

_LENGTH = struct.Struct(">I")

Message = dict[str, Any]


class ProtocolError(Exception):
    """The other side does not speak this protocol."""


def encode(message: Message) -> bytes:
    """Return ``message`` as it goes over the wire.

    Args:
        message: JSON-shaped.

    Returns:
        Length and body.

    Raises:
        ProtocolError: It is larger than ``MAX_MESSAGE_BYTES``.
    """
    body = json.dumps(message, separators=(",", ":")).encode()
    if len(body) > MAX_MESSAGE_BYTES:
        raise ProtocolError(f"a message of {len(body)} bytes; at most {MAX_MESSAGE_BYTES} fit")
    return _LENGTH.pack(len(body)) + body


class Decoder:
    """Cuts a byte stream into messages."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[Message]:
        """Take in bytes as they arrive.

        Args:
            data: Any piece of the stream.

        Returns:
            The messages that are complete now, in order.

        Raises:
            ProtocolError: The stream is not of this protocol.
        """
        self._buffer += data
        messages = []
        while (message := self._next()) is not None:
            messages.append(message)
        return messages

    def _next(self) -> Message | None:
        if len(self._buffer) < _LENGTH.size:
            return None
        (length,) = _LENGTH.unpack_from(self._buffer)
        if length > MAX_MESSAGE_BYTES:
            raise ProtocolError(f"a message of {length} bytes; at most {MAX_MESSAGE_BYTES} fit")
        end = _LENGTH.size + length
        if len(self._buffer) < end:
            return None
        body = bytes(self._buffer[_LENGTH.size : end])
        del self._buffer[:end]
        try:
            message = json.loads(body)
        except (ValueError, RecursionError) as error:
            raise ProtocolError(f"not JSON: {error}") from error
        if not isinstance(message, dict):
            raise ProtocolError("not a JSON object")
        return message
