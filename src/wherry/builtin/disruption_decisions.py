"""How many pods a PodDisruptionBudget lets go, as pure functions.

Source: `pkg/controller/disruption` of Kubernetes.
"""

import datetime
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from wherry.objects import conditions, metadata
from wherry.objects.requests import Object

GRACE = datetime.timedelta(minutes=2)
"""How long an evicted pod counts as gone before its deletion is seen."""


@dataclass(frozen=True, slots=True)
class Counts:
    """What a budget is about.

    Attributes:
        expected: Pods that should exist.
        desired: Pods of these that must stay healthy.
        healthy: Pods that are ready and not about to go.
    """

    expected: int
    desired: int
    healthy: int

    @property
    def allowed(self) -> int:
        """How many may be disturbed now."""
        return max(self.healthy - self.desired, 0) if self.expected > 0 else 0


def needs_scale(spec: Mapping[str, Any]) -> bool:
    """Return whether the budget is a share of what the pods' controllers want."""
    return "maxUnavailable" in spec or isinstance(spec.get("minAvailable"), str)


def share(value: int | str, whole: int) -> int:
    """Return a number, or a percentage of ``whole`` rounded up."""
    if isinstance(value, str):
        return -(-int(value.removesuffix("%")) * whole // 100)
    return value


def desired(spec: Mapping[str, Any], expected: int) -> int:
    """Return how many pods must stay healthy of those expected."""
    if (unavailable := spec.get("maxUnavailable")) is not None:
        return max(expected - share(unavailable, expected), 0)
    least = spec.get("minAvailable")
    # Neither is given: upstream's default for a budget is one pod.
    return share(1 if least is None else least, expected)


def still_disrupted(
    pods: Iterable[Object], disrupted: Mapping[str, str], now: datetime.datetime
) -> dict[str, str]:
    """Return the evictions that are under way: granted lately, and not yet seen as a deletion."""
    found = {}
    for pod in pods:
        name = metadata.name(pod)
        since = disrupted.get(name)
        if since is None or metadata.is_deleting(pod):
            continue
        if metadata.parse_time(since) + GRACE > now:
            found[name] = since
    return found


def healthy(pods: Iterable[Object], disrupted: Mapping[str, str]) -> int:
    """Return how many pods are ready and stay."""
    return sum(
        not metadata.is_deleting(pod)
        and metadata.name(pod) not in disrupted
        and conditions.is_true(pod, "Ready")
        for pod in pods
    )


def status(
    budget: Object, counts: Counts, disrupted: Mapping[str, str], now: datetime.datetime
) -> dict[str, Any]:
    """Return the budget's whole status."""
    listed = _conditions(budget)
    enough = counts.allowed > 0
    generation = budget["metadata"].get("generation", 0)
    conditions.set(
        listed,
        "DisruptionAllowed",
        "True" if enough else "False",
        reason="SufficientPods" if enough else "InsufficientPods",
        message="",
        now=now,
        generation=generation,
    )
    found: dict[str, Any] = {
        "observedGeneration": generation,
        "disruptionsAllowed": counts.allowed,
        "currentHealthy": counts.healthy,
        "desiredHealthy": counts.desired,
        "expectedPods": counts.expected,
        "conditions": listed,
    }
    if disrupted:
        found["disruptedPods"] = dict(disrupted)
    return found


def failed_status(budget: Object, message: str, now: datetime.datetime) -> dict[str, Any]:
    """Return the status of a budget that cannot be computed: nothing may be disturbed."""
    listed = _conditions(budget)
    generation = budget["metadata"].get("generation", 0)
    conditions.set(
        listed,
        "DisruptionAllowed",
        "False",
        reason="SyncFailed",
        message=message,
        now=now,
        generation=generation,
    )
    before = budget.get("status") or {}
    return {**before, "disruptionsAllowed": 0, "conditions": listed}


def _conditions(budget: Object) -> list[dict[str, Any]]:
    listed: Sequence[dict[str, Any]] = (budget.get("status") or {}).get("conditions") or ()
    return [dict(each) for each in listed]
