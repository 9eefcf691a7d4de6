"""Argo's REST over HTTP: who calls, which handler answers, how errors are told."""

import logging
import urllib.parse
from collections.abc import Mapping
from typing import Any, Final

import orjson
from aiohttp import hdrs, web
from multidict import CIMultiDict, CIMultiDictProxy

from wherry.metadata.errors import DatabaseError
from wherry.objects import errors
from wherry.objects.requests import Object
from wherry.pipelines.api import failures, wire
from wherry.pipelines.api.identity import Identity
from wherry.pipelines.workflows.server.calls import Call, Handler, Services
from wherry.pipelines.workflows.server.info import LEVEL

MOST_BYTES: Final = 4 * 1024 * 1024
"""A request's body is no larger."""
_VERSION: Final = "Grpc-Metadata-Argo-Version"
"""Header by which clients learn upstream's version; who may not call does not."""
_COOKIE: Final = "authorization"
_SAFE: Final = frozenset({hdrs.METH_GET, hdrs.METH_HEAD, hdrs.METH_OPTIONS})
"""Methods that change nothing; what they answer no other site gets to read."""
_FETCH_SITE: Final = "Sec-Fetch-Site"
_LOG = logging.getLogger("wherry.pipelines.workflows.server")


def application(
    services: Services, identity: Identity, routes: Mapping[tuple[str, str], Handler]
) -> web.Application:
    """Return the server.

    Args:
        services: What calls are answered with.
        identity: Says who calls.
        routes: What answers which method of HTTP at which path; ``{name}`` in it stands for anything but a slash.
    """
    app = web.Application(client_max_size=MOST_BYTES, middlewares=[_refusing])
    for (http, path), handler in routes.items():
        app.router.add_route(http, path, _answering(services, identity, handler))
    return app


def _answering(services: Services, identity: Identity, handler: Handler) -> Any:
    async def answer(request: web.Request) -> web.StreamResponse:
        # Before the body: who may not call at all does not make us read it.
        user = await identity.user(_headers(request))
        for text in request.match_info.values():
            wire.check_plain(text)
        call = Call(
            user=user,
            services=services,
            request=request,
            named=request.match_info,
            body=await _body(request),
        )
        given = await handler(call)
        if not call.checked:
            raise RuntimeError(f"{request.path}: its handler has not asked whether the caller may")
        if isinstance(given, web.StreamResponse):
            return given
        return web.Response(
            body=orjson.dumps(given),
            content_type="application/json",
            headers={_VERSION: LEVEL},
        )

    return answer


def _headers(request: web.Request) -> CIMultiDictProxy[str]:
    """Return a call's headers; of a browser that sends its token in a cookie as if it had said it like others.

    There may be several of that name, of which other servers have set some. Browsers send cookies with
    what other sites have them send, too: that changes nothing here.
    """
    if hdrs.AUTHORIZATION in request.headers or _is_foreign(request):
        return request.headers
    for part in request.headers.get(hdrs.COOKIE, "").split(";"):
        name, _, value = part.strip().partition("=")
        token = value.strip('"')
        if name == _COOKIE and token.startswith("Bearer "):
            told = CIMultiDict(request.headers)
            told[hdrs.AUTHORIZATION] = token
            return CIMultiDictProxy(told)
    return request.headers


def _is_foreign(request: web.Request) -> bool:
    """Return whether another site has a browser send what would change something.

    Browsers say so by the one header or, where the connection is not encrypted, by the other; programs by neither.
    """
    if request.method in _SAFE:
        return False
    site = request.headers.get(_FETCH_SITE)
    if site is not None:
        return site not in {"same-origin", "none"}
    origin = request.headers.get(hdrs.ORIGIN)
    try:
        return origin is not None and urllib.parse.urlsplit(origin).netloc != request.host
    except ValueError:
        return True


async def _body(request: web.Request) -> Object:
    text = await request.read()
    found = wire.parse(text) if text.strip() else {}
    if not isinstance(found, dict):
        raise errors.BadRequestError("the body: want a JSON object")
    return found


@web.middleware
async def _refusing(request: web.Request, handler: Any) -> web.StreamResponse:
    """Answer what cannot be done as upstream does."""
    try:
        answer: web.StreamResponse = await handler(request)
    except errors.ApiError as error:
        return _failure(error)
    except web.HTTPException as error:
        told = f"{request.method} {request.path[:200]}: {error.reason}"
        return _failure(errors.from_status({"message": told}, error.status))
    except DatabaseError as error:
        _LOG.error("%s %s: %s", request.method, request.path[:200], error)
        told = "the database cannot be used now; the service's log has more"
        return _failure(errors.ServiceUnavailableError(told))
    except Exception:  # noqa: BLE001 - whatever it is, it is told in the one form
        _LOG.exception("%s %s has failed", request.method, request.path[:200])
        return _failure(errors.InternalError("it has failed; the service's log has more"))
    return answer


def _failure(error: errors.ApiError) -> web.Response:
    code = failures.code(error)
    body = {"code": code.number, "message": error.message, "error": error.message}
    return web.json_response(body, status=code.status)
