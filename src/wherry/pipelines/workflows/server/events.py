"""Events that clients send: each may begin workflows, as `WorkflowEventBinding` objects say."""

import logging
from collections.abc import Mapping
from typing import Any, Final

import orjson

from wherry.objects import callers, errors, metadata
from wherry.objects.requests import Object
from wherry.pipelines.workflows import kinds, submitting
from wherry.pipelines.workflows.expr import program
from wherry.pipelines.workflows.expr.errors import ExprError
from wherry.pipelines.workflows.server import listing
from wherry.pipelines.workflows.server.calls import Answer, Call, Handler

BINDING_LABEL: Final = "workflows.argoproj.io/workflow-event-binding"
_PROOF: Final = callers.PROOF.lower()
_LOG = logging.getLogger("wherry.pipelines.workflows.server")


async def bindings(call: Call) -> Answer:
    """List what workflows events begin."""
    plural = kinds.EVENT_BINDINGS.plural
    await call.check("list", plural)
    found = await call.services.client.list(
        kinds.EVENT_BINDINGS, call.namespace or None, labels=str(listing.labels(call))
    )
    return listing.answer([*found], revision=found.resource_version)


async def receive(call: Call) -> Answer:
    """Begin what an event begins.

    Of each binding whose selector holds one workflow; the caller needs the right to make it.
    """
    plural = kinds.EVENT_BINDINGS.plural
    await call.check("list", plural)
    await call.check("create")
    client = call.services.client
    found = await client.list(kinds.EVENT_BINDINGS, call.namespace)
    seen = _seen(call)
    wrong = []
    for binding in found:
        try:
            await _begin(call, binding, seen)
        except (errors.ApiError, ExprError) as error:
            told = getattr(error, "message", str(error))
            _LOG.warning("%s/%s: %s", call.namespace, metadata.name(binding), told)
            wrong.append(f"{metadata.name(binding)}: {told}")
    if wrong:
        raise errors.BadRequestError(f"of these bindings nothing was begun: {'; '.join(wrong)}")
    return {}


def _seen(call: Call) -> Object:
    """Return what expressions of bindings see of an event.

    Headers only those that begin with ``x-``, and not those of a front: who knows its proof may call as anybody.
    """
    headers: dict[str, list[str]] = {}
    for key, value in call.request.headers.items():
        name = key.lower()
        if name.startswith("x-") and name != _PROOF and not name.startswith("x-remote-"):
            headers.setdefault(name, []).append(value)
    return {
        "namespace": call.namespace,
        "discriminator": call.named.get("discriminator", ""),
        "metadata": headers,
        "payload": call.body,
    }


async def _begin(call: Call, binding: Object, seen: Mapping[str, Any]) -> None:
    spec = binding["spec"]
    selector = (spec.get("event") or {}).get("selector") or ""
    if not isinstance(selector, str):
        raise errors.BadRequestError(f"spec.event.selector: {str(selector)[:50]!r}: want a text")
    holds = program.evaluate(selector, seen)
    if not isinstance(holds, bool):
        raise errors.BadRequestError(f"spec.event.selector: {selector[:200]!r}: want true or false")
    submit = spec.get("submit")
    if not holds or not submit:
        return
    reference = submit.get("workflowTemplateRef") or {}
    shared = bool(reference.get("clusterScope"))
    resource = kinds.CLUSTER_WORKFLOW_TEMPLATES if shared else kinds.WORKFLOW_TEMPLATES
    namespace = None if shared else call.namespace
    await call.check("get", resource.plural, namespace=namespace or "")
    client = call.services.client
    template = await client.get(resource, str(reference.get("name") or ""), namespace)
    made = submitting.of_template({**template, "kind": resource.kind})
    _describe(made, submit.get("metadata") or {}, seen)
    made["metadata"]["namespace"] = call.namespace
    made["metadata"]["labels"][BINDING_LABEL] = metadata.name(binding)
    parameters = [
        {"name": each.get("name"), "value": _value(each, seen)}
        for each in (submit.get("arguments") or {}).get("parameters") or ()
    ]
    if parameters:
        made["spec"]["arguments"] = {"parameters": parameters}
    await client.create(kinds.WORKFLOWS, made)


def _describe(made: Object, told: Mapping[str, Any], seen: Mapping[str, Any]) -> None:
    """Give a workflow the names, labels and annotations that expressions of its binding say."""
    head = made["metadata"]
    for key in ("name", "generateName"):
        if told.get(key):
            head.pop("generateName", None)
            head[key] = _text(key, told[key], seen)
    for field in ("labels", "annotations"):
        for key, source in (told.get(field) or {}).items():
            head.setdefault(field, {})[key] = _text(f"{field}.{key}", source, seen)


def _text(where: str, source: str, seen: Mapping[str, Any]) -> str:
    value = program.evaluate(source, seen)
    if not isinstance(value, str):
        raise errors.BadRequestError(f"spec.submit.metadata.{where}: {source[:200]!r}: want a text")
    return value


def _value(parameter: Mapping[str, Any], seen: Mapping[str, Any]) -> str:
    source = (parameter.get("valueFrom") or {}).get("event")
    if not source:
        name = str(parameter.get("name"))
        raise errors.BadRequestError(
            f"spec.submit.arguments.parameters: {name[:100]!r}: want valueFrom.event"
        )
    value = program.evaluate(source, seen)
    return value if isinstance(value, str) else orjson.dumps(value).decode()


HANDLERS: Final[Mapping[tuple[str, str], Handler]] = {
    ("GET", "/api/v1/workflow-event-bindings/{namespace:[^/]*}"): bindings,
    ("POST", "/api/v1/events/{namespace}/{discriminator:[^/]*}"): receive,
}
