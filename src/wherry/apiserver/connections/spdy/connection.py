"""One SPDY connection, from the server's side: streams that the client opens, read and written side by side.

A stream that is not read holds up the whole connection once its buffer is full: clients of
Kubernetes know no windows and could not be told to hold back one stream alone. Windows are announced
for those who do, and those of the other side are kept to from its first word about them.
"""

import asyncio
import contextlib
import struct
from collections import deque
from collections.abc import Callable

from wherry.apiserver.connections.byte_streams import ByteStream
from wherry.apiserver.connections.spdy import frames, headers
from wherry.apiserver.connections.spdy.frames import Frame, FrameError

_MOST_STREAMS = 1000
_BUFFER_BYTES = 256 * 1024
_PIECE_BYTES = 32 * 1024
_WINDOW_BYTES = 64 * 1024
_MOST_WINDOW_BYTES = 2**31 - 1
_INITIAL_WINDOW_SIZE = 7
_PROTOCOL_ERROR, _REFUSED_STREAM = 1, 3
_PAIR = struct.Struct(">II")

Opened = Callable[["Stream"], None]


class _Window:
    """How much may still be sent; without bound until the other side says that it counts."""

    def __init__(self) -> None:
        self._left = _WINDOW_BYTES
        self._changed = asyncio.Event()

    def add(self, count: int) -> None:
        self._left = min(self._left + count, _MOST_WINDOW_BYTES)
        self._changed.set()

    def take(self, count: int) -> None:
        self._left -= count

    @property
    def open(self) -> bool:
        return self._left > 0

    async def changed(self) -> None:
        self._changed.clear()
        await self._changed.wait()


class Stream:
    """One stream. Reading is for one task at a time, writing likewise.

    Attributes:
        number: Its id.
        headers: Those it was opened with, names in lower case.
    """

    def __init__(self, connection: "Connection", number: int, fields: dict[str, str]) -> None:
        self.number = number
        self.headers = fields
        self.window = _Window()
        self._connection = connection
        self._pieces: deque[bytes] = deque()
        self._held = 0
        self._unacknowledged = 0
        self._changed = asyncio.Event()
        self._input_ended = False
        self._output_ended = False
        self._dropped = False

    async def read(self) -> bytes:
        """Return what has come; empty at the end."""
        while not self._pieces and not self._input_ended:
            self._changed.clear()
            await self._changed.wait()
        if not self._pieces:
            return b""
        data = b"".join(self._pieces)
        self._pieces.clear()
        self._held = 0
        self._connection.room.set()
        await self._acknowledge(len(data))
        return data

    async def write(self, data: bytes) -> None:
        """Send, waiting while the other side is behind; lost if it does not want any more.

        Raises:
            ConnectionError: The connection has ended.
        """
        for at in range(0, len(data), _PIECE_BYTES):
            if self._output_ended:
                return
            await self._connection.send_data(self, data[at : at + _PIECE_BYTES])

    async def end(self) -> None:
        """Send nothing more. Idempotent."""
        if not self._output_ended:
            self._output_ended = True
            with contextlib.suppress(ConnectionError):
                await self._connection.send(Frame(frames.DATA, self.number, frames.FIN, b""))
            self._connection.forget(self)

    def drop(self) -> None:
        """Read nothing more: what still comes is thrown away."""
        self._dropped = True
        self._pieces.clear()
        self._held = 0
        self._connection.room.set()

    # For the connection.

    @property
    def finished(self) -> bool:
        """Whether both directions have ended."""
        return self._input_ended and self._output_ended

    @property
    def full(self) -> bool:
        """Whether no more should be read for it now."""
        return self._held >= _BUFFER_BYTES

    def receive(self, data: bytes) -> None:
        """Take in what has come."""
        if data and not self._dropped and not self._input_ended:
            self._pieces.append(data)
            self._held += len(data)
            self._changed.set()

    def end_input(self) -> None:
        """Nothing more will come."""
        self._input_ended = True
        self._changed.set()

    def reset(self) -> None:
        """The other side has given it up."""
        self._output_ended = True
        self.window.add(_MOST_WINDOW_BYTES)
        self.end_input()

    async def _acknowledge(self, count: int) -> None:
        self._unacknowledged += count
        if self._unacknowledged >= _WINDOW_BYTES // 2 and not self._input_ended:
            count, self._unacknowledged = self._unacknowledged, 0
            with contextlib.suppress(ConnectionError):
                await self._connection.widen(self.number, count)


