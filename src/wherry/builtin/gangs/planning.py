"""One pass over all that waits: who is placed where, who has to go, and what the rest waits for. Pure.

Source: the order is Kubernetes' (priority) with Volcano's (dominant shares of queues) within it; a
gang is placed when all that it needs fits, so that nothing is held by what does not run. Differs on
purpose: the coscheduling plug-in lets pods of a gang hold room while they wait for one another.
"""

import dataclasses
import datetime
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from wherry.builtin import topology
from wherry.builtin.gangs import fitting, messages, preemption, units, waiting
from wherry.builtin.gangs.fitting import Fit, Site
from wherry.builtin.gangs.preemption import Preemption
from wherry.builtin.gangs.queues import Ledger
from wherry.builtin.gangs.units import Member, Pods, Unit
from wherry.builtin.placement import Demand
from wherry.objects import metadata
from wherry.objects.requests import Object

PART_SECONDS: Final = 300.0
"""How long part of a gang may run without the rest, where its group says nothing."""

# A message that names a place in the queue changes whenever the queue moves.
_MOST_TOLD: Final = 16


@dataclass(frozen=True, slots=True)
class View:
    """What a pass starts from.

    Attributes:
        site: The nodes, and who is on them; changed by the pass.
        waiting: Pods without a node.
        pods: What is known of pods.
        budgets: PodDisruptionBudgets.
        now: Aware time.
        patience_seconds: After how long room is kept for a queue's first unit.
    """

    site: Site
    waiting: Sequence[Object]
    pods: Pods
    budgets: Sequence[Object]
    now: datetime.datetime
    patience_seconds: float


@dataclass(slots=True)
class Plan:
    """What is to be done.

    Attributes:
        bindings: Pods with the names of their nodes, those of one gang together.
        refusals: Pods with what they wait for.
        nominated: Node on which room is being made, by the uid of the pod it is made for.
        preempted: Pods that have to go, with the unit that they make room for.
        dissolved: Pods of gangs of which a part has run alone for too long, with the reason.
    """

    bindings: list[list[tuple[Object, str]]] = field(default_factory=list)
    refusals: list[tuple[Object, str]] = field(default_factory=list)
    nominated: dict[str, str] = field(default_factory=dict)
    preempted: list[tuple[Object, Unit]] = field(default_factory=list)
    dissolved: list[tuple[Object, str]] = field(default_factory=list)


def plan(view: View) -> Plan:
    """Return what one pass decides."""
    return _Pass(view).run()


