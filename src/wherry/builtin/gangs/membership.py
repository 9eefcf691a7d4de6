"""Which pods are one gang, and what their PodGroup asks for, whichever of its forms. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

from wherry.builtin import placement
from wherry.builtin.gangs import kinds
from wherry.builtin.placement import Amounts
from wherry.objects import metadata
from wherry.objects.requests import Object

# The second is what releases of the plug-in before 0.24 read.
_LABELS: Final = ("scheduling.x-k8s.io/pod-group", "pod-group.scheduling.sigs.k8s.io")
_ANNOTATIONS: Final = ("scheduling.k8s.io/group-name", "scheduling.volcano.sh/group-name")
_TASK: Final = "volcano.sh/task-spec"
QUEUE_ANNOTATION: Final = "scheduling.volcano.sh/queue-name"

DEFAULT_SCHEDULER: Final = "default-scheduler"
SCHEDULERS: Final = frozenset(
    {
        DEFAULT_SCHEDULER,
        "coscheduling",
        "kube-batch",
        "scheduler-plugins",
        "scheduler-plugins-scheduler",
        "volcano",
    }
)
"""Schedulers that ours stands for: manifests name them for their gangs. Pods that name others are
left to whoever runs under that name."""


class GroupKey(NamedTuple):
    """Which PodGroup.

    Attributes:
        form: Its API group.
        namespace: Where it is.
        name: Its name.
    """

    form: str
    namespace: str
    name: str

    @property
    def text(self) -> str:
        """The key as one text."""
        return "/".join(self)

    @property
    def shown(self) -> str:
        """What people call it."""
        return f"pod group {self.namespace}/{self.name}"


@dataclass(frozen=True, slots=True)
class Group:
    """A PodGroup.

    Attributes:
        key: Which.
        min_member: How many pods have to start at once, at least 1.
        min_tasks: How many of each task, by the task's name.
        min_resources: What has to be free for all of them.
        timeout_seconds: How long room is held for it; None: it says nothing.
        queue: The Queue that it names; empty: none.
        priority_class: The PriorityClass that it names; empty: none.
        created: As in its metadata.
    """

    key: GroupKey
    min_member: int
    min_tasks: Mapping[str, int]
    min_resources: Amounts
    timeout_seconds: int | None
    queue: str
    priority_class: str
    created: str


def key_of(pod: Object) -> GroupKey | None:
    """Return the group that a pod says it belongs to."""
    namespace = metadata.namespace(pod)
    labels, annotations = metadata.labels(pod), metadata.annotations(pod)
    for name in _LABELS:
        if labels.get(name):
            return GroupKey(kinds.POD_GROUPS.group, namespace, labels[name])
    for name in _ANNOTATIONS:
        if annotations.get(name):
            return GroupKey(kinds.VOLCANO_POD_GROUPS.group, namespace, annotations[name])
    return None


def task_of(pod: Object) -> str:
    """Return the name of the task that a pod of a Volcano group does; empty where it has none."""
    return metadata.annotations(pod).get(_TASK, "")


def group(obj: Object) -> Group:
    """Read a PodGroup of either form."""
    spec = obj.get("spec") or {}
    form = str(obj["apiVersion"]).partition("/")[0]
    return Group(
        key=GroupKey(form, metadata.namespace(obj), metadata.name(obj)),
        min_member=max(int(spec.get("minMember") or 0), 1),
        min_tasks=dict(spec.get("minTaskMember") or {}),
        min_resources=placement.amounts_of(spec.get("minResources")),
        timeout_seconds=spec.get("scheduleTimeoutSeconds"),
        queue=spec.get("queue") or "",
        priority_class=spec.get("priorityClassName") or "",
        created=str(obj["metadata"].get("creationTimestamp", "")),
    )
