"""Frames on the wire: eight bytes of header, then a body whose length it tells."""

import struct
from typing import NamedTuple

SYN_STREAM, SYN_REPLY, RST_STREAM, SETTINGS = 1, 2, 3, 4
PING, GOAWAY, HEADERS, WINDOW_UPDATE = 6, 7, 8, 9
DATA = 0
"""Not a type on the wire: a frame without the control bit."""

FIN = 0x01
UNIDIRECTIONAL = 0x02

VERSION = 3
MAX_CONTROL_BYTES = 64 * 1024
MAX_DATA_BYTES = 1024 * 1024
"""Clients send pieces of 32 KiB; the protocol would allow 16 MiB."""

_HEADER = struct.Struct(">HHI")
_STREAM_MASK = 0x7FFFFFFF


class FrameError(Exception):
    """What came is not SPDY/3.1, or more than is accepted."""


class Frame(NamedTuple):
    """One frame.

    Attributes:
        kind: One of the types above.
        stream: Of a data frame; 0 for others, whose body tells it.
        flags: `FIN` …
        body: What follows the header.
    """

    kind: int
    stream: int
    flags: int
    body: bytes


def encode(frame: Frame) -> bytes:
    """Return a frame as it goes over the wire."""
    length = frame.flags << 24 | len(frame.body)
    if frame.kind == DATA:
        header = _HEADER.pack(frame.stream >> 16, frame.stream & 0xFFFF, length)
    else:
        header = _HEADER.pack(0x8000 | VERSION, frame.kind, length)
    return header + frame.body


class Decoder:
    """Cuts a byte stream into frames. It holds no more than one frame and what was fed last."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[Frame]:
        """Take in bytes as they arrive; return the frames that are complete now.

        Raises:
            FrameError: They are none.
        """
        self._buffer += data
        frames = []
        at = 0
        while (frame := self._at(at)) is not None:
            frames.append(frame)
            at += _HEADER.size + len(frame.body)
        del self._buffer[:at]
        return frames

    def _at(self, at: int) -> Frame | None:
        if len(self._buffer) < at + _HEADER.size:
            return None
        first, second, rest = _HEADER.unpack_from(self._buffer, at)
        flags, length = rest >> 24, rest & 0xFFFFFF
        control = bool(first & 0x8000)
        if control and first & 0x7FFF != VERSION:
            raise FrameError(f"version {first & 0x7FFF} of SPDY; only {VERSION} is spoken")
        most = MAX_CONTROL_BYTES if control else MAX_DATA_BYTES
        if length > most:
            raise FrameError(f"a frame of {length} bytes; at most {most} are accepted")
        begin = at + _HEADER.size
        if len(self._buffer) < begin + length:
            return None
        body = bytes(memoryview(self._buffer)[begin : begin + length])
        if control:
            return Frame(second, 0, flags, body)
        return Frame(DATA, first << 16 | second, flags, body)


def number(body: bytes, at: int = 0) -> int:
    """Return a stream id (or another number of 31 bits) within a body.

    Raises:
        FrameError: The body is too short.
    """
    if len(body) < at + 4:
        raise FrameError("a control frame is too short")
    return int.from_bytes(body[at : at + 4]) & _STREAM_MASK
