"""Templates and schedules that are kept: made, listed, read, changed, checked, deleted."""

import functools
from collections.abc import Mapping
from typing import Final

from wherry.objects import errors, metadata
from wherry.objects.requests import Object
from wherry.objects.resources import Resource
from wherry.pipelines.workflows import kinds
from wherry.pipelines.workflows.server import listing
from wherry.pipelines.workflows.server.calls import Answer, Call, Handler


async def _list(resource: Resource, call: Call) -> Answer:
    await call.check("list", resource.plural)
    fits, selector, pattern = listing.named(call), listing.labels(call), call.option("namePattern")
    found = await call.services.client.list(resource, call.namespace or None, labels=str(selector))
    chosen = [
        each for each in found if fits(metadata.name(each)) and pattern in metadata.name(each)
    ]
    page, skipped = listing.limit(call), call.number("listOptions.continue")
    end = skipped + page if page else len(chosen)
    more = str(end) if len(chosen) > end else ""
    return listing.answer(chosen[skipped:end], revision=found.resource_version, more=more)


async def _create(resource: Resource, field: str, call: Call) -> Answer:
    await call.check("create", resource.plural)
    made = _sent(resource, field, call)
    return await call.services.client.create(resource, made)


async def _lint(resource: Resource, field: str, call: Call) -> Answer:
    await call.check("create", resource.plural)
    made = _sent(resource, field, call)
    return await call.services.client.create(resource, made, dry_run=True)


async def _get(resource: Resource, call: Call) -> Answer:
    await call.check("get", resource.plural)
    return await call.services.client.get(resource, call.name, call.namespace or None)


async def _update(resource: Resource, field: str, call: Call) -> Answer:
    await call.check("update", resource.plural)
    made = _sent(resource, field, call)
    if metadata.name(made) != call.name:
        raise errors.BadRequestError(
            f"{field}.metadata.name: {metadata.name(made)[:100]!r}: want {call.name!r}, as the path says"
        )
    return await call.services.client.update(resource, made)


async def _delete(resource: Resource, call: Call) -> Answer:
    await call.check("delete", resource.plural)
    await call.services.client.delete(resource, call.name, call.namespace or None)
    return {}


async def _suspend(call: Call) -> Answer:
    return await _hold(call, held=True)


async def _resume(call: Call) -> Answer:
    return await _hold(call, held=False)


async def _hold(call: Call, *, held: bool) -> Answer:
    resource = kinds.CRON_WORKFLOWS
    await call.check("update", resource.plural)
    patch = {"spec": {"suspend": True if held else None}}
    return await call.services.client.patch(resource, call.name, patch, call.namespace)


def _sent(resource: Resource, field: str, call: Call) -> Object:
    made = call.sent(field)
    head = made.get("metadata")
    if not isinstance(head, dict) or not isinstance(made.get("spec"), dict):
        raise errors.BadRequestError(f"{field}: want an object with metadata and spec")
    if head.get("namespace") not in {None, "", call.namespace}:
        raise errors.BadRequestError(
            f"{field}.metadata.namespace: {str(head['namespace'])[:100]!r}: want {call.namespace!r}"
        )
    placed = {"namespace": call.namespace} if call.namespace else {}
    return {
        **made,
        "apiVersion": resource.api_version,
        "kind": resource.kind,
        "metadata": {**head, **placed},
    }


def _handlers(resource: Resource, plural: str, field: str) -> Mapping[tuple[str, str], Handler]:
    base = f"/api/v1/{plural}" + ("/{namespace}" if resource.namespaced else "")
    everywhere = base.replace("{namespace}", "{namespace:[^/]*}")
    return {
        ("GET", everywhere): functools.partial(_list, resource),
        ("POST", base): functools.partial(_create, resource, field),
        ("POST", f"{base}/lint"): functools.partial(_lint, resource, field),
        ("GET", f"{base}/{{name}}"): functools.partial(_get, resource),
        ("PUT", f"{base}/{{name}}"): functools.partial(_update, resource, field),
        ("DELETE", f"{base}/{{name}}"): functools.partial(_delete, resource),
    }


HANDLERS: Final[Mapping[tuple[str, str], Handler]] = {
    **_handlers(kinds.WORKFLOW_TEMPLATES, "workflow-templates", "template"),
    **_handlers(kinds.CLUSTER_WORKFLOW_TEMPLATES, "cluster-workflow-templates", "template"),
    **_handlers(kinds.CRON_WORKFLOWS, "cron-workflows", "cronWorkflow"),
    ("PUT", "/api/v1/cron-workflows/{namespace}/{name}/suspend"): _suspend,
    ("PUT", "/api/v1/cron-workflows/{namespace}/{name}/resume"): _resume,
}
