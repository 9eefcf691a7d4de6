"""What a search has found: its trials as rows, the best of them, how far it is. Pure."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from wherry.objects import metadata
from wherry.objects.requests import Object
from wherry.tuning import kinds, optimum, search
from wherry.tuning.sdk import manifests, space
from wherry.tuning.sdk.space import Dimension

_WIDTH: Final = 20


@dataclass(frozen=True, slots=True)
class Trial:
    """One trial.

    Attributes:
        name: Of the Trial.
        number: Its place in the order of proposals, from 0.
        state: ``Created``, ``Running``, ``Succeeded``, ``EarlyStopped``, ``Failed``, ``Killed`` or
            ``MetricsUnavailable``.
        parameters: What it tried.
        metrics: What counts of what it reported, the objective among it; what is no number is text.
        message: What it says of its state.
        seconds: How long it took; None where it has not begun or not ended.
    """

    name: str
    number: int
    state: str
    parameters: Mapping[str, Any]
    metrics: Mapping[str, Any]
    message: str = ""
    seconds: float | None = None

    def row(self) -> dict[str, Any]:
        """Return it as a row of a table: its own fields, parameters and metrics side by side."""
        own = {"trial": self.name, "number": self.number, "state": self.state}
        parameters = {f"params.{key}": each for key, each in self.parameters.items()}
        metrics = {f"metrics.{key}": each for key, each in self.metrics.items()}
        return {**own, **parameters, **metrics, "seconds": self.seconds}


def trials(experiment: Object, found: Sequence[Object]) -> list[Trial]:
    """Return an experiment's trials in the order in which they were proposed."""
    readers = _readers(experiment)
    return sorted((_trial(each, readers) for each in found), key=lambda each: each.number)


def best(experiment: Object, found: Sequence[Trial]) -> Trial | None:
    """Return the best of an experiment's trials; None where none has a value of the objective."""
    name = ((experiment.get("status") or {}).get("currentOptimalTrial") or {}).get("bestTrialName")
    return next((each for each in found if each.name == name), None)


def best_so_far(experiment: Object, found: Sequence[Trial]) -> list[tuple[int, float]]:
    """Return number and value of every trial that was better than all before it."""
    kind, metric = objective(experiment)
    made: list[tuple[int, float]] = []
    for each in found:
        value = each.metrics.get(metric)
        if not isinstance(value, float) or math.isnan(value):
            continue
        if not made or (value > made[-1][1] if kind == kinds.MAXIMIZE else value < made[-1][1]):
            made.append((each.number, value))
    return made


def objective(experiment: Object) -> tuple[str, str]:
    """Return type and metric of what is searched for."""
    first = search.objectives(experiment.get("spec") or {})[0]
    return first.type, first.metric


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a search is.

    Attributes:
        phase: ``Created``, ``Running``, ``Restarting``, ``Succeeded`` or ``Failed``.
        message: What the Experiment says of it.
        counts: Trials by state, those there are none of left out.
        done: Trials that have ended.
        total: How many there may be; None: without end.
        best: Value of the objective of the best trial, as text; empty: none yet.
    """

    phase: str
    message: str
    counts: Mapping[str, int]
    done: int
    total: int | None
    best: str

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen."""
        return self.phase in {kinds.SUCCEEDED, kinds.FAILED}

    def __str__(self) -> str:
        parts = [f"{self.done}" if self.total is None else f"{self.done}/{self.total}"]
        if self.total:
            filled = round(min(1.0, self.done / self.total) * _WIDTH)
            parts.append(f"|{'#' * filled}{'.' * (_WIDTH - filled)}|")
        parts += [f"{count} {state}" for state, count in self.counts.items()]
        return " ".join([*parts, *([f"best {self.best}"] if self.best else [])])


_COUNTERS: Final = {
    "running": "trialsRunning",
    "pending": "trialsPending",
    "succeeded": "trialsSucceeded",
    "stopped early": "trialsEarlyStopped",
    "failed": "trialsFailed",
    "killed": "trialsKilled",
    "without metrics": "trialMetricsUnavailable",
}
_OPEN: Final = ("running", "pending")


def progress(experiment: Object) -> Progress:
    """Return how far an experiment is."""
    status: Mapping[str, Any] = experiment.get("status") or {}
    counts = {word: int(status[field]) for word, field in _COUNTERS.items() if status.get(field)}
    held = [each for each in status.get("conditions") or () if each.get("status") == "True"]
    _, metric = objective(experiment)
    found = (status.get("currentOptimalTrial") or {}).get("observation") or {}
    values = {each["name"]: each for each in found.get("metrics") or ()}
    shown = ""
    if metric in values:
        wanted = optimum.strategy(experiment["spec"]["objective"], metric)
        shown = f"{metric}={values[metric].get(wanted, '')}"
    return Progress(
        phase=str(held[-1]["type"]) if held else "Created",
        message=str(held[-1].get("message", "")) if held else "no controller has seen it yet",
        counts=counts,
        done=sum(count for word, count in counts.items() if word not in _OPEN),
        total=experiment["spec"].get("maxTrialCount"),
        best=shown,
    )


def _trial(found: Object, readers: Mapping[str, Dimension]) -> Trial:
    past = search.past(found)
    status = found.get("status") or {}
    conditions: Sequence[Object] = status.get("conditions") or ({},)
    return Trial(
        name=past.name,
        number=past.index,
        state=past.state,
        parameters={
            name: space.value(readers[name], text) if name in readers else text
            for name, text in past.assignments.items()
        },
        metrics={**past.metrics, **past.texts},
        message=str(conditions[-1].get("message", "")),
        seconds=_seconds(status),
    )


def _seconds(status: Mapping[str, Any]) -> float | None:
    begin, end = status.get("startTime"), status.get("completionTime")
    if not begin or not end:
        return None
    return (metadata.parse_time(end) - metadata.parse_time(begin)).total_seconds()


def _readers(experiment: Object) -> dict[str, Dimension]:
    """Return how values are read: as `tune` has noted it, else by the parameters' types."""
    noted = metadata.annotations(experiment).get(manifests.READERS, "")
    known = dict(each.split("=", 1) for each in noted.split(",") if "=" in each)
    kinds_ = {"double": "float", "int": "int"}
    made = {}
    for each in (experiment.get("spec") or {}).get("parameters") or ():
        type_, name = str(each.get("parameterType", "")), str(each.get("name", ""))
        reader = known.get(name) or kinds_.get(type_, "text")
        made[name] = Dimension(type=type_, reader=reader)
    return made
