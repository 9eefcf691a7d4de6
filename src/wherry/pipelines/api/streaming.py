"""Answers that are bytes: the whole, a part, or as they come."""

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncGenerator
from typing import Final

from aiohttp import web
from multidict import CIMultiDict

from wherry.objects import errors
from wherry.pipelines.api.access import User
from wherry.pipelines.contents import ranges
from wherry.pipelines.contents.content import Content
from wherry.pipelines.contents.ranges import Span

_MOST_AT_ONCE: Final = 200
_MOST_OF_ONE: Final = 50
_WRITE_SECONDS: Final = 60.0
"""How long a reader may leave what it is sent."""
_CHECK_SECONDS: Final = 5.0
"""How often it is looked whether a reader to whom nothing can be sent is still there."""
_NOT_SATISFIABLE: Final = 416
_HEADERS: Final = {
    "Cache-Control": "no-cache, private",
    # What users have made is not to be taken for a page of ours by a browser.
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; sandbox",
}
_LOG = logging.getLogger("wherry.pipelines.api")


class Streaming:
    """Sends contents. For one event loop."""

    def __init__(self) -> None:
        """Begin with none."""
        self._open: Counter[str] = Counter()

    async def send(self, request: web.Request, content: Content, user: User) -> web.StreamResponse:
        """Answer with a content, or with the part of it that is wanted; it is closed afterwards.

        Args:
            request: Not answered yet.
            content: Which.
            user: Who has asked.

        Raises:
            TooManyRequestsError: so many are being sent already.
        """
        if self._open[user.name] >= _MOST_OF_ONE or self._open.total() >= _MOST_AT_ONCE:
            await content.close()
            raise errors.TooManyRequestsError(
                f"{_MOST_AT_ONCE} artifacts and logs, or {_MOST_OF_ONE} of one user's, are being sent "
                "already; try again"
            )
        self._open[user.name] += 1
        try:
            return await _answered(request, content)
        finally:
            self._open[user.name] -= 1
            self._open += Counter()  # without those who have none
            await content.close()


async def _answered(request: web.Request, content: Content) -> web.StreamResponse:
    headers = _headers(content)
    if content.size is None:
        response = web.StreamResponse(headers=headers)
        response.enable_chunked_encoding()
        return await _send(request, response, content.read(0, None))
    asked = request.headers
    try:
        span = ranges.wanted(
            asked.get("Range", ""), asked.get("If-Range", ""), size=content.size, tag=content.tag
        )
    except ranges.UnsatisfiableError:
        headers["Content-Range"] = f"bytes */{content.size}"
        headers.popall("Content-Disposition", None)
        return web.Response(status=_NOT_SATISFIABLE, headers=headers)
    if span is not None:
        headers["Content-Range"] = span.header(content.size)
    response = web.StreamResponse(status=200 if span is None else 206, headers=headers)
    span = span or Span(0, content.size)
    response.content_length = span.length
    return await _send(request, response, content.read(span.start, span.length))


def _headers(content: Content) -> CIMultiDict[str]:
    headers = CIMultiDict(_HEADERS)
    headers["Content-Type"] = content.media_type
    headers["Accept-Ranges"] = "none" if content.size is None else "bytes"
    if content.tag:
        headers["ETag"] = content.tag
    if content.name:
        headers["Content-Disposition"] = _disposition(content.name)
    return headers


def _disposition(name: str) -> str:
    plain = "".join(
        each if each.isascii() and (each.isalnum() or each in "._-") else "_" for each in name
    )
    return f'attachment; filename="{plain[:200]}"'


async def _send(
    request: web.Request, response: web.StreamResponse, pieces: AsyncGenerator[bytes, None]
) -> web.StreamResponse:
    """Send pieces until they end or the reader goes; what ends too early does not look like the end."""
    try:
        await response.prepare(request)
        if request.method != "HEAD":
            await _pass_on(request, response, pieces)
        if not _gone(request):
            await response.write_eof()
    except (ConnectionError, TimeoutError):
        _cut(request)
    except Exception as error:  # noqa: BLE001 - whatever it is, it is too late to answer with it
        _LOG.warning("an answer is broken off: %s", error)
        _cut(request)
    return response


async def _pass_on(
    request: web.Request, response: web.StreamResponse, pieces: AsyncGenerator[bytes, None]
) -> None:
    following: asyncio.Future[bytes] | None = None
    try:
        while not _gone(request):
            following = asyncio.ensure_future(anext(pieces, b""))
            while not following.done() and not _gone(request):
                await asyncio.wait({following}, timeout=_CHECK_SECONDS)
            if not following.done() or not (piece := following.result()):
                return
            async with asyncio.timeout(_WRITE_SECONDS):
                await response.write(piece)
    finally:
        if following is not None and not following.done():
            following.cancel()
            await asyncio.wait({following})
        await pieces.aclose()


def _gone(request: web.Request) -> bool:
    transport = request.transport
    return transport is None or transport.is_closing()


def _cut(request: web.Request) -> None:
    if request.transport is not None:
        request.transport.abort()
