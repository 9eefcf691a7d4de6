"""Answers that go on: a line of JSON for each thing that happens, or events where a browser asks for these."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Final

import orjson
from aiohttp import web

from wherry.objects import errors
from wherry.objects.requests import Object
from wherry.pipelines.api import failures

_EVENTS: Final = "text/event-stream"
_QUIET_SECONDS: Final = 20.0
"""After so long without anything a browser is told that the connection is alive."""
_FIRST_SECONDS: Final = 1.0
"""So long is waited for what may go wrong before the answer begins."""


async def stream(request: web.Request, things: AsyncIterator[Object]) -> web.StreamResponse:
    """Answer with things as they come, each as ``{"result": …}``.

    An error before the first thing is raised; a later one is told as ``{"error": …}``, and is the end.

    Args:
        request: What is answered.
        things: Ends when there is nothing more; is closed when the client goes away.
    """
    as_events = _EVENTS in request.headers.get("Accept", "")
    response = web.StreamResponse()
    response.content_type = _EVENTS if as_events else "application/json"
    response.headers["Cache-Control"] = "no-cache"
    coming = _Coming(things)
    try:
        first = await coming.next(_FIRST_SECONDS)
        await response.prepare(request)
        await _pump(response, coming, first, as_events=as_events)
    finally:
        await coming.close()
    return response


async def _pump(
    response: web.StreamResponse, coming: "_Coming", first: Object | None, *, as_events: bool
) -> None:
    thing = first
    with contextlib.suppress(ConnectionError):
        while not coming.ended:
            if thing is not None:
                await response.write(_line({"result": thing}, as_events=as_events))
            elif as_events:
                await response.write(b":\n")
            try:
                thing = await coming.next(_QUIET_SECONDS)
            except errors.ApiError as error:
                told = {"grpc_code": failures.code(error).number, "message": error.message}
                await response.write(_line({"error": told}, as_events=as_events))
                break
        await response.write_eof()


def _line(told: Object, *, as_events: bool) -> bytes:
    text = orjson.dumps(told)
    return b"data: " + text + b"\n\n" if as_events else text + b"\n"


class _Coming:
    """Things that come, waited for no longer than one likes."""

    def __init__(self, things: AsyncIterator[Object]) -> None:
        self._things = things
        self._next: asyncio.Task[Object | None] | None = None
        self.ended = False

    async def next(self, seconds: float) -> Object | None:
        """Return the next thing; None: there is none yet, or there will be none (`ended`)."""
        if self._next is None:
            self._next = asyncio.ensure_future(self._take())
        done, _ = await asyncio.wait({self._next}, timeout=seconds)
        if not done:
            return None
        taken, self._next = self._next.result(), None
        self.ended = taken is None
        return taken

    async def close(self) -> None:
        """Want nothing more."""
        if self._next is not None:
            self._next.cancel()
            await asyncio.wait({self._next})
        close = getattr(self._things, "aclose", None)
        if close is not None:
            await close()

    async def _take(self) -> Object | None:
        return await anext(self._things, None)
