"""Who has to go for something more important: the fewest, the least important, and never in vain. Pure.

Pods of a gang go together: part of one is worth nothing. Source: kube-scheduler's plug-in
DefaultPreemption (all that are less important are taken away; then, those that a disruption budget
guards and the more important first, whoever need not go is put back).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from wherry.builtin.gangs.fitting import Site
from wherry.builtin.gangs.membership import Group, GroupKey, key_of
from wherry.builtin.gangs.units import Pods, Unit
from wherry.builtin.placement import Room
from wherry.objects import metadata, selectors
from wherry.objects.requests import Object
from wherry.objects.selectors import LabelSelector


@dataclass(frozen=True, slots=True)
class Preemption:
    """What has to be done so that a unit fits.

    Attributes:
        victims: Pods that have to go.
        places: Node of each of the unit's pods, by uid, once they are gone.
    """

    victims: tuple[Object, ...]
    places: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class _Victim:
    """Pods that go together."""

    pods: tuple[Object, ...]
    rooms: tuple[Room, ...]
    priority: int
    since: str


class Budgets:
    """What PodDisruptionBudgets still allow."""

    def __init__(self, budgets: Iterable[Object]) -> None:
        """Read budgets.

        Args:
            budgets: PodDisruptionBudgets of all namespaces.
        """
        self._left: list[list[int]] = []
        self._selectors: list[tuple[str, LabelSelector]] = []
        for budget in budgets:
            allowed = (budget.get("status") or {}).get("disruptionsAllowed") or 0
            selector = selectors.from_object(budget["spec"].get("selector"))
            self._left.append([allowed])
            self._selectors.append((metadata.namespace(budget), selector))

    def guarded(self, pods: Sequence[Object]) -> bool:
        """Count pods as gone; return whether a budget would not have allowed it."""
        violated = False
        for pod in pods:
            for left, (namespace, selector) in zip(self._left, self._selectors, strict=True):
                if namespace == metadata.namespace(pod) and selector.matches(metadata.labels(pod)):
                    left[0] -= 1
                    violated = violated or left[0] < 0
        return violated


def find(unit: Unit, site: Site, pods: Pods, budgets: Iterable[Object]) -> Preemption | None:
    """Return who has to go for a unit, or None if it would not fit even so.

    Args:
        unit: What does not fit as it is.
        site: The nodes, without those who are going anyway; changed: a copy of yours.
        pods: What is known of pods.
        budgets: PodDisruptionBudgets.
    """
    candidates = _less_important(unit, site, pods)
    if not candidates:
        return None
    for victim in candidates:
        _move(victim, pods, out=True)
    if not _fits(unit, site):
        return None
    needed = []
    for victim in _most_worth_keeping_first(candidates, budgets):
        _move(victim, pods, out=False)
        if not _fits(unit, site):
            _move(victim, pods, out=True)
            needed.append(victim)
    fit = site.place(unit)
    return Preemption(
        tuple(pod for victim in needed for pod in victim.pods),
        {metadata.uid(member.pod): room.name for member, room in fit.placed},
    )


def _fits(unit: Unit, site: Site) -> bool:
    fit = site.place(unit)
    site.release(fit.placed)
    return fit.fits


def _less_important(unit: Unit, site: Site, pods: Pods) -> list[_Victim]:
    together: dict[GroupKey | str, list[tuple[Object, Room]]] = {}
    groups: dict[GroupKey | str, Group] = {}
    own = unit.group.key if unit.group else None
    for room in site.rooms:
        for uid, pod in room.occupants.items():
            key = key_of(pod)
            group = pods.groups.get(key) if key else None
            # Who was placed in this very pass has no node yet and is more urgent than the priority says.
            if (key is not None and key == own) or not pod["spec"].get("nodeName"):
                continue
            name: GroupKey | str = key if key is not None and group is not None else uid
            together.setdefault(name, []).append((pod, room))
            if group is not None:
                groups[name] = group
    found = []
    for name, pairs in together.items():
        members = tuple(pod for pod, _ in pairs)
        priority = pods.priority(members, groups.get(name))
        if priority < unit.priority:
            since = max(started(pod) for pod in members)
            found.append(_Victim(members, tuple(room for _, room in pairs), priority, since))
    return found


def _most_worth_keeping_first(
    victims: Sequence[_Victim], budgets: Iterable[Object]
) -> list[_Victim]:
    # The important and old ones use up what the budgets allow, so that they are judged alike.
    by_worth = sorted(victims, key=lambda victim: (-victim.priority, victim.since))
    left = Budgets(budgets)
    guarded = {id(victim) for victim in by_worth if left.guarded(victim.pods)}
    return sorted(by_worth, key=lambda victim: id(victim) not in guarded)


def _move(victim: _Victim, pods: Pods, *, out: bool) -> None:
    for pod, room in zip(victim.pods, victim.rooms, strict=True):
        if out:
            room.release(pods.demand(pod), pod)
        else:
            room.take(pods.demand(pod), pod)


def started(pod: Object) -> str:
    """Return since when a pod has had its node, as near as is known; times compare as texts."""
    status = pod.get("status") or {}
    for condition in status.get("conditions") or ():
        if condition.get("type") == "PodScheduled" and condition.get("status") == "True":
            return str(condition.get("lastTransitionTime") or "")
    return str(status.get("startTime") or pod["metadata"].get("creationTimestamp") or "")
