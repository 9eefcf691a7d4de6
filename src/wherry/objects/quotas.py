"""What an object counts for against a ResourceQuota.

Admission and the controller that keeps `status.used` both count; they must agree to the last pod.

Source: `pkg/quota/v1/evaluator/core` and `pkg/quota/v1/generic` of Kubernetes.
"""

import datetime
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from typing import Any, Final

from wherry.objects import kinds, metadata, quantities
from wherry.objects.requests import Object

Amounts = dict[str, Decimal]
"""Name of a resource in a quota's `hard` → amount."""

_NAMED: Final = (
    kinds.PODS,
    kinds.SERVICES,
    kinds.PERSISTENT_VOLUME_CLAIMS,
    kinds.CONFIG_MAPS,
    kinds.SECRETS,
    kinds.REPLICATION_CONTROLLERS,
    kinds.RESOURCE_QUOTAS,
)
"""Kinds that a quota may also name without ``count/``."""
_BY_PLURAL: Final = {resource.plural: resource.key for resource in _NAMED}
_STORAGE_SUFFIX: Final = ".storageclass.storage.k8s.io/"
_COMPUTE: Final = ("cpu", "memory", "ephemeral-storage")
_DEMANDED: Final = frozenset(
    {"cpu", "memory", "requests.cpu", "requests.memory", "limits.cpu", "limits.memory"}
)
"""What each container must say when a quota bounds it."""
_POD_FIELDS: Final = frozenset(
    {
        "activeDeadlineSeconds",
        "affinity",
        "containers",
        "initContainers",
        "overhead",
        "priorityClassName",
    }
)
_ONE: Final = Decimal(1)


def counted_in(name: str) -> str:
    """Return the resource key whose objects count for a name in `hard`.

    Args:
        name: For example ``pods``, ``requests.cpu`` or ``count/deployments.apps``.
    """
    if name.startswith("count/"):
        return name.removeprefix("count/")
    if name.startswith("services."):
        return kinds.SERVICES.key
    if name == "requests.storage" or _STORAGE_SUFFIX in name:
        return kinds.PERSISTENT_VOLUME_CLAIMS.key
    return _BY_PLURAL.get(name, kinds.PODS.key)


def measure(key: str, obj: Object, now: datetime.datetime) -> Amounts:
    """Return all that an object counts for.

    Args:
        key: The resource key, e.g. ``deployments.apps``.
        obj: The object, in its storage version.
        now: Pods that should be gone by then take up nothing any more.
    """
    amounts = {f"count/{key}": _ONE}
    if key == kinds.PODS.key:
        if not _is_over(obj, now):
            amounts["pods"] = _ONE
            amounts |= _pod(obj)
    elif key == kinds.SERVICES.key:
        amounts |= _service(obj.get("spec") or {})
    elif key == kinds.PERSISTENT_VOLUME_CLAIMS.key:
        amounts |= _claim(obj)
    elif key in _BY_PLURAL:
        amounts[key] = _ONE
    return amounts


def requested(pod: Object) -> Amounts:
    """Return what must be free for a pod: at its start or while it runs, whichever is more."""
    return _of_pod(pod["spec"], "requests")


def concerns(quota: Object, key: str, obj: Object) -> bool:
    """Return whether an object is in a quota's scopes."""
    spec = quota.get("spec") or {}
    scopes = [{"scopeName": name, "operator": "Exists"} for name in spec.get("scopes") or ()]
    scopes += (spec.get("scopeSelector") or {}).get("matchExpressions") or ()
    return not scopes or all(_in_scope(each, key, obj) for each in scopes)


