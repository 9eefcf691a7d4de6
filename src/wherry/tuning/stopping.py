"""What an early stopper is: who says that a running trial is not worth its time.

A stopper is one file below `stoppers/`. It works in two ways, and may use both: *rules* are written
into a Trial when it is made, as Katib's are, and hold for its whole life; *decisions* are made while
a trial runs, from what the other trials have shown until then. Whoever collects metrics keeps a
`Watch` for the rules, and asks `Stopper.stops` after each value of the objective.

All of it is pure; numbers come in the order in which they were reported.
"""

import abc
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from wherry.objects.errors import Cause
from wherry.tuning.algorithm import MAXIMIZE, Objective, PastTrial

EQUAL = "equal"
LESS = "less"
GREATER = "greater"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One of a Trial's `earlyStoppingRules`.

    Attributes:
        name: Of the metric.
        value: What it is compared with, a number as text.
        comparison: ``equal``, ``less`` or ``greater``: how the metric must be to it for a stop.
        start_step: From which report of the metric on the rule counts, from 1; 0: from the first.
    """

    name: str
    value: str
    comparison: str
    start_step: int = 0


class Stopper(abc.ABC):
    """An early-stopping algorithm. Subclasses keep no state; all methods are pure."""

    name: ClassVar[str]
    """As users write it in ``earlyStopping.algorithmName``."""
    needs_curves: ClassVar[bool] = False
    """Whether `rules` and `stops` read the curves of other trials."""

    @abc.abstractmethod
    def validate(self, settings: Mapping[str, str]) -> Sequence[Cause]:
        """Return what is wrong with ``spec.earlyStopping.algorithmSettings``, by name."""

    def rules(
        self, objective: Objective, settings: Mapping[str, str], trials: Sequence[PastTrial]
    ) -> tuple[Rule, ...]:
        """Return the rules of a trial that is made now; none: it is not stopped by rules.

        Args:
            objective: What is searched for.
            settings: Those that `validate` has found right.
            trials: All so far, with their curves where `needs_curves`.
        """
        del objective, settings, trials
        return ()

    def asks_at(self, settings: Mapping[str, str], reports: int) -> bool:
        """Tell whether `stops` has anything to say after this many values of the objective."""
        del settings, reports
        return False

    def stops(
        self,
        objective: Objective,
        settings: Mapping[str, str],
        curve: Sequence[float],
        others: Sequence[Sequence[float]],
    ) -> bool:
        """Tell whether a trial is to be stopped now.

        Only called where `asks_at` says so.

        Args:
            objective: What is searched for.
            settings: Those that `validate` has found right.
            curve: Values of the objective of the trial so far; not empty.
            others: The same of the experiment's other trials, of those that run too.
        """
        del objective, settings, curve, others
        return False


class Watch:
    """The rules of one trial while it runs: each is struck out when it is met, none left is a stop.

    For the objective the best value so far is compared, for other metrics the latest one.
    """

    def __init__(self, objective: Objective, rules: Sequence[Rule]) -> None:
        self._objective = objective
        self._open = [rule for rule in rules if math.isfinite(_number(rule.value))]
        self._reports: dict[str, int] = {}
        self._best: float | None = None
        self._stops = False

    def report(self, name: str, value: float) -> bool:
        """Take in a value.

        Args:
            name: Of the metric.
            value: What was reported; NaN counts as a report that meets no rule.

        Returns:
            Whether the trial is to be stopped; once so, always so.
        """
        mine = [rule for rule in self._open if rule.name == name]
        if not mine:
            return self._stops
        self._reports[name] = self._reports.get(name, 0) + 1
        if name == self._objective.metric:
            value = self._improved(value)
        met = [rule for rule in mine if self._counts(rule) and _met(rule, value)]
        self._open = [rule for rule in self._open if rule not in met]
        self._stops = self._stops or (bool(met) and not self._open)
        return self._stops

    def _improved(self, value: float) -> float:
        best = self._best
        if best is None or (value > best if self._objective.type == MAXIMIZE else value < best):
            self._best = None if math.isnan(value) else value
        return value if self._best is None else self._best

    def _counts(self, rule: Rule) -> bool:
        return self._reports[rule.name] >= rule.start_step


def _met(rule: Rule, value: float) -> bool:
    bound = _number(rule.value)
    if rule.comparison == LESS:
        return value < bound
    if rule.comparison == GREATER:
        return value > bound
    return value == bound


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan
