"""Pods that start together or not at all: the PodGroup of a job, and what says a pod is of it. Pure.

A job asks for it by `spec.runPolicy.schedulingPolicy`. Where its pods name the scheduler ``volcano``
the group is Volcano's, else that of the scheduler plug-ins, which Wherry's own scheduler heeds too.

Pods are made at once with their group; whether they start is the scheduler's to say.

Source: kubeflow/training-operator 1.9, ``pkg/controller.v1/control/podgroup_control.go``. There a flag
of the operator decides over all jobs, and the pods of Volcano's groups are held back until the group
is in its queue.
"""

from collections.abc import Mapping
from typing import Any, Final

from wherry.objects import metadata
from wherry.objects.requests import Object
from wherry.objects.resources import Resource
from wherry.training.job import Job

GROUPS: Final = Resource("scheduling.x-k8s.io", "v1alpha1", "podgroups", "PodGroup", "podgroup")
VOLCANO_GROUPS: Final = Resource(
    "scheduling.volcano.sh", "v1beta1", "podgroups", "PodGroup", "podgroup"
)
_VOLCANO: Final = "volcano"
LABEL: Final = "scheduling.x-k8s.io/pod-group"
VOLCANO_ANNOTATION: Final = "scheduling.k8s.io/group-name"
VOLCANO_TASK: Final = "volcano.sh/task-spec"


def resource(job: Job) -> Resource:
    """Return the kind of PodGroup that the scheduler of a job's pods reads."""
    specs = (replica.template.get("spec") or {} for replica in job.replicas.values())
    volcano = any(spec.get("schedulerName") == _VOLCANO for spec in specs)
    return VOLCANO_GROUPS if volcano else GROUPS


def group(job: Job) -> Object | None:
    """Return the PodGroup of a job; None where it asks for none."""
    policy = job.policy.scheduling_policy
    if policy is None:
        return None
    kind = resource(job)
    least = job.total() if policy.min_available is None else policy.min_available
    spec: dict[str, Any] = {"minMember": least}
    if policy.min_resources:
        spec["minResources"] = dict(policy.min_resources)
    if kind == GROUPS:
        spec |= _given(scheduleTimeoutSeconds=policy.schedule_timeout_seconds)
    else:
        spec |= _given(queue=policy.queue, priorityClassName=policy.priority_class)
    return {
        "apiVersion": kind.api_version,
        "kind": kind.kind,
        "metadata": {
            "name": job.name,
            "namespace": job.namespace,
            "ownerReferences": [metadata.owner_reference(job.obj)],
        },
        "spec": spec,
    }


def _given(**fields: Any) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value not in (None, "")}


def labels(job: Job) -> Mapping[str, str]:
    """Return the labels by which a job's pods are of its group."""
    wanted = job.policy.scheduling_policy is not None and resource(job) == GROUPS
    return {LABEL: job.name} if wanted else {}


def annotations(job: Job, type_: str) -> Mapping[str, str]:
    """Return the annotations by which the pods of a type are of their job's group."""
    wanted = job.policy.scheduling_policy is not None and resource(job) == VOLCANO_GROUPS
    return {VOLCANO_ANNOTATION: job.name, VOLCANO_TASK: type_.lower()} if wanted else {}
