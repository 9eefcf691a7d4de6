"""How a search stands, in Katib's words: conditions, counts, lists, the best trial. Pure.

Source: kubeflow/katib 0.19, ``pkg/controller.v1beta1/experiment/util/status_util.go`` (the order in
which ends are looked for) and ``pkg/apis/controller/experiments/v1beta1/util.go`` (reasons, words).
"""

import datetime
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from wherry.objects import conditions, metadata
from wherry.objects.copies import copied
from wherry.objects.requests import Object
from wherry.tuning import kinds, optimum
from wherry.tuning.tally import Tally

GOAL_REACHED: Final = "ExperimentGoalReached"
MAX_TRIALS_REACHED: Final = "ExperimentMaxTrialsReached"
SUGGESTION_ENDED: Final = "ExperimentSuggestionEndReached"
EXPERIMENT_FAILED: Final = "ExperimentFailed"
TEMPLATE_MISSING: Final = "TrialTemplateMissing"
"""Reason of Running: there is nothing that further trials could be made from, for now."""

_COUNTERS: Final = (
    ("trialsSucceeded", "succeededTrialList", kinds.SUCCEEDED),
    ("trialsFailed", "failedTrialList", kinds.FAILED),
    ("trialsKilled", "killedTrialList", kinds.KILLED),
    ("trialsPending", "pendingTrialList", kinds.CREATED),
    ("trialsRunning", "runningTrialList", kinds.RUNNING),
    ("trialsEarlyStopped", "earlyStoppedTrialList", kinds.EARLY_STOPPED),
    ("trialMetricsUnavailable", "metricsUnavailableTrialList", kinds.METRICS_UNAVAILABLE),
)
_RESUMABLE: Final = frozenset({kinds.LONG_RUNNING, kinds.FROM_VOLUME})

