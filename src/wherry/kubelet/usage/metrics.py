"""The objects of `metrics.k8s.io`, as the API server asks for them.

Source: metrics-server (which pods have metrics: those of which every running container has some).
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from wherry.kubelet.usage.sampler import Report, Sampler
from wherry.objects import metadata, usage
from wherry.objects.requests import Object

_STRING = {"type": "string"}
_AMOUNTS = {
    "type": "object",
    "description": "The memory usage is the memory working set.",
    "additionalProperties": {"x-kubernetes-int-or-string": True},
}
_COMMON = {
    "timestamp": {**_STRING, "format": "date-time", "description": "End of the window."},
    "window": {**_STRING, "description": "Over which the means are taken."},
}


def _definition(properties: dict[str, Any], *columns: tuple[str, str, str]) -> dict[str, Any]:
    return {
        "name": "v1beta1",
        "schema": {"openAPIV3Schema": {"type": "object", "properties": properties | _COMMON}},
        "additionalPrinterColumns": [
            {"name": name, "type": kind, "jsonPath": path} for name, kind, path in columns
        ],
    }


class NodeUsage:
    """`NodeMetrics` of this node."""

    resource = usage.NODE_METRICS
    definition: Mapping[str, Any] = _definition(
        {"usage": _AMOUNTS},
        ("CPU", "string", ".usage.cpu"),
        ("Memory", "string", ".usage.memory"),
        ("Window", "string", ".window"),
    )

    def __init__(self, sampler: Sampler, node: Callable[[], Awaitable[Object]]) -> None:
        """Take what it asks.

        Args:
            sampler: Measures.
            node: Returns the Node.
        """
        self._sampler = sampler
        self._node = node

    async def objects(self, namespace: str | None, name: str | None) -> Sequence[Object]:
        """Return the node's metrics, if it is meant.

        Raises:
            ServiceUnavailableError: This machine does not tell.
        """
        node = await self._node()
        if name not in {None, metadata.name(node)}:
            return ()
        report = await self._sampler.report()
        return (usage.node_metrics(node, report.machine, report.window),)


class PodUsage:
    """`PodMetrics` of this node's pods."""

    resource = usage.POD_METRICS
    definition: Mapping[str, Any] = _definition(
        {
            "containers": {
                "type": "array",
                "items": {"type": "object", "properties": {"name": _STRING, "usage": _AMOUNTS}},
            }
        },
        ("Window", "string", ".window"),
    )

    def __init__(self, sampler: Sampler) -> None:
        self._sampler = sampler

    async def objects(self, namespace: str | None, name: str | None) -> Sequence[Object]:
        """Return the metrics of the pods that are meant.

        Raises:
            ServiceUnavailableError: This machine does not tell.
        """
        found = by_pod(await self._sampler.report())
        return [
            pod
            for pod in found
            if namespace in {None, "", metadata.namespace(pod)}
            and name in {None, metadata.name(pod)}
        ]


def by_pod(report: Report) -> list[Object]:
    """Return the `PodMetrics` of all pods, by namespace and name."""
    pods: dict[str, Object] = {}
    used: dict[str, dict[str, usage.Usage]] = {}
    for one, amount in report.containers:
        uid = metadata.uid(one.pod)
        pods[uid] = one.pod
        used.setdefault(uid, {})[one.name] = amount
    ordered = sorted(pods, key=lambda uid: metadata.namespaced_name(pods[uid]))
    return [usage.pod_metrics(pods[uid], used[uid], report.window) for uid in ordered]
