"""Admission and conversion over HTTP: the kinds' own functions, asked by an API server.

What `embedded` calls directly is answered here as `AdmissionReview` and `ConversionReview`
(``admission.k8s.io/v1``, ``apiextensions.k8s.io/v1``).
"""

import asyncio
import base64
import copy
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

import jsonpatch
import orjson
from aiohttp import web

from wherry.client.client import Client
from wherry.controller import rights
from wherry.controller.component import Component
from wherry.objects import errors, kinds
from wherry.objects.declared import makers
from wherry.objects.declared.kind import Kind, Reference, Seen
from wherry.objects.declared.pods import PodHook
from wherry.objects.requests import Object

_LOG = logging.getLogger("wherry.cluster.webhooks")
_MAX_BYTES = 32 * 1024 * 1024
"""A review of a conversion holds a whole page of a list."""

_LOOK_UP_SECONDS = 5.0
"""Less than an API server waits for the answer."""

T = TypeVar("T")
_Answer = Callable[[Kind, Object, Seen], Object]


def application(
    components: Sequence[Component], client: Client, metrics: Callable[[], Iterable[str]] = tuple
) -> web.Application:
    """Return the server's routes: ``/default``, ``/validate`` and ``/convert``, then ``/PLURAL.GROUP``.

    And ``/pods/PRODUCT`` for pods that a product changes.

    Args:
        components: Whose kinds.
        client: Looks up what objects are checked against.
        metrics: Yields what ``/metrics`` tells, in Prometheus' text format.
    """
    known = {kind.resource.key: kind for component in components for kind in component.kinds}
    app = web.Application(client_max_size=_MAX_BYTES)
    for path, answer in (
        ("default", _default),
        ("validate", _validate),
        ("convert", _convert),
    ):
        app.router.add_post(f"/{path}/{{key}}", _handler(known, answer, client))
    hooks = {each.name: each.pods for each in components if each.pods is not None}
    app.router.add_post("/pods/{key}", _pod_handler(hooks, client))
    app.router.add_get("/healthz", _healthy)
    app.router.add_get("/metrics", _telling(metrics))
    return app


def _telling(
    metrics: Callable[[], Iterable[str]],
) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def tell(_: web.Request) -> web.Response:
        text = "".join(f"{line}\n" for line in metrics())
        return web.Response(text=text, headers={"Content-Type": "text/plain; version=0.0.4"})

    return tell


async def _healthy(_: web.Request) -> web.Response:
    return web.Response(text="ok")


def _handler(
    known: Mapping[str, Kind], answer: _Answer, client: Client
) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def answered(kind: Kind, asked: Object) -> Object:
        seen = await _look_up(client, kind, asked) if answer is _validate else {}
        # A page of a list takes a while; health checks must not wait for it.
        said = await asyncio.to_thread(answer, kind, asked, seen)
        if answer is not _validate or not said["allowed"]:
            return said
        return await _lacking(client, kind, asked, seen) or said

    return _answering(known, answered)


def _answering(
    known: Mapping[str, T], answer: Callable[[T, Object], Awaitable[Object]]
) -> Callable[[web.Request], Awaitable[web.Response]]:
    """Return what answers reviews about things that a path names."""

    async def handle(request: web.Request) -> web.Response:
        thing = known.get(request.match_info["key"])
        if thing is None:
            return web.Response(status=404, text=f"nothing is called {request.match_info['key']!r}")
        try:
            review = orjson.loads(await request.read())
            asked = review["request"]
            response = await answer(thing, asked)
        except (orjson.JSONDecodeError, KeyError, TypeError) as error:
            return web.Response(status=400, text=f"not a review: {error!r}")
        body = {
            "apiVersion": review.get("apiVersion"),
            "kind": review.get("kind"),
            "response": {"uid": asked.get("uid", ""), **response},
        }
        return web.Response(body=orjson.dumps(body), content_type="application/json")

    return handle


def _pod_handler(
    hooks: Mapping[str, PodHook], client: Client
) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def answer(hook: PodHook, asked: Object) -> Object:
        # A pod is reviewed before its namespace is written into it.
        pod = {**asked["object"]}
        pod["metadata"] = {**pod["metadata"], "namespace": asked["namespace"]}
        seen = await _found(client, hook.references(pod))
        return _patched(pod, hook.change(pod, seen)) if any(seen.values()) else {"allowed": True}

    return _answering(hooks, answer)


