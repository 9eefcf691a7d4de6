"""Katib's ``medianstop``: a trial ends when its best value is worse than what others had by then.

The bound is, as in Katib and in spite of the name, the mean over the trials that have succeeded of
each one's average of its first ``start_step`` values. It is fixed when a trial is made, and stands in
the trial's rules for whoever reads them.
"""

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence

from wherry.objects.errors import Cause
from wherry.tuning import options
from wherry.tuning.algorithm import MAXIMIZE, Objective, PastTrial
from wherry.tuning.stopping import GREATER, LESS, Rule, Stopper

_OPTIONS = (
    options.Option(name="min_trials_required", default="3", whole=True, least=1),
    options.Option(name="start_step", default="4", whole=True, least=1),
)


class MedianStop(Stopper):
    """``medianstop``."""

    name = "medianstop"
    needs_curves = True

    def validate(self, settings: Mapping[str, str]) -> Sequence[Cause]:
        """Return what is wrong with the settings."""
        return options.check(_OPTIONS, settings, field=options.EARLY_STOPPING)

    def rules(
        self, objective: Objective, settings: Mapping[str, str], trials: Sequence[PastTrial]
    ) -> tuple[Rule, ...]:
        """Return the rule by the trials that have succeeded until now; none: there are too few."""
        read = options.Settings(_OPTIONS, settings)
        start = read.whole("start_step")
        done = [trial.curve for trial in trials if trial.state == "Succeeded"]
        averages = _averages(done, start)
        if len(averages) < read.whole("min_trials_required"):
            return ()
        return (
            Rule(
                name=objective.metric,
                value=repr(statistics.fmean(averages)),
                comparison=LESS if objective.type == MAXIMIZE else GREATER,
                start_step=start,
            ),
        )


def _averages(curves: Iterable[Sequence[float]], start: int) -> list[float]:
    firsts = ([value for value in curve[:start] if math.isfinite(value)] for curve in curves)
    return [statistics.fmean(first) for first in firsts if first]
