"""Takes what training jobs tell of themselves, and writes it into their status.

Who may tell it of a job is who holds a token for this job's address, made for an account of the job's
namespace: the pods that were given one. The token is good for nothing else.
"""

import asyncio
import json
from typing import Any, Final

from aiohttp import web

from wherry.client.client import Client
from wherry.controller.manager import Manager
from wherry.controller.serving import listening, services
from wherry.objects import errors
from wherry.objects import kinds as core
from wherry.objects.requests import Object
from wherry.training.trainer import kinds, reporting
from wherry.training.trainer.endpoint import LOG, Endpoint

_MOST_BYTES: Final = 64 * 1024
_AT_ONCE: Final = 16
_BODY_SECONDS: Final = 10.0
"""How long a report may be under way: whoever sends none keeps others waiting."""


def serve(manager: Manager, endpoint: Endpoint) -> None:
    """Have it served beside a manager's controllers, where there is an address for it."""
    place = endpoint.place
    if place is not None:
        manager.beside("status of training jobs", lambda: _run(manager.client, endpoint, *place))


async def _run(client: Client, endpoint: Endpoint, host: str, port: int) -> None:
    pair = await services.done("its certificate", endpoint.pair, LOG)
    app = application(client)
    async with listening.listening(app, host, port, pair.ssl_context()) as place:
        LOG.info("status of training jobs at %s:%s", *place)
        await endpoint.keep_published(host, place[1])


def application(client: Client) -> web.Application:
    """Return the server's one route.

    Args:
        client: May review tokens and write the status of TrainJobs.
    """
    receiver = _Receiver(client)
    app = web.Application(client_max_size=_MOST_BYTES, middlewares=[_refusing])
    app.router.add_post(reporting.path("{namespace}", "{name}"), receiver.receive)
    return app


@web.middleware
async def _refusing(request: web.Request, handler: Any) -> web.StreamResponse:
    """Answer what cannot be done as an API server does."""
    try:
        answer: web.StreamResponse = await handler(request)
    except errors.ApiError as error:
        return _failure(error)
    except web.HTTPException as error:
        return _failure(errors.from_status({"message": error.reason}, error.status))
    return answer


def _failure(error: errors.ApiError) -> web.Response:
    return web.json_response(error.to_status(), status=error.code)


class _Receiver:
    def __init__(self, client: Client) -> None:
        self._client = client
        # Many ranks that tell much must not keep the API from its other work.
        self._free = asyncio.Semaphore(_AT_ONCE)

    async def receive(self, request: web.Request) -> web.Response:
        """Take one report."""
        namespace, name = request.match_info["namespace"], request.match_info["name"]
        async with self._free:
            await self._check(request.headers.get("Authorization", ""), namespace, name)
            sent = _json(await _body(request))
            if sent.get("trainerStatus") is not None:
                await self._write(namespace, name, sent)
        return web.json_response(sent)

    async def _check(self, header: str, namespace: str, name: str) -> None:
        """Check that a token was made for this job, in its namespace."""
        wanted = reporting.audience(namespace, name)
        status: Object = {}
        match header.split():
            case [scheme, token] if scheme.lower() == "bearer":
                review = {
                    "apiVersion": core.TOKEN_REVIEWS.api_version,
                    "kind": core.TOKEN_REVIEWS.kind,
                    "spec": {"token": token, "audiences": [wanted]},
                }
                status = await self._reviewed(review)
        user = str((status.get("user") or {}).get("username", ""))
        if (
            not status.get("authenticated")
            or wanted not in (status.get("audiences") or ())
            or not user.startswith(f"system:serviceaccount:{namespace}:")
        ):
            raise errors.ForbiddenError(
                f"want the token that the pods of TrainJob {namespace}/{name} are given"
            )

    async def _reviewed(self, review: Object) -> Object:
        try:
            answer = await self._client.create(core.TOKEN_REVIEWS, review)
        except errors.ApiError as error:
            raise _own(error) from error
        return answer.get("status") or {}

    async def _write(self, namespace: str, name: str, sent: Object) -> None:
        status = reporting.read(sent)
        if isinstance(status, list):
            raise errors.invalid(kinds.TRAIN_JOBS.kind, name, status)
        patch = {"status": {"trainerStatus": status}}
        try:
            await self._client.patch(kinds.TRAIN_JOBS, name, patch, namespace, subresource="status")
        except (errors.InvalidError, errors.NotFoundError):
            raise
        except errors.ApiError as error:
            raise _own(error) from error


def _own(error: errors.ApiError) -> errors.InternalError:
    """Return what is answered where the API refused us, and not who has asked."""
    LOG.error("status of training jobs: %s", error.message)
    return errors.InternalError("the status cannot be taken now; the controllers' log has more")


async def _body(request: web.Request) -> bytes:
    try:
        async with asyncio.timeout(_BODY_SECONDS):
            return await request.read()
    except TimeoutError as error:
        raise errors.ServerTimeoutError(
            f"the body has not come within {_BODY_SECONDS:g} s"
        ) from error


def _json(body: bytes) -> Object:
    try:
        sent = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise errors.InvalidError(f"the body is not JSON: {error}") from error
    if not isinstance(sent, dict):
        raise errors.InvalidError("the body is not a JSON object")
    return sent
