"""Who waits in which queue, in which order, and who has waited so long that room is kept. Pure.

No starvation: a queue that has not been served for a while, though its first unit would fit if
others left, has the next turn and keeps what becomes free. How long it has waited is read off the
pods that run, so that a restart changes nothing.
"""

import datetime
from collections.abc import Iterable, Iterator

from wherry.builtin.gangs import fitting, preemption
from wherry.builtin.gangs.fitting import Site
from wherry.builtin.gangs.queues import Ledger
from wherry.builtin.gangs.units import Pods, Unit
from wherry.objects import metadata
from wherry.objects.requests import Object

_Place = tuple[bool, int, str, str]


class Line:
    """The units of one queue, the first in turn first."""

    def __init__(self, units: Iterable[Unit]) -> None:
        """Put units in order: gangs in part begun, then by importance, then by age.

        Args:
            units: All of one queue, at least one.
        """
        self._units = sorted(units, key=_place)
        self._next = 0
        self.overdue = False
        """Whether its first unit has waited too long."""

    @property
    def head(self) -> Unit | None:
        """Whose turn it is in this queue."""
        return self._units[self._next] if self._next < len(self._units) else None

    def advance(self) -> None:
        """Go on to the next one."""
        self._next += 1
        self.overdue = False

    def first_that_waits_for_room(self) -> Unit | None:
        """Return the first unit that nothing else holds back."""
        return next((unit for unit in self._units if not unit.hindrance), None)

    def put_first(self, unit: Unit) -> None:
        """Let a unit be the first of its importance, which it is but for those held back."""
        self._units.remove(unit)
        place = next(
            (index for index, other in enumerate(self._units) if _place(other) >= _place(unit)),
            len(self._units),
        )
        while place > 0 and self._units[place - 1].priority == unit.priority:
            place -= 1
        self._units.insert(place, unit)
        self.overdue = place == 0


class Patience:
    """How long units have waited, by the clock and by who was served meanwhile."""

    def __init__(self, site: Site, pods: Pods, now: datetime.datetime, seconds: float) -> None:
        """Take what is known.

        Args:
            site: The nodes; it is looked at before anything is placed.
            pods: What is known of pods.
            now: Aware time.
            seconds: After how long a queue's first unit is overdue.
        """
        self._site = site
        self._pods = pods
        self._now = now
        self._seconds = seconds

    def is_over(self, unit: Unit) -> bool:
        """Return whether room is to be kept for a unit now.

        A group with `scheduleTimeoutSeconds` has room kept for so long, and then waits anew.
        """
        waited = self._age(_latest_created(member.pod for member in unit.members))
        if waited < self._seconds or not fitting.fits_ever(unit, self._site):
            return False
        late = min(waited, self._age(self._served(unit))) - self._seconds
        timeout = unit.group.timeout_seconds if unit.group else None
        if late < 0 or timeout is None:
            return late >= 0
        return late % (self._seconds + timeout) < timeout

    def in_part(self, unit: Unit) -> float:
        """Return how long a part of a gang has waited for the rest; seconds."""
        since = max(preemption.started(pod) for pod in unit.held)
        asked = _latest_created(member.pod for member in unit.members)
        return min(self._age(since), self._age(asked))

    def _served(self, unit: Unit) -> str:
        """Return when the queue was last given room for something older than the unit."""
        return max(
            (
                preemption.started(pod)
                for room in self._site.rooms
                for pod in room.occupants.values()
                if self._pods.queue(pod) == unit.queue and self._created(pod) < unit.created
            ),
            default="",
        )

    def _created(self, pod: Object) -> str:
        group = self._pods.group(pod)
        return group.created if group else str(pod["metadata"].get("creationTimestamp", ""))

    def _age(self, since: str) -> float:
        if not since:
            return float("inf")
        return (self._now - metadata.parse_time(since)).total_seconds()


def lines(units: Iterable[Unit], patience: Patience) -> list[Line]:
    """Return the queues with somebody in them."""
    together: dict[str, list[Unit]] = {}
    for unit in units:
        together.setdefault(unit.queue.name, []).append(unit)
    made = [Line(each) for each in together.values()]
    for line in made:
        first = line.first_that_waits_for_room()
        if first is not None and patience.is_over(first):
            line.put_first(first)
    return made


def in_turn(waiting: list[Line], ledger: Ledger) -> Iterator[tuple[Unit, bool]]:
    """Yield units with whether they are overdue, each time the one whose turn it is by then.

    Args:
        waiting: The queues.
        ledger: What each holds; to be kept up while units are taken.
    """
    open_lines = [line for line in waiting if line.head is not None]
    while open_lines:
        line = open_lines[0]
        if len(open_lines) > 1:
            line = min(open_lines, key=lambda each: _standing(each, ledger))
        unit, overdue = line.head, line.overdue
        if unit is not None:
            yield unit, overdue
        line.advance()
        if line.head is None:
            open_lines.remove(line)


def _standing(line: Line, ledger: Ledger) -> tuple[bool, int, bool, float, str, str]:
    unit = line.head
    assert unit is not None
    share = ledger.share(unit.queue)
    name = unit.queue.name
    return not unit.is_incomplete, -unit.priority, not line.overdue, share, unit.created, name


def _place(unit: Unit) -> _Place:
    return not unit.is_incomplete, -unit.priority, unit.created, unit.name


def _latest_created(pods: Iterable[Object]) -> str:
    return max(str(pod["metadata"].get("creationTimestamp", "")) for pod in pods)
