"""SPDY: frames, header blocks, and a connection driven by a client made of the same frames."""

import asyncio
import contextlib
import struct
import zlib
from collections.abc import AsyncIterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wherry.apiserver.connections.spdy import frames, headers
from wherry.apiserver.connections.spdy.connection import Connection, Stream
from wherry.apiserver.connections.spdy.frames import Frame

FRAMES = st.one_of(
    st.builds(
        Frame,
        st.just(frames.DATA),
        st.integers(0, 2**31 - 1),
        st.integers(0, 255),
        st.binary(max_size=3000),
    ),
    st.builds(
        Frame, st.integers(0, 65535), st.just(0), st.integers(0, 255), st.binary(max_size=300)
    ).filter(lambda frame: frame.kind != frames.DATA),
)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)


@given(st.lists(FRAMES, max_size=8), st.integers(1, 500))
def test_frames_survive_any_cut(sent: list[Frame], size: int) -> None:
    wire = b"".join(map(frames.encode, sent))
    decoder = frames.Decoder()
    got = [
        frame for at in range(0, len(wire), size) for frame in decoder.feed(wire[at : at + size])
    ]
    assert got == sent


@given(st.binary(max_size=400))
def test_garbage_is_refused_or_waited_for(data: bytes) -> None:
    with contextlib.suppress(frames.FrameError):
        frames.Decoder().feed(data)


@pytest.mark.parametrize(
    ("wire", "words"),
    [
        (b"\x80\x02\x00\x01\x00\x00\x00\x00", "version 2"),
        (b"GET / HTTP/1.1\r\n\r\n", "at most"),
        (b"\x80\x03\x00\x01\x00\xff\xff\xff", "16777215 bytes"),
        (b"\x00\x00\x00\x01\x00\x20\x00\x00", "at most 1048576"),
    ],
)
def test_what_is_not_spdy_says_so(wire: bytes, words: str) -> None:
    with pytest.raises(frames.FrameError, match=words):
        frames.Decoder().feed(wire)


def test_the_dictionary_is_the_published_one() -> None:
    assert zlib.adler32(headers.DICTIONARY) == 0xE3C6A7C2


@given(st.lists(st.dictionaries(TEXTS.map(str.lower), TEXTS, max_size=5), max_size=4))
def test_header_blocks_build_on_one_another(blocks: list[dict[str, str]]) -> None:
    compressor, decompressor = headers.Compressor(), headers.Decompressor()
    for block in blocks:
        expected = {name.lower(): value for name, value in block.items()}
        assert decompressor.headers(compressor.block(block)) == expected


@given(st.binary(max_size=200))
def test_damaged_blocks_are_refused(data: bytes) -> None:
    with pytest.raises(headers.HeaderError):
        headers.Decompressor().headers(b"\x00" + data)


def test_a_bomb_is_refused() -> None:
    bomb = headers.Compressor().block({"a": "0" * 10_000_000})
    with pytest.raises(headers.HeaderError, match="more than 65536"):
        headers.Decompressor().headers(bomb)


class Pipe:
    """A byte stream in memory, and a client at its other end."""

    def __init__(self) -> None:
        self.incoming: asyncio.Queue[bytes] = asyncio.Queue()
        self.sent = bytearray()
        self.gone = False
        self.arrived = asyncio.Event()
        self._compressor = headers.Compressor()
        self._decoder = frames.Decoder()
        self.frames: list[Frame] = []

    async def read(self) -> bytes:
        return await self.incoming.get()

    async def write(self, data: bytes) -> None:
        self.sent += data
        self.frames += self._decoder.feed(data)
        self.arrived.set()

    async def close(self) -> None:
        self.gone = True

    def put(self, kind: int, body: bytes, *, stream: int = 0, flags: int = 0) -> None:
        self.incoming.put_nowait(frames.encode(Frame(kind, stream, flags, body)))

    def open(self, number: int, flags: int = 0, **fields: str) -> None:
        block = self._compressor.block(fields)
        self.put(frames.SYN_STREAM, struct.pack(">IIH", number, 0, 0) + block, flags=flags)

    async def until(self, check: Any) -> Any:
        async with asyncio.timeout(60):
            while not (found := check()):
                self.arrived.clear()
                await self.arrived.wait()
            return found

    def data(self, number: int) -> bytes:
        return b"".join(f.body for f in self.frames if f.kind == frames.DATA and f.stream == number)


