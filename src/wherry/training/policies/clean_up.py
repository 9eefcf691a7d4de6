"""What goes when a job has finished, and when the job itself goes. Pure."""

import datetime
from collections.abc import Iterable

from wherry.objects import metadata
from wherry.objects.requests import Object
from wherry.training.job import Job

TRANSIENT = frozenset({"HorizontalPodAutoscaler", "PodGroup"})
"""Kinds of companions that a finished job has no use for."""

_ENDED = frozenset({"Succeeded", "Failed"})


def doomed(job: Job, pods: Iterable[Object]) -> list[Object]:
    """Return the pods that the job's cleanPodPolicy removes; their Services go with them."""
    policy = job.policy.clean_pod_policy
    if policy == "All":
        return list(pods)
    if policy == "Running":
        return [pod for pod in pods if (pod.get("status") or {}).get("phase") not in _ENDED]
    return []


def seconds_to_live(job: Job, now: datetime.datetime) -> float | None:
    """Return after how long a finished job is to be deleted; None: never."""
    limit = job.policy.ttl_seconds_after_finished
    ended = (job.obj.get("status") or {}).get("completionTime")
    if limit is None or not ended:
        return None
    return limit - (now - metadata.parse_time(ended)).total_seconds()
