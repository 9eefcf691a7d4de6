"""Sobol search: points that fill the space evenly, however many have been tried."""

import itertools
from collections.abc import Sequence

from wherry.objects.errors import Cause
from wherry.tuning import history, options
from wherry.tuning.algorithm import Algorithm, Answer, Question, Search
from wherry.tuning.space import Point, Space

_PASSED_OVER = 16
"""How many points of the sequence are looked at for one that is new."""


class Sobol(Algorithm):
    """``sobol``."""

    name = "sobol"

    def validate(self, search: Search) -> Sequence[Cause]:
        """Return what is wrong with the settings."""
        return options.check((options.RANDOM_STATE,), search.settings)

    def propose(self, question: Question) -> Answer:
        """Return the next points of the sequence; the place in it is the trial's index."""
        from wherry.tuning.models import design  # noqa: PLC0415  (SciPy: lazily)

        space = Space(question.search.parameters)
        tried = history.tried(space, question)
        first = history.next_index(question)
        found: list[Point] = []
        for index in range(first, first + question.wanted):
            even = design.points(space, question.search, index)
            new = tried.fresh(
                history.rng(question.search, index), itertools.islice(even, _PASSED_OVER)
            )
            found += [new] if new is not None else []
        return Answer(proposals=history.proposals(found), ended=tried.all)
