"""Eviction: a deletion that asks the pod's disruption budget first.

Source: `pkg/registry/core/pod/storage/eviction.go` of Kubernetes.
"""

import dataclasses
from typing import Any

from wherry.apiserver import admitting, deleting, pod_verbs, writing
from wherry.apiserver import core as cores
from wherry.apiserver.answers import One
from wherry.apiserver.call import Call
from wherry.apiserver.core import Core
from wherry.objects import conditions, errors, kinds, metadata, selectors
from wherry.objects.requests import Object
from wherry.store import Record

_MESSAGE = "Cannot evict pod as it would violate the pod's disruption budget."
_PROCESSING_SECONDS = 10
_MAX_DISRUPTED = 2000
_UNGUARDED = frozenset({"Succeeded", "Failed", "Pending"})
"""Phases in which a pod serves nobody: no budget holds it."""


async def evict(core: Core, call: Call) -> One:
    """Delete a pod, gracefully, on behalf of whoever drains its node.

    Raises:
        NotFoundError: There is no such pod.
        ConflictError: A precondition fails.
        TooManyRequestsError: Its disruption budget does not allow it now.
        InternalError: It has several budgets.
    """
    sent = pod_verbs.body_of(call, "Eviction")
    typed = {"apiVersion": "policy/v1", "kind": "Eviction"} | sent
    body = await admitting.admit_body(core, call, "CREATE", typed)
    options = pod_verbs.part(body, "deleteOptions")
    request = dataclasses.replace(call.request, verb="delete", subresource=None, body=options)
    served = pod_verbs.served_pods(core)
    name, namespace = request.name or "", request.namespace
    asked = Call(request, call.user)
    wanted = deleting.options(asked)
    pod = core.head(served, name, namespace).value()
    if (budget := _guard(core, pod)) is not None:
        await _spend(core, budget, name, dry_run=wanted.dry_run)
    write = writing.Write.of(core, asked, served)
    await deleting.remove(write, await _marked(write, name, wanted), wanted)
    return One(deleting.success(code=201), code=201)


def _guard(core: Core, pod: Object) -> Record | None:
    """Return the budget that has to be asked.

    Raises:
        InternalError: There are several.
    """
    if metadata.is_deleting(pod) or (pod.get("status") or {}).get("phase") in _UNGUARDED:
        return None
    namespace = metadata.namespace(pod)
    found: list[Record] = []
    for listed in core.store.list(kinds.POD_DISRUPTION_BUDGETS.key, namespace).records:
        record = core.store.head(listed.key)
        selector = record.value()["spec"].get("selector") if record else None
        if record is None or selector is None:
            continue
        if selectors.from_object(selector).matches(metadata.labels(pod)):
            found.append(record)
    if len(found) > 1:
        raise errors.InternalError(
            "This pod has more than one PodDisruptionBudget, which the eviction subresource does not "
            "support."
        )
    if not found or _goes_anyway(found[0].value(), pod):
        return None
    return found[0]


def _goes_anyway(budget: Object, pod: Object) -> bool:
    """Return whether a pod that is not ready may go, whatever the budget has left."""
    if conditions.is_true(pod, "Ready"):
        return False
    if budget["spec"].get("unhealthyPodEvictionPolicy") == "AlwaysAllow":
        return True
    status = budget.get("status") or {}
    needed = status.get("desiredHealthy") or 0
    return needed > 0 and (status.get("currentHealthy") or 0) >= needed


async def _spend(core: Core, record: Record, pod: str, *, dry_run: bool) -> None:
    """Take one disruption off the budget.

    Raises:
        TooManyRequestsError: None is left, or the budget has not been counted yet.
        ForbiddenError: Too many evictions are under way.
    """
    budget = record.value()
    name, status = record.key.name, budget.setdefault("status", {})
    if (status.get("observedGeneration") or 0) < (budget["metadata"].get("generation") or 0):
        text = f"The disruption budget {name} is still being processed by the server."
        raise _too_many(pod, text, _PROCESSING_SECONDS)
    left = status.get("disruptionsAllowed") or 0
    disrupted = status.setdefault("disruptedPods", {})
    if len(disrupted) > _MAX_DISRUPTED:
        why = "DisruptedPods map too big - too many evictions not confirmed by PDB controller"
        raise errors.forbidden("poddisruptionbudgets", name, why, "policy")
    if left <= 0:
        raise _too_many(pod, _exhausted(budget))
    if dry_run:
        return
    now = core.clock()
    status["disruptionsAllowed"] = left - 1
    disrupted[pod] = cores.timestamp(now)
    if left == 1:
        listed = status.setdefault("conditions", [])
        reason = "InsufficientPods"
        conditions.set(listed, "DisruptionAllowed", "False", reason=reason, message="", now=now)
    served = core.resources.by_key(kinds.POD_DISRUPTION_BUDGETS.key)
    assert served is not None
    await core.store_changed(served, record, budget)


def _exhausted(budget: Object) -> str:
    name, status = metadata.name(budget), budget["status"]
    failed = conditions.get(budget, "DisruptionAllowed")
    if failed is not None and failed.get("reason") == "SyncFailed":
        return (
            f"The disruption budget {name} does not allow evicting pods currently because it failed "
            f"sync: {failed.get('message', '')}"
        )
    return (
        f"The disruption budget {name} needs {status.get('desiredHealthy', 0)} healthy pods and has "
        f"{status.get('currentHealthy', 0)} currently"
    )


def _too_many(pod: str, cause: str, after_seconds: int = 0) -> errors.TooManyRequestsError:
    details: dict[str, Any] = {
        "name": pod,
        "kind": "pods",
        "causes": [{"reason": "DisruptionBudget", "message": cause}],
    }
    if after_seconds:
        details["retryAfterSeconds"] = after_seconds
    return errors.TooManyRequestsError(_MESSAGE, details)


async def _marked(write: writing.Write, name: str, wanted: deleting.Options) -> Record:
    """Return the pod's head, with the condition that tells its owner why it goes.

    Raises:
        NotFoundError: It has gone meanwhile.
    """
    core = write.core
    record = core.head(write.served, name, write.call.request.namespace)
    pod = record.value()
    preconditions = wanted.uid or wanted.version
    if wanted.dry_run or preconditions or metadata.is_deleting(pod):
        return record
    conditions.set(
        pod.setdefault("status", {}).setdefault("conditions", []),
        "DisruptionTarget",
        "True",
        reason="EvictionByEvictionAPI",
        message="Eviction API: evicting",
        now=core.clock(),
    )
    await core.store_changed(write.served, record, pod)
    return core.head(write.served, name, write.call.request.namespace)
