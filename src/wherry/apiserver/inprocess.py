"""The API without HTTP, for the controllers that live in the same process."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from functools import partial

import orjson

from wherry.apiserver import access, pod_streams
from wherry.apiserver.answers import Many, One
from wherry.apiserver.call import Call
from wherry.apiserver.identity import Authorizer, User
from wherry.apiserver.pod_streams import PodStreams
from wherry.apiserver.registry import Registry
from wherry.apiserver.watching import DEFAULT_WATCH_SECONDS
from wherry.objects import errors
from wherry.objects.requests import Object, Request, WatchEvent


class InProcessTransport:
    """Hands requests to the registry as a user who may do no more than over HTTP.

    Bodies are copied on the way in and parsed afresh on the way out: nothing is shared.
    """

    def __init__(
        self,
        registry: Registry,
        user: User,
        authorizer: Authorizer,
        logs: PodStreams | None = None,
    ) -> None:
        self._registry = registry
        self._user = user
        self._authorizer = authorizer
        self._logs = logs

    async def send(self, request: Request) -> Object:
        """Return the answer to anything but a watch.

        Raises:
            ApiError: The request is refused.
        """
        access.check(self._authorizer, self._user, request)
        check = partial(access.check, self._authorizer, self._user)
        try:
            answer = await self._registry.run(Call(_owned(request), self._user, check=check))
        except errors.ConflictError:
            # Nothing else of a refusal waits. Whoever tries again in a loop would keep out the very
            # write that it must wait for.
            await asyncio.sleep(0)
            raise
        return value_of(answer)

    async def watch(self, request: Request) -> AsyncGenerator[WatchEvent, None]:
        """Yield events until the server ends the watch.

        Raises:
            ApiError: The watch is refused; `GoneError` also when its reader falls behind.
        """
        access.check(self._authorizer, self._user, request)
        call = Call(request, self._user)
        seconds = float(call.number("timeoutSeconds") or DEFAULT_WATCH_SECONDS)
        watch = await self._registry.watch(call)
        async with aclosing(watch.batches(seconds)) as batches:
            async for events in batches:
                for event in events:
                    obj = orjson.loads(event.raw)
                    if event.type == "ERROR":
                        raise errors.from_status(obj)
                    yield WatchEvent(event.type, obj)

    async def chunks(self, request: Request) -> AsyncGenerator[bytes, None]:
        """Yield a pod's log as it comes.

        Raises:
            ApiError: It is refused.
        """
        access.check(self._authorizer, self._user, request)
        found = pod_streams.log(self._logs, self._registry.core, Call(request, self._user))
        try:
            async for chunk in found:
                yield chunk
        finally:
            if isinstance(found, AsyncGenerator):
                await found.aclose()

    async def close(self) -> None:
        """Do nothing: there is no connection."""


def _owned(request: Request) -> Request:
    if request.body is None:
        return request
    try:
        body = orjson.loads(orjson.dumps(request.body))
    except (TypeError, ValueError) as error:
        raise errors.BadRequestError(f"the body cannot be written as JSON: {error}") from error
    return Request(
        request.verb,
        request.resource,
        namespace=request.namespace,
        name=request.name,
        subresource=request.subresource,
        body=body,
        content_type=request.content_type,
        options=request.options,
    )


def value_of(answer: One | Many) -> Object:
    """Return an answer as the object that JSON would have brought."""
    if isinstance(answer, One):
        value: Object = orjson.loads(answer.raw)
        return value
    resource = answer.served.resource
    return {
        "kind": f"{resource.kind}List",
        "apiVersion": resource.api_version,
        "metadata": answer.list_meta(),
        "items": [orjson.loads(raw) for raw in answer.items],
    }
