"""What past trials say: which have a value, and how good it is.

Algorithms minimise; `loss` turns values round where more is better.
"""

import hashlib
import itertools
import math
from collections.abc import Callable, Iterable, Sequence
from random import Random

from wherry.tuning import options
from wherry.tuning.algorithm import MAXIMIZE, Objective, PastTrial, Proposal, Question, Search
from wherry.tuning.space import Point, Space, Tried

_UNFINISHED = frozenset({"", "Created", "Running", "Pending"})
_GOOD = frozenset({"Succeeded", "EarlyStopped"})


def finished(trial: PastTrial) -> bool:
    """Tell whether nothing more will come of a trial."""
    return trial.state not in _UNFINISHED


def loss(trial: PastTrial, objective: Objective) -> float | None:
    """Return how bad a trial is, less being better; None: it has no value and will not be counted."""
    value = trial.metrics.get(objective.metric, math.nan)
    if trial.state not in _GOOD or not math.isfinite(value):
        return None
    return -value if objective.type == MAXIMIZE else value


def losses(question: Question) -> list[tuple[PastTrial, float]]:
    """Return the trials that have a value by the first objective, with it, in their order."""
    objective = question.search.objectives[0]
    found = ((trial, loss(trial, objective)) for trial in in_order(question.trials))
    return [(trial, value) for trial, value in found if value is not None]


def in_order(trials: Sequence[PastTrial]) -> list[PastTrial]:
    """Return trials in the order in which they were proposed."""
    return sorted(trials, key=lambda trial: trial.index)


def best(trials: Iterable[PastTrial], objective: Objective) -> list[PastTrial]:
    """Return trials, the best first; those without a value last, equals in their order."""
    return sorted(trials, key=lambda trial: _rank(loss(trial, objective), trial.index))


def _rank(value: float | None, index: int) -> tuple[bool, float, int]:
    return value is None, value or 0.0, index


def next_index(question: Question) -> int:
    """Return the place in the order that the next proposal will have."""
    return max((trial.index for trial in question.trials), default=-1) + 1


def rng(search: Search, *place: object) -> Random:
    """Return the randomness of one place in a search: the same whenever it is asked for.

    Args:
        search: Whose seed it is.
        place: What the numbers are for, such as the index of a proposal.
    """
    return Random(number(search, *place))  # noqa: S311  (nothing here is secret)


def number(search: Search, *place: object) -> int:
    """Return a seed of 32 bits for one place in a search."""
    text = "/".join(map(str, (options.seed(search), *place)))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4])


def tried(space: Space, question: Question) -> Tried:
    """Return the points that have been tried or are being tried."""
    return Tried(space, (trial.assignments for trial in question.trials))


def drawn(question: Question) -> Callable[[], Point | None]:
    """Return what gives points drawn anew, one for each trial to come; None: there are no more."""
    space = Space(question.search.parameters)
    new = tried(space, question)
    indexes = itertools.count(next_index(question))
    return lambda: new.fresh(rng(question.search, next(indexes)))


def proposals(points: Iterable[Point]) -> tuple[Proposal, ...]:
    """Return proposals that are nothing but points."""
    return tuple(Proposal(assignments=point) for point in points)
