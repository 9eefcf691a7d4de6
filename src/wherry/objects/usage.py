"""What containers and nodes use: the resources of `metrics.k8s.io`, and amounts as values.

The kubelet measures, the API server shows, the autoscaler reads; they meet here.

Source: `k8s.io/metrics/pkg/apis/metrics/v1beta1`; amounts are printed as metrics-server prints them.
"""

import datetime
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from wherry.objects import metadata
from wherry.objects.requests import Object
from wherry.objects.resources import Resource

GROUP = "metrics.k8s.io"
_VERBS = ("get", "list")
_BYTES_IN_KI = 1024

NODE_METRICS = Resource(
    GROUP,
    "v1beta1",
    "nodes",
    kind="NodeMetrics",
    singular="",
    namespaced=False,
    verbs=_VERBS,
)
POD_METRICS = Resource(GROUP, "v1beta1", "pods", kind="PodMetrics", singular="", verbs=_VERBS)


@dataclass(frozen=True, slots=True)
class Usage:
    """What something uses.

    Attributes:
        cpu_cores: Mean over a window.
        memory_bytes: Working set: what cannot be taken away without harm.
    """

    cpu_cores: float
    memory_bytes: int

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(self.cpu_cores + other.cpu_cores, self.memory_bytes + other.memory_bytes)


@dataclass(frozen=True, slots=True)
class Window:
    """When something was measured.

    Attributes:
        end: Aware.
        seconds: How far it goes back, for amounts that are means.
    """

    end: datetime.datetime
    seconds: float


def amounts(usage: Usage) -> dict[str, str]:
    """Return an entry `usage`."""
    nanos = int(Decimal(usage.cpu_cores).scaleb(9).to_integral_value())
    kilos = -(-usage.memory_bytes // _BYTES_IN_KI)
    return {"cpu": f"{nanos}n" if nanos else "0", "memory": f"{kilos}Ki" if kilos else "0"}


def node_metrics(node: Object, usage: Usage, window: Window) -> Object:
    """Return the `NodeMetrics` of a node."""
    return {**_head(NODE_METRICS, node, window), "usage": amounts(usage)}


def pod_metrics(pod: Object, containers: Mapping[str, Usage], window: Window) -> Object:
    """Return the `PodMetrics` of a pod.

    Args:
        pod: The pod.
        containers: By name.
        window: Of all of them.
    """
    listed = [{"name": name, "usage": amounts(used)} for name, used in containers.items()]
    return {**_head(POD_METRICS, pod, window), "containers": listed}


def total(usages: Iterable[Usage]) -> Usage:
    """Return the sum."""
    return sum(usages, Usage(0.0, 0))


def _head(resource: Resource, obj: Object, window: Window) -> dict[str, Any]:
    about: dict[str, Any] = {"name": metadata.name(obj)}
    if resource.namespaced:
        about["namespace"] = metadata.namespace(obj)
    if labels := metadata.labels(obj):
        about["labels"] = dict(labels)
    about["creationTimestamp"] = metadata.format_time(window.end)
    return {
        "kind": resource.kind,
        "apiVersion": resource.api_version,
        "metadata": about,
        "timestamp": metadata.format_time(window.end),
        "window": f"{window.seconds:.3f}s",
    }