@contextlib.asynccontextmanager
async def connection() -> AsyncIterator[tuple[Pipe, "asyncio.Queue[Stream]", asyncio.Task[None]]]:
    pipe, opened = Pipe(), asyncio.Queue[Stream]()
    running = asyncio.create_task(Connection(pipe, opened.put_nowait).run())
    yield pipe, opened, running
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_streams_carry_both_ways() -> None:
    async with connection() as (pipe, opened, running):
        pipe.open(1, streamtype="data", Port="80")
        pipe.put(frames.DATA, b"hello", stream=1)
        pipe.put(frames.DATA, b"", stream=1, flags=frames.FIN)
        stream = await opened.get()
        assert stream.headers == {"streamtype": "data", "port": "80"}
        assert await stream.read() == b"hello"
        assert await stream.read() == b""
        await stream.write(b"x" * 100_000)
        await stream.end()
        await pipe.until(lambda: len(pipe.data(1)) == 100_000)
        assert pipe.frames[0].kind == frames.SYN_REPLY
        assert pipe.frames[-1].flags == frames.FIN
        pipe.incoming.put_nowait(b"")
        await running


async def test_pings_come_back() -> None:
    async with connection() as (pipe, _, _running):
        pipe.put(frames.PING, struct.pack(">I", 7))
        await pipe.until(lambda: any(f.kind == frames.PING for f in pipe.frames))


async def test_windows_are_kept_to_once_the_client_has_any() -> None:
    async with connection() as (pipe, opened, _running):
        pipe.put(frames.SETTINGS, struct.pack(">III", 1, 7, 1000))
        pipe.open(1)
        stream = await opened.get()
        writing = asyncio.create_task(stream.write(b"y" * 100_000))
        await pipe.until(lambda: pipe.data(1))
        await asyncio.sleep(0)
        assert len(pipe.data(1)) < 100_000
        assert not writing.done()
        for number in (0, 1):
            pipe.put(frames.WINDOW_UPDATE, struct.pack(">II", number, 200_000))
        await pipe.until(lambda: len(pipe.data(1)) == 100_000)
        await writing


async def test_what_is_read_may_be_sent_again() -> None:
    async with connection() as (pipe, opened, _running):
        pipe.open(1)
        pipe.put(frames.DATA, b"z" * 50_000, stream=1)
        stream = await opened.get()
        assert await stream.read() == b"z" * 50_000
        updates = [f.body for f in pipe.frames if f.kind == frames.WINDOW_UPDATE]
        assert {struct.unpack(">II", body) for body in updates} == {(0, 50_000), (1, 50_000)}


async def test_an_unread_stream_holds_back_the_client() -> None:
    async with connection() as (pipe, opened, _running):
        pipe.open(1)
        for _ in range(40):
            pipe.put(frames.DATA, b"w" * 32_768, stream=1)
        stream = await opened.get()
        for _ in range(200):
            await asyncio.sleep(0)
        assert pipe.incoming.qsize() >= 30
        got = b""
        while len(got) < 40 * 32_768:
            got += await stream.read()
        assert got == b"w" * (40 * 32_768)


@pytest.mark.parametrize(
    "breach",
    [
        b"\x80\x03\x00\x01\x00\x00\x00\x02\x00\x00",
        b"HTTP/1.1 200 OK\r\n\r\n",
        frames.encode(Frame(frames.SYN_STREAM, 0, 0, struct.pack(">IIH", 1, 0, 0) + b"junk")),
        frames.encode(Frame(frames.SETTINGS, 0, 0, struct.pack(">I", 5))),
    ],
)
async def test_a_breach_ends_the_connection(breach: bytes) -> None:
    async with connection() as (pipe, opened, running):
        pipe.incoming.put_nowait(breach)
        async with asyncio.timeout(60):
            await running
        assert pipe.frames[-1].kind == frames.GOAWAY
        assert opened.empty()


async def test_the_end_of_the_connection_ends_its_streams() -> None:
    async with connection() as (pipe, opened, running):
        pipe.open(1)
        stream = await opened.get()
        reading = asyncio.create_task(stream.read())
        pipe.incoming.put_nowait(b"")
        await running
        assert await reading == b""
        await stream.write(b"lost")  # quietly: nobody is there


async def test_too_many_streams_are_refused() -> None:
    async with connection() as (pipe, opened, _running):
        for number in range(1, 2004, 2):
            pipe.open(number)
        await pipe.until(lambda: any(f.kind == frames.RST_STREAM for f in pipe.frames))
        assert opened.qsize() == 1000
