"""Hyperband: brackets of successive halving, new points drawn at random.

Unlike Katib's it does not need as many trials at once as a bracket has, and any part of it can be
taken up again, as labels say where each trial stands.
"""

from collections.abc import Sequence

from wherry.objects.errors import Cause
from wherry.tuning import brackets, history
from wherry.tuning.algorithm import Algorithm, Answer, Question, Search


class Hyperband(Algorithm):
    """``hyperband``."""

    name = "hyperband"

    def validate(self, search: Search) -> Sequence[Cause]:
        """Return what is wrong with the settings and the resource."""
        return brackets.check(search)

    def propose(self, question: Question) -> Answer:
        """Return what is to go on, and new points where there is room."""
        return brackets.hyperband(question, history.drawn(brackets.unresourced(question)))
