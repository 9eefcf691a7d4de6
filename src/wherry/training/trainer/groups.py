"""The PodGroup by which the pods of a TrainJob start together or not at all. Pure.

Source: kubeflow/trainer 2.3, plug-ins ``coscheduling`` and ``volcano``.
"""

import collections
from decimal import Decimal
from typing import Any, Final

from wherry.builtin.gangs.kinds import POD_GROUPS, VOLCANO_POD_GROUPS
from wherry.objects import metadata, quantities
from wherry.objects.requests import Object
from wherry.objects.resources import Resource
from wherry.training.trainer import draft as drafts
from wherry.training.trainer.draft import Draft

LABEL: Final = "scheduling.x-k8s.io/pod-group"
ANNOTATION: Final = "scheduling.k8s.io/group-name"
QUEUE: Final = "scheduling.volcano.sh/queue-name"
_AMOUNTS: Final = ("requests", "limits")


def join(draft: Draft) -> None:
    """Mark the pods of a draft as members of its group, in place."""
    policy = draft.runtime.pod_group_policy
    if policy is None:
        return
    for replicated in draft.replicated():
        template = replicated["template"].setdefault("spec", {}).setdefault("template", {})
        marks = template.setdefault("metadata", {})
        if policy.coscheduling is not None:
            marks["labels"] = {**(marks.get("labels") or {}), LABEL: draft.job.name}
        elif policy.volcano is not None:
            marks["annotations"] = {**(marks.get("annotations") or {}), ANNOTATION: draft.job.name}


def wanted(draft: Draft) -> tuple[Resource, Object] | None:
    """Return the group of a finished draft, with its resource; None where there is none."""
    policy = draft.runtime.pod_group_policy
    if policy is None:
        return None
    spec: dict[str, Any] = {"minMember": members(draft)}
    if amounts := resources(draft):
        spec["minResources"] = amounts
    if policy.coscheduling is not None:
        resource = POD_GROUPS
        spec["scheduleTimeoutSeconds"] = policy.coscheduling.schedule_timeout_seconds or 60
    elif policy.volcano is not None:
        resource = VOLCANO_POD_GROUPS
        spec |= _volcano(draft, policy.volcano.network_topology)
    else:
        return None
    return resource, {
        "apiVersion": resource.api_version,
        "kind": resource.kind,
        "metadata": {
            "name": draft.job.name,
            "namespace": draft.job.namespace,
            "ownerReferences": [metadata.owner_reference(draft.job.obj)],
        },
        "spec": spec,
    }


def _volcano(draft: Draft, topology: dict[str, Any]) -> dict[str, Any]:
    made: dict[str, Any] = {"networkTopology": topology} if topology else {}
    annotations = draft.template["metadata"].get("annotations") or {}
    if QUEUE in annotations:
        made["queue"] = annotations[QUEUE]
    for replicated in draft.replicated():
        if name := drafts.pod_spec(replicated).get("priorityClassName"):
            made["priorityClassName"] = name
    return made


def members(draft: Draft) -> int:
    """Return how many pods have to start at once."""
    return sum(_count(replicated) for replicated in draft.replicated())


def resources(draft: Draft) -> dict[str, str]:
    """Return what all the pods ask for, by resource."""
    total: dict[str, Decimal] = collections.defaultdict(Decimal)
    for replicated in draft.replicated():
        for container in drafts.pod_spec(replicated).get("containers") or ():
            given = container.get("resources") or {}
            # What is limited and not requested is requested as well.
            asked = {**(given.get(_AMOUNTS[1]) or {}), **(given.get(_AMOUNTS[0]) or {})}
            for name, amount in asked.items():
                total[name] += quantities.parse(amount) * _count(replicated)
    return {name: quantities.format(amount) for name, amount in sorted(total.items())}


def _count(replicated: Object) -> int:
    job = replicated["template"].get("spec") or {}
    return int(replicated.get("replicas", 1)) * int(job.get("parallelism", 1))