_Part = Mapping[str, Any]
Trials = Callable[[str], Object | None]
"""Gives a trial by its name; None where there is none."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """How a search ends.

    Attributes:
        condition: ``Succeeded`` or ``Failed``.
        reason: One word.
        message: A sentence.
    """

    condition: str
    reason: str
    message: str


def is_finished(obj: Object) -> bool:
    """Return whether an Experiment or a Suggestion has ended, well or badly."""
    return conditions.is_true(obj, kinds.SUCCEEDED) or conditions.is_true(obj, kinds.FAILED)


def verdict(experiment: Object, tally: Tally, suggestion: Object | None) -> Verdict | None:
    """Return how a search ends now; None while it goes on.

    Args:
        experiment: With defaults filled in.
        tally: Its trials.
        suggestion: Its Suggestion; None: there is none yet.
    """
    spec = experiment["spec"]
    objective: _Part = spec.get("objective") or {}
    if tally.best is not None:
        name, value = tally.best
        goal = objective.get("goal")
        if optimum.reaches(value, goal, str(objective.get("type", ""))):
            message = (
                "Experiment has succeeded because Objective goal has reached: trial "
                f"{name} has {objective.get('objectiveMetricName')} {value}"
            )
            return Verdict(kinds.SUCCEEDED, GOAL_REACHED, message)
    most_failed = spec.get("maxFailedTrialCount")
    bad = tally.count(kinds.FAILED, kinds.METRICS_UNAVAILABLE)
    if most_failed is not None and bad and bad >= most_failed:
        message = (
            f"Experiment has failed because max failed count has reached: {bad} trials failed or "
            f"gave no metrics, maxFailedTrialCount is {most_failed}"
        )
        return Verdict(kinds.FAILED, EXPERIMENT_FAILED, message)
    most = spec.get("maxTrialCount")
    if most is not None and tally.completed >= most:
        message = "Experiment has succeeded because max trial count has reached"
        return Verdict(kinds.SUCCEEDED, MAX_TRIALS_REACHED, message)
    return None if suggestion is None else _by_suggestion(suggestion, tally)


def _by_suggestion(suggestion: Object, tally: Tally) -> Verdict | None:
    told = suggestion.get("status") or {}
    failed = conditions.get(suggestion, kinds.FAILED)
    if failed is not None and failed["status"] == "True":
        message = f"Suggestion has failed: {failed.get('message', '')}"
        return Verdict(kinds.FAILED, EXPERIMENT_FAILED, message)
    if not told.get("ended") or tally.active:
        return None
    if all(each.get("name") in tally for each in told.get("suggestions") or ()):
        message = (
            "Experiment has succeeded because the search algorithm has nothing more to try "
            f"after {len(tally)} trials"
        )
        return Verdict(kinds.SUCCEEDED, SUGGESTION_ENDED, message)
    return None


def may_restart(experiment: Object, tally: Tally | None = None) -> bool:
    """Return whether a finished search goes on, now that its budget is larger.

    Args:
        experiment: With defaults filled in.
        tally: Its trials; None: as many as its status says.
    """
    end = conditions.get(experiment, kinds.SUCCEEDED)
    if end is None or end["status"] != "True" or end.get("reason") != MAX_TRIALS_REACHED:
        return False
    if experiment["spec"].get("resumePolicy") not in _RESUMABLE:
        return False
    done = (experiment.get("status") or {}).get("trials") or 0
    most = experiment["spec"].get("maxTrialCount")
    return most is None or most > (done if tally is None else len(tally))


def of(
    experiment: Object,
    tally: Tally,
    *,
    trials: Trials,
    end: Verdict | None,
    now: datetime.datetime,
    waiting: str = "",
) -> dict[str, Any]:
    """Return the status of an Experiment.

    Args:
        experiment: As it is stored.
        tally: Its trials.
        trials: Gives those that the tally's best ones are among.
        end: How it ends; None while it goes on.
        now: Aware.
        waiting: What is missing of the template of its trials; empty: nothing.
    """
    made: dict[str, Any] = copied(experiment.get("status") or {})
    held = made.setdefault("conditions", [])
    made.setdefault("startTime", metadata.format_time(now))
    if not held:
        put(
            held,
            kinds.CREATED,
            reason="ExperimentCreated",
            message="Experiment is created",
            now=now,
        )
    _count(made, tally, trials)
    if is_finished({"status": made}):
        return stamped(experiment, made, now)
    if end is not None:
        finish(made, end, now)
    elif len(tally) or waiting:
        put(
            held,
            kinds.RUNNING,
            reason=TEMPLATE_MISSING if waiting else "ExperimentRunning",
            message=waiting or "Experiment is running",
            now=now,
        )
    return stamped(experiment, made, now)


def restarted(experiment: Object, now: datetime.datetime) -> dict[str, Any]:
    """Return the status of an Experiment that goes on after its end."""
    made: dict[str, Any] = copied(experiment.get("status") or {})
    made.pop("completionTime", None)
    made["conditions"] = [
        each for each in made["conditions"] if each["type"] not in {kinds.SUCCEEDED, kinds.FAILED}
    ]
    message = "Experiment is restarted"
    put(
        made["conditions"],
        kinds.RESTARTING,
        reason="ExperimentRestarting",
        message=message,
        now=now,
    )
    return stamped(experiment, made, now)


def finish(status: dict[str, Any], end: Verdict, now: datetime.datetime) -> None:
    """Write an end into a status, in place: what ran does so no more."""
    held = status["conditions"]
    if any(each["type"] == kinds.RUNNING for each in held):
        put(
            held,
            kinds.RUNNING,
            status="False",
            reason=end.reason,
            message=end.message,
            now=now,
        )
    put(held, end.condition, reason=end.reason, message=end.message, now=now)
    status["completionTime"] = metadata.format_time(now)


def _count(status: dict[str, Any], tally: Tally, trials: Trials) -> None:
    status["trials"] = len(tally)
    for counter, names, state in _COUNTERS:
        found = tally.names(state)
        _set(status, counter, len(found))
        _set(status, names, list(found[-kinds.MAX_NAMES :]))
    best = trials(tally.best[0]) if tally.best is not None else None
    _set(status, "currentOptimalTrial", optimum.optimal(best) if best is not None else None)
    front = [trial for name in tally.front if (trial := trials(name)) is not None]
    _set(status, "optimalTrials", [optimum.optimal(each) for each in front])


def _set(status: dict[str, Any], field: str, value: Any) -> None:
    if value:
        status[field] = value
    else:
        status.pop(field, None)


def put(
    held: list[dict[str, Any]],
    type_: str,
    *,
    reason: str,
    message: str,
    now: datetime.datetime,
    status: str = "True",
) -> bool:
    """Set a condition in a list, in place; one that changes its status or reason goes to the end.

    Returns:
        Whether anything is worth writing: a message alone is not.
    """
    found = next((each for each in held if each["type"] == type_), None)
    if found is not None and (found["status"], found.get("reason")) == (status, reason):
        return False
    conditions.set(held, type_, status, reason=reason, message=message, now=now)
    (set_,) = (each for each in held if each["type"] == type_)
    set_["lastUpdateTime"] = metadata.format_time(now)
    # What has changed last stands last: that is what `kubectl get` and the user interface show.
    held.remove(set_)
    held.append(set_)
    return True


def stamped(obj: Object, status: dict[str, Any], now: datetime.datetime) -> dict[str, Any]:
    """Return a status with the time of writing, which is no reason to write."""
    before = obj.get("status") or {}
    stamp = {"lastReconcileTime": before.get("lastReconcileTime")}
    if {**before, **stamp} == {**status, **stamp}:
        return dict(before)
    return {**status, "lastReconcileTime": metadata.format_time(now)}


def news(obj: Object, status: _Part) -> Sequence[_Part]:
    """Return the conditions of a status that are true and were not before."""
    return [
        each
        for each in status["conditions"]
        if each["status"] == "True" and not conditions.is_true(obj, each["type"])
    ]
