"""What is placed as one: a pod by itself, or as much of a gang as is still missing. Pure."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from wherry.builtin import placement
from wherry.builtin.gangs import membership
from wherry.builtin.gangs.membership import Group, GroupKey
from wherry.builtin.gangs.queues import Queue, Queues
from wherry.builtin.placement import Amounts, Demand
from wherry.objects import metadata
from wherry.objects.requests import Object


@dataclass(frozen=True, slots=True)
class Member:
    """A pod that waits.

    Attributes:
        pod: The pod.
        demand: What it wants of a node.
        hindrance: What holds it back whatever the room, such as a claim that is not bound.
    """

    pod: Object
    demand: Demand
    hindrance: str = ""


@dataclass(frozen=True, slots=True)
class Unit:
    """Pods that are placed in one decision or not at all.

    Attributes:
        queue: Where it waits.
        priority: Who goes before whom, and who may make whom go.
        created: When its turn began.
        members: The pods that wait, in their order.
        needed: How many of these have to be placed at once.
        group: Their group; None for a pod by itself.
        held: Pods of the group that have a node.
        tasks: How many of each task have to be among those placed.
        hindrance: What holds it back whatever the room.
        is_gang: Whether it is placed whole: not so for a pod by itself, nor for one more pod of a
            gang that has all it needs.
    """

    queue: Queue
    priority: int
    created: str
    members: tuple[Member, ...]
    needed: int = 1
    group: Group | None = None
    held: tuple[Object, ...] = ()
    tasks: Mapping[str, int] = field(default_factory=dict)
    hindrance: str = ""
    is_gang: bool = False

    @property
    def is_incomplete(self) -> bool:
        """Whether part of the gang has a node and waits for this part."""
        return self.is_gang and bool(self.held)

    @property
    def name(self) -> str:
        """What people call it."""
        if self.group is not None:
            return self.group.key.shown
        return "/".join(metadata.namespaced_name(self.members[0].pod))

    @property
    def may_preempt(self) -> bool:
        """Whether others may have to go for it."""
        return all(each.pod["spec"].get("preemptionPolicy") != "Never" for each in self.members)

    @property
    def is_nominated(self) -> bool:
        """Whether others have been told to go for it."""
        return any((each.pod.get("status") or {}).get("nominatedNodeName") for each in self.members)


@dataclass(frozen=True, slots=True)
class Pods:
    """What is known of pods.

    Attributes:
        groups: PodGroups by key.
        of_group: Returns all pods of a group.
        demand: Returns what a pod wants.
        hindrance: Returns what holds a pod back whatever the room; empty for nothing.
        classes: Values of the PriorityClasses, by name.
        queues: Where pods wait.
    """

    groups: Mapping[GroupKey, Group]
    of_group: Callable[[GroupKey], Iterable[Object]]
    demand: Callable[[Object], Demand]
    hindrance: Callable[[Object], str]
    queues: Queues
    classes: Mapping[str, int] = field(default_factory=dict)

    def group(self, pod: Object) -> Group | None:
        """Return a pod's group, if it exists."""
        key = membership.key_of(pod)
        return self.groups.get(key) if key else None

    def queue(self, pod: Object) -> Queue:
        """Return where a pod waits, or would."""
        return self.queues.of(pod, self.group(pod))

    def priority(self, pods: Sequence[Object], group: Group | None) -> int:
        """Return the priority of pods that are one: their group's, or the highest of theirs."""
        if group is not None and group.priority_class in self.classes:
            return self.classes[group.priority_class]
        return max((priority_of(pod) for pod in pods), default=0)

    def units(self, waiting: Iterable[Object]) -> list[Unit]:
        """Return what is to be placed.

        Args:
            waiting: Pods without a node.
        """
        alone: list[Unit] = []
        gangs: dict[GroupKey, list[Object]] = {}
        for pod in waiting:
            key = membership.key_of(pod)
            if key is None:
                alone.append(self._alone(pod, None))
            else:
                gangs.setdefault(key, []).append(pod)
        for key, pods in gangs.items():
            alone += self._gang(key, sorted(pods, key=turn))
        return alone

    def _alone(self, pod: Object, group: Group | None, held: tuple[Object, ...] = ()) -> Unit:
        member = Member(pod, self.demand(pod), self.hindrance(pod))
        queue = self.queues.of(pod, group)
        return Unit(
            queue=queue,
            priority=self.priority([pod], group),
            created=_created(pod),
            members=(member,),
            group=group,
            held=held,
            hindrance=member.hindrance or _no_queue(queue),
        )

    def _gang(self, key: GroupKey, pods: list[Object]) -> list[Unit]:
        group = self.groups.get(key)
        if group is None:
            lacking = f"{key.shown} ({key.form}) not found"
            members = (Member(pod, self.demand(pod)) for pod in pods)
            queues = self.queues
            return [
                Unit(
                    queue=queues.of(each.pod, None),
                    priority=priority_of(each.pod),
                    created=_created(each.pod),
                    members=(each,),
                    hindrance=lacking,
                )
                for each in members
            ]
        held, done = _standing(self.of_group(key))
        needed = group.min_member - len(held) - len(done)
        tasks = _open_tasks(group, [*held, *done])
        if needed <= 0 and not tasks:
            return [self._alone(pod, group, held) for pod in pods]
        needed = max(needed, sum(tasks.values()), 1)
        queue = self.queues.of(pods[0], group)
        return [
            Unit(
                queue=queue,
                priority=self.priority([*pods, *held], group),
                created=group.created or _created(pods[0]),
                members=tuple(Member(pod, self.demand(pod), self.hindrance(pod)) for pod in pods),
                needed=needed,
                group=group,
                held=held,
                tasks=tasks,
                hindrance=_no_queue(queue) or _too_few(group, pods, needed, tasks),
                is_gang=True,
            )
        ]


