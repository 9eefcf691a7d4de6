"""From what pods use to how many there should be, as pure functions.

Source: `pkg/controller/podautoscaler/replica_calculator.go` of Kubernetes.
"""

import datetime
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from wherry.objects import conditions, metadata, quantities
from wherry.objects.requests import Object

_CPU_INITIALIZATION = datetime.timedelta(minutes=5)
_INITIAL_READINESS = datetime.timedelta(seconds=30)


class NoMetricError(Exception):
    """A metric cannot be had or says nothing; the message says why."""


@dataclass(frozen=True, slots=True)
class Target:
    """What a metric is compared with; exactly one of the last two is set.

    Attributes:
        resource: ``cpu``, ``memory`` …
        container: Only this container of each pod; empty for all.
        utilization: Percent of what the pods request.
        average: Mean over the pods: cores, bytes.
    """

    resource: str
    container: str
    utilization: int | None
    average: Decimal | None


@dataclass(frozen=True, slots=True)
class Tolerance:
    """How far from 1 the ratio of use to target may be without anything being done."""

    down: float = 0.1
    up: float = 0.1

    def covers(self, ratio: float) -> bool:
        """Return whether a ratio is near enough to 1."""
        return 1.0 - self.down <= ratio <= 1.0 + self.up


@dataclass(frozen=True, slots=True)
class Measured:
    """One pod's metric.

    Attributes:
        value: Cores, bytes.
        at: End of the window; aware.
        window: How long it was measured.
    """

    value: Decimal
    at: datetime.datetime
    window: datetime.timedelta


@dataclass(frozen=True, slots=True)
class Proposal:
    """How many replicas a metric asks for.

    Attributes:
        replicas: How many.
        utilization: Percent of the requests; None for averages.
        average: Mean over the pods that were measured.
    """

    replicas: int
    utilization: int | None
    average: Decimal


@dataclass(slots=True)
class _Groups:
    """Pods sorted by what their metric is worth."""

    ready: int
    unready: set[str]
    missing: set[str]
    ignored: set[str]


def measured(metrics: Sequence[Object], target: Target) -> dict[str, Measured]:
    """Return the metric of each pod that has it, by the pod's name.

    Args:
        metrics: `PodMetrics`.
        target: Which resource, of which container.

    Raises:
        NoMetricError: A pod's metrics lack the container, or there are none at all.
    """
    found: dict[str, Measured] = {}
    for pod in metrics:
        values = [
            quantities.parse(one["usage"][target.resource])
            for one in pod.get("containers") or ()
            if target.container in {"", one["name"]} and target.resource in (one.get("usage") or {})
        ]
        if target.container and not values:
            raise NoMetricError(
                f"container {target.container} not present in metrics for pod "
                f"{metadata.namespace(pod)}/{metadata.name(pod)}"
            )
        if values:
            window = datetime.timedelta(seconds=float(str(pod.get("window", "0s")).rstrip("s")))
            at = metadata.parse_time(pod["timestamp"])
            found[metadata.name(pod)] = Measured(sum(values, Decimal(0)), at, window)
    if not found:
        raise NoMetricError("no metrics returned from resource metrics API")
    return found


def propose(
    current: int,
    target: Target,
    pods: Sequence[Object],
    metrics: Mapping[str, Measured],
    *,
    tolerance: Tolerance,
    now: datetime.datetime,
) -> Proposal:
    """Return how many replicas a metric asks for.

    Args:
        current: How many are wanted now.
        target: What is aimed at.
        pods: Those that the scale's selector selects.
        metrics: By pod name.
        tolerance: Within which nothing is done.
        now: Aware.

    Raises:
        NoMetricError: It cannot be told.
    """
    if not pods:
        raise NoMetricError("no pods returned by selector while calculating replica count")
    groups = _group(pods, metrics, target.resource, now)
    values = {
        name: one.value
        for name, one in metrics.items()
        if name not in groups.ignored and name not in groups.unready
    }
    requests = _requests(pods, target) if target.utilization is not None else {}
    if not values:
        raise NoMetricError("did not receive metrics for targeted pods (pods might be unready)")

    def ratio(of: Mapping[str, Decimal]) -> float:
        return _ratio(of, requests, target)

    first = ratio(values)
    rules = _Rules(target, requests, tolerance, ratio)
    replicas = _replicas(current, groups, values, rules)
    average = sum(values.values(), Decimal(0)) / len(values)
    utilization = None
    if target.utilization is not None:
        utilization = math.floor(first * target.utilization + 1e-9)
    return Proposal(replicas, utilization, average)


