"""The rest of the core group: namespaces, nodes, quotas, limit ranges, events.

Source: ``pkg/apis/core/v1/defaults.go``, ``pkg/registry/core``.
"""

from typing import Any

from wherry.apiserver.strategies import amounts, causes
from wherry.apiserver.strategies.rules import Rules
from wherry.apiserver.strategy import Context
from wherry.objects import names
from wherry.objects.errors import Cause
from wherry.objects.requests import Object

NAME_LABEL = "kubernetes.io/metadata.name"
FINALIZER = "kubernetes"

_LIMIT_TYPES = frozenset({"Pod", "Container", "PersistentVolumeClaim"})
_SCOPES = frozenset(
    {
        "BestEffort",
        "CrossNamespacePodAffinity",
        "NotBestEffort",
        "NotTerminating",
        "PriorityClass",
        "Terminating",
        "VolumeAttributesClass",
    }
)
_CONTRADICTIONS = (("BestEffort", "NotBestEffort"), ("Terminating", "NotTerminating"))


def _default_namespace(obj: Object) -> None:
    meta = obj["metadata"]
    if meta.get("name"):
        labels = meta["labels"] = meta.get("labels") or {}
        labels[NAME_LABEL] = meta["name"]
    status = obj["status"] = obj.get("status") or {}
    status["phase"] = status.get("phase") or "Active"


def _create_namespace(obj: Object, context: Context) -> None:
    spec = obj["spec"] = obj.get("spec") or {}
    finalizers = spec["finalizers"] = spec.get("finalizers") or []
    if FINALIZER not in finalizers:
        finalizers.append(FINALIZER)
    # The name may only now have been made up.
    _default_namespace(obj)


def _validate_namespace(obj: Object, old: Object | None, context: Context) -> list[Cause]:
    found: list[Cause] = []
    for index, key in enumerate((obj.get("spec") or {}).get("finalizers") or ()):
        where = f"spec.finalizers[{index}]"
        found += causes.problems(where, key, names.label_key(key))
        if "/" not in key and key != FINALIZER:
            why = "name is neither a standard finalizer name nor is it fully qualified"
            found.append(causes.invalid(where, key, why))
    return found


def _namespace_fields(obj: Object) -> dict[str, str]:
    phase = str((obj.get("status") or {}).get("phase") or "")
    return {"status.phase": phase, "name": str(obj["metadata"].get("name", ""))}


def _default_node(obj: Object) -> None:
    status = obj.get("status") or {}
    amounts.canonicalize(status.get("capacity"))
    if status.get("capacity") and status.get("allocatable") is None:
        status["allocatable"] = dict(status["capacity"])
    amounts.canonicalize(status.get("allocatable"))


def _validate_node(obj: Object, old: Object | None, context: Context) -> list[Cause]:
    spec = obj.get("spec") or {}
    found: list[Cause] = []
    for index, taint in enumerate(spec.get("taints") or ()):
        where = f"spec.taints[{index}]"
        key = taint.get("key", "")
        found += causes.problems(f"{where}.key", key, names.label_key(key))
        effects = {"NoSchedule", "PreferNoSchedule", "NoExecute"}
        found += causes.choice(f"{where}.effect", taint.get("effect"), effects)
    if old is not None:
        for name in ("podCIDR", "providerID"):
            before = (old.get("spec") or {}).get(name)
            if before and spec.get(name) != before:
                why = "node updates may only change labels, taints, or capacity"
                found.append(causes.forbidden(f"spec.{name}", why))
    return found


def _node_fields(obj: Object) -> dict[str, str]:
    unschedulable = (obj.get("spec") or {}).get("unschedulable")
    return {"spec.unschedulable": "true" if unschedulable else "false"}


def _default_quota(obj: Object) -> None:
    amounts.canonicalize((obj.get("spec") or {}).get("hard"))


def _validate_quota(obj: Object, old: Object | None, context: Context) -> list[Cause]:
    spec = obj.get("spec") or {}
    found = amounts.check("spec.hard", spec.get("hard"))
    scopes = spec.get("scopes") or []
    for scope in scopes:
        found += causes.choice("spec.scopes", scope, _SCOPES)
    for one, other in _CONTRADICTIONS:
        if one in scopes and other in scopes:
            found.append(causes.invalid("spec.scopes", scopes, "conflicting scopes"))
    if old is not None and sorted(scopes) != sorted((old.get("spec") or {}).get("scopes") or []):
        found.append(causes.immutable("spec.scopes", scopes))
    return found


