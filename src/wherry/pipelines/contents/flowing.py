"""Bytes that come by and by, such as a log that is followed."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Final

from wherry.pipelines.contents.content import Content

_FIRST_SECONDS: Final = 2.0
"""How long it is waited for the first piece: why there is none is mostly known by then."""


async def begun(pieces: AsyncGenerator[bytes, None], media_type: str) -> Content:
    """Return a content that has begun: where its first piece cannot be had at once, this raises why.

    Args:
        pieces: Of it.
        media_type: Of it.

    Raises:
        ApiError: there is nothing.
    """
    first = asyncio.ensure_future(anext(pieces, b""))
    try:
        await asyncio.wait({first}, timeout=_FIRST_SECONDS)
        if first.done():
            first.result()
    except BaseException:
        await _end(first, pieces)
        raise

    async def read(start: int, length: int | None) -> AsyncGenerator[bytes, None]:
        piece = await first
        while piece:
            yield piece
            piece = await anext(pieces, b"")

    async def close() -> None:
        await _end(first, pieces)

    return Content(read=read, media_type=media_type, close=close)


async def _end(first: asyncio.Future[bytes], pieces: AsyncGenerator[bytes, None]) -> None:
    if not first.done():
        first.cancel()
        await asyncio.wait({first})
    await pieces.aclose()
