"""What all jobs of ``kubeflow.org/v1`` have in common: run policy, replicas, status.

Source: kubeflow/training-operator 1.9, ``pkg/apis/kubeflow.org/v1/common_types.go``. What one
framework alone has stands in its file below `frameworks/`.
"""

from dataclasses import dataclass
from typing import Any, Final

from wherry.objects.declared import published
from wherry.objects.declared.fields import about
from wherry.objects.declared.kind import Column, Kind, Scale, Version
from wherry.objects.declared.structural import CONDITIONS
from wherry.objects.resources import Resource

GROUP: Final = "kubeflow.org"
VERSION: Final = "v1"
API_VERSION: Final = f"{GROUP}/{VERSION}"

MANAGED_BY: Final = ("kubeflow.org/training-operator", "kueue.x-k8s.io/multikueue")

CREATED: Final = "Created"
RUNNING: Final = "Running"
RESTARTING: Final = "Restarting"
SUSPENDED: Final = "Suspended"
SUCCEEDED: Final = "Succeeded"
FAILED: Final = "Failed"

ALWAYS: Final = "Always"
ON_FAILURE: Final = "OnFailure"
NEVER: Final = "Never"
EXIT_CODE: Final = "ExitCode"
RESTART_POLICIES: Final = (ALWAYS, ON_FAILURE, NEVER, EXIT_CODE)

_CLEAN: Final = ["", "All", "Running", "None"]


@dataclass(frozen=True, slots=True)
class SchedulingPolicy:
    """How the job's pods are scheduled as one."""

    min_available: int | None = about("Pods that have to start at once; all by default.", minimum=0)
    queue: str = about("The queue that the job waits in.", "")
    min_resources: dict[str, Any] = about(
        "What the job needs before any pod of it starts, by resource.", dict
    )
    priority_class: str = about("PriorityClass of the group.", "")
    schedule_timeout_seconds: int | None = about(
        "How long the group may wait to be scheduled.", minimum=0
    )


@dataclass(frozen=True, slots=True)
class RunPolicy:
    """How a job is run, ended and cleaned up."""

    clean_pod_policy: str = about(
        "What is removed when the job has finished: All pods, those Running or pending, or None.",
        "",
        enum=_CLEAN,
    )
    ttl_seconds_after_finished: int | None = about(
        "After how many seconds a finished job is deleted; never by default.", minimum=0
    )
    active_deadline_seconds: int | None = about(
        "After how many seconds since its start the job fails.", minimum=0
    )
    backoff_limit: int | None = about("Restarts after which the job fails.", minimum=0)
    scheduling_policy: SchedulingPolicy | None = about("How its pods are scheduled as one.")
    suspend: bool | None = about("Whether its pods are removed until this is false again.")
    managed_by: str = about(
        "Who runs the job; jobs that another controller manages are left to it. Immutable.", ""
    )


@dataclass(frozen=True, slots=True)
class ReplicaSpec:
    """Pods that do the same work."""

    replicas: int | None = about("How many; 1 by default.", minimum=0)
    template: dict[str, Any] = about("The pod.", dict, published=published.POD_TEMPLATE)
    restart_policy: str = about(
        "What happens to a pod that ends. ExitCode: codes of 128 and more are tried again, "
        "others fail the job.",
        "",
        enum=["", *RESTART_POLICIES],
    )


@dataclass(frozen=True, slots=True)
class OldPlacement:
    """Fields of the run policy where releases before 1.2 had them: heeded, with a warning."""

    clean_pod_policy: str = about("Deprecated: write spec.runPolicy.cleanPodPolicy.", "")
    ttl_seconds_after_finished: int | None = about(
        "Deprecated: write spec.runPolicy.ttlSecondsAfterFinished."
    )
    active_deadline_seconds: int | None = about(
        "Deprecated: write spec.runPolicy.activeDeadlineSeconds."
    )
    backoff_limit: int | None = about("Deprecated: write spec.runPolicy.backoffLimit.")


@dataclass(frozen=True, slots=True)
class ReplicaStatus:
    """How many pods of a type are how far."""

    active: int | None = about("Pods that run or will.")
    succeeded: int | None = about("Pods that have ended well.")
    failed: int | None = about("Pods that have failed, restarted ones included.")
    selector: str = about("Label selector of the pods, as text.", "")
    label_selector: dict[str, Any] = about(
        "Deprecated: see selector.", dict, published=published.LABEL_SELECTOR
    )


@dataclass(frozen=True, slots=True)
class JobStatus:
    """How far a job is."""

    conditions: tuple[dict[str, Any], ...] = about(
        "Created, Running, Succeeded …", (), **CONDITIONS
    )
    replica_statuses: dict[str, ReplicaStatus] = about("By replica type.", dict)
    start_time: str = about("When it was first seen, or resumed.", "", format="date-time")
    completion_time: str = about("When it finished.", "", format="date-time")
    last_reconcile_time: str = about("When this was written.", "", format="date-time")


def columns() -> tuple[Column, ...]:
    """Return what `kubectl get` prints of a job."""
    return (Column("State", "string", ".status.conditions[-1:].type"),)


def declare(  # noqa: D417 - the rest is `Kind`'s
    resource: Resource, spec: type[Any], *, scale: Scale | None = None, **functions: Any
) -> Kind:
    """Return a kind of ``kubeflow.org/v1``.

    Args:
        resource: Its names.
        spec: The declared dataclass of its spec.
        scale: Where its elastic replicas are.
    """
    version = Version(name=VERSION, spec=spec, status=JobStatus, columns=columns(), scale=scale)
    return Kind(resource=resource, versions=(version,), **functions)


def resource(kind: str, plural: str, *, scale: bool = False) -> Resource:
    """Return the names of a kind of ``kubeflow.org/v1``."""
    return Resource(
        group=GROUP,
        version=VERSION,
        plural=plural,
        kind=kind,
        singular=kind.lower(),
        categories=("wherry",),
        subresources=("status", "scale") if scale else ("status",),
    )


def worker_scale(replicas_field: str) -> Scale:
    """Return where the workers' number is in kinds whose workers can be scaled."""
    status = ".status.replicaStatuses.Worker"
    return Scale(
        f".spec.{replicas_field}.Worker.replicas", f"{status}.active", f"{status}.selector"
    )
