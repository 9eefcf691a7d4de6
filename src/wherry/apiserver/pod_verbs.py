"""The subresource of pods that places them on a node."""

from typing import Any

from wherry.apiserver import admitting, deleting
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
        ForbiddenError: A webhook or policy refuses.
    """
    sent = body_of(call, "Binding")
    typed = sent | {"apiVersion": "v1", "kind": "Binding"}
    body = await admitting.admit_body(core, call, "CREATE", typed)
    metadata = part(body, "metadata")
    name = call.request.name or str(metadata.get("name") or "")
    served = served_pods(core)
    node = _node(part(body, "target"))
    record = core.head(served, name, call.request.namespace)
    pod = record.value()
    _check_free(pod, name)
    pod["spec"]["nodeName"] = node
    if metadata.get("annotations"):
        before = pod["metadata"].get("annotations") or {}
        pod["metadata"]["annotations"] = before | part(metadata, "annotations")
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


def served_pods(core: Core) -> Served:
    """Return how pods are served.

    Raises:
        NotFoundError: They are not.
    """
    served = core.resources.by_key(kinds.PODS.key)
    if served is None:
        raise errors.NotFoundError("the server could not find the requested resource")
    return served


def body_of(call: Call, kind: str) -> dict[str, Any]:
    """Return the request's body.

    Raises:
        BadRequestError: It is no object of the kind.
    """
    body = call.request.body
    if not isinstance(body, dict) or body.get("kind") not in (None, "", kind):
        raise errors.BadRequestError(f"the body must be one {kind} object")
    return body


def part(obj: dict[str, Any], name: str) -> dict[str, Any]:
    """Return an object within an object; an empty one where it is left out.

    Raises:
        BadRequestError: It is something else.
    """
    value = obj.get(name)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise errors.BadRequestError(f"{name} must be an object")
    return value
