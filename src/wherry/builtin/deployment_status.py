"""What a Deployment says of itself: counts, Available, Progressing. Pure.

Source: `pkg/controller/deployment/sync.go` and `progress.go` of Kubernetes.
"""

import datetime
from collections.abc import Sequence
from typing import NamedTuple

from wherry.builtin import rollout
from wherry.objects import conditions, metadata
from wherry.objects.requests import Object

TIMED_OUT = "ProgressDeadlineExceeded"
_COMPLETE = "NewReplicaSetAvailable"


def _total(sets: Sequence[Object], field: str) -> int:
    return sum(int((one.get("status") or {}).get(field, 0)) for one in sets)


def _counts(deployment: Object, new: Object | None, sets: Sequence[Object]) -> Object:
    replicas = _total(sets, "replicas")
    available = _total(sets, "availableReplicas")
    counts = {
        "replicas": replicas,
        "updatedReplicas": _total([new], "replicas") if new is not None else 0,
        "readyReplicas": _total(sets, "readyReplicas"),
        "availableReplicas": available,
        "unavailableReplicas": max(0, sum(map(rollout.count, sets)) - available),
    }
    return {name: count for name, count in counts.items() if count}


def status(
    deployment: Object, new: Object | None, sets: Sequence[Object], now: datetime.datetime
) -> Object:
    """Return the whole status.

    Args:
        deployment: The deployment as it is stored, its last status included.
        new: The set that runs the present template, if there is one.
        sets: All its sets.
        now: Current time, aware.
    """
    before = deployment.get("status") or {}
    result = _counts(deployment, new, sets)
    result["observedGeneration"] = deployment["metadata"].get("generation", 1)
    if before.get("collisionCount"):
        result["collisionCount"] = before["collisionCount"]
    listed = [dict(one) for one in before.get("conditions") or ()]
    _set_available(listed, deployment, result, now)
    if deployment["spec"].get("progressDeadlineSeconds") is not None:
        _set_progressing(listed, deployment, new, counts=result, now=now)
    _set_failure(listed, sets)
    result["conditions"] = listed
    return result


def _set_available(
    listed: list[Object], deployment: Object, counts: Object, now: datetime.datetime
) -> None:
    minimum = deployment["spec"]["replicas"] - rollout.fence(deployment).unavailable
    enough = counts.get("availableReplicas", 0) >= minimum
    said = _Said(
        "Available",
        "True" if enough else "False",
        "MinimumReplicasAvailable" if enough else "MinimumReplicasUnavailable",
        f"Deployment {'has' if enough else 'does not have'} minimum availability.",
    )
    _put(listed, said, now)


def _set_progressing(
    listed: list[Object],
    deployment: Object,
    new: Object | None,
    *,
    counts: Object,
    now: datetime.datetime,
) -> None:
    present = next((one for one in listed if one["type"] == "Progressing"), None)
    subject = f'ReplicaSet "{metadata.name(new)}"' if new is not None else "Deployment"
    if deployment["spec"].get("paused"):
        said = _Said("Progressing", "Unknown", "DeploymentPaused", "Deployment is paused")
        _put(listed, said, now)
    elif rollout.is_complete(deployment, counts):
        message = f"{subject} has successfully progressed."
        _put(listed, _Said("Progressing", "True", _COMPLETE, message), now)
    elif _moved(deployment, counts) or present is None or present["reason"] == "DeploymentPaused":
        reason = "NewReplicaSetCreated" if present is None else "ReplicaSetUpdated"
        message = f"{subject} is progressing."
        _put(listed, _Said("Progressing", "True", reason, message), now, touch=True)
    elif present["reason"] == _COMPLETE and deployment["spec"]["replicas"] == counts.get(
        "updatedReplicas", 0
    ):
        # Complete once, and a pod of it has failed since: that is no rollout.
        return
    elif present["reason"] == _COMPLETE:
        message = f"{subject} is progressing."
        _put(listed, _Said("Progressing", "True", "ReplicaSetUpdated", message), now, touch=True)
    elif _expired(deployment, present, now):
        message = f"{subject} has timed out progressing."
        _put(listed, _Said("Progressing", "False", TIMED_OUT, message), now)


def _moved(deployment: Object, counts: Object) -> bool:
    """Return whether more is done than the stored status tells."""
    before = deployment.get("status") or {}

    def grew(field: str) -> bool:
        return bool(counts.get(field, 0) > before.get(field, 0))

    old_now = counts.get("replicas", 0) - counts.get("updatedReplicas", 0)
    old_before = before.get("replicas", 0) - before.get("updatedReplicas", 0)
    return (
        grew("updatedReplicas")
        or grew("readyReplicas")
        or grew("availableReplicas")
        or old_now < old_before
    )


def _expired(deployment: Object, condition: Object, now: datetime.datetime) -> bool:
    if condition["reason"] == TIMED_OUT:
        return True
    since = metadata.parse_time(condition.get("lastUpdateTime") or metadata.format_time(now))
    limit: int = deployment["spec"]["progressDeadlineSeconds"]
    return (now - since).total_seconds() >= limit


def _set_failure(listed: list[Object], sets: Sequence[Object]) -> None:
    listed[:] = [one for one in listed if one["type"] != "ReplicaFailure"]
    failures = [conditions.get(one, "ReplicaFailure") for one in sets]
    found = next((one for one in failures if one is not None), None)
    if found is not None:
        listed.append(dict(found))


class _Said(NamedTuple):
    type: str
    status: str
    reason: str
    message: str


def _put(listed: list[Object], said: _Said, now: datetime.datetime, *, touch: bool = False) -> None:
    """Set a condition of apps/v1, which has `lastUpdateTime` besides."""
    changed = conditions.set(
        listed, said.type, said.status, reason=said.reason, message=said.message, now=now
    )
    if changed or touch:
        condition = next(one for one in listed if one["type"] == said.type)
        condition["lastUpdateTime"] = metadata.format_time(now)


def deadline_in(deployment: Object, status: Object, now: datetime.datetime) -> float | None:
    """Return in how many seconds a rollout that does not move would be late; None for none."""
    limit: int | None = deployment["spec"].get("progressDeadlineSeconds")
    condition = next(
        (one for one in status.get("conditions") or () if one["type"] == "Progressing"), None
    )
    if limit is None or condition is None or condition["reason"] in {_COMPLETE, TIMED_OUT}:
        return None
    if deployment["spec"].get("paused"):
        return None
    since = metadata.parse_time(condition.get("lastUpdateTime") or metadata.format_time(now))
    return max(1.0, limit - (now - since).total_seconds())
