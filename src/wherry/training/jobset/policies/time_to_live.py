"""When a finished JobSet goes. Pure."""

import datetime

from wherry.objects import conditions, metadata
from wherry.training.jobset import kinds
from wherry.training.jobset.job_set import JobSet


def is_finished(job_set: JobSet) -> bool:
    """Return whether a JobSet has ended, well or badly."""
    return _ended(job_set) is not None


def seconds_left(job_set: JobSet, now: datetime.datetime) -> float | None:
    """Return after how long a finished JobSet is to be deleted; None: never, or not yet."""
    limit, ended = job_set.spec.ttl_seconds_after_finished, _ended(job_set)
    if limit is None or ended is None:
        return None
    return limit - (now - metadata.parse_time(ended)).total_seconds()


def _ended(job_set: JobSet) -> str | None:
    for type_ in (kinds.COMPLETED, kinds.FAILED):
        found = conditions.get(job_set.obj, type_)
        if found is not None and found.get("status") == "True":
            return str(found["lastTransitionTime"])
    return None
