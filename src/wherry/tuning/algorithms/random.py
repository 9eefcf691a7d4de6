"""Random search: every trial drawn anew by the parameters' distributions, none twice."""

from collections.abc import Sequence

from wherry.objects.errors import Cause
from wherry.tuning import history, options
from wherry.tuning.algorithm import Algorithm, Answer, Question, Search


class Random(Algorithm):
    """``random``."""

    name = "random"

    def validate(self, search: Search) -> Sequence[Cause]:
        """Return what is wrong with the settings."""
        return options.check((options.RANDOM_STATE,), search.settings)

    def propose(self, question: Question) -> Answer:
        """Return points drawn anew; a trial's depends on its index, not on when it is asked for."""
        draw = history.drawn(question)
        drawn = [draw() for _ in range(question.wanted)]
        points = [point for point in drawn if point is not None]
        ended = len(points) < question.wanted
        return Answer(proposals=history.proposals(points), ended=ended)