def _default_limits(obj: Object) -> None:
    for item in (obj.get("spec") or {}).get("limits") or ():
        for part in ("max", "min", "default", "defaultRequest", "maxLimitRequestRatio"):
            amounts.canonicalize(item.get(part))
        if item.get("type") != "Container":
            continue
        limit = {**(item.get("max") or {}), **(item.get("default") or {})}
        request = {**(item.get("min") or {}), **limit, **(item.get("defaultRequest") or {})}
        for name, value in (("default", limit), ("defaultRequest", request)):
            if value:
                item[name] = value


def _validate_limits(obj: Object, old: Object | None, context: Context) -> list[Cause]:
    found: list[Cause] = []
    seen: set[str] = set()
    for index, item in enumerate((obj.get("spec") or {}).get("limits") or ()):
        where, kind = f"spec.limits[{index}]", item.get("type", "")
        if "/" not in kind:
            found += causes.choice(f"{where}.type", kind, _LIMIT_TYPES)
        if kind in seen:
            found.append(causes.duplicate(f"{where}.type", kind))
        seen.add(kind)
        found += _check_limit_item(where, item)
    return found


_LADDER = (
    ("min", "max"),
    ("min", "defaultRequest"),
    ("defaultRequest", "default"),
    ("defaultRequest", "max"),
    ("default", "max"),
    ("min", "default"),
)


def _check_limit_item(path: str, item: dict[str, Any]) -> list[Cause]:
    found: list[Cause] = []
    for part in ("max", "min", "default", "defaultRequest", "maxLimitRequestRatio"):
        found += amounts.check(f"{path}.{part}", item.get(part))
    if found:
        return found
    for lower, upper in _LADDER:
        low, high = item.get(lower) or {}, item.get(upper) or {}
        for name in low.keys() & high.keys():
            if amounts.exceeds(low[name], high[name]):
                why = f"{lower} value {low[name]} is greater than {upper} value {high[name]}"
                found.append(causes.invalid(f"{path}.{lower}[{name}]", low[name], why))
    return found


def _event_fields(obj: Object) -> dict[str, str]:
    about = obj.get("involvedObject") or obj.get("regarding") or {}
    source = obj.get("source") or obj.get("deprecatedSource") or {}
    names_ = ("kind", "namespace", "name", "uid", "apiVersion", "resourceVersion", "fieldPath")
    core = obj.get("apiVersion") == "v1"
    prefix = "involvedObject" if core else "regarding"
    fields = {f"{prefix}.{name}": str(about.get(name) or "") for name in names_}
    component = obj.get("reportingComponent") or obj.get("reportingController") or ""
    fields["reason"] = str(obj.get("reason") or "")
    fields["type"] = str(obj.get("type") or "")
    fields["source" if core else "deprecatedSource.component"] = str(
        source.get("component") or component
    )
    fields["reportingComponent" if core else "reportingController"] = str(component)
    return fields


def _validate_event(obj: Object, old: Object | None, context: Context) -> list[Cause]:
    about = obj.get("involvedObject") or obj.get("regarding") or {}
    namespace = obj["metadata"].get("namespace")
    where = "involvedObject.namespace" if "involvedObject" in obj else "regarding.namespace"
    if about.get("namespace") and about["namespace"] != namespace:
        why = "does not match event.namespace"
        return [causes.invalid(where, about["namespace"], why)]
    if not about.get("namespace") and namespace not in {None, "default", "kube-system"}:
        return [causes.invalid(where, "", "does not match event.namespace")]
    return []


STRATEGIES = {
    "namespaces": Rules(
        on_default=_default_namespace,
        on_create=_create_namespace,
        on_validate=_validate_namespace,
        fields=_namespace_fields,
    ),
    "nodes": Rules(
        on_default=_default_node,
        on_validate=_validate_node,
        fields=_node_fields,
        # A node tells of itself what it is when it registers.
        status_on_create=True,
    ),
    "resourcequotas": Rules(on_default=_default_quota, on_validate=_validate_quota),
    "limitranges": Rules(on_default=_default_limits, on_validate=_validate_limits),
    "events": Rules(on_validate=_validate_event, fields=_event_fields),
    "events.events.k8s.io": Rules(on_validate=_validate_event, fields=_event_fields),
}
