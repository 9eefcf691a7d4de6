"""What a trial is worth, and which trial is best. Pure.

Source: kubeflow/katib 0.19, ``pkg/controller.v1beta1/experiment/util/status_util.go``. The order of
proposals decides between equals, so that the same trials always have the same optimum.
"""

import math
from collections.abc import Mapping
from typing import Any, Final

from wherry.objects import conditions, metadata
from wherry.objects.requests import Object
from wherry.tuning import kinds

UNAVAILABLE: Final = "unavailable"
"""What stands in an observation where there is no value."""

LATEST: Final = "latest"
_STATES: Final = (
    kinds.KILLED,
    kinds.FAILED,
    kinds.SUCCEEDED,
    kinds.EARLY_STOPPED,
    kinds.RUNNING,
    kinds.METRICS_UNAVAILABLE,
)
COMPLETED: Final = frozenset(_STATES) - {kinds.RUNNING}

_Part = Mapping[str, Any]


def state(trial: Object) -> str:
    """Return how a trial stands: one of its conditions' types; ``Created`` before it runs."""
    return next((each for each in _STATES if conditions.is_true(trial, each)), kinds.CREATED)


def is_completed(trial: Object) -> bool:
    """Return whether a trial has ended, however."""
    return any(conditions.is_true(trial, each) for each in COMPLETED)


def number(value: str) -> float | None:
    """Return what a reported value is as a number; None where it is none, or not a number."""
    try:
        read = float(value)
    except ValueError:
        return None
    return None if math.isnan(read) else read


def strategy(objective: _Part, metric: str) -> str:
    """Return which of a metric's values counts: ``min``, ``max`` or ``latest``.

    Args:
        objective: ``spec.objective`` of an Experiment or a Trial.
        metric: Its name.
    """
    for each in objective.get("metricStrategies") or ():
        if each.get("name") == metric and each.get("value"):
            return str(each["value"])
    return {kinds.MINIMIZE: "min", kinds.MAXIMIZE: "max"}.get(
        str(direction(objective, metric)), LATEST
    )


def direction(objective: _Part, metric: str) -> str:
    """Return whether a metric is to be small or large; that of the objective for further metrics."""
    for each in objective.get("additionalObjectives") or ():
        if each.get("objectiveMetricName") == metric:
            return str(each.get("type", ""))
    return str(objective.get("type", ""))


def values(trial: Object) -> dict[str, str]:
    """Return the value that counts of each metric that a trial has reported, as text."""
    objective: _Part = (trial.get("spec") or {}).get("objective") or {}
    observation: _Part = (trial.get("status") or {}).get("observation") or {}
    made = {}
    for metric in observation.get("metrics") or ():
        name = str(metric.get("name", ""))
        told = _of(metric, strategy(objective, name))
        if told != UNAVAILABLE:
            made[name] = told
    return made


def value(trial: Object, metric: str) -> str | None:
    """Return the value that counts of a trial's metric, as text; None where there is none."""
    return values(trial).get(metric)


def _of(metric: _Part, by: str) -> str:
    told = str(metric.get(by) or UNAVAILABLE)
    return told if told != UNAVAILABLE else str(metric.get(LATEST) or UNAVAILABLE)


def reaches(told: str, goal: float | None, type_: str) -> bool:
    """Return whether a value of the objective is the goal, or better."""
    read = number(told)
    if goal is None or read is None:
        return False
    return read >= goal if type_ == kinds.MAXIMIZE else read <= goal


def optimal(trial: Object) -> Object:
    """Return a trial as it stands in ``status.currentOptimalTrial``."""
    return {
        "bestTrialName": metadata.name(trial),
        "parameterAssignments": list((trial.get("spec") or {}).get("parameterAssignments") or ()),
        "observation": (trial.get("status") or {}).get("observation") or {"metrics": []},
    }
