"""PodGroups, as the coscheduling plug-in and as Volcano write them, and Volcano's Queues.

Source: kubernetes-sigs/scheduler-plugins 0.34 ``apis/scheduling/v1alpha1`` and volcano-sh/apis 1.13
``pkg/apis/scheduling/v1beta1``. What is not heeded (network topology, guarantees, hierarchies) is not
declared, and so is pruned.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from wherry.builtin import placement
from wherry.objects.declared.fields import about
from wherry.objects.declared.kind import Column, Kind, Version
from wherry.objects.declared.structural import CONDITIONS
from wherry.objects.errors import Cause
from wherry.objects.requests import Object
from wherry.objects.resources import Resource

POD_GROUPS: Final = Resource(
    group="scheduling.x-k8s.io",
    version="v1alpha1",
    plural="podgroups",
    kind="PodGroup",
    singular="podgroup",
    short_names=("pg", "pgs"),
    categories=("wherry",),
    subresources=("status",),
)
VOLCANO_POD_GROUPS: Final = Resource(
    group="scheduling.volcano.sh",
    version="v1beta1",
    plural="podgroups",
    kind="PodGroup",
    singular="podgroup",
    short_names=("vpg", "podgroup-v1beta1"),
    categories=("wherry",),
    subresources=("status",),
)
QUEUES: Final = Resource(
    group="scheduling.volcano.sh",
    version="v1beta1",
    plural="queues",
    kind="Queue",
    singular="queue",
    namespaced=False,
    short_names=("q", "queue-v1beta1"),
    categories=("wherry",),
    subresources=("status",),
)

_MOST_AMOUNTS: Final = 64


@dataclass(frozen=True, slots=True)
class PodGroupSpec:
    """Pods that start together or not at all."""

    min_member: int = about("How many pods have to start at once.", filled=1, minimum=1)
    min_resources: dict[str, Any] = about(
        "What has to be free before any pod of the group starts, by resource.",
        dict,
        maxProperties=_MOST_AMOUNTS,
    )
    schedule_timeout_seconds: int | None = about(
        "How long room is held for the group, and how long a part of it may run without the rest; "
        "seconds.",
        minimum=1,
    )


@dataclass(frozen=True, slots=True)
class PodGroupStatus:
    """How far a group is."""

    phase: str = about("Pending, Scheduling, Scheduled, Running, Finished or Failed.", "")
    occupied_by: str = about("Who owns the group's pods: namespace/name.", "")
    scheduled: int | None = about("Pods that have a node.")
    running: int | None = about("Pods that run.")
    succeeded: int | None = about("Pods that have ended well.")
    failed: int | None = about("Pods that have failed.")
    schedule_start_time: str = about("When all were there.", "", format="date-time")


@dataclass(frozen=True, slots=True)
class VolcanoPodGroupSpec:
    """Pods that start together or not at all, as Volcano writes it."""

    min_member: int = about("How many pods have to start at once.", filled=1, minimum=0)
    min_task_member: dict[str, int] = about(
        "How many of each task (annotation volcano.sh/task-spec) have to start at once.", dict
    )
    queue: str = about(
        "The Queue that the group waits in. Empty, or `default` where there is no Queue of that "
        "name: the queue of its namespace.",
        "",
        maxLength=253,
    )
    priority_class_name: str = about(
        "PriorityClass of the group; without one, the highest priority of its pods.",
        "",
        maxLength=253,
    )
    min_resources: dict[str, Any] = about(
        "What has to be free before any pod of the group starts, by resource.",
        dict,
        maxProperties=_MOST_AMOUNTS,
    )


@dataclass(frozen=True, slots=True)
class VolcanoPodGroupStatus:
    """How far a group is."""

    conditions: tuple[dict[str, Any], ...] = about("Scheduled, Unschedulable.", (), **CONDITIONS)
    phase: str = about("Pending, Inqueue, Running, Unknown or Completed.", "")
    running: int | None = about("Pods that run.")
    succeeded: int | None = about("Pods that have ended well.")
    failed: int | None = about("Pods that have failed.")


@dataclass(frozen=True, slots=True)
class QueueSpec:
    """A share of the machine."""

    weight: int = about(
        "Its share of what is contended for, beside other queues'.", filled=1, minimum=1
    )
    capability: dict[str, Any] = about(
        "What its pods may ask for at most, together, by resource.",
        dict,
        maxProperties=_MOST_AMOUNTS,
    )
    reclaimable: bool = about(
        "Whether others may take back what it has beyond its share. Not heeded: shares are evened "
        "out as pods end.",
        filled=True,
    )
    parent: str = about("The queue above it. Not heeded: queues are flat.", "")


@dataclass(frozen=True, slots=True)
class QueueStatus:
    """What a queue holds."""

    state: str = about("Open: it takes groups.", "")
    pending: int | None = about("Groups whose pods are not all there.")
    inqueue: int | None = about("Groups that wait for room.")
    running: int | None = about("Groups that run.")
    unknown: int | None = about("Groups that run in part.")
    completed: int | None = about("Groups that have ended.")
    allocated: dict[str, Any] = about("What its pods ask for, by resource.", dict)


def _amounts_are_quantities(field: str, obj: Object) -> Sequence[Cause]:
    found = []
    for name, amount in ((obj.get("spec") or {}).get(field) or {}).items():
        try:
            placement.amounts_of({name: amount})
        except ValueError as error:
            found.append(Cause(f"spec.{field}[{name}]", str(error)))
    return found


def validate_group(obj: Object, old: Object | None) -> Sequence[Cause]:
    """Return what is wrong with a PodGroup beyond its schema."""
    return _amounts_are_quantities("minResources", obj)


def validate_queue(obj: Object, old: Object | None) -> Sequence[Cause]:
    """Return what is wrong with a Queue beyond its schema."""
    return _amounts_are_quantities("capability", obj)


_GROUP_COLUMNS: Final = (
    Column("Phase", "string", ".status.phase"),
    Column("MinMember", "integer", ".spec.minMember"),
    Column("Running", "integer", ".status.running"),
    Column("Succeeded", "integer", ".status.succeeded"),
    Column("Failed", "integer", ".status.failed"),
)
_QUEUE_COLUMNS: Final = (
    Column("Weight", "integer", ".spec.weight"),
    Column("State", "string", ".status.state"),
    Column("Inqueue", "integer", ".status.inqueue"),
    Column("Pending", "integer", ".status.pending"),
    Column("Running", "integer", ".status.running"),
)

KINDS: Final = (
    Kind(
        resource=POD_GROUPS,
        versions=(
            Version(
                name=POD_GROUPS.version,
                spec=PodGroupSpec,
                status=PodGroupStatus,
                columns=_GROUP_COLUMNS,
            ),
        ),
        validate=validate_group,
    ),
    Kind(
        resource=VOLCANO_POD_GROUPS,
        versions=(
            Version(
                name=VOLCANO_POD_GROUPS.version,
                spec=VolcanoPodGroupSpec,
                status=VolcanoPodGroupStatus,
                columns=(*_GROUP_COLUMNS, Column("Queue", "string", ".spec.queue")),
            ),
        ),
        validate=validate_group,
    ),
    Kind(
        resource=QUEUES,
        versions=(
            Version(
                name=QUEUES.version, spec=QueueSpec, status=QueueStatus, columns=_QUEUE_COLUMNS
            ),
        ),
        validate=validate_queue,
    ),
)
"""What the embedded platform serves. On a cluster these are the scheduler's that is installed."""