class _Pass:
    def __init__(self, view: View) -> None:
        self._view = view
        self._site = view.site
        self._plan = Plan()
        self._patience = waiting.Patience(view.site, view.pods, view.now, view.patience_seconds)
        self._ledger = Ledger(view.site.total())
        self._leaving: dict[str, Object] = {}
        self._least = float("inf")
        """The lowest priority of those who have a node."""
        for room in view.site.rooms:
            for uid, pod in room.occupants.items():
                self._ledger.add(view.pods.queue(pod), view.pods.demand(pod).counted)
                priority = view.pods.priority([pod], view.pods.group(pod))
                self._least = min(self._least, priority)
                if metadata.is_deleting(pod):
                    self._leaving[uid] = pod
        self._hopeless: dict[str, str] = {}
        self._unmovable: dict[tuple[str, int, bool, bool], str] = {}
        self._reserved: Unit | None = None
        self._stuck: Unit | None = None
        self._before: Counter[str] = Counter()

    def run(self) -> Plan:
        lines = waiting.lines(self._view.pods.units(self._view.waiting), self._patience)
        for unit, overdue in waiting.in_turn(lines, self._ledger):
            self._consider(unit, overdue=overdue)
        if self._stuck is not None:
            reason = f"{self._stuck.name}: the rest of its members does not fit"
            self._plan.dissolved = [(pod, reason) for pod in self._stuck.held]
        return self._plan

    def _consider(self, unit: Unit, *, overdue: bool) -> None:
        if unit.hindrance:
            self._refuse(unit, unit.members, unit.hindrance)
            return
        allowed = self._within_limits(unit)
        if allowed is None:
            return
        likeness = _likeness(allowed)
        if likeness and likeness in self._hopeless:
            self._make_room(allowed, self._hopeless[likeness], overdue=overdue)
            return
        fit = self._site.place(allowed)
        if fit.fits:
            self._bind(allowed, fit)
            return
        reason = self._wording(allowed, fit)
        if likeness:
            # Room only shrinks within a pass.
            self._hopeless[likeness] = reason
        self._make_room(allowed, reason, overdue=overdue)

    def _within_limits(self, unit: Unit) -> Unit | None:
        """Return the unit with as many pods as its queue may have; None if these are too few."""
        if not unit.queue.limits:
            return unit
        asked: Counter[str] = Counter()
        for number, member in enumerate(unit.members):
            more = asked + Counter(member.demand.counted)
            if name := self._ledger.beyond(unit.queue, more):
                reason = messages.beyond(unit.queue, name, self._ledger)
                enough = number >= unit.needed
                self._refuse(unit, unit.members[number if enough else 0 :], reason)
                kept = unit.members[:number]
                return dataclasses.replace(unit, members=kept) if enough else None
            asked = more
        return unit

    def _bind(self, unit: Unit, fit: Fit) -> None:
        self._plan.bindings.append([(member.pod, room.name) for member, room in fit.placed])
        for member, _ in fit.placed:
            self._ledger.add(unit.queue, member.demand.counted)
        for member, reason in fit.refused:
            self._refuse(unit, [member], reason)

    def _make_room(self, unit: Unit, reason: str, *, overdue: bool) -> None:
        """Look whether others leave or may be made to; else wait, with room kept or without."""
        likeness = _likeness(unit)
        key = (likeness, unit.priority, unit.is_nominated, unit.may_preempt)
        if likeness and not overdue and key in self._unmovable:
            self._refuse(unit, unit.members, self._unmovable[key])
            return
        if self._awaits_leaving(unit, overdue=overdue) or self._preempts(unit):
            return
        if unit.is_incomplete:
            self._hurry(unit)
        elif overdue:
            self._reserve(unit)
        reason = self._queued(unit, reason)
        if likeness:
            self._unmovable[key] = reason
        self._refuse(unit, unit.members, reason)

    def _awaits_leaving(self, unit: Unit, *, overdue: bool) -> bool:
        """Return whether it fits as soon as those have stopped who are stopping anyway."""
        if not self._leaving:
            return False
        fit = self._without_leaving().place(unit)
        if not fit.fits:
            return False
        places = {metadata.uid(member.pod): room.name for member, room in fit.placed}
        if unit.is_nominated or unit.is_incomplete or overdue:
            self._hold(unit, places)
        self._refuse(unit, unit.members, messages.stopping(self._leaving.values()))
        return True

    def _preempts(self, unit: Unit) -> bool:
        """Return whether others have to go for it."""
        if not unit.may_preempt or self._least >= unit.priority:
            return False
        site = self._without_leaving()
        found = preemption.find(unit, site, self._view.pods, self._view.budgets)
        if found is None:
            return False
        self._preempt(unit, found)
        return True

    def _preempt(self, unit: Unit, found: Preemption) -> None:
        self._plan.preempted += [(pod, unit) for pod in found.victims]
        self._leaving |= {metadata.uid(pod): pod for pod in found.victims}
        self._hold(unit, found.places)
        self._refuse(unit, unit.members, messages.stopping(found.victims))

    def _without_leaving(self) -> Site:
        site, demand = self._site.copy(), self._view.pods.demand
        leaving: Mapping[str, Demand] = {uid: demand(pod) for uid, pod in self._leaving.items()}
        site.remove(leaving)
        return site

    def _hold(self, unit: Unit, places: Mapping[str, str]) -> None:
        """Let nobody else have the room that becomes free."""
        self._plan.nominated |= places
        rooms = {room.name: room for room in self._site.rooms}
        for member in unit.members:
            if (name := places.get(metadata.uid(member.pod))) is not None:
                rooms[name].take(member.demand)

    def _hurry(self, unit: Unit) -> None:
        """Keep room for what a gang in part begun lacks; not for ever."""
        limit = (unit.group.timeout_seconds if unit.group else None) or PART_SECONDS
        if self._patience.in_part(unit) > limit:
            self._stuck = unit
        self._reserve(unit)

    def _reserve(self, unit: Unit) -> None:
        # One at a time: two that keep room for themselves would keep it from one another.
        if self._reserved is None and fitting.fits_ever(unit, self._site):
            self._reserved = unit
            asked = units.total(unit.members[: unit.needed])
            for room in self._site.rooms:
                room.hold(asked)

    def _wording(self, unit: Unit, fit: Fit) -> str:
        if unit.is_gang:
            return messages.too_little(unit, fit, self._site, self._view.pods)
        return next((reason for _, reason in fit.refused), "")

    def _queued(self, unit: Unit, reason: str) -> str:
        """Add what is before a unit that waits for room, and count it."""
        told = [reason.rstrip(".")]
        if unit.is_gang:
            before = self._before[unit.queue.name]
            self._before[unit.queue.name] += 1
            if before >= _MOST_TOLD:
                return f"behind more than {_MOST_TOLD} groups in queue {unit.queue.shown}"
            if before:
                told.append(messages.behind(before, unit.queue))
        if self._reserved is not None and self._reserved is not unit:
            told.append(messages.kept_for(self._reserved))
        return "; ".join(told) if len(told) > 1 else reason

    def _refuse(self, unit: Unit, members: Sequence[Member], reason: str) -> None:
        for member in members:
            told = member.hindrance or reason
            if unit.is_gang:
                told = f"{unit.name}: {told}"
            self._plan.refusals.append((member.pod, told))


def _likeness(unit: Unit) -> str:
    """Return what is equal for units that fit the same nodes; empty where nothing can be said."""
    if unit.is_gang or topology.concerns(unit.members[0].pod):
        return ""
    return unit.members[0].demand.likeness
