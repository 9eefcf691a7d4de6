"""How fast and how far the number of pods may change, as pure functions.

Source: `pkg/controller/podautoscaler/horizontal.go` of Kubernetes: stabilization and scaling policies,
reasons and messages.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

DOWNSCALE_SECONDS = 300.0
_LONGEST_SECONDS = 3600.0

_LOWEST = (
    "recent recommendations were lower than current one, applying the lowest recent recommendation"
)
_HIGHEST = "recent recommendations were higher than current one, applying the highest recent recommendation"
_MESSAGES = {
    "TooFewReplicas": "the desired replica count is less than the minimum replica count",
    "TooManyReplicas": "the desired replica count is more than the maximum replica count",
    "ScaleUpLimit": "the desired replica count is increasing faster than the maximum scale rate",
    "ScaleDownLimit": "the desired replica count is decreasing faster than the maximum scale rate",
    "DesiredWithinRange": "the desired count is within the acceptable range",
    "ScaleUpStabilized": _LOWEST,
    "ScaleDownStabilized": _HIGHEST,
    "ReadyForNewScale": "recommended size matches current size",
}


class Verdict(NamedTuple):
    """A condition to be.

    Attributes:
        value: Whether it is true.
        reason: In one word.
        message: For people.
    """

    value: bool
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Bounds:
    """Between which numbers an autoscaler moves, and how.

    Attributes:
        least: `minReplicas`.
        most: `maxReplicas`.
        rules: `behavior`; None for what held before there was such a thing.
    """

    least: int
    most: int
    rules: Mapping[str, Any] | None = None


@dataclass(slots=True)
class History:
    """What an autoscaler has wanted and done of late.

    It is forgotten when the process ends, as upstream's is: stabilization then begins anew.

    Attributes:
        recommendations: (when, replicas); seconds of any one clock.
        changes: (when, by how many); negative for fewer.
    """

    recommendations: list[tuple[float, int]] = field(default_factory=list)
    changes: list[tuple[float, int]] = field(default_factory=list)

    def recommend(self, replicas: int, now: float) -> None:
        """Note what was wanted."""
        self.recommendations = [
            one for one in self.recommendations if one[0] > now - _LONGEST_SECONDS
        ]
        self.recommendations.append((now, replicas))

    def changed(self, by: int, now: float) -> None:
        """Note what was done."""
        self.changes = [one for one in self.changes if one[0] > now - _LONGEST_SECONDS]
        self.changes.append((now, by))

    def moved(self, seconds: float, now: float) -> int:
        """Return by how many the number has changed within the last seconds."""
        return sum(by for when, by in self.changes if when > now - seconds)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What is to be done.

    Attributes:
        replicas: How many there shall be.
        able: AbleToScale.
        limited: ScalingLimited.
    """

    replicas: int
    able: Verdict
    limited: Verdict


def decide(current: int, wanted: int, *, bounds: Bounds, history: History, now: float) -> Outcome:
    """Return how many replicas there shall be; notes what was wanted in the history.

    Args:
        current: How many there are to be now.
        wanted: What the metrics ask for.
        bounds: Between which numbers, and how.
        history: Of this autoscaler.
        now: By the history's clock.
    """
    around = _Around(bounds, history, now)
    stable, reason = _stabilized(current, wanted, around)
    history.recommend(wanted, now)
    able = _verdict(reason if stable != wanted else "ReadyForNewScale", value=True)
    if bounds.rules is None:
        replicas, limit = _plain(current, stable, bounds)
    else:
        replicas, limit = _by_policies(current, stable, around)
    return Outcome(replicas, able, _verdict(limit, value=replicas != stable))


class _Around(NamedTuple):
    bounds: Bounds
    history: History
    now: float


def _verdict(reason: str, *, value: bool) -> Verdict:
    return Verdict(value, reason, _MESSAGES[reason])


def _stabilized(current: int, wanted: int, around: _Around) -> tuple[int, str]:
    rules, history, now = around.bounds.rules, around.history, around.now
    up = _window(rules, "scaleUp", 0.0)
    down = _window(rules, "scaleDown", DOWNSCALE_SECONDS)
    lowest = min(_since(history, now - up, wanted))
    highest = max(_since(history, now - down, wanted))
    if rules is None:
        return highest, "ScaleDownStabilized"
    reason = "ScaleUpStabilized" if wanted >= current else "ScaleDownStabilized"
    return min(max(current, lowest), highest), reason


def _since(history: History, cutoff: float, wanted: int) -> list[int]:
    recent = [replicas for when, replicas in history.recommendations if when > cutoff]
    return [wanted, *recent]


def _window(rules: Mapping[str, Any] | None, direction: str, otherwise: float) -> float:
    value = ((rules or {}).get(direction) or {}).get("stabilizationWindowSeconds")
    return otherwise if value is None else float(value)


def _plain(current: int, wanted: int, bounds: Bounds) -> tuple[int, str]:
    """Return what held before there were policies: at most twice as many at once, or four."""
    rate = max(2 * current, 4)
    most, reason = bounds.most, "TooManyReplicas"
    if most > rate:
        most, reason = rate, "ScaleUpLimit"
    if wanted < bounds.least:
        return bounds.least, "TooFewReplicas"
    if wanted > most:
        return most, reason
    return wanted, "DesiredWithinRange"


def _by_policies(current: int, wanted: int, around: _Around) -> tuple[int, str]:
    bounds, history, now = around.bounds, around.history, around.now
    rules = bounds.rules or {}
    if wanted > current:
        limit = max(_highest(current, rules.get("scaleUp") or {}, history, now), current)
        most, reason = bounds.most, "TooManyReplicas"
        if most > limit:
            most, reason = limit, "ScaleUpLimit"
        if wanted > most:
            return most, reason
    elif wanted < current:
        limit = min(_lowest(current, rules.get("scaleDown") or {}, history, now), current)
        least, reason = bounds.least, "TooFewReplicas"
        if least < limit:
            least, reason = limit, "ScaleDownLimit"
        if wanted < least:
            return least, reason
    return wanted, "DesiredWithinRange"


_UP = (
    {"type": "Pods", "value": 4, "periodSeconds": 15},
    {"type": "Percent", "value": 100, "periodSeconds": 15},
)
_DOWN = ({"type": "Percent", "value": 100, "periodSeconds": 15},)


def _highest(current: int, rules: Mapping[str, Any], history: History, now: float) -> int:
    if rules.get("selectPolicy") == "Disabled":
        return current
    limits: list[int] = []
    for policy in _policies(rules, _UP):
        start = current - history.moved(policy["periodSeconds"], now)
        by_pods = policy["type"] == "Pods"
        value = policy["value"]
        limits.append(start + value if by_pods else math.ceil(start * (100 + value) / 100))
    return min(limits) if rules.get("selectPolicy") == "Min" else max(limits)


def _lowest(current: int, rules: Mapping[str, Any], history: History, now: float) -> int:
    if rules.get("selectPolicy") == "Disabled":
        return current
    limits: list[int] = []
    for policy in _policies(rules, _DOWN):
        start = current - history.moved(policy["periodSeconds"], now)
        by_pods = policy["type"] == "Pods"
        value = policy["value"]
        limits.append(start - value if by_pods else start * (100 - value) // 100)
    return max(limits) if rules.get("selectPolicy") == "Min" else min(limits)


def _policies(
    rules: Mapping[str, Any], otherwise: Sequence[Mapping[str, Any]]
) -> Sequence[Mapping[str, Any]]:
    return rules.get("policies") or otherwise
