"""Whose turn it is: the more important first, then the queue with the smallest fair share. Pure.

A queue's share is its dominant one: of the resource of which it holds the largest part of the
machine, divided by its weight. Source: Ghodsi et al. 2011, "Dominant Resource Fairness".
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from wherry.builtin import placement
from wherry.builtin.gangs import membership
from wherry.builtin.gangs.membership import Group
from wherry.builtin.placement import Amounts
from wherry.objects import metadata
from wherry.objects.requests import Object

WEIGHT_ANNOTATION: Final = "wherry.dev/queue-weight"
_DEFAULT: Final = "default"
_MOST: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Queue:
    """Where pods wait: a namespace, or a Volcano Queue.

    Attributes:
        name: Unique: ``namespace/team-a`` or ``queue/research``.
        weight: Its share beside that of others, at least 1.
        limits: What its pods may ask for together; resources that are not named are free.
        missing: Whether there is no such Queue.
    """

    name: str
    weight: int = 1
    limits: Amounts = field(default_factory=dict)
    missing: bool = False

    @property
    def shown(self) -> str:
        """What people call it."""
        return self.name.partition("/")[2]


@dataclass(frozen=True, slots=True)
class Queues:
    """The queues that there are.

    Attributes:
        declared: Volcano's Queues by name.
        namespaces: Namespaces by name.
    """

    declared: Mapping[str, Object] = field(default_factory=dict)
    namespaces: Mapping[str, Object] = field(default_factory=dict)
    _known: dict[str, Queue] = field(default_factory=dict)

    def of(self, pod: Object, group: Group | None) -> Queue:
        """Return the queue of a pod."""
        named = (group.queue if group else "") or metadata.annotations(pod).get(
            membership.QUEUE_ANNOTATION, ""
        )
        if named and (named != _DEFAULT or named in self.declared):
            return self._remembered("queue", named)
        return self._remembered("namespace", metadata.namespace(pod))

    def _remembered(self, kind: str, name: str) -> Queue:
        full = f"{kind}/{name}"
        if full not in self._known:
            read = self._declared if kind == "queue" else self._namespace
            self._known[full] = read(full, name)
        return self._known[full]

    def _declared(self, full: str, name: str) -> Queue:
        obj = self.declared.get(name)
        if obj is None:
            return Queue(full, missing=True)
        spec = obj.get("spec") or {}
        limits = placement.amounts_of(spec.get("capability"))
        return Queue(full, _weight(spec.get("weight")), limits)

    def _namespace(self, full: str, name: str) -> Queue:
        annotations = metadata.annotations(self.namespaces.get(name) or {"metadata": {}})
        return Queue(full, _weight(annotations.get(WEIGHT_ANNOTATION)))


def _weight(value: object) -> int:
    """Return a weight; what is none counts as 1, since a typing error must not stop a namespace."""
    text = str(value or "")
    return min(max(int(text), 1), _MOST) if text.isdecimal() and len(text) < 10 else 1


class Ledger:
    """What each queue holds of the machine."""

    def __init__(self, total: Amounts) -> None:
        """Begin with nothing held.

        Args:
            total: What the machine has.
        """
        self._total = {name: amount for name, amount in total.items() if amount > 0}
        self._used: dict[str, dict[str, int]] = {}

    def add(self, queue: Queue, amounts: Amounts) -> None:
        """Count what a pod of the queue asks for."""
        used = self._used.setdefault(queue.name, {})
        for name, amount in amounts.items():
            used[name] = used.get(name, 0) + amount

    def share(self, queue: Queue) -> float:
        """Return the queue's dominant share, by its weight."""
        used = self._used.get(queue.name)
        if not used:
            return 0.0
        total = self._total
        parts = (amount / total[name] for name, amount in used.items() if name in total)
        return max(parts, default=0.0) / queue.weight

    def used(self, queue: Queue, name: str) -> int:
        """Return how much of a resource the queue holds."""
        return self._used.get(queue.name, {}).get(name, 0)

    def beyond(self, queue: Queue, amounts: Amounts) -> str:
        """Return the first resource of which the queue would hold more than it may; or nothing."""
        for name, limit in queue.limits.items():
            asked = amounts.get(name, 0)
            if asked > 0 and self.used(queue, name) + asked > limit:
                return name
        return ""
