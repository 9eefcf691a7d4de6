"""HTTP/1.1 as plain as it gets: requests as bytes made beforehand, answers only counted.

A client library would cost more than the servers that are measured; this one does not look at
anything but status, length and end of an answer.
"""

import asyncio
import time
from collections.abc import Callable, Iterator
from typing import cast

HOST = "127.0.0.1"


def request(method: str, path: str, body: bytes = b"", **headers: str) -> bytes:
    """Return the bytes of a request; underscores in header names stand for hyphens."""
    fields = {"host": HOST, "accept": "application/json"}
    fields |= {name.replace("_", "-"): value for name, value in headers.items()}
    if body or method not in {"GET", "DELETE"}:
        fields["content-length"] = str(len(body))
    lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return f"{method} {path} HTTP/1.1\r\n{lines}\r\n".encode() + body


class Worker(asyncio.Protocol):
    """One connection that asks, waits for the answer and asks again until there is nothing left.

    Attributes:
        seconds: How long each answer took.
        failed: First bytes of an answer that was no success; empty where all were.
        finished: Done when the requests are used up or the connection is lost.
    """

    def __init__(self, requests: Iterator[bytes]) -> None:
        self.seconds: list[float] = []
        self.failed = b""
        self.finished: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._requests = requests
        self._transport: asyncio.Transport
        self._sent_at = 0.0
        self._head = b""
        self._missing = -1  # bytes of the body still to come; below 0 while in the head

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are none of asyncio's classes, so there is nothing to assert.
        self._transport = cast(asyncio.Transport, transport)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.finished.done():
            self.failed = self.failed or f"connection lost: {exc}".encode()
            self.finished.set_result(None)

    async def one(self, request: bytes) -> None:
        """Send one request more and wait for its answer."""
        self.finished = asyncio.get_running_loop().create_future()
        self._requests = iter([request])
        self.begin()
        await self.finished

    def begin(self) -> None:
        """Send the next request, or end."""
        one = next(self._requests, None)
        if one is None:
            if not self.finished.done():
                self.finished.set_result(None)
            return
        self._sent_at = time.perf_counter()
        self._transport.write(one)

    def data_received(self, data: bytes) -> None:
        if self._missing < 0:
            data = self._read_head(data)
            if self._missing < 0:
                return
        self._missing -= len(data)
        if self._missing > 0:
            return
        self._missing = -1
        self.seconds.append(time.perf_counter() - self._sent_at)
        self.begin()

    def _read_head(self, data: bytes) -> bytes:
        """Take in the head; return what of the body came with it."""
        self._head += data
        head, end, rest = self._head.partition(b"\r\n\r\n")
        if not end:
            return b""
        self._head = b""
        head = head.lower()
        if head[9:10] != b"2" and not self.failed:
            self.failed = head.splitlines()[0] + b" " + rest[:300]
        length = head.partition(b"content-length:")[2]
        self._missing = int(length.split(b"\r\n", 1)[0])
        return rest


class Watcher(asyncio.Protocol):
    """One connection that watches: tells when the line of the n-th event has arrived whole.

    Attributes:
        arrivals: When each event came, on the clock of `time.perf_counter`.
        opened: Done when the head of the answer is there.
    """

    def __init__(self, arrived: Callable[[], None]) -> None:
        self.arrivals: list[float] = []
        self.opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._arrived = arrived
        self._tail = b""

    def data_received(self, data: bytes) -> None:
        if not self.opened.done():
            head, end, data = (self._tail + data).partition(b"\r\n\r\n")
            self._tail = b"" if end else head
            if not end:
                return
            if head[9:10] == b"2":
                self.opened.set_result(None)
            else:
                self.opened.set_exception(RuntimeError(repr(head)))
        # A line ends its chunk; in JSON neither newline nor carriage return stands for itself.
        data = self._tail + data
        now = time.perf_counter()
        for _ in range(data.count(b"}\n\r\n")):
            self.arrivals.append(now)
            self._arrived()
        self._tail = data[-3:]

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.opened.done():
            self.opened.set_exception(RuntimeError(f"connection lost: {exc}"))
