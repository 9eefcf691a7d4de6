"""The verbs of the API, whichever way a request has come.

`Registry` finds what a request means and hands it to the module of its verb. Access is not its
business: the transports ask for it before they come here.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Final

import orjson

from wherry.apiserver import (
    admitting,
    computing,
    creating,
    deleting,
    evicting,
    intake,
    patching,
    pod_verbs,
    reading,
    scaling,
    updating,
    watching,
)
from wherry.apiserver.answers import Many, One
from wherry.apiserver.call import Call
from wherry.apiserver.core import Core
from wherry.apiserver.resources import Served
from wherry.apiserver.virtual import Virtuals
from wherry.apiserver.watching import Watch
from wherry.objects import errors, kinds

Answer = One | Many
_Run = Callable[[Core, Call], Awaitable[Answer]]

_VERBS: Final[Mapping[str, _Run]] = {
    "get": reading.get,
    "list": reading.list_,
    "create": creating.create,
    "update": updating.update,
    "patch": patching.patch,
    "delete": deleting.delete,
    "deletecollection": deleting.delete_collection,
}
_SUBRESOURCES: Final[Mapping[tuple[str, str], _Run]] = {
    ("get", "scale"): scaling.get,
    ("update", "scale"): scaling.write,
    ("patch", "scale"): scaling.write,
    ("create", "pods/binding"): pod_verbs.bind,
    ("create", "pods/eviction"): evicting.evict,
}
_STREAMS: Final = frozenset({"log", "exec", "attach", "portforward", "proxy"})


class Registry:
    """The API without a transport.

    Safe to use from many tasks of one event loop.

    Attributes:
        core: The state that the verbs work on.
    """

    def __init__(
        self,
        core: Core,
        virtuals: Virtuals | None = None,
        computed: Iterable[computing.Computed] = (),
    ) -> None:
        self.core = core
        self._virtuals = virtuals or {}
        self._computed = {each.resource.key: each for each in computed}

    async def run(self, call: Call) -> Answer:
        """Answer any request but a watch.

        Raises:
            ApiError: The request is refused.
        """
        request = call.request
        served = self.core.served(call)
        if request.subresource:
            return await self._subresource(call, served, request.subresource)
        if request.verb not in served.resource.verbs:
            raise _not_allowed(request.verb)
        if (source := self._computed.get(served.resource.key)) is not None:
            return await computing.read(source, served, call)
        if request.verb == "create":
            if served.resource == kinds.BINDINGS:
                return await pod_verbs.bind(self.core, call)
            if served.resource.verbs == ("create",):
                return await self._create_virtual(call, served, virtual_key=served.resource.key)
        return await admitting.settled(self.core, call, _VERBS[request.verb])

    async def watch(self, call: Call) -> Watch:
        """Open a watch.

        Raises:
            ApiError: The request is refused.
        """
        served = self.core.served(call)
        if "watch" not in served.resource.verbs or call.request.subresource:
            raise _not_allowed("watch")
        return await watching.watch(self.core, call)

    async def _subresource(self, call: Call, served: Served, name: str) -> Answer:
        described = kinds.subresource(served.resource, name)
        if described is None:
            raise errors.NotFoundError("the server could not find the requested resource")
        verb = call.request.verb
        if verb not in described.verbs or name in _STREAMS:
            raise _not_allowed(verb)
        plural = served.resource.plural
        run = _SUBRESOURCES.get((verb, name)) or _SUBRESOURCES.get((verb, f"{plural}/{name}"))
        if run is not None:
            return await admitting.settled(self.core, call, run)
        if verb == "create":
            return await self._create_virtual(call, served, virtual_key=f"{plural}/{name}")
        return await admitting.settled(self.core, call, _VERBS[verb])

    async def _create_virtual(self, call: Call, served: Served, *, virtual_key: str) -> One:
        virtual = self._virtuals.get(virtual_key)
        if virtual is None:
            raise errors.NotFoundError("the server could not find the requested resource")
        request = call.request
        if request.subresource:
            self.core.committed(served, request.name or "", request.namespace)
            described = kinds.subresource(served.resource, request.subresource)
            assert described is not None
            obj = _subresource_body(call, described)
        else:
            obj = intake.body(served, call)
            intake.decode(served, call, obj)
        answer = await virtual.create(obj, call.user)
        return One(orjson.dumps(answer), code=201)


def _subresource_body(call: Call, described: kinds.Subresource) -> dict[str, object]:
    body = call.request.body if call.request.body is not None else {}
    if not isinstance(body, dict) or body.get("kind") not in (None, "", described.kind):
        raise errors.BadRequestError(f"the body must be one {described.kind} object")
    metadata = body.get("metadata") or {}
    if not isinstance(metadata, dict):
        raise errors.BadRequestError("metadata must be an object")
    body["apiVersion"] = f"{described.group}/{described.version}"
    body["kind"] = described.kind
    body["metadata"] = metadata | {
        "name": call.request.name,
        "namespace": call.request.namespace,
    }
    return body


def _not_allowed(verb: str) -> errors.MethodNotAllowedError:
    return errors.MethodNotAllowedError(
        f"the server does not allow this method on the requested resource: {verb}"
    )