def essence(key: str, obj: Object) -> Object:
    """Return the little of an object that `measure` and `concerns` look at.

    Args:
        key: The resource key.
        obj: The object; the result shares parts with it.
    """
    meta, status = obj["metadata"], obj.get("status") or {}
    if key == kinds.PODS.key:
        spec = {name: value for name, value in obj["spec"].items() if name in _POD_FIELDS}
        for part in ("containers", "initContainers"):
            spec[part] = [
                {name: each[name] for name in ("restartPolicy", "resources") if name in each}
                for each in spec.get(part) or ()
            ]
        deleted = {"deletionTimestamp": meta.get("deletionTimestamp")}
        return {"metadata": deleted, "spec": spec, "status": {"phase": status.get("phase")}}
    if key in {kinds.SERVICES.key, kinds.PERSISTENT_VOLUME_CLAIMS.key}:
        annotations = {"annotations": meta.get("annotations")}
        return {"metadata": annotations, "spec": obj.get("spec") or {}, "status": status}
    return {"metadata": {}}


def unspecified(pod: Object, hard: Iterable[str]) -> str:
    """Return which containers leave out a request or limit that a quota bounds.

    Returns:
        Such as ``limits.cpu for: a,b; memory for: a``; empty where none does.
    """
    demanded = _DEMANDED.intersection(hard)
    if not demanded:
        return ""
    missing: dict[str, set[str]] = {}
    spec = pod["spec"]
    for container in (*(spec.get("containers") or ()), *(spec.get("initContainers") or ())):
        resources = container.get("resources") or {}
        said = _named(resources.get("requests") or {}, resources.get("limits") or {})
        for name in demanded - said.keys():
            missing.setdefault(name, set()).add(container["name"])
    return "; ".join(f"{name} for: {','.join(sorted(missing[name]))}" for name in sorted(missing))


def total(amounts: Iterable[Mapping[str, Decimal]], names: Iterable[str]) -> Amounts:
    """Return the sums of the named amounts; 0 for what nobody counts for."""
    sums = dict.fromkeys(names, Decimal(0))
    for each in amounts:
        for name in sums.keys() & each.keys():
            sums[name] += each[name]
    return sums


def _parsed(amount: Any) -> Decimal:
    try:
        return quantities.parse(amount)
    except ValueError:
        # What is no quantity is refused by the rules of its kind, which name the field.
        return Decimal(0)


def _is_over(pod: Object, now: datetime.datetime) -> bool:
    if (pod.get("status") or {}).get("phase") in {"Succeeded", "Failed"}:
        return True
    deadline = pod["metadata"].get("deletionTimestamp")
    return bool(deadline) and metadata.parse_time(deadline) < now


def _sum(amounts: Iterable[Mapping[str, Any]]) -> Amounts:
    found: Amounts = {}
    for each in amounts:
        for name, amount in each.items():
            found[name] = found.get(name, Decimal(0)) + _parsed(amount)
    return found


def _raise_to(peak: Amounts, amounts: Amounts) -> None:
    for name, amount in amounts.items():
        peak[name] = max(peak.get(name, Decimal(0)), amount)


def _of_pod(spec: Object, part: str) -> Amounts:
    """Return a pod's requests or limits: at its start or while it runs, whichever is more."""

    def said(container: Object) -> Mapping[str, Any]:
        return (container.get("resources") or {}).get(part) or {}

    sidecars: list[Mapping[str, Any]] = []
    peak: Amounts = {}
    for container in spec.get("initContainers") or ():
        if container.get("restartPolicy") == "Always":
            sidecars.append(said(container))
        else:
            _raise_to(peak, _sum([*sidecars, said(container)]))
    _raise_to(peak, _sum([*sidecars, *(said(each) for each in spec.get("containers") or ())]))
    for name, amount in (spec.get("overhead") or {}).items():
        if part == "requests" or name in peak:
            peak[name] = peak.get(name, Decimal(0)) + _parsed(amount)
    return peak


def _named(requests: Mapping[str, Any], limits: Mapping[str, Any]) -> dict[str, Any]:
    """Return requests and limits by the names that quotas know them by."""
    found: dict[str, Any] = {}
    for name, amount in requests.items():
        if name in _COMPUTE or name.startswith("hugepages-"):
            found[name] = amount
        found[f"requests.{name}"] = amount
    for name, amount in limits.items():
        if name in _COMPUTE:
            found[f"limits.{name}"] = amount
    return found


