"""How a trial stands, in Katib's words. Pure.

Source: kubeflow/katib 0.19, ``pkg/apis/controller/trials/v1beta1/util.go`` and
``pkg/controller.v1beta1/trial/trial_controller_util.go``; there a trial whose metrics never come
waits for ever.
"""

import datetime
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from wherry.objects import metadata
from wherry.objects.copies import copied
from wherry.objects.requests import Object
from wherry.tuning import kinds, optimum, status
from wherry.tuning.status import Verdict

LIVE_SECONDS: Final = 5.0
"""How often the observation of a trial that runs is written at most."""
WAITING_SECONDS: Final = 2.0
"""How old a trial is before it is worth saying that its work has not begun."""
FIRST_SECONDS: Final = 1.0
"""How long after its last change the status of a running trial gets its first observation."""

RUNNING_SECONDS: Final = 0.5
"""For how long a trial runs before its status says so: one that ends before writes it once."""

_MESSAGE_LENGTH: Final = 4000


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What is known of a trial's work.

    Attributes:
        running: Whether it runs.
        trouble: Reason and message of what keeps it from running; None: nothing does.
        observation: ``status.observation`` of what it has reported; None: nothing.
    """

    running: bool = False
    trouble: tuple[str, str] | None = None
    observation: Object | None = None


def succeeded(reason: str, message: str) -> Verdict:
    """Return the end of a trial whose work ended well and whose metrics are there."""
    return Verdict(
        kinds.SUCCEEDED, "TrialSucceeded", _joined("Trial has succeeded", reason, message)
    )


def failed(reason: str, message: str) -> Verdict:
    """Return the end of a trial whose work failed."""
    return Verdict(kinds.FAILED, "TrialFailed", _joined("Trial has failed", reason, message))


def killed(message: str) -> Verdict:
    """Return the end of a trial whose work was taken away."""
    return Verdict(kinds.KILLED, "TrialKilled", f"Trial is killed: {message}")


def early_stopped(message: str) -> Verdict:
    """Return the end of a trial that would have come to nothing."""
    return Verdict(kinds.EARLY_STOPPED, "TrialEarlyStopped", f"Trial is early stopped: {message}")


def without_metrics(metric: str, problem: str, last_lines: Sequence[str]) -> Verdict:
    """Return the end of a trial whose work ended well and that has not reported its objective.

    Args:
        metric: The objective's.
        problem: Why metrics could not be read; empty: they could.
        last_lines: Of its log.
    """
    parts = [f"Metrics are not available: the trial has not reported {metric}"]
    if problem:
        parts.append(problem)
    if last_lines:
        parts.append("its last lines: " + "\n".join(last_lines))
    message = "; ".join(parts)[:_MESSAGE_LENGTH]
    return Verdict(kinds.METRICS_UNAVAILABLE, "MetricsUnavailable", message)


def _joined(sentence: str, reason: str, message: str) -> str:
    # As Katib words it: people's tools look for it.
    told = f"{sentence}. Job message: {message}" if message else sentence
    return (f"{told}. Job reason: {reason}" if reason else told)[:_MESSAGE_LENGTH]


def of(trial: Object, seen: Seen, end: Verdict | None, now: datetime.datetime) -> dict[str, Any]:
    """Return the status of a trial.

    Args:
        trial: As it is stored, not finished.
        seen: What is known of its work.
        end: How it ends; None while it goes on.
        now: Aware.
    """
    made: dict[str, Any] = copied(trial.get("status") or {})
    held = made.setdefault("conditions", [])
    made.setdefault("startTime", metadata.format_time(now))
    if not held:
        status.put(held, kinds.CREATED, reason="TrialCreated", message="Trial is created", now=now)
    if end is not None:
        _observe(made, seen.observation)
        if seen.running:
            _run(held, now)
        status.finish(made, end, now)
    elif seen.running:
        _run(held, now)
        if seconds_to_observation(trial, now) <= 0:
            _observe(made, seen.observation)
    elif seen.trouble is not None:
        reason, message = seen.trouble
        status.put(held, kinds.RUNNING, status="False", reason=reason, message=message, now=now)
    return status.stamped(trial, made, now)


def _run(held: list[dict[str, Any]], now: datetime.datetime) -> None:
    status.put(held, kinds.RUNNING, reason="TrialRunning", message="Trial is running", now=now)


def _observe(made: dict[str, Any], observation: Object | None) -> None:
    if observation is not None:
        made["observation"] = observation


def seconds_to_observation(trial: Object, now: datetime.datetime) -> float:
    """Return how long a running trial's status has to wait for its next observation; 0: not at all."""
    told: Mapping[str, Any] = trial.get("status") or {}
    if not told.get("lastReconcileTime"):
        return 0.0
    since = now - metadata.parse_time(str(told["lastReconcileTime"]))
    # Of a short trial the first one comes with its end.
    wait = LIVE_SECONDS if "observation" in told else FIRST_SECONDS
    return max(0.0, wait - since.total_seconds())


def seconds_to_waiting(trial: Object, now: datetime.datetime) -> float:
    """Return how long a trial whose work has not begun needs no status; 0: it does."""
    if (trial.get("status") or {}).get("conditions"):
        return 0.0
    age = now - metadata.parse_time(str(trial["metadata"]["creationTimestamp"]))
    return max(0.0, WAITING_SECONDS - age.total_seconds())


def is_finished(trial: Object) -> bool:
    """Return whether a trial has ended, however."""
    return optimum.is_completed(trial)
