"""Rules of a whole pod spec, and of a template of pods.

Source: ``ValidatePodSpec`` of ``pkg/apis/core/validation``.
"""

from typing import Any

from wherry.apiserver.strategies import causes, labels
from wherry.apiserver.strategies.podspecs import containers, ephemeral, volumes
from wherry.objects import names
from wherry.objects.errors import Cause

_RESTART_POLICIES = frozenset({"Always", "OnFailure", "Never"})
_DNS_POLICIES = frozenset({"ClusterFirstWithHostNet", "ClusterFirst", "Default", "None"})
_EFFECTS = frozenset({"NoSchedule", "PreferNoSchedule", "NoExecute"})
_OPERATORS = frozenset({"Equal", "Exists"})
_UNSATISFIABLE = frozenset({"DoNotSchedule", "ScheduleAnyway"})
_MAX_DEADLINE = 2**31 - 1
_SIDECAR_ONLY = ("lifecycle", "livenessProbe", "readinessProbe", "startupProbe")


def check_template(path: str, template: dict[str, Any]) -> list[Cause]:
    """Check a `PodTemplateSpec`."""
    found = labels.check(f"{path}.metadata", template.get("metadata") or {})
    spec = template.get("spec") or {}
    if spec.get("ephemeralContainers"):
        why = "ephemeral containers not allowed in pod template"
        found.append(causes.forbidden(f"{path}.spec.ephemeralContainers", why))
    return found + check(f"{path}.spec", spec)


def check(path: str, spec: dict[str, Any]) -> list[Cause]:
    """Check a pod spec that has its defaults."""
    found: list[Cause] = []
    given = spec.get("volumes") or []
    if given:
        found += volumes.check(f"{path}.volumes", given)
    by_name = {volume.get("name", ""): volume for volume in given}
    found += _containers(path, spec, by_name)
    if spec.get("restartPolicy") not in _RESTART_POLICIES:
        where = f"{path}.restartPolicy"
        found.append(causes.unsupported(where, spec.get("restartPolicy"), _RESTART_POLICIES))
    if (policy := spec.get("dnsPolicy")) not in _DNS_POLICIES:
        found.append(causes.unsupported(f"{path}.dnsPolicy", policy, _DNS_POLICIES))
    elif policy == "None" and not (spec.get("dnsConfig") or {}).get("nameservers"):
        why = "must provide at least one DNS nameserver when `dnsPolicy` is None"
        found.append(causes.required(f"{path}.dnsConfig.nameservers", why))
    found += _numbers(path, spec) + _names(path, spec)
    if spec.get("tolerations"):
        found += _tolerations(f"{path}.tolerations", spec["tolerations"])
    if spec.get("topologySpreadConstraints"):
        where = f"{path}.topologySpreadConstraints"
        found += _spread(where, spec["topologySpreadConstraints"])
    return found


def _containers(path: str, spec: dict[str, Any], by_name: dict[str, Any]) -> list[Cause]:
    found: list[Cause] = []
    seen: set[str] = set()
    if not spec.get("containers"):
        found.append(causes.required(f"{path}.containers"))
    for kind in ("initContainers", "containers", "ephemeralContainers"):
        for index, container in enumerate(spec.get(kind) or ()):
            where = f"{path}.{kind}[{index}]"
            found += containers.check(where, container, by_name)
            if container.get("name") in seen:
                found.append(causes.duplicate(f"{where}.name", container["name"]))
            seen.add(container.get("name", ""))
            if kind == "initContainers":
                found += _init_container(where, container)
            elif kind == "ephemeralContainers":
                found += ephemeral.check(where, container, spec)
            elif kind == "containers" and container.get("restartPolicy"):
                rules = container.get("restartPolicyRules")
                accepted = _RESTART_POLICIES if rules is None else frozenset({"Never", "OnFailure"})
                policy = container["restartPolicy"]
                found += causes.choice(f"{where}.restartPolicy", policy, accepted)
    return found