@dataclass(frozen=True, slots=True)
class _Rules:
    target: Target
    requests: Mapping[str, Decimal]
    tolerance: Tolerance
    ratio: Callable[[Mapping[str, Decimal]], float]

    def at_target(self, pod: str) -> Decimal:
        """Return what a pod is taken to use whose metric is missing, when scaling down."""
        if self.target.utilization is None:
            return self.target.average or Decimal(0)
        return self.requests.get(pod, Decimal(0)) * max(100, self.target.utilization) / 100


def _replicas(
    current: int,
    groups: _Groups,
    values: dict[str, Decimal],
    rules: _Rules,
) -> int:
    first = rules.ratio(values)
    waits = bool(groups.unready) and first > 1.0
    if not waits and not groups.missing:
        if rules.tolerance.covers(first):
            return current
        return _ceiling(first * groups.ready)
    if first == 1.0:
        return current  # exactly at the target: there is no step that could be made smaller
    # What is not known is taken for what makes the step smaller.
    filled = dict(values)
    for pod in groups.missing:
        filled[pod] = rules.at_target(pod) if first < 1.0 else Decimal(0)
    if waits:
        filled.update(dict.fromkeys(groups.unready, Decimal(0)))
    second = rules.ratio(filled)
    turned = (first < 1.0 < second) or (second < 1.0 < first)
    if turned or rules.tolerance.covers(second):
        return current
    found = _ceiling(second * len(filled))
    if (second < 1.0 and found > current) or (second > 1.0 and found < current):
        return current
    return found


def _ceiling(value: float) -> int:
    # What is a whole number but for the last bit of a float is that number.
    return math.ceil(round(value, 9))


def _ratio(values: Mapping[str, Decimal], requests: Mapping[str, Decimal], target: Target) -> float:
    if target.utilization is None:
        average = sum(values.values(), Decimal(0)) / len(values)
        return float(average / (target.average or Decimal(1)))
    total = sum((requests.get(name, Decimal(0)) for name in values), Decimal(0))
    if not total:
        raise NoMetricError("no metrics returned matched known pods")
    used = sum((value for name, value in values.items() if name in requests), Decimal(0))
    return float(used * 100 / total) / target.utilization


def _requests(pods: Sequence[Object], target: Target) -> dict[str, Decimal]:
    found: dict[str, Decimal] = {}
    for pod in pods:
        total = Decimal(0)
        for container in _lasting(pod):
            if target.container not in {"", container["name"]}:
                continue
            amount = ((container.get("resources") or {}).get("requests") or {}).get(target.resource)
            if amount is None:
                raise NoMetricError(
                    f"missing request for {target.resource} in container {container['name']} "
                    f"of Pod {metadata.name(pod)}"
                )
            total += quantities.parse(amount)
        found[metadata.name(pod)] = total
    return found


def _lasting(pod: Object) -> list[Object]:
    initial = pod["spec"].get("initContainers") or ()
    sidecars = [one for one in initial if one.get("restartPolicy") == "Always"]
    return [*(pod["spec"].get("containers") or ()), *sidecars]


def _group(
    pods: Sequence[Object],
    metrics: Mapping[str, Measured],
    resource: str,
    now: datetime.datetime,
) -> _Groups:
    groups = _Groups(0, set(), set(), set())
    for pod in pods:
        name, phase = metadata.name(pod), (pod.get("status") or {}).get("phase")
        if metadata.is_deleting(pod) or phase in {"Failed", "Succeeded"}:
            groups.ignored.add(name)
        elif phase == "Pending":
            groups.unready.add(name)
        elif name not in metrics:
            groups.missing.add(name)
        elif resource == "cpu" and _is_starting(pod, metrics[name], now):
            groups.unready.add(name)
        else:
            groups.ready += 1
    return groups


def _is_starting(pod: Object, metric: Measured, now: datetime.datetime) -> bool:
    """Return whether a pod's CPU is that of its start, which says nothing of its work."""
    ready: Mapping[str, Any] | None = conditions.get(pod, "Ready")
    begun = (pod.get("status") or {}).get("startTime")
    if ready is None or not begun or not ready.get("lastTransitionTime"):
        return True
    started = metadata.parse_time(begun)
    changed = metadata.parse_time(ready["lastTransitionTime"])
    not_ready = ready.get("status") == "False"
    if started + _CPU_INITIALIZATION > now:
        return not_ready or metric.at < changed + metric.window
    return not_ready and started + _INITIAL_READINESS > changed
