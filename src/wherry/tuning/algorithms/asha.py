"""Asynchronous successive halving: no trial waits for others before it may go on."""

from collections.abc import Sequence

from wherry.objects.errors import Cause
from wherry.tuning import brackets, history
from wherry.tuning.algorithm import Algorithm, Answer, Question, Search


class ASHA(Algorithm):
    """``asha``."""

    name = "asha"

    def validate(self, search: Search) -> Sequence[Cause]:
        """Return what is wrong with the settings and the resource."""
        return brackets.check(search)

    def propose(self, question: Question) -> Answer:
        """Return what is good enough to go on, and new points where nothing is."""
        return brackets.asynchronous(question, history.drawn(brackets.unresourced(question)))
