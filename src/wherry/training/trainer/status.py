"""How a TrainJob is, from how its JobSet is; and what there is to tell of it. Pure.

The conditions of a job that has pods are upstream's and no more: its SDK takes a job with any
condition for one that does not run. One that waits for its runtime says so (`Created` is False).
What else a person wants to know is told in events.
"""

import datetime
from collections.abc import Iterator
from typing import Any, Final

from wherry.objects import conditions, metadata
from wherry.objects.copies import copied
from wherry.objects.requests import Object
from wherry.training.jobset import kinds as sets
from wherry.training.trainer import kinds
from wherry.training.trainer.train_job import TrainJob

_ENDS: Final = {sets.COMPLETED: kinds.COMPLETE, sets.FAILED: kinds.FAILED}
DEADLINE_EXCEEDED: Final = "DeadlineExceeded"
RUNTIME_NOT_FOUND: Final = "RuntimeNotFound"


def is_finished(obj: Object) -> bool:
    """Return whether a TrainJob has ended, well or badly."""
    return conditions.is_true(obj, kinds.COMPLETE) or conditions.is_true(obj, kinds.FAILED)


def failed(job: TrainJob, reason: str, message: str, now: datetime.datetime) -> dict[str, Any]:
    """Return the status of a TrainJob that fails for a reason of its own."""
    made = _begun(job)
    held = made["conditions"] = _without_wait(made)
    conditions.set(held, kinds.FAILED, "True", reason=reason, message=message, now=now)
    return made


def of(
    job: TrainJob, job_set: Object | None, now: datetime.datetime, *, missing: str = ""
) -> dict[str, Any]:
    """Return the status of a TrainJob.

    Args:
        job: With its status as it was.
        job_set: That was made of it; None: there is none yet.
        now: Aware.
        missing: Why it cannot be made yet; empty where nothing is in the way.
    """
    made = _begun(job)
    held = made["conditions"] = made["conditions"] if missing else _without_wait(made)
    if missing:
        conditions.set(
            held, kinds.CREATED, "False", reason=RUNTIME_NOT_FOUND, message=missing, now=now
        )
    if job.spec.suspend:
        message = f"TrainJob {job.name} is suspended"
        conditions.set(held, kinds.SUSPENDED, "True", reason="Suspended", message=message, now=now)
    elif conditions.is_true(job.obj, kinds.SUSPENDED):
        message = f"TrainJob {job.name} is resumed"
        conditions.set(held, kinds.SUSPENDED, "False", reason="Resumed", message=message, now=now)
    if job_set is not None:
        for theirs, ours in _ENDS.items():
            found = conditions.get(job_set, theirs)
            if found is not None and found["status"] == "True":
                reason, message = found["reason"], found["message"]
                conditions.set(held, ours, "True", reason=reason, message=message, now=now)
        told = (job_set.get("status") or {}).get("replicatedJobsStatus") or []
        made["jobsStatus"] = copied({"all": told})["all"]
    if not held:
        del made["conditions"]
    return made


def _without_wait(status: dict[str, Any]) -> list[dict[str, Any]]:
    return [each for each in status["conditions"] if each["type"] != kinds.CREATED]


def _begun(job: TrainJob) -> dict[str, Any]:
    made: dict[str, Any] = copied(job.obj.get("status") or {})
    made.setdefault("conditions", [])
    return made


def seconds_left(job: TrainJob, now: datetime.datetime) -> float | None:
    """Return how long a TrainJob may still run; None where it has no deadline, or is suspended.

    The time counts from its creation, or from when it was resumed last.
    """
    limit = job.spec.active_deadline_seconds
    if limit is None or job.spec.suspend:
        return None
    begun = job.obj["metadata"].get("creationTimestamp")
    resumed = conditions.get(job.obj, kinds.SUSPENDED)
    if resumed is not None:
        # The resumption that is being noticed in this very step begins now.
        begun = (
            resumed["lastTransitionTime"]
            if resumed["status"] == "False"
            else metadata.format_time(now)
        )
    return limit - (now - metadata.parse_time(begun)).total_seconds()


def news(before: Object, after: dict[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Yield type, reason and message of what has changed between two states of a TrainJob.

    Args:
        before: The object as it was.
        after: Its status as it is now.
    """
    for condition in after.get("conditions") or ():
        old = conditions.get(before, condition["type"]) or {}
        if condition["status"] != old.get("status"):
            bad = condition["type"] in {kinds.FAILED, kinds.CREATED}
            yield "Warning" if bad else "Normal", condition["reason"], condition["message"]
    known = {each["name"]: each for each in (before.get("status") or {}).get("jobsStatus") or ()}
    for each in after.get("jobsStatus") or ():
        yield from _step(each, known.get(each["name"]) or {})


def _step(now: Object, old: Object) -> Iterator[tuple[str, str, str]]:
    name = now["name"]
    for field, level, reason, told in (
        ("active", "Normal", "Started", "has pods"),
        ("ready", "Normal", "Running", "runs: all its pods are ready"),
        ("succeeded", "Normal", "StepCompleted", "is complete"),
        ("failed", "Warning", "StepFailed", "has failed"),
    ):
        if now.get(field, 0) > old.get(field, 0):
            yield level, reason, f"{name} {told}"
