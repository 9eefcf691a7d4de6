"""When a job has tried, or run, for too long. Pure."""

import datetime

from wherry.objects import metadata
from wherry.training.job import Job


def exceeded(job: Job, restarts: int, now: datetime.datetime) -> tuple[str, str] | None:
    """Return reason and message where a job has to fail; None where it may go on.

    Args:
        job: With its status.
        restarts: Of all its replicas so far.
        now: Aware.
    """
    limit = job.policy.backoff_limit
    if limit is not None and restarts > limit:
        message = f"{restarts} restarts are more than spec.runPolicy.backoffLimit, {limit}"
        return "BackoffLimitExceeded", message
    left = seconds_left(job, now)
    if left is not None and left <= 0:
        seconds = job.policy.active_deadline_seconds
        message = f"active for longer than spec.runPolicy.activeDeadlineSeconds, {seconds}"
        return "DeadlineExceeded", message
    return None


def seconds_left(job: Job, now: datetime.datetime) -> float | None:
    """Return how long a job may still run; None where it has no deadline, or has not started."""
    limit = job.policy.active_deadline_seconds
    started = (job.obj.get("status") or {}).get("startTime")
    if limit is None or not started:
        return None
    return limit - (now - metadata.parse_time(started)).total_seconds()
