"""Autoscalers, disruption budgets, priority classes, leases: what decides how many pods there are.

Source: ``pkg/apis/autoscaling/v2/defaults.go``, ``pkg/apis/{policy,scheduling,coordination}``.
"""

from typing import Any

from wherry.apiserver.strategies import causes, workloads
from wherry.apiserver.strategies.podadmission import SYSTEM_PRIORITIES
from wherry.apiserver.strategies.rules import Rules
from wherry.apiserver.strategy import Context
from wherry.objects.errors import Cause
from wherry.objects.requests import Object

_HIGHEST_USER_PRIORITY = 1_000_000_000
_UTILIZATION = 80
_UP = ({"type": "Pods", "value": 4}, {"type": "Percent", "value": 100})
_DOWN = ({"type": "Percent", "value": 100},)
_METRIC_FIELDS = {
    "ContainerResource": "containerResource",
    "External": "external",
    "Object": "object",
    "Pods": "pods",
    "Resource": "resource",
}
_SELECT_POLICIES = frozenset({"Disabled", "Max", "Min"})
_POLICY_TYPES = frozenset({"Percent", "Pods"})
_LONGEST_WINDOW, _LONGEST_PERIOD = 3600, 1800
_EVICTION_POLICIES = frozenset({"AlwaysAllow", "IfHealthyBudget"})


def _default_autoscaler(obj: Object) -> None:
    spec = obj["spec"] = obj.get("spec") or {}
    if spec.get("minReplicas") is None:
        spec["minReplicas"] = 1
    if obj.get("apiVersion") == "autoscaling/v1":
        return
    if not spec.get("metrics"):
        target = {"type": "Utilization", "averageUtilization": _UTILIZATION}
        spec["metrics"] = [{"type": "Resource", "resource": {"name": "cpu", "target": target}}]
    if spec.get("behavior") is not None:
        for name, policies in (("scaleUp", _UP), ("scaleDown", _DOWN)):
            _default_behavior(spec["behavior"], name, policies)


def _default_behavior(
    behavior: dict[str, Any], name: str, policies: tuple[dict[str, Any], ...]
) -> None:
    rules = behavior[name] = behavior.get(name) or {}
    rules["selectPolicy"] = rules.get("selectPolicy") or "Max"
    if name == "scaleUp" and rules.get("stabilizationWindowSeconds") is None:
        rules["stabilizationWindowSeconds"] = 0
    if not rules.get("policies"):
        rules["policies"] = [{**policy, "periodSeconds": 15} for policy in policies]


def _validate_autoscaler(obj: Object, old: Object | None, context: Context) -> list[Cause]:
    if context.subresource == "status":
        return []
    spec = obj.get("spec") or {}
    least, most = spec.get("minReplicas", 1), spec.get("maxReplicas", 0)
    found = causes.minimum("spec.minReplicas", least, 1)
    if most < 1:
        found.append(causes.invalid("spec.maxReplicas", most, "must be greater than 0"))
    elif most < least:
        why = "must be greater than or equal to `minReplicas`"
        found.append(causes.invalid("spec.maxReplicas", most, why))
    target = spec.get("scaleTargetRef") or {}
    missing = [name for name in ("kind", "name") if not target.get(name)]
    found += [causes.required(f"spec.scaleTargetRef.{name}") for name in missing]
    for index, metric in enumerate(spec.get("metrics") or ()):
        found += _metric(f"spec.metrics[{index}]", metric)
    for name in ("scaleUp", "scaleDown"):
        rules = (spec.get("behavior") or {}).get(name)
        if rules is not None:
            found += _scaling_rules(f"spec.behavior.{name}", rules)
    return found


def _scaling_rules(path: str, rules: dict[str, Any]) -> list[Cause]:
    found = causes.choice(f"{path}.selectPolicy", rules.get("selectPolicy"), _SELECT_POLICIES)
    window = rules.get("stabilizationWindowSeconds")
    if window is not None:
        found += causes.between(f"{path}.stabilizationWindowSeconds", window, 0, _LONGEST_WINDOW)
    if not rules.get("policies"):
        return [*found, causes.required(f"{path}.policies", "must specify at least one Policy")]
    for index, policy in enumerate(rules["policies"]):
        where = f"{path}.policies[{index}]"
        if policy.get("type") not in _POLICY_TYPES:
            found.append(causes.unsupported(f"{where}.type", policy.get("type"), _POLICY_TYPES))
        if policy.get("value", 0) <= 0:
            why = "must be greater than zero"
            found.append(causes.invalid(f"{where}.value", policy.get("value", 0), why))
        period = policy.get("periodSeconds", 0)
        found += causes.between(f"{where}.periodSeconds", period, 1, _LONGEST_PERIOD)
    return found


