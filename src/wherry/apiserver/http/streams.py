"""Answers that go on: watches and logs.

A reader that has gone away is noticed when something is written to it, and every few seconds in
between. One that does not take what it is sent is cut off.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing

from aiohttp import web

from wherry.apiserver import forms, table
from wherry.apiserver.http import replies
from wherry.apiserver.watching import CHECK_SECONDS, DEFAULT_WATCH_SECONDS, Watch

_NONE: Mapping[str, str] = {}
_WRITE_SECONDS = 30.0
"""How long a reader may leave its buffer full."""
_SMALL_BYTES = 16 * 1024
"""What fits an empty buffer without waiting for the reader."""


def watch_seconds(asked: int | None) -> float:
    """Return how long a watch lasts: as asked, else spread, lest all clients come back at once."""
    if asked:
        return float(asked)
    return DEFAULT_WATCH_SECONDS * (1 + random.random())  # noqa: S311 (no secret)


def _gone(request: web.BaseRequest) -> bool:
    transport = request.transport
    return transport is None or transport.is_closing()


async def _write(request: web.BaseRequest, response: web.StreamResponse, data: bytes) -> None:
    """Write, with a deadline where the reader is behind; timers cost as much as a small write.

    Raises:
        TimeoutError: The reader does not take what it is sent.
    """
    transport = request.transport
    small = len(data) < _SMALL_BYTES
    if small and transport is not None and transport.get_write_buffer_size() == 0:
        await response.write(data)
        return
    async with asyncio.timeout(_WRITE_SECONDS):
        await response.write(data)


async def send_watch(
    request: web.BaseRequest,
    watch: Watch,
    renderer: forms.Renderer,
    *,
    form: forms.Form,
    include: table.IncludeObject,
    seconds: float,
    headers: Mapping[str, str] = _NONE,
) -> web.StreamResponse:
    """Send a watch's events, one JSON object a line, until it ends or the reader goes.

    Args:
        request: The request.
        watch: What to send; closed in the end.
        renderer: Makes lines of events.
        form: In which form objects go out.
        include: Which part of the object rows of Tables carry.
        seconds: How long at most.
        headers: Of the response, besides the usual ones.
    """
    response = web.StreamResponse(headers=replies.headers())
    response.headers.update(headers)
    response.enable_chunked_encoding()
    served = watch.served
    try:
        await response.prepare(request)
        async with aclosing(watch.batches(seconds)) as batches:
            async for events in batches:
                if _gone(request):
                    return response
                if events:
                    lines = [renderer.line(served, event, form, include) for event in events]
                    await _write(request, response, b"".join(lines))
        await response.write_eof()
    except (ConnectionError, TimeoutError):
        if request.transport is not None:
            request.transport.abort()
    finally:
        watch.close()
    return response


async def send_bytes(
    request: web.BaseRequest,
    chunks: AsyncIterator[bytes],
    first: bytes | None,
    *,
    headers: Mapping[str, str] = _NONE,
) -> web.StreamResponse:
    """Send text as it comes, until it ends or the reader goes.

    Args:
        request: The request.
        chunks: What is to be sent, after ``first``.
        first: What was read already; None where there was nothing.
        headers: Of the response, besides the usual ones.
    """
    response = web.StreamResponse(headers=replies.headers("text/plain; charset=utf-8"))
    response.headers.update(headers)
    response.enable_chunked_encoding()
    pending: asyncio.Future[bytes | None] | None = None
    try:
        await response.prepare(request)
        chunk = first
        while chunk is not None and not _gone(request):
            await _write(request, response, chunk)
            pending = asyncio.ensure_future(anext(chunks, None))
            while not pending.done() and not _gone(request):
                await asyncio.wait({pending}, timeout=CHECK_SECONDS)
            chunk = pending.result() if pending.done() else None
        if not _gone(request):
            await response.write_eof()
    except (ConnectionError, TimeoutError):
        if request.transport is not None:
            request.transport.abort()
    finally:
        if pending is not None and not pending.done():
            pending.cancel()
            await asyncio.wait({pending})
    return response