async def _look_up(client: Client, kind: Kind, asked: Object) -> Seen:
    """Return what an object is checked against, as far as it can be had."""
    if kind.related is None:
        return {}
    return await _found(client, kind.related.references(asked["object"], asked.get("oldObject")))


async def _found(client: Client, references: Sequence[Reference]) -> Seen:
    seen: dict[Reference, Object | None] = {}
    for each in references:
        try:
            async with asyncio.timeout(_LOOK_UP_SECONDS):
                seen[each] = await client.get(each.resource, each.name, each.namespace or None)
        except errors.NotFoundError:
            seen[each] = None
        except (errors.ApiError, TimeoutError) as error:
            _LOG.warning("%s %s cannot be looked up: %s", each.resource.key, each.name, error)
    return seen


async def _lacking(client: Client, kind: Kind, asked: Object, seen: Seen) -> Object:
    """Return the refusal of who may not do what an object will have done; empty: there is none."""
    if kind.rights is None or "deletionTimestamp" in asked["object"]["metadata"]:
        return {}
    wanted = await asyncio.to_thread(kind.rights, asked["object"], asked.get("oldObject"), seen)
    if not wanted:
        return {}
    async with asyncio.timeout(_LOOK_UP_SECONDS):
        definitions = await client.list(kinds.CUSTOM_RESOURCE_DEFINITIONS)
    for each in wanted:
        resource = rights.resource_of(definitions.items, each)
        async with asyncio.timeout(_LOOK_UP_SECONDS):
            told = await rights.lacking(client, asked.get("userInfo") or {}, each, resource)
        if told:
            status = {"status": "Failure", "reason": "Forbidden", "code": 403, "message": told}
            return {"allowed": False, "status": status}
    return {}


def _default(kind: Kind, asked: Object, _: Seen) -> Object:
    before = asked["object"]
    after = copy.deepcopy(before)
    if kind.maker:
        old = asked.get("oldObject")
        maker = makers.read(old, kind.maker) if old else asked.get("userInfo") or {}
        makers.write(after, kind.maker, maker)
    return _patched(before, kind.default(after) if kind.default else after)


def _patched(before: Object, after: Object) -> Object:
    operations = jsonpatch.make_patch(before, after).patch
    if not operations:
        return {"allowed": True}
    patch = base64.b64encode(orjson.dumps(operations)).decode()
    return {"allowed": True, "patchType": "JSONPatch", "patch": patch}


def _validate(kind: Kind, asked: Object, seen: Seen) -> Object:
    obj, old = asked["object"], asked.get("oldObject")
    # What is on its way out may be as wrong as it likes, or it could not let its finalizers go.
    leaving = "deletionTimestamp" in obj["metadata"]
    causes = () if kind.validate is None or leaving else kind.validate(obj, old)
    if kind.related is not None and not causes and not leaving:
        causes = kind.related.validate(obj, old, seen)
    warnings = list(kind.warnings(obj)) if kind.warnings else []
    answer: Object = {"allowed": not causes}
    if warnings:
        answer["warnings"] = warnings
    if causes:
        message = ", ".join(f"{cause.field}: {cause.message}" for cause in causes)
        answer["status"] = {
            "status": "Failure",
            "reason": "Invalid",
            "code": 422,
            "message": message,
            "details": {"causes": [cause.to_dict() for cause in causes]},
        }
    return answer


def _convert(kind: Kind, asked: Object, _: Seen) -> Object:
    try:
        converted = [
            _converted(kind, obj, str(asked["desiredAPIVersion"])) for obj in asked["objects"]
        ]
    except ValueError as error:
        return {"result": {"status": "Failure", "message": str(error)}, "convertedObjects": []}
    return {"result": {"status": "Success"}, "convertedObjects": converted}


def _converted(kind: Kind, obj: Any, api_version: str) -> Object:
    if kind.convert is not None:
        return kind.convert(obj, api_version)
    return {**obj, "apiVersion": api_version}
