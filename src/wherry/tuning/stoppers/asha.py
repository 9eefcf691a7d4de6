"""Asynchronous successive halving as a stopper: at each rung only the best part goes on.

Rungs are numbers of values reported: ``min_resource``, then each ``eta`` times as many. A trial that
reaches one goes on if its best value so far is among the best 1/eta of what all trials had there, its
own included, and is stopped otherwise. Nobody waits for anybody: the first ones go on, and the bar
rises as more arrive.

Source: Li et al. 2020, "A system for massively parallel hyperparameter tuning", the stopping variant.
"""

import math
from collections.abc import Mapping, Sequence

from wherry.objects.errors import Cause
from wherry.tuning import options
from wherry.tuning.algorithm import MAXIMIZE, Objective
from wherry.tuning.stopping import Stopper

_OPTIONS = (
    options.Option(name="min_resource", default="1", whole=True, least=1),
    options.Option(name="eta", default="3", whole=True, least=2),
    options.Option(name="min_early_stopping_rate", default="0", whole=True, least=0, most=20),
)


class ASHA(Stopper):
    """``asha``."""

    name = "asha"
    needs_curves = True

    def validate(self, settings: Mapping[str, str]) -> Sequence[Cause]:
        """Return what is wrong with the settings."""
        return options.check(_OPTIONS, settings, field=options.EARLY_STOPPING)

    def asks_at(self, settings: Mapping[str, str], reports: int) -> bool:
        """Tell whether a rung is reached with this many values."""
        read = options.Settings(_OPTIONS, settings)
        eta = read.whole("eta")
        rung: int = read.whole("min_resource") * eta ** read.whole("min_early_stopping_rate")
        while rung < reports:
            rung *= eta
        return rung == reports

    def stops(
        self,
        objective: Objective,
        settings: Mapping[str, str],
        curve: Sequence[float],
        others: Sequence[Sequence[float]],
    ) -> bool:
        """Tell whether the trial is outside the best part of those that reached its rung."""
        reports = len(curve)
        mine = _loss(objective, curve)
        there = [_loss(objective, other[:reports]) for other in others if len(other) >= reports]
        better = sum(other < mine for other in there)
        eta = options.Settings(_OPTIONS, settings).whole("eta")
        # The best one always goes on, also where there are fewer than eta.
        return better >= max(math.ceil((len(there) + 1) / eta), 1) or math.isinf(mine)


def _loss(objective: Objective, curve: Sequence[float]) -> float:
    sign = -1.0 if objective.type == MAXIMIZE else 1.0
    return min((sign * value for value in curve if math.isfinite(value)), default=math.inf)
