"""What a HorizontalPodAutoscaler's status says. Pure.

Source: `pkg/controller/podautoscaler/horizontal.go` of Kubernetes.
"""

import datetime
from typing import Any

from wherry.builtin.autoscaling.behavior import Verdict
from wherry.builtin.autoscaling.calculation import Proposal
from wherry.objects import conditions, metadata, quantities
from wherry.objects.requests import Object


class Draft:
    """The status as it shall be, put together step by step."""

    def __init__(self, autoscaler: Object, now: datetime.datetime) -> None:
        """Begin with what it says now."""
        before = autoscaler.get("status") or {}
        self._now = now
        self._before = before
        self._conditions = [dict(one) for one in before.get("conditions") or ()]
        self._generation = autoscaler["metadata"].get("generation", 0)

    def set(self, kind: str, verdict: Verdict) -> None:
        """Set a condition."""
        conditions.set(
            self._conditions,
            kind,
            "True" if verdict.value else "False",
            reason=verdict.reason,
            message=verdict.message,
            now=self._now,
        )

    def status(
        self,
        current: int,
        desired: int,
        *,
        metrics: list[Object] | None = None,
        rescaled: bool = False,
    ) -> dict[str, Any]:
        """Return the status.

        Args:
            current: How many replicas there are to be now.
            desired: How many there shall be.
            metrics: `currentMetrics`; None keeps what it says.
            rescaled: Whether the number was just changed.
        """
        before = self._before
        found = metrics if metrics is not None else before.get("currentMetrics")
        result: dict[str, Any] = {
            "conditions": self._conditions,
            "currentMetrics": found or None,
            "currentReplicas": current,
            "desiredReplicas": desired,
            "lastScaleTime": before.get("lastScaleTime"),
            "observedGeneration": self._generation,
        }
        if rescaled:
            result["lastScaleTime"] = metadata.format_time(self._now)
        return {name: value for name, value in result.items() if value is not None}


def metric(spec: Object, proposal: Proposal) -> Object:
    """Return an entry of `currentMetrics`, for a `Resource` or `ContainerResource` metric."""
    field = "resource" if spec["type"] == "Resource" else "containerResource"
    source = spec[field]
    # Means are told to the thousandth, as the fields' type is.
    average = proposal.average.quantize(quantities.parse("1m"))
    current: dict[str, Any] = {"averageValue": quantities.format(average)}
    if proposal.utilization is not None:
        current["averageUtilization"] = proposal.utilization
    named = {key: source[key] for key in ("name", "container") if key in source}
    return {"type": spec["type"], field: {**named, "current": current}}