class Connection:
    """The server's side of a connection."""

    def __init__(self, stream: ByteStream, opened: Opened) -> None:
        """Speak SPDY on a byte stream.

        Args:
            stream: The connection; closed by whoever made it.
            opened: Told of every stream that the client opens; must not wait.
        """
        self._stream = stream
        self._opened = opened
        self._streams: dict[int, Stream] = {}
        self._last = 0
        self._compressor = headers.Compressor()
        self._decompressor = headers.Decompressor()
        self._sending = asyncio.Lock()
        self._window = _Window()
        self._windows = False
        self._first_window = _WINDOW_BYTES
        self._received = 0
        self._ended = False
        self.room = asyncio.Event()
        """Set when a stream has been read."""

    async def run(self) -> None:
        """Serve until the client ends the connection or breaks the protocol."""
        decoder = frames.Decoder()
        try:
            while data := await self._stream.read():
                for frame in decoder.feed(data):
                    await self._take(frame)
        except (FrameError, headers.HeaderError):
            with contextlib.suppress(ConnectionError):
                await self._go_away(_PROTOCOL_ERROR)
        except ConnectionError:
            pass
        finally:
            self._ended = True
            for stream in list(self._streams.values()):
                stream.reset()
            self._window.add(_MOST_WINDOW_BYTES)

    async def send(self, frame: Frame) -> None:
        """Send a frame.

        Raises:
            ConnectionError: The connection has ended.
        """
        if self._ended:
            raise ConnectionResetError("the connection has ended")
        async with self._sending:
            await self._stream.write(frames.encode(frame))

    async def send_data(self, stream: Stream, data: bytes) -> None:
        """Send a piece on a stream, when both windows are open."""
        while self._windows and not (stream.window.open and self._window.open) and not self._ended:
            await (self._window if stream.window.open else stream.window).changed()
        stream.window.take(len(data))
        self._window.take(len(data))
        await self.send(Frame(frames.DATA, stream.number, 0, data))

    async def widen(self, number: int, count: int) -> None:
        """Let the other side send more, on a stream or (0) altogether."""
        await self.send(Frame(frames.WINDOW_UPDATE, 0, 0, _PAIR.pack(number, count)))

    def forget(self, stream: Stream) -> None:
        """Drop a stream that has ended on both sides."""
        if stream.finished:
            self._streams.pop(stream.number, None)

    async def _take(self, frame: Frame) -> None:
        if frame.kind == frames.DATA:
            await self._data(frame)
        elif frame.kind == frames.SYN_STREAM:
            await self._open(frame)
        elif frame.kind == frames.RST_STREAM:
            stream = self._streams.pop(frames.number(frame.body), None)
            if stream is not None:
                stream.reset()
        elif frame.kind == frames.PING:
            if frames.number(frame.body) % 2:  # the client's own; even ones answer ours
                await self.send(frame)
        elif frame.kind == frames.SETTINGS:
            self._settings(frame.body)
        elif frame.kind == frames.WINDOW_UPDATE:
            self._widened(frame.body)
        elif frame.kind in {frames.SYN_REPLY, frames.HEADERS}:
            # Nothing of it is needed, but the compression's state is.
            self._decompressor.headers(frame.body[4:])

    async def _data(self, frame: Frame) -> None:
        stream = self._streams.get(frame.stream)
        await self._count(len(frame.body))
        if stream is None:
            return
        stream.receive(frame.body)
        while stream.full:
            self.room.clear()
            await self.room.wait()
        if frame.flags & frames.FIN:
            stream.end_input()
            self.forget(stream)

    async def _count(self, received: int) -> None:
        self._received += received
        if self._received >= _WINDOW_BYTES // 2:
            count, self._received = self._received, 0
            await self.widen(0, count)

    async def _open(self, frame: Frame) -> None:
        number = frames.number(frame.body)
        fields = self._decompressor.headers(frame.body[10:])
        if number % 2 == 0 or number <= self._last:
            raise FrameError(f"stream {number} cannot be opened by a client now")
        self._last = number
        if len(self._streams) >= _MOST_STREAMS:
            body = _PAIR.pack(number, _REFUSED_STREAM)
            await self.send(Frame(frames.RST_STREAM, 0, 0, body))
            return
        stream = self._streams[number] = Stream(self, number, fields)
        stream.window.add(self._first_window - _WINDOW_BYTES)
        if frame.flags & frames.FIN:
            stream.end_input()
        # Compressed and sent without a pause in between: blocks build on one another.
        async with self._sending:
            body = number.to_bytes(4) + self._compressor.block({})
            await self._stream.write(frames.encode(Frame(frames.SYN_REPLY, 0, 0, body)))
        self._opened(stream)

    def _settings(self, body: bytes) -> None:
        count = frames.number(body)
        if len(body) != 4 + 8 * count:
            raise FrameError("SETTINGS of another length than they tell")
        for at in range(4, len(body), 8):
            name, value = _PAIR.unpack_from(body, at)
            if name & 0xFFFFFF == _INITIAL_WINDOW_SIZE:
                self._windows = True
                change = min(value, _MOST_WINDOW_BYTES) - self._first_window
                self._first_window += change
                for stream in self._streams.values():
                    stream.window.add(change)

    def _widened(self, body: bytes) -> None:
        number, count = frames.number(body), frames.number(body, 4)
        self._windows = True
        stream = self._streams.get(number)
        if number == 0:
            self._window.add(count)
        elif stream is not None:
            stream.window.add(count)

    async def _go_away(self, status: int) -> None:
        await self.send(Frame(frames.GOAWAY, 0, 0, _PAIR.pack(self._last, status)))
