"""Where a unit fits: every pod that has to be placed, or none. Pure but for the rooms it is given."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from wherry.builtin import placement, topology
from wherry.builtin.gangs.membership import task_of
from wherry.builtin.gangs.units import Member, Unit
from wherry.builtin.placement import Demand, Room
from wherry.builtin.topology import Neighbourhood
from wherry.objects import metadata
from wherry.objects.requests import Object

Placed = Sequence[tuple[Member, Room]]


@dataclass(slots=True)
class Fit:
    """What came of an attempt.

    Attributes:
        placed: Who goes where; empty if the unit does not fit. Their room is taken.
        refused: Why each of the others does not fit; the whole unit's where nothing is placed.
    """

    placed: list[tuple[Member, Room]] = field(default_factory=list)
    refused: list[tuple[Member, str]] = field(default_factory=list)

    @property
    def fits(self) -> bool:
        """Whether enough were placed."""
        return bool(self.placed)


@dataclass(slots=True)
class Site:
    """The nodes as they are in the middle of a pass.

    Attributes:
        rooms: The nodes with those who are on them.
        namespaces: Labels of each namespace.
        repelling: Whether a pod on a node keeps others away.
    """

    rooms: Sequence[Room]
    namespaces: Mapping[str, Mapping[str, str]]
    repelling: bool = False

    def __post_init__(self) -> None:
        self.repelling = self.repelling or any(
            topology.repels(pod) for room in self.rooms for pod in room.occupants.values()
        )

    def copy(self) -> "Site":
        """Return a site to try things out on."""
        return Site([room.copy() for room in self.rooms], self.namespaces, self.repelling)

    def emptied(self) -> "Site":
        """Return the site as it would be without a single pod."""
        rooms = [Room(room.node, 1.0) for room in self.rooms]
        for room, full in zip(rooms, self.rooms, strict=True):
            room.offered = full.offered
        return Site(rooms, self.namespaces)

    def total(self) -> Counter[str]:
        """Return what all nodes have together."""
        summed: Counter[str] = Counter()
        for room in self.rooms:
            summed.update(room.offered)
        return summed

    def free(self, name: str) -> int:
        """Return what is left of a resource on all nodes together."""
        return sum(max(room.free(name), 0) for room in self.rooms)

    def find(self, member: Member) -> tuple[Room | None, str]:
        """Return the least occupied node that a pod fits on, or why it fits on none."""
        pod, demand = member.pod, member.demand
        near = (
            Neighbourhood(self.rooms, self.namespaces)
            if self.repelling or topology.concerns(pod)
            else None
        )
        reasons: list[str] = []
        fitting: list[Room] = []
        for room in self.rooms:
            found = placement.obstacles(pod, room.node) or room.shortages(demand)
            if near is not None and not found:
                found = near.obstacles(pod, room)
            reasons += found
            if not found:
                fitting.append(room)
        if fitting:
            return min(fitting, key=lambda room: (room.pods, room.name)), ""
        return None, placement.refusal(len(self.rooms), reasons)

    def take(self, placed: Placed) -> None:
        """Let pods have their places."""
        for member, room in placed:
            room.take(member.demand, member.pod)
            self.repelling = self.repelling or topology.repels(member.pod)

    def release(self, placed: Placed) -> None:
        """Undo `take`."""
        for member, room in placed:
            room.release(member.demand, member.pod)

    def remove(self, leaving: Mapping[str, Demand]) -> None:
        """Take pods away.

        Args:
            leaving: Their demands, by uid.
        """
        for room in self.rooms:
            for uid in [uid for uid in room.occupants if uid in leaving]:
                room.release(leaving[uid], room.occupants[uid])

    def place(self, unit: Unit) -> Fit:
        """Place as many pods of a unit as fit, if these are enough; else none.

        The order of the pods is tried first, since the first of a gang is often its head; then
        small ones before large ones, which places most of them where there is one node.
        """
        if short := self._short_of_minimum(unit):
            return Fit(refused=[(member, short) for member in unit.members])
        first = self._attempt(unit, unit.members)
        if first.fits or len(unit.members) < 2:
            return first
        by_size = sorted(unit.members, key=lambda member: sorted(member.demand.amounts.items()))
        second = self._attempt(unit, by_size)
        return second if second.fits else first

    def _attempt(self, unit: Unit, members: Sequence[Member]) -> Fit:
        made = Fit()
        for member in members:
            room, reason = (None, member.hindrance) if member.hindrance else self.find(member)
            if room is None:
                made.refused.append((member, reason))
                continue
            pair = (member, room)
            self.take([pair])
            made.placed.append(pair)
        if not _enough(unit, made.placed):
            self.release(made.placed)
            made.refused += [(member, "") for member, _ in made.placed]
            made.placed = []
        return made

    def _short_of_minimum(self, unit: Unit) -> str:
        """Return what is missing of the group's `minResources`, less what its pods have."""
        if not unit.is_gang or unit.group is None:
            return ""
        for name, least in unit.group.min_resources.items():
            have = sum(placement.requests_of(pod).get(name, 0) for pod in unit.held)
            if self.free(name) < least - have:
                return f"Insufficient {name}"
        return ""


def _enough(unit: Unit, placed: Placed) -> bool:
    if len(placed) < unit.needed:
        return False
    tasks = Counter(task_of(member.pod) for member, _ in placed)
    return all(tasks[task] >= number for task, number in unit.tasks.items())


def fits_ever(unit: Unit, site: Site) -> bool:
    """Return whether a unit would fit if there were nobody else, those of its own group apart."""
    own = {metadata.uid(pod) for pod in unit.held}
    empty = site.emptied()
    for room, full in zip(empty.rooms, site.rooms, strict=True):
        for uid, pod in full.occupants.items():
            if uid in own:
                room.take(Demand.of(pod), pod)
    return empty.place(unit).fits


def leaving_pods(rooms: Iterable[Room]) -> list[Object]:
    """Return the pods that are being deleted and still hold room."""
    return [pod for room in rooms for pod in room.occupants.values() if metadata.is_deleting(pod)]
