"""Grid search: every point of a finite space once.

The whole grid is walked in order, the last parameter fastest. Where the budget is less than the
grid, or a seed is given, the order is shuffled, so that what is tried is spread over all of it.
"""

from collections.abc import Iterator, Sequence
from random import Random

from wherry.objects.errors import Cause
from wherry.tuning import history, options
from wherry.tuning.algorithm import Algorithm, Answer, Question, Search
from wherry.tuning.space import Point, Space


class Grid(Algorithm):
    """``grid``."""

    name = "grid"

    def validate(self, search: Search) -> Sequence[Cause]:
        """Return what is wrong: settings, parameters without end, a budget beyond the grid."""
        found = options.check((options.RANDOM_STATE,), search.settings)
        space = Space(search.parameters)
        places = {one.name: index for index, one in enumerate(search.parameters)}
        found += [
            Cause(
                f"spec.parameters[{places[one.name]}].feasibleSpace.step",
                f"is required for {one.name!r}: a grid needs to know which values there are",
                "FieldValueRequired",
            )
            for one in space.dimensions
            if one.count is None
        ]
        if space.size is not None and (search.max_trials or 0) > space.size:
            message = f"{search.max_trials} is more than the {space.size} points of the grid"
            found.append(Cause("spec.maxTrialCount", message))
        return found

    def propose(self, question: Question) -> Answer:
        """Return the next points that have not been tried."""
        space = Space(question.search.parameters)
        tried = history.tried(space, question)
        points: list[Point] = []
        for index in _order(question.search, space.size or 0):
            if len(points) == question.wanted or tried.all:
                break
            point = space.at(index)
            if point not in tried:
                tried.add(point)
                points.append(point)
        return Answer(proposals=history.proposals(points), ended=tried.all)


def _order(search: Search, size: int) -> Iterator[int]:
    whole = search.max_trials is None or search.max_trials >= size
    if whole and options.RANDOM_STATE.name not in search.settings:
        return iter(range(size))
    return _shuffled(size, history.rng(search, "order"))


def _shuffled(size: int, rng: Random) -> Iterator[int]:
    """Every number below a size once, in a random order, without a list of them.

    A full-period linear congruence over the next power of two; what is too large is left out.
    """
    modulus = 1 << max(size - 1, 1).bit_length()
    factor = 4 * rng.randrange(max(modulus // 4, 1)) + 1
    shift, place = rng.randrange(modulus) | 1, rng.randrange(modulus)
    for _ in range(modulus):
        place = (factor * place + shift) % modulus
        if place < size:
            yield place
