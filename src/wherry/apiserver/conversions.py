"""One object in the versions of its kind.

Most kinds have one version. Custom resources with several differ in `apiVersion` only (strategy
``None``), unless their definition names a webhook or the server knows better (`crds`). Two built-in
kinds are served in two shapes: Event (core and ``events.k8s.io``) and HorizontalPodAutoscaler
(``v1`` and ``v2``); each is stored in the first of these.

Source: the conversions in `pkg/apis/core/v1`, `pkg/apis/events/v1` and `pkg/apis/autoscaling/v1` of
Kubernetes, as the fields' documentation describes them.
"""

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from wherry.objects.requests import Object

Convert = Callable[[Object], Object]

CHANGEABLE: Final = ("labels", "annotations")
"""What a conversion may change of the metadata."""
_EVENT_FIELDS: Final = {
    "involvedObject": "regarding",
    "message": "note",
    "source": "deprecatedSource",
    "firstTimestamp": "deprecatedFirstTimestamp",
    "lastTimestamp": "deprecatedLastTimestamp",
    "count": "deprecatedCount",
    "reportingComponent": "reportingController",
}
_METRICS_ANNOTATION: Final = "autoscaling.alpha.kubernetes.io/metrics"
_BEHAVIOR_ANNOTATION: Final = "autoscaling.alpha.kubernetes.io/behavior"


def _renamed(obj: Object, names: Mapping[str, str]) -> Object:
    return {names.get(key, key): value for key, value in obj.items()}


def _event_to_core(event: Object) -> Object:
    return _renamed(event, {new: old for old, new in _EVENT_FIELDS.items()})


def _event_from_core(event: Object) -> Object:
    return _renamed(event, _EVENT_FIELDS)


def _is_cpu(metric: Mapping[str, Any], where: str) -> bool:
    resource = metric.get("resource") or {}
    return resource.get("name") == "cpu" and "averageUtilization" in (resource.get(where) or {})


def _with_annotations(obj: Object, added: Mapping[str, str], dropped: tuple[str, ...]) -> Object:
    metadata = dict(obj.get("metadata") or {})
    annotations = {
        key: value
        for key, value in (metadata.get("annotations") or {}).items()
        if key not in dropped
    } | dict(added)
    metadata.pop("annotations", None)
    if annotations:
        metadata["annotations"] = annotations
    return obj | {"metadata": metadata}


def _hpa_to_v1(hpa: Object) -> Object:
    spec, status = dict(hpa.get("spec") or {}), dict(hpa.get("status") or {})
    metrics, behavior = spec.pop("metrics", None) or [], spec.pop("behavior", None)
    cpu = next((metric for metric in metrics if _is_cpu(metric, "target")), None)
    added = {}
    if cpu is not None:
        spec["targetCPUUtilizationPercentage"] = cpu["resource"]["target"]["averageUtilization"]
    if others := [metric for metric in metrics if metric is not cpu]:
        added[_METRICS_ANNOTATION] = json.dumps(others)
    if behavior:
        added[_BEHAVIOR_ANNOTATION] = json.dumps(behavior)
    current = status.pop("currentMetrics", None) or []
    status.pop("conditions", None)
    for metric in current:
        if _is_cpu(metric, "current"):
            utilization = metric["resource"]["current"]["averageUtilization"]
            status["currentCPUUtilizationPercentage"] = utilization
    return _with_annotations(hpa | {"spec": spec, "status": status}, added, ())


def _stored_json(hpa: Object, annotation: str, kind: type) -> Any:
    text = ((hpa.get("metadata") or {}).get("annotations") or {}).get(annotation, "")
    try:
        value = json.loads(text)
    except ValueError:
        return kind()
    return value if isinstance(value, kind) else kind()


def _hpa_to_v2(hpa: Object) -> Object:
    spec, status = dict(hpa.get("spec") or {}), dict(hpa.get("status") or {})
    metrics = _stored_json(hpa, _METRICS_ANNOTATION, list)
    if (percent := spec.pop("targetCPUUtilizationPercentage", None)) is not None:
        target = {"type": "Utilization", "averageUtilization": percent}
        metrics.insert(0, {"type": "Resource", "resource": {"name": "cpu", "target": target}})
    if metrics:
        spec["metrics"] = metrics
    if behavior := _stored_json(hpa, _BEHAVIOR_ANNOTATION, dict):
        spec["behavior"] = behavior
    if (percent := status.pop("currentCPUUtilizationPercentage", None)) is not None:
        current = {"name": "cpu", "current": {"averageUtilization": percent}}
        status["currentMetrics"] = [{"type": "Resource", "resource": current}]
    dropped = (_METRICS_ANNOTATION, _BEHAVIOR_ANNOTATION)
    return _with_annotations(hpa | {"spec": spec, "status": status}, {}, dropped)


_SHAPES: Final[Mapping[tuple[str, str, str], Convert]] = {
    ("Event", "events.k8s.io/v1", "v1"): _event_to_core,
    ("Event", "v1", "events.k8s.io/v1"): _event_from_core,
    ("HorizontalPodAutoscaler", "autoscaling/v1", "autoscaling/v2"): _hpa_to_v2,
    ("HorizontalPodAutoscaler", "autoscaling/v2", "autoscaling/v1"): _hpa_to_v1,
}


def convert(obj: Object, api_version: str) -> Object:
    """Return the object in another version of its kind.

    Args:
        obj: Not changed, but the result may share parts with it; `apiVersion` and `kind` are set.
        api_version: As in objects, e.g. ``autoscaling/v1``.

    Returns:
        An object with `apiVersion` and `kind` as its first members, as the store's reader relies on.
    """
    kind = str(obj["kind"])
    reshape = _SHAPES.get((kind, str(obj["apiVersion"]), api_version))
    return typed(reshape(obj) if reshape else obj, api_version, kind)


def is_trivial(obj: Object, api_version: str) -> bool:
    """Return whether only the type of an object has to be set for a version, whoever converts its kind.

    An object that is nothing but its type is what an apply merges into where there is none.
    """
    return bool(obj["apiVersion"] == api_version) or obj.keys() <= {"apiVersion", "kind"}


def convert_all(objs: Iterable[Object], api_version: str) -> list[Object]:
    """Return objects in another version of their kind, as `convert` does."""
    return [convert(obj, api_version) for obj in objs]


def same_metadata(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any]:
    """Return the metadata of a converted object: as it was, but for labels and annotations."""
    kept = {name: value for name, value in before.items() if name not in CHANGEABLE}
    return kept | {name: after[name] for name in CHANGEABLE if after.get(name) is not None}


def typed(body: Object, api_version: str, kind: str) -> Object:
    """Return the members of ``body`` behind a type, in the order that the store's reader relies on."""
    return {"apiVersion": api_version, "kind": kind} | {
        key: value for key, value in body.items() if key not in {"apiVersion", "kind"}
    }
