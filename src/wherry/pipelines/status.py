"""How a run stands: state, conditions, counts, the tasks that are worth naming. Pure."""

import datetime
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from wherry.objects import conditions, metadata
from wherry.objects.copies import copied
from wherry.objects.requests import Object
from wherry.pipelines import kinds

_COUNTERS: Final = ("pending", "running", "succeeded", "cached", "failed", "skipped", "canceled")
_DONE: Final = frozenset({"succeeded", "cached", "failed", "skipped", "canceled"})
_KEPT: Final = ("retries", "retryTime")
_LONGEST: Final = 1000
_CONDITIONS: Final = {
    kinds.SUCCEEDED: kinds.CONDITION_SUCCEEDED,
    kinds.FAILED: kinds.CONDITION_FAILED,
    kinds.CANCELED: kinds.CONDITION_CANCELED,
}
_REASONS: Final = {
    kinds.PENDING: "Pending",
    kinds.RUNNING: "Running",
    kinds.PAUSED: "Suspended",
    kinds.CANCELING: "Canceling",
    kinds.SUCCEEDED: "Succeeded",
    kinds.FAILED: "Failed",
    kinds.CANCELED: "Canceled",
}


@dataclass(frozen=True, slots=True)
class Task:
    """A task that is worth naming."""

    path: str
    state: str
    pod: str = ""
    attempt: int = 0
    message: str = ""

    def note(self) -> Object:
        """Return it as it stands in the status."""
        made: Object = {"path": self.path, "state": self.state, "attempt": self.attempt}
        if self.pod:
            made["podName"] = self.pod
        if self.message:
            made["message"] = self.message[:_LONGEST]
        return made


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What is seen of a run.

    Attributes:
        state: One of KFP's words.
        reason: One word, for the condition; by default that of the state.
        message: What it waits for, or why it failed.
        pipeline: Name of the pipeline.
        root: Where its artifacts are.
        counts: Tasks by state: ``pending``, ``running`` …
        running: Tasks that run.
        failed: Tasks that failed.
        outputs: Parameters that the pipeline gave.
    """

    state: str
    reason: str = ""
    message: str = ""
    pipeline: str = ""
    root: str = ""
    counts: Mapping[str, int] = field(default_factory=dict)
    running: Sequence[Task] = ()
    failed: Sequence[Task] = ()
    outputs: Mapping[str, Any] = field(default_factory=dict)


def is_finished(run: Object) -> bool:
    """Return whether a run has ended."""
    return state(run) in kinds.FINAL_STATES


def state(run: Object) -> str:
    """Return a run's state, as its status says."""
    return str((run.get("status") or {}).get("state") or "")


def of(run: Object, seen: Seen, now: datetime.datetime) -> Object:
    """Return the status that a run should have."""
    before: Object = run.get("status") or {}
    made: Object = {
        "observedGeneration": run["metadata"].get("generation"),
        "state": seen.state,
        "conditions": _conditions(run, seen, now),
        "pipelineName": seen.pipeline,
        "pipelineRoot": seen.root,
        "startTime": before.get("startTime") or metadata.format_time(now),
        "tasks": _counts(seen.counts),
        "progress": _progress(seen.counts),
        "runningTasks": [task.note() for task in seen.running[: kinds.MAX_LISTED]],
        "failedTasks": [task.note() for task in seen.failed[: kinds.MAX_LISTED]],
        "message": seen.message[:_LONGEST],
        **{name: before.get(name) for name in _KEPT},
    }
    if seen.state in kinds.FINAL_STATES:
        made["completionTime"] = before.get("completionTime") or metadata.format_time(now)
        if len(json.dumps(dict(seen.outputs))) <= kinds.MAX_OUTPUT_BYTES:
            made["outputs"] = dict(seen.outputs)
    return {name: value for name, value in made.items() if value not in ("", None, [], {})}


def retry_wanted(run: Object) -> int:
    """Return the number of the retry that a run is told of and that was not begun; 0: of none."""
    wanted = int((run["spec"].get("retry") or {}).get("number") or 0)
    done = int((run.get("status") or {}).get("retries") or 0)
    return wanted if wanted > done else 0


def taken_up(run: Object, number: int, now: datetime.datetime) -> Object:
    """Return the status of a run that goes on after its end.

    Args:
        run: As it is stored.
        number: How often it was taken up with this time.
        now: When it is.
    """
    again = {"retries": number, "retryTime": metadata.format_time(now)}
    before = {**run, "status": {**(run.get("status") or {}), **again}}
    seen = Seen(
        state=kinds.RUNNING,
        pipeline=str(before["status"].get("pipelineName") or ""),
        root=str(before["status"].get("pipelineRoot") or ""),
    )
    return of(before, seen, now)


def _counts(counts: Mapping[str, int]) -> Object:
    return {
        "total": sum(counts.values()),
        **{name: counts[name] for name in _COUNTERS if counts.get(name)},
    }


def _progress(counts: Mapping[str, int]) -> str:
    done = sum(number for name, number in counts.items() if name in _DONE)
    return f"{done}/{sum(counts.values())}"


def _conditions(run: Object, seen: Seen, now: datetime.datetime) -> list[Object]:
    made: list[Object] = copied((run.get("status") or {}).get("conditions") or [])
    if seen.state not in kinds.FINAL_STATES:
        # It may have ended before, and be taken up again.
        made = [each for each in made if each["type"] not in _CONDITIONS.values()]
    reason = seen.reason or _REASONS[seen.state]
    wanted = {kinds.CONDITION_RUNNING: seen.state not in {*kinds.FINAL_STATES, kinds.PENDING}}
    if seen.state in _CONDITIONS:
        wanted[_CONDITIONS[seen.state]] = True
    for type_, holds in wanted.items():
        status = "True" if holds else "False"
        told = seen.message or _sentence(seen)
        conditions.set(made, type_, status, reason=reason, message=told[:_LONGEST], now=now)
    return made


def _sentence(seen: Seen) -> str:
    return f"{_progress(seen.counts)} tasks have ended"


def count(states: Iterable[str]) -> dict[str, int]:
    """Count tasks by the names of counters."""
    found: dict[str, int] = {}
    for each in states:
        name = each.lower()
        found[name] = found.get(name, 0) + 1
    return found