def _pod(pod: Object) -> Amounts:
    return _named(_of_pod(pod["spec"], "requests"), _of_pod(pod["spec"], "limits"))


def _service(spec: Object) -> Amounts:
    ports = spec.get("ports") or ()
    found = {"services": _ONE, "services.nodeports": Decimal(0)}
    kind = spec.get("type")
    if kind == "NodePort":
        found["services.nodeports"] = Decimal(len(ports))
    elif kind == "LoadBalancer":
        found["services.loadbalancers"] = _ONE
        with_ports = spec.get("allocateLoadBalancerNodePorts") is not False
        taken = len(ports) if with_ports else sum(bool(port.get("nodePort")) for port in ports)
        found["services.nodeports"] = Decimal(taken)
    return found


def _claim(claim: Object) -> Amounts:
    spec = claim["spec"]
    asked = ((spec.get("resources") or {}).get("requests") or {}).get("storage")
    granted = ((claim.get("status") or {}).get("allocatedResources") or {}).get("storage")
    size = max(_parsed(asked or 0), _parsed(granted or 0))
    found = {"persistentvolumeclaims": _ONE, "requests.storage": size}
    name = spec.get("storageClassName") or metadata.annotations(claim).get(
        "volume.beta.kubernetes.io/storage-class"
    )
    if name:
        found[f"{name}{_STORAGE_SUFFIX}persistentvolumeclaims"] = _ONE
        found[f"{name}{_STORAGE_SUFFIX}requests.storage"] = size
    return found


def _in_scope(wanted: Mapping[str, Any], key: str, obj: Object) -> bool:
    name = wanted.get("scopeName")
    if name == "VolumeAttributesClass":
        if key != kinds.PERSISTENT_VOLUME_CLAIMS.key:
            return False
        return _selected(obj["spec"].get("volumeAttributesClassName"), wanted)
    if key != kinds.PODS.key or name not in _POD_SCOPES:
        return False
    return _POD_SCOPES[str(name)](obj["spec"], wanted)


def _selected(given: str | None, wanted: Mapping[str, Any]) -> bool:
    operator, values = wanted.get("operator"), wanted.get("values") or ()
    if operator == "In":
        return given in values
    if operator == "NotIn":
        return given not in values
    return bool(given) == (operator != "DoesNotExist")


def _is_best_effort(spec: Object) -> bool:
    """Return whether no container asks for CPU or memory, nor is limited in them."""
    for container in (*(spec.get("containers") or ()), *(spec.get("initContainers") or ())):
        for amounts in (container.get("resources") or {}).values():
            if isinstance(amounts, dict) and ("cpu" in amounts or "memory" in amounts):
                return False
    return True


def _crosses_namespaces(spec: Object) -> bool:
    affinity = spec.get("affinity") or {}
    for name in ("podAffinity", "podAntiAffinity"):
        given = affinity.get(name) or {}
        preferred = given.get("preferredDuringSchedulingIgnoredDuringExecution") or ()
        terms = [
            *(given.get("requiredDuringSchedulingIgnoredDuringExecution") or ()),
            *(each.get("podAffinityTerm") or {} for each in preferred),
        ]
        if any(term.get("namespaces") or term.get("namespaceSelector") for term in terms):
            return True
    return False


_POD_SCOPES: Final[Mapping[str, Callable[[Object, Mapping[str, Any]], bool]]] = {
    "BestEffort": lambda spec, _: _is_best_effort(spec),
    "NotBestEffort": lambda spec, _: not _is_best_effort(spec),
    "Terminating": lambda spec, _: spec.get("activeDeadlineSeconds") is not None,
    "NotTerminating": lambda spec, _: spec.get("activeDeadlineSeconds") is None,
    "PriorityClass": lambda spec, wanted: _selected(spec.get("priorityClassName"), wanted),
    "CrossNamespacePodAffinity": lambda spec, _: _crosses_namespaces(spec),
}
