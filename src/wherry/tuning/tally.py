"""What all trials of a search come to: how many stand how, which is best. Pure.

A search may have thousands of trials, and each change of one is a reason to count. So what counts of
a trial is taken from it once for each of its versions, and the sums are kept up to date with it.
"""

import bisect
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from wherry.objects import metadata
from wherry.objects.requests import Object
from wherry.tuning import fronts, kinds, optimum, search
from wherry.tuning.algorithm import Objective

_MAX_FRONT: Final = 100
_ACTIVE: Final = (kinds.CREATED, kinds.RUNNING)
_OBSERVED: Final = frozenset({kinds.SUCCEEDED, kinds.EARLY_STOPPED})


@dataclass(frozen=True, slots=True)
class Digest:
    """What counts of a trial.

    Attributes:
        name: Its name.
        index: Place in the order of proposals.
        state: How it stands.
        values: Value that counts of each objective, as text; None where there is none.
        number: That of the first as a number; None where it is none.
        leaving: Whether it is being deleted.
    """

    name: str
    index: int
    state: str
    values: tuple[str | None, ...]
    number: float | None
    leaving: bool

    @property
    def place(self) -> tuple[int, str]:
        """What trials are ordered by."""
        return (self.index, self.name)


def digest(trial: Object, objectives: Sequence[Objective]) -> Digest:
    """Return what counts of a trial.

    Args:
        trial: In v1beta1.
        objectives: The first decides.
    """
    state = optimum.state(trial)
    known = optimum.values(trial) if state in _OBSERVED else {}
    first = known.get(objectives[0].metric)
    return Digest(
        name=metadata.name(trial),
        index=search.index(trial),
        state=state,
        values=tuple(known.get(each.metric) for each in objectives),
        number=None if first is None else optimum.number(first),
        leaving=metadata.is_deleting(trial),
    )


class _Group:
    """Trials in one state, in the order of proposals."""

    __slots__ = ("names", "places")

    def __init__(self) -> None:
        self.names: list[str] = []
        self.places: list[tuple[int, str]] = []

    def add(self, each: Digest) -> None:
        at = bisect.bisect_left(self.places, each.place)
        self.places.insert(at, each.place)
        self.names.insert(at, each.name)

    def remove(self, each: Digest) -> None:
        at = bisect.bisect_left(self.places, each.place)
        del self.places[at], self.names[at]


class Tally:
    """All trials of a search, but for those that are being deleted."""

    def __init__(self, types: Sequence[str]) -> None:
        """Begin without any.

        Args:
            types: ``minimize`` or ``maximize``, for each objective.
        """
        self._signs = [-1.0 if type_ == kinds.MAXIMIZE else 1.0 for type_ in types]
        self._digests: dict[str, Digest] = {}
        self._groups: dict[str, _Group] = {}
        self._best: Digest | None = None
        self._front: list[str] | None = []

    def __len__(self) -> int:
        """How many trials there are."""
        return len(self._digests)

    def __contains__(self, name: object) -> bool:
        """Whether there is a trial of a name."""
        return name in self._digests

    def put(self, each: Digest) -> None:
        """Count a trial as it stands now, in place of how it stood before."""
        before = self._digests.get(each.name)
        if before == each:
            return
        if before is not None:
            self.drop(each.name)
        if each.leaving:
            return
        self._digests[each.name] = each
        self._groups.setdefault(each.state, _Group()).add(each)
        if each.values[0] is not None:
            self._front = None
            if self._best is None or self._rank(each) < self._rank(self._best):
                self._best = each

    def drop(self, name: str) -> None:
        """Count a trial no more; that it was not counted is fine."""
        before = self._digests.pop(name, None)
        if before is None:
            return
        self._groups[before.state].remove(before)
        if before.values[0] is not None:
            self._front = None
        if before is self._best:
            told = (each for each in self._digests.values() if each.values[0] is not None)
            self._best = min(told, key=self._rank, default=None)

    def _rank(self, each: Digest) -> tuple[bool, float, tuple[int, str]]:
        """Order by value, the first of equals first; without numbers (architectures, say) the newest."""
        if each.number is None:
            return (True, float(-each.index), each.place)
        return (False, self._signs[0] * each.number, each.place)

    @property
    def best(self) -> tuple[str, str] | None:
        """Name of the best trial, and its value; None where none has a value."""
        return None if self._best is None else (self._best.name, self._best.values[0] or "")

    @property
    def front(self) -> Sequence[str]:
        """Names of the trials that none beats in all objectives, where there are several."""
        if self._front is None:
            self._front = self._found_front() if len(self._signs) > 1 else []
        return self._front

    def _found_front(self) -> list[str]:
        ordered = sorted(self._digests.values(), key=lambda each: each.place)
        points = {each.name: found for each in ordered if (found := _numbers(each)) is not None}
        losses = [
            tuple(sign * value for sign, value in zip(self._signs, point, strict=True))
            for point in points.values()
        ]
        names = [*points]
        return [names[index] for index in fronts.front(losses)][:_MAX_FRONT]

    def names(self, state: str) -> Sequence[str]:
        """Return the names of the trials in a state, in the order of proposals."""
        group = self._groups.get(state)
        return group.names if group is not None else ()

    def count(self, *states: str) -> int:
        """Return how many trials are in one of some states."""
        return sum(len(self.names(state)) for state in states)

    @property
    def active(self) -> int:
        """How many have not ended."""
        return self.count(*_ACTIVE)

    @property
    def completed(self) -> int:
        """How many have ended, however."""
        return self.count(*optimum.COMPLETED)

    def surplus(self, parallel: int) -> list[str]:
        """Return the names of unfinished trials that are too many, the newest first."""
        groups = (self._groups.get(state) for state in _ACTIVE)
        active = sorted(place for group in groups if group is not None for place in group.places)
        return [name for _, name in active[max(0, parallel) :]][::-1]


def tally(trials: Iterable[Object], objectives: Sequence[Objective]) -> Tally:
    """Return what trials come to.

    Args:
        trials: In v1beta1, in any order.
        objectives: The first decides.
    """
    made = Tally([each.type for each in objectives])
    for trial in trials:
        made.put(digest(trial, objectives))
    return made


def _numbers(each: Digest) -> tuple[float, ...] | None:
    read = [None if value is None else optimum.number(value) for value in each.values]
    found = tuple(value for value in read if value is not None)
    return found if len(found) == len(read) else None
