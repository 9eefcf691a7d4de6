"""Lines out of chunks, however long a line is and wherever the chunks end."""

from collections.abc import AsyncIterator, Iterator
from typing import Final

_LONGEST: Final = 1024 * 1024
"""Bytes of a line; what is longer comes in pieces."""


async def texts(chunks: AsyncIterator[bytes]) -> AsyncIterator[str]:
    """Yield chunks line by line, the last one also where it has no newline."""
    left = b""
    async for chunk in chunks:
        *whole, left = (left + chunk).split(b"\n")
        if len(left) > _LONGEST:
            whole, left = [*whole, left], b""
        for line in whole:
            yield line.decode(errors="replace")
    if left:
        yield left.decode(errors="replace")


class LineSplitter:
    """Collects chunks and gives back whole lines; linear in the length of a line."""

    def __init__(self) -> None:
        self._rest: list[bytes] = []

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        """Yield the lines that are complete now, without their newline; empty ones are left out."""
        *lines, rest = chunk.split(b"\n")
        for line in lines:
            whole = b"".join([*self._rest, line]) if self._rest else line
            self._rest.clear()
            if whole.strip():
                yield whole
        if rest:
            self._rest.append(rest)