def _metric(path: str, metric: dict[str, Any]) -> list[Cause]:
    kind = metric.get("type")
    if kind not in _METRIC_FIELDS:
        return [causes.unsupported(f"{path}.type", kind, _METRIC_FIELDS)]
    field = _METRIC_FIELDS[kind]
    source = metric.get(field)
    if source is None:
        why = "must populate information for the given metric source"
        return [causes.required(f"{path}.{field}", why)]
    target = source.get("target") or {}
    values = ("value", "averageValue", "averageUtilization")
    if not any(target.get(name) is not None for name in values):
        why = "must set either a target raw value or a target utilization"
        return [causes.required(f"{path}.{field}.target", why)]
    return []


def _validate_budget(obj: Object, old: Object | None, context: Context) -> list[Cause]:
    if context.subresource == "status":
        return []
    spec = obj.get("spec") or {}
    least, most = spec.get("minAvailable"), spec.get("maxUnavailable")
    found: list[Cause] = []
    if least is not None and most is not None:
        why = "minAvailable and maxUnavailable cannot be both set"
        found.append(causes.invalid("spec", {"minAvailable": least, "maxUnavailable": most}, why))
    found += workloads.check_amount("spec.minAvailable", least)
    found += workloads.check_amount("spec.maxUnavailable", most)
    policy = spec.get("unhealthyPodEvictionPolicy")
    found += causes.choice("spec.unhealthyPodEvictionPolicy", policy, _EVICTION_POLICIES)
    return found + workloads.check_selector_form("spec.selector", spec.get("selector"))


def _default_priority_class(obj: Object) -> None:
    obj["preemptionPolicy"] = obj.get("preemptionPolicy") or "PreemptLowerPriority"


def _validate_priority_class(obj: Object, old: Object | None, context: Context) -> list[Cause]:
    name, value = obj["metadata"].get("name", ""), obj.get("value", 0)
    found: list[Cause] = []
    if name.startswith("system-"):
        if SYSTEM_PRIORITIES.get(name) != value:
            why = "priority class names with 'system-' prefix are reserved for system use only"
            found.append(causes.forbidden("metadata.name", why))
    elif value > _HIGHEST_USER_PRIORITY:
        why = f"maximum allowed value of a user defined priority is {_HIGHEST_USER_PRIORITY}"
        found.append(causes.forbidden("value", why))
    if old is None:
        return found
    if value != old.get("value", 0):
        found.append(causes.forbidden("value", "may not be changed in an update."))
    policy = obj.get("preemptionPolicy")
    return found + causes.unchanged("preemptionPolicy", policy, old.get("preemptionPolicy"))


def _validate_lease(obj: Object, old: Object | None, context: Context) -> list[Cause]:
    spec = obj.get("spec") or {}
    found: list[Cause] = []
    seconds, transitions = spec.get("leaseDurationSeconds"), spec.get("leaseTransitions")
    if seconds is not None and seconds <= 0:
        why = "must be greater than 0"
        found.append(causes.invalid("spec.leaseDurationSeconds", seconds, why))
    return found + causes.minimum("spec.leaseTransitions", transitions)


def _validate_runtime_class(obj: Object, old: Object | None, context: Context) -> list[Cause]:
    if not obj.get("handler"):
        return [causes.required("handler")]
    return causes.unchanged("handler", obj["handler"], old.get("handler")) if old else []


STRATEGIES = {
    "horizontalpodautoscalers.autoscaling": Rules(
        on_default=_default_autoscaler, on_validate=_validate_autoscaler
    ),
    "poddisruptionbudgets.policy": Rules(on_validate=_validate_budget),
    "priorityclasses.scheduling.k8s.io": Rules(
        on_default=_default_priority_class, on_validate=_validate_priority_class
    ),
    "leases.coordination.k8s.io": Rules(on_validate=_validate_lease),
    "runtimeclasses.node.k8s.io": Rules(on_validate=_validate_runtime_class),
}
