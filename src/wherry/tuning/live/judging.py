"""Whether a running trial is to be stopped, value by value. Pure but for what it asks of others.

A trial has the rules that it was made with; besides, its experiment's stopper may decide from what
the other trials have shown until now.
"""

from collections.abc import Awaitable, Callable, Sequence

from wherry.objects.requests import Object
from wherry.tuning import search, stoppers
from wherry.tuning.algorithm import Objective
from wherry.tuning.observations.record import Record
from wherry.tuning.observations.summary import number
from wherry.tuning.stopping import Rule, Watch

Curves = Callable[[], Awaitable[Sequence[Sequence[float]]]]
"""Gives the courses of the experiment's other trials."""


class Judge:
    """Judges one trial."""

    def __init__(self, trial: Object, experiment: Object | None, others: Curves) -> None:
        """Take what it judges by.

        Args:
            trial: The Trial.
            experiment: Its Experiment; None where it is gone: the rules of the trial still hold.
            others: Gives the courses of the others.
        """
        spec = trial.get("spec") or {}
        self._objective: Objective = search.objectives(spec)[0]
        self._watch = Watch(self._objective, _rules(spec))
        self._others = others
        self._curve: list[float] = []
        chosen = ((experiment or {}).get("spec") or {}).get("earlyStopping") or {}
        self._stopper = stoppers.find(str(chosen.get("algorithmName") or ""))
        self._settings = search.settings(chosen)
        self._name = str(chosen.get("algorithmName") or "early stopping")

    async def stops(self, record: Record) -> str:
        """Take in a value, and return why the trial is to be stopped now; empty: it is not."""
        value = number(record.value)
        if self._watch.report(record.metric, float("nan") if value is None else value):
            return f"{self._name}: at {record.metric}={record.value} all its rules are met"
        if record.metric != self._objective.metric or value is None:
            return ""
        self._curve.append(value)
        stopper, reports = self._stopper, len(self._curve)
        if stopper is None or not stopper.asks_at(self._settings, reports):
            return ""
        others = await self._others() if stopper.needs_curves else ()
        if stopper.stops(self._objective, self._settings, self._curve, others):
            return f"{self._name}: stopped after {reports} reports of {record.metric}, the last {value:g}"
        return ""


def _rules(spec: Object) -> list[Rule]:
    return [
        Rule(
            name=str(each.get("name", "")),
            value=search.text(each.get("value")),
            comparison=str(each.get("comparison", "")),
            start_step=int(each.get("startStep") or 0),
        )
        for each in spec.get("earlyStoppingRules") or ()
    ]