def _init_container(path: str, container: dict[str, Any]) -> list[Cause]:
    policy = container.get("restartPolicy")
    if policy == "Always":
        return []
    found = causes.choice(f"{path}.restartPolicy", policy, _RESTART_POLICIES)
    why = "may not be set for init containers without restartPolicy=Always"
    found += [causes.forbidden(f"{path}.{n}", why) for n in _SIDECAR_ONLY if container.get(n)]
    return found


def _numbers(path: str, spec: dict[str, Any]) -> list[Cause]:
    found: list[Cause] = []
    deadline = spec.get("activeDeadlineSeconds")
    if deadline is not None:
        found += causes.between(f"{path}.activeDeadlineSeconds", deadline, 1, _MAX_DEADLINE)
    grace = spec.get("terminationGracePeriodSeconds", 0)
    found += causes.minimum(f"{path}.terminationGracePeriodSeconds", grace)
    context = spec.get("securityContext") or {}
    for name in ("runAsUser", "runAsGroup", "fsGroup"):
        value = context.get(name)
        if value is not None:
            found += causes.between(f"{path}.securityContext.{name}", value, 0, _MAX_DEADLINE)
    return found


def _names(path: str, spec: dict[str, Any]) -> list[Cause]:
    found: list[Cause] = []
    for name in ("hostname", "subdomain"):
        if spec.get(name):
            found += causes.problems(f"{path}.{name}", spec[name], names.dns_label(spec[name]))
    for name in ("serviceAccountName", "nodeName", "priorityClassName", "runtimeClassName"):
        if spec.get(name):
            found += causes.problems(f"{path}.{name}", spec[name], names.dns_subdomain(spec[name]))
    found += labels.check_pairs(f"{path}.nodeSelector", spec.get("nodeSelector"))
    for index, gate in enumerate(spec.get("readinessGates") or ()):
        kind = gate.get("conditionType", "")
        where = f"{path}.readinessGates[{index}].conditionType"
        found += causes.problems(where, kind, names.label_key(kind))
    return found


def _tolerations(path: str, tolerations: list[dict[str, Any]]) -> list[Cause]:
    found: list[Cause] = []
    for index, one in enumerate(tolerations):
        where = f"{path}[{index}]"
        key, operator = one.get("key", ""), one.get("operator") or "Equal"
        if key:
            found += causes.problems(f"{where}.key", key, names.label_key(key))
        elif operator != "Exists":
            why = 'operator must be Exists when `key` is empty, which means "match all values and all keys"'
            found.append(causes.invalid(f"{where}.operator", operator, why))
        found += causes.choice(f"{where}.operator", operator, _OPERATORS)
        if operator == "Exists" and one.get("value"):
            why = "value must be empty when `operator` is 'Exists'"
            found.append(causes.invalid(f"{where}.operator", one, why))
        if one.get("tolerationSeconds") is not None and one.get("effect") != "NoExecute":
            why = "effect must be 'NoExecute' when `tolerationSeconds` is set"
            found.append(causes.invalid(f"{where}.effect", one.get("effect", ""), why))
        if one.get("effect"):
            found += causes.choice(f"{where}.effect", one["effect"], _EFFECTS)
    return found


def _spread(path: str, constraints: list[dict[str, Any]]) -> list[Cause]:
    found: list[Cause] = []
    for index, one in enumerate(constraints):
        where = f"{path}[{index}]"
        if one.get("maxSkew", 0) <= 0:
            why = "must be greater than zero"
            found.append(causes.invalid(f"{where}.maxSkew", one.get("maxSkew", 0), why))
        if not one.get("topologyKey"):
            found.append(causes.required(f"{where}.topologyKey", "can not be empty"))
        kind = one.get("whenUnsatisfiable")
        found += causes.choice(f"{where}.whenUnsatisfiable", kind, _UNSATISFIABLE)
    return found