def total(members: Iterable[Member]) -> Amounts:
    """Return what members want together."""
    summed: Counter[str] = Counter()
    for each in members:
        summed.update(each.demand.counted)
    return summed


def priority_of(pod: Object) -> int:
    """Return a pod's own priority."""
    return int(pod["spec"].get("priority") or 0)


def turn(pod: Object) -> tuple[int, str, str]:
    """Return what orders pods: importance, age, name."""
    return -priority_of(pod), _created(pod), metadata.name(pod)


def _created(pod: Object) -> str:
    return str(pod["metadata"].get("creationTimestamp", ""))


def _standing(pods: Iterable[Object]) -> tuple[tuple[Object, ...], list[Object]]:
    """Return those with a node, that stay, and those that have ended well."""
    held, done = [], []
    for pod in pods:
        if (pod.get("status") or {}).get("phase") == "Succeeded":
            done.append(pod)
        elif (
            pod["spec"].get("nodeName")
            and not metadata.is_deleting(pod)
            and not placement.is_finished(pod)
        ):
            held.append(pod)
    return tuple(held), done


def _open_tasks(group: Group, there: Sequence[Object]) -> dict[str, int]:
    have = Counter(membership.task_of(pod) for pod in there)
    lacking = {task: least - have[task] for task, least in group.min_tasks.items()}
    return {task: number for task, number in lacking.items() if number > 0}


def _no_queue(queue: Queue) -> str:
    return f"Queue {queue.shown!r} (scheduling.volcano.sh) not found" if queue.missing else ""


def _too_few(group: Group, pods: Sequence[Object], needed: int, tasks: Mapping[str, int]) -> str:
    if len(pods) < needed:
        missing, least = needed - len(pods), max(group.min_member, needed)
        return f"waiting for {missing} more of {least} members"
    have = Counter(membership.task_of(pod) for pod in pods)
    for task, number in tasks.items():
        if have[task] < number:
            least = group.min_tasks[task]
            return f"waiting for {number - have[task]} more of {least} members of task {task!r}"
    return ""
