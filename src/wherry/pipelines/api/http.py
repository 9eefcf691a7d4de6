"""The API over HTTP, as upstream's gateway has it."""

import asyncio
import logging
from typing import Any, Final

from aiohttp import web

from wherry.objects import errors
from wherry.objects.requests import Object
from wherry.pipelines.api import failures, openapi, uploading, wire
from wherry.pipelines.api.access import User
from wherry.pipelines.api.answering import Answering
from wherry.pipelines.api.identity import Identity
from wherry.pipelines.api.methods import Method
from wherry.pipelines.api.mlmd import door as mlmd_door
from wherry.pipelines.api.mlmd.door import Door
from wherry.pipelines.api.routing import Routes, WrongMethodError
from wherry.pipelines.api.streaming import Streaming

MOST_BYTES: Final = 4 * 1024 * 1024
"""A request's body is no larger; uploads have a bound of their own."""
_BODY_SECONDS: Final = 60.0
_UPLOADS_AT_ONCE: Final = 4
_LOG = logging.getLogger("wherry.pipelines.api")


def application(answering: Answering, identity: Identity, door: Door) -> web.Application:
    """Return the server.

    Args:
        answering: Answers.
        identity: Says who calls.
        door: Answers calls of the metadata service.
    """
    app = web.Application(client_max_size=MOST_BYTES, middlewares=[_refusing])

    async def describe(_: web.Request) -> web.StreamResponse:
        # Made each time: it is seldom asked for, and larger than what else there is.
        return web.json_response(openapi.document(answering.methods()))

    app.router.add_get(openapi.PATH, describe)
    app.router.add_post(mlmd_door.PATH, door.respond)
    app.router.add_route("*", "/{path:.*}", _Front(answering, identity).respond)
    return app


class _Front:
    """Turns requests into calls."""

    def __init__(self, answering: Answering, identity: Identity) -> None:
        self._answering = answering
        self._identity = identity
        self._routes = Routes(answering.methods())
        # Files are held in memory until they are stored.
        self._uploads = asyncio.Semaphore(_UPLOADS_AT_ONCE)
        self._streaming = Streaming()

    async def respond(self, request: web.Request) -> web.StreamResponse:
        """Answer a request."""
        method, named = self._routes.find(_asked(request), request.rel_url.raw_path)
        if request.method == "HEAD" and not method.is_stream:
            raise WrongMethodError("HEAD", "GET")
        # Before the body: who may not call at all does not make us read it.
        user = await self._identity.user(request.headers)
        if not uploading.is_upload(method):
            return await self._answer(method, named, user, request)
        if user.is_anonymous:
            raise errors.UnauthorizedError(
                "nobody has said who calls; send a token to upload a file"
            )
        async with self._uploads:
            return await self._answer(method, named, user, request)

    async def _answer(
        self, method: Method, named: dict[str, str], user: User, request: web.Request
    ) -> web.StreamResponse:
        try:
            async with asyncio.timeout(_BODY_SECONDS):
                asked = await _request(method, named, request)
        except TimeoutError as error:
            raise errors.ServerTimeoutError(
                f"the body has not come within {_BODY_SECONDS:g} s"
            ) from error
        if method.is_stream:
            content = await self._answering.open(method, user, asked)
            return await self._streaming.send(request, content, user)
        answer = await self._answering.answer(method, user, asked)
        return web.json_response(wire.write(method.response, answer))


async def _request(method: Method, named: dict[str, str], request: web.Request) -> Object:
    """Return the message that a request is: of its path, its query and its body."""
    for text in named.values():
        wire.check_plain(text)
    fields = wire.read(method.request, named) if method.http != "PATCH" else named
    if uploading.is_upload(method):
        return await uploading.read(method, request)
    if method.body == "*":
        return wire.read(method.request, wire.parse(await request.read())) | fields
    asked = wire.read_query(method.request, request.query.items())
    if method.body:
        sent = wire.parse(await request.read())
        asked |= wire.read(method.request, {method.body: sent})
    if method.http == "PATCH":
        asked.setdefault(method.body, {}).update(named)
        return asked
    return asked | fields


def _asked(request: web.Request) -> str:
    return "GET" if request.method == "HEAD" else request.method


@web.middleware
async def _refusing(request: web.Request, handler: Any) -> web.StreamResponse:
    """Answer what cannot be done as upstream does."""
    try:
        answer: web.StreamResponse = await handler(request)
    except errors.ApiError as error:
        return _failure(request, error)
    except web.HTTPException as error:
        return _failure(request, _of_http(request, error))
    except Exception:  # noqa: BLE001 - whatever it is, it is told in the one form
        _LOG.exception("%s %s has failed", request.method, request.path[:200])
        return _failure(request, errors.InternalError("it has failed; the service's log has more"))
    return answer


def _of_http(request: web.Request, error: web.HTTPException) -> errors.ApiError:
    told = {
        404: f"{request.method} {request.path[:200]}: there is no such method",
        413: f"the body is larger than {MOST_BYTES} bytes",
    }
    return errors.from_status({"message": told.get(error.status, error.reason)}, error.status)


def _is_reading_path(path: str) -> bool:
    return "/nodes/" in path and path.endswith((":read", "/log"))


def _failure(request: web.Request, error: errors.ApiError) -> web.Response:
    body = (
        failures.upload_body(error)
        if uploading.is_upload_path(request.path) or _is_reading_path(request.path)
        else failures.body(error)
    )
    headers = {"Allow": error.allowed} if isinstance(error, WrongMethodError) else {}
    return web.json_response(body, status=failures.code(error).status, headers=headers)
