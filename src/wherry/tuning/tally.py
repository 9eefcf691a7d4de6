"""What all trials of a search come to: how many stand how, which is best. Pure.

A search may have thousands of trials, and each change of one is a reason to count: what counts of a
trial is taken from it once for each of its versions.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from wherry.objects import metadata
from wherry.objects.requests import Object
from wherry.tuning import fronts, kinds, optimum, search

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


@dataclass(frozen=True, slots=True)
class Tally:
    """All trials of a search.

    Attributes:
        digests: In the order of proposals.
        names: Of the trials by state, in that order.
        best: Name of the best one, and its value.
        front: Names of those that none beats in all objectives, where there are several.
    """

    digests: Sequence[Digest]
    names: Mapping[str, Sequence[str]]
    best: tuple[str, str] | None
    front: Sequence[str]

    def count(self, *states: str) -> int:
        """Return how many trials are in one of some states."""
        return sum(len(self.names.get(state, ())) for state in states)

    @property
    def active(self) -> int:
        """How many have not ended."""
        return self.count(*_ACTIVE)

    @property
    def completed(self) -> int:
        """How many have ended, however."""
        return self.count(*optimum.COMPLETED)

    def surplus(self, parallel: int) -> list[str]:
        """Return the names of unfinished trials that are too many, the newest ones."""
        active = [each.name for each in self.digests if each.state in _ACTIVE]
        return active[max(0, parallel) :][::-1]


def digest(trial: Object, metrics: Sequence[str]) -> Digest:
    """Return what counts of a trial.

    Args:
        trial: In v1beta1.
        metrics: Names of the objectives.
    """
    state = optimum.state(trial)
    known = optimum.values(trial) if state in _OBSERVED else {}
    first = known.get(metrics[0])
    return Digest(
        name=metadata.name(trial),
        index=search.index(trial),
        state=state,
        values=tuple(known.get(metric) for metric in metrics),
        number=None if first is None else optimum.number(first),
        leaving=metadata.is_deleting(trial),
    )


def tally(digests: Iterable[Digest], types: Sequence[str]) -> Tally:
    """Return what trials come to.

    Args:
        digests: In any order.
        types: ``minimize`` or ``maximize``, for each objective.
    """
    ordered = sorted(digests, key=lambda each: (each.index, each.name))
    names: dict[str, list[str]] = {}
    for each in ordered:
        names.setdefault(each.state, []).append(each.name)
    return Tally(ordered, names, _best(ordered, types[0]), _front(ordered, types))


def _best(ordered: Sequence[Digest], type_: str) -> tuple[str, str] | None:
    """Return the best trial; of what is no number (an architecture, say) the newest."""
    numbers = [each for each in ordered if each.number is not None]
    if numbers:
        sign = -1.0 if type_ == kinds.MAXIMIZE else 1.0
        # The first of equals.
        held = min(numbers, key=lambda each: sign * (each.number or 0.0))
        return (held.name, held.values[0] or "")
    told = [each for each in ordered if each.values[0] is not None]
    return (told[-1].name, told[-1].values[0] or "") if told else None


def _front(ordered: Sequence[Digest], types: Sequence[str]) -> list[str]:
    if len(types) < 2:
        return []
    signs = [-1.0 if type_ == kinds.MAXIMIZE else 1.0 for type_ in types]
    points = {each.name: found for each in ordered if (found := _numbers(each)) is not None}
    losses = [
        tuple(sign * value for sign, value in zip(signs, point, strict=True))
        for point in points.values()
    ]
    names = [*points]
    return [names[index] for index in fronts.front(losses)][:_MAX_FRONT]


def _numbers(each: Digest) -> tuple[float, ...] | None:
    read = [None if value is None else optimum.number(value) for value in each.values]
    found = tuple(value for value in read if value is not None)
    return found if len(found) == len(read) else None


class Digests:
    """Digests of one search's trials, each made once for a version of its trial."""

    def __init__(self) -> None:
        self._held: dict[str, tuple[str, Digest]] = {}

    def of(self, trials: Iterable[Object], metrics: Sequence[str]) -> list[Digest]:
        """Return the digests of all trials of a search.

        Args:
            trials: All of them: what is held of others is dropped.
            metrics: Names of the objectives.
        """
        held, made = {}, []
        for trial in trials:
            fields: dict[str, Any] = trial["metadata"]
            uid, version = fields["uid"], fields["resourceVersion"]
            before = self._held.get(uid)
            if before is None or before[0] != version:
                before = (version, digest(trial, metrics))
            held[uid] = before
            made.append(before[1])
        self._held = held
        return made
