"""The subresources of pods that are verbs of their own: binding to a node, and eviction."""

import dataclasses
from typing import Any

from wherry.apiserver import deleting, writing
from wherry.apiserver.answers import One
from wherry.apiserver.call import Call
from wherry.apiserver.core import Core
from wherry.apiserver.resources import Served
from wherry.objects import conditions, errors, kinds
from wherry.objects.requests import Object


async def bind(core: Core, call: Call) -> One:
    """Place a pod on a node, once.

    Raises:
        NotFoundError: There is no such pod.
        ConflictError: It has a node already, or is being deleted.
        BadRequestError: The body names no node.
    """
    body = _body(call, "Binding")
    metadata = _part(body, "metadata")
    name = call.request.name or str(metadata.get("name") or "")
    served = _pods(core)
    node = _node(_part(body, "target"))
    record = core.head(served, name, call.request.namespace)
    pod = record.value()
    _check_free(pod, name)
    pod["spec"]["nodeName"] = node
    if metadata.get("annotations"):
        before = pod["metadata"].get("annotations") or {}
        pod["metadata"]["annotations"] = before | _part(metadata, "annotations")
    listed = pod.setdefault("status", {}).setdefault("conditions", [])
    conditions.set(listed, "PodScheduled", "True", reason="", message="", now=core.clock())
    if not call.dry_run:
        await core.store_changed(served, record, pod)
    return One(deleting.success(code=201), code=201)


def _check_free(pod: Object, name: str) -> None:
    if pod["metadata"].get("deletionTimestamp"):
        why = f"pod {name} is being deleted, cannot be assigned to a host"
        raise errors.conflict("pods", name, why)
    if node := pod["spec"].get("nodeName"):
        raise errors.conflict("pods", name, f'pod {name} is already assigned to node "{node}"')


def _node(target: dict[str, Any]) -> str:
    name = target.get("name")
    if not isinstance(name, str) or not name or target.get("kind") not in (None, "", "Node"):
        raise errors.BadRequestError("target of a Binding must name an object of kind Node")
    return name


async def evict(core: Core, call: Call) -> One:
    """Delete a pod, gracefully, on behalf of whoever drains its node.

    Raises:
        NotFoundError: There is no such pod.
        ConflictError: A precondition fails.
    """
    options = _part(_body(call, "Eviction"), "deleteOptions")
    request = dataclasses.replace(call.request, verb="delete", subresource=None, body=options)
    served = _pods(core)
    record = core.head(served, request.name or "", request.namespace)
    asked = Call(request, call.user)
    write = writing.Write.of(core, asked, served)
    await deleting.delete_record(write, record, deleting.options(asked))
    return One(deleting.success(code=201), code=201)


def _pods(core: Core) -> Served:
    served = core.resources.by_key(kinds.PODS.key)
    if served is None:
        raise errors.NotFoundError("the server could not find the requested resource")
    return served


def _body(call: Call, kind: str) -> dict[str, Any]:
    body = call.request.body
    if not isinstance(body, dict) or body.get("kind") not in (None, "", kind):
        raise errors.BadRequestError(f"the body must be one {kind} object")
    return body


def _part(obj: dict[str, Any], name: str) -> dict[str, Any]:
    part = obj.get(name)
    if part is None:
        return {}
    if not isinstance(part, dict):
        raise errors.BadRequestError(f"{name} must be an object")
    return part
