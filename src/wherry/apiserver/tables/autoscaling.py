"""Rows of autoscalers, of both versions."""

import datetime
from typing import Any

from wherry.apiserver.tables import texts
from wherry.apiserver.tables.layout import column, named
from wherry.objects.requests import Object

_SHOWN = 2
_SOURCES = {
    "External": "external",
    "Pods": "pods",
    "Object": "object",
    "Resource": "resource",
    "ContainerResource": "containerResource",
}
_BY_RESOURCE = {"Resource", "ContainerResource"}


def _reading(kind: str, target: dict[str, Any], current: dict[str, Any]) -> str:
    if target.get("averageValue") is not None or kind == "Pods":
        suffix = " (avg)" if kind in {"External", "Object"} else ""
        value = current.get("averageValue", texts.UNKNOWN)
        return f"{value}/{target.get('averageValue', '0')}{suffix}"
    if kind not in _BY_RESOURCE:
        return f"{current.get('value', texts.UNKNOWN)}/{target.get('value', '0')}"
    wanted, is_ = target.get("averageUtilization"), current.get("averageUtilization")
    left = texts.UNKNOWN if is_ is None else f"{is_}%"
    return f"{left}/{'<auto>' if wanted is None else f'{wanted}%'}"


def _metric(spec: dict[str, Any], status: dict[str, Any]) -> str:
    kind = str(spec.get("type", ""))
    if kind not in _SOURCES:
        return "<unknown type>"
    source = spec.get(_SOURCES[kind]) or {}
    current = (status.get(_SOURCES[kind]) or {}).get("current") or {}
    text = _reading(kind, source.get("target") or {}, current)
    return f"{source.get('name', '')}: {text}" if kind in _BY_RESOURCE else text


def _targets(obj: Object) -> str:
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    if "targetCPUUtilizationPercentage" in spec:
        current = status.get("currentCPUUtilizationPercentage")
        left = texts.UNKNOWN if current is None else f"{current}%"
        return f"cpu: {left}/{spec['targetCPUUtilizationPercentage']}%"
    wanted, current = spec.get("metrics") or [], status.get("currentMetrics") or []
    found = [_metric(one, current[i] if i < len(current) else {}) for i, one in enumerate(wanted)]
    return texts.cut(found, limit=_SHOWN, total=len(found), separator=", ") or texts.NONE


def _autoscaler(obj: Object, now: datetime.datetime) -> list[Any]:
    spec = obj.get("spec") or {}
    target = spec.get("scaleTargetRef") or {}
    return [
        f"{target.get('kind', '')}/{target.get('name', '')}",
        _targets(obj),
        str(spec.get("minReplicas", texts.UNSET)),
        spec.get("maxReplicas", 0),
        (obj.get("status") or {}).get("currentReplicas", 0),
    ]


TABLES = {
    "horizontalpodautoscalers.autoscaling": named(
        column("Reference", "Kind and name of what is scaled."),
        column("Targets", "Each metric: now, and as wanted."),
        column("MinPods", "Fewest pods."),
        column("MaxPods", "Most pods."),
        column("Replicas", "Pods now."),
        cells_of=_autoscaler,
    ),
}
