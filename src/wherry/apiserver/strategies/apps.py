"""The ``apps`` group, and the ReplicationController, the ReplicaSet's forerunner.

Source: ``pkg/apis/apps/v1/defaults.go``, ``pkg/apis/apps/validation/validation.go``.
"""

from typing import Any

from wherry.apiserver.strategies import causes, rules, volumes, workloads
from wherry.apiserver.strategies.podspecs import defaults
from wherry.apiserver.strategies.podspecs import volumes as podvolumes
from wherry.apiserver.strategy import Context
from wherry.objects.errors import Cause
from wherry.objects.requests import Object

_SHARED = (
    "replicas",
    "template",
    "updateStrategy",
    "revisionHistoryLimit",
    "persistentVolumeClaimRetentionPolicy",
    "minReadySeconds",
    "ordinals",
)
_POLICIES = frozenset({"OrderedReady", "Parallel"})
_RETENTIONS = frozenset({"Retain", "Delete"})


def _spec(obj: Object) -> dict[str, Any]:
    spec: dict[str, Any] = obj.get("spec") or {}
    obj["spec"] = spec
    return spec


def _replicas(spec: dict[str, Any]) -> None:
    if spec.get("replicas") is None:
        spec["replicas"] = 1


def _absent(holder: dict[str, Any], name: str, value: Any) -> None:
    if holder.get(name) is None:
        holder[name] = value


def _default_deployment(obj: Object) -> None:
    spec = _spec(obj)
    _replicas(spec)
    strategy = spec["strategy"] = spec.get("strategy") or {}
    strategy["type"] = strategy.get("type") or "RollingUpdate"
    if strategy["type"] == "RollingUpdate":
        rolling = strategy["rollingUpdate"] = strategy.get("rollingUpdate") or {}
        _absent(rolling, "maxUnavailable", "25%")
        _absent(rolling, "maxSurge", "25%")
    _absent(spec, "revisionHistoryLimit", 10)
    _absent(spec, "progressDeadlineSeconds", 600)
    defaults.template(spec.get("template"))


def _immutable_selector(spec: dict[str, Any], old: Object | None) -> list[Cause]:
    if old is None:
        return []
    before = old["spec"].get("selector")
    return causes.unchanged("spec.selector", spec.get("selector"), before)


def _common(spec: dict[str, Any]) -> list[Cause]:
    counts = ("replicas", "minReadySeconds", "revisionHistoryLimit", "progressDeadlineSeconds")
    found = workloads.check_counts("spec", spec, counts)
    found += workloads.check_selector("spec", spec.get("selector"), spec.get("template"))
    return found + workloads.check_template("spec", spec.get("template"))


def _rolling(path: str, rolling: dict[str, Any]) -> list[Cause]:
    found: list[Cause] = []
    for name in ("maxUnavailable", "maxSurge"):
        found += workloads.check_amount(f"{path}.{name}", rolling.get(name))
    unavailable, surge = rolling.get("maxUnavailable"), rolling.get("maxSurge")
    if not found and workloads.is_nothing(unavailable) and workloads.is_nothing(surge):
        why = "may not be 0 when `maxSurge` is 0"
        found.append(causes.invalid(f"{path}.maxUnavailable", unavailable, why))
    return found


def _validate_deployment(obj: Object, old: Object | None, context: Context) -> list[Cause]:
    if context.subresource == "status":
        return []
    spec = obj.get("spec") or {}
    found = _common(spec) + _immutable_selector(spec, old)
    strategy = spec.get("strategy") or {}
    accepted = {"Recreate", "RollingUpdate"}
    found += causes.choice("spec.strategy.type", strategy.get("type"), accepted)
    rolling = strategy.get("rollingUpdate")
    if rolling and strategy.get("type") == "Recreate":
        why = "may not be specified when strategy `type` is 'Recreate'"
        found.append(causes.forbidden("spec.strategy.rollingUpdate", why))
    elif rolling:
        found += _rolling("spec.strategy.rollingUpdate", rolling)
    deadline, ready = spec.get("progressDeadlineSeconds"), spec.get("minReadySeconds") or 0
    if deadline is not None and deadline <= ready:
        why = "must be greater than minReadySeconds"
        found.append(causes.invalid("spec.progressDeadlineSeconds", deadline, why))
    return found


def _default_replica_set(obj: Object) -> None:
    spec = _spec(obj)
    _replicas(spec)
    defaults.template(spec.get("template"))


def _validate_replica_set(obj: Object, old: Object | None, context: Context) -> list[Cause]:
    if context.subresource == "status":
        return []
    spec = obj.get("spec") or {}
    return _common(spec) + _immutable_selector(spec, old)


def _default_stateful_set(obj: Object) -> None:
    spec = _spec(obj)
    spec["podManagementPolicy"] = spec.get("podManagementPolicy") or "OrderedReady"
    strategy = spec["updateStrategy"] = spec.get("updateStrategy") or {}
    strategy["type"] = strategy.get("type") or "RollingUpdate"
    if strategy["type"] == "RollingUpdate":
        rolling = strategy["rollingUpdate"] = strategy.get("rollingUpdate") or {}
        _absent(rolling, "partition", 0)
    retention = spec.get("persistentVolumeClaimRetentionPolicy") or {}
    spec["persistentVolumeClaimRetentionPolicy"] = retention
    for when in ("whenDeleted", "whenScaled"):
        retention[when] = retention.get(when) or "Retain"
    _replicas(spec)
    _absent(spec, "revisionHistoryLimit", 10)
    for claim in spec.get("volumeClaimTemplates") or ():
        claim["apiVersion"], claim["kind"] = "v1", "PersistentVolumeClaim"
        volumes.default_claim(claim)
    defaults.template(spec.get("template"))


def _validate_stateful_set(obj: Object, old: Object | None, context: Context) -> list[Cause]:
    if context.subresource == "status":
        return []
    spec = obj.get("spec") or {}
    found = _common(_with_claims(spec))
    policy = spec.get("podManagementPolicy")
    found += causes.choice("spec.podManagementPolicy", policy, _POLICIES)
    found += _stateful_strategy("spec.updateStrategy", spec.get("updateStrategy") or {})
    retention = spec.get("persistentVolumeClaimRetentionPolicy") or {}
    for when, value in retention.items():
        where = f"spec.persistentVolumeClaimRetentionPolicy.{when}"
        found += causes.choice(where, value, _RETENTIONS)
    for index, claim in enumerate(spec.get("volumeClaimTemplates") or ()):
        where = f"spec.volumeClaimTemplates[{index}].spec"
        found += podvolumes.check_claim_spec(where, claim.get("spec") or {})
    return found + (_stateful_changes(spec, old["spec"]) if old else [])


def _with_claims(spec: dict[str, Any]) -> dict[str, Any]:
    """Return the spec with a volume for each claim template, as every pod of the set has it."""
    template = spec.get("template") or {}
    pod = template.get("spec") or {}
    claims = [
        {"name": name, "persistentVolumeClaim": {"claimName": name}}
        for claim in spec.get("volumeClaimTemplates") or ()
        if (name := (claim.get("metadata") or {}).get("name"))
    ]
    if not claims:
        return spec
    claimed = {volume["name"] for volume in claims}
    others = [one for one in pod.get("volumes") or () if one.get("name") not in claimed]
    pod = {**pod, "volumes": others + claims}
    return {**spec, "template": {**template, "spec": pod}}


def _stateful_strategy(path: str, strategy: dict[str, Any]) -> list[Cause]:
    kind, rolling = strategy.get("type"), strategy.get("rollingUpdate") or {}
    found = causes.choice(f"{path}.type", kind, {"RollingUpdate", "OnDelete"})
    if rolling and kind == "OnDelete":
        why = "only allowed for updateStrategy 'RollingUpdate'"
        found.append(causes.invalid(f"{path}.rollingUpdate", rolling, why))
    found += causes.minimum(f"{path}.rollingUpdate.partition", rolling.get("partition"))
    where = f"{path}.rollingUpdate.maxUnavailable"
    found += workloads.check_amount(where, rolling.get("maxUnavailable"))
    return found


def _stateful_changes(spec: dict[str, Any], before: dict[str, Any]) -> list[Cause]:
    for name in spec.keys() | before.keys():
        if name not in _SHARED and spec.get(name) != before.get(name):
            fields = ", ".join(f"'{field}'" for field in _SHARED[:-1])
            why = f"updates to statefulset spec for fields other than {fields} and '{_SHARED[-1]}' are forbidden"
            return [causes.forbidden("spec", why)]
    return []


def _default_daemon_set(obj: Object) -> None:
    spec = _spec(obj)
    strategy = spec["updateStrategy"] = spec.get("updateStrategy") or {}
    strategy["type"] = strategy.get("type") or "RollingUpdate"
    if strategy["type"] == "RollingUpdate":
        rolling = strategy["rollingUpdate"] = strategy.get("rollingUpdate") or {}
        _absent(rolling, "maxUnavailable", 1)
        _absent(rolling, "maxSurge", 0)
    _absent(spec, "revisionHistoryLimit", 10)
    defaults.template(spec.get("template"))


def _validate_daemon_set(obj: Object, old: Object | None, context: Context) -> list[Cause]:
    if context.subresource == "status":
        return []
    spec = obj.get("spec") or {}
    found = _common(spec) + _immutable_selector(spec, old)
    strategy = spec.get("updateStrategy") or {}
    accepted = {"RollingUpdate", "OnDelete"}
    found += causes.choice("spec.updateStrategy.type", strategy.get("type"), accepted)
    if strategy.get("type") == "RollingUpdate":
        rolling = strategy.get("rollingUpdate") or {}
        found += _rolling("spec.updateStrategy.rollingUpdate", rolling)
    return found


def _default_replication_controller(obj: Object) -> None:
    spec = _spec(obj)
    labels = ((spec.get("template") or {}).get("metadata") or {}).get("labels")
    if labels:
        spec["selector"] = spec.get("selector") or dict(labels)
        meta = obj["metadata"]
        meta["labels"] = meta.get("labels") or dict(labels)
    _replicas(spec)
    defaults.template(spec.get("template"))


def _validate_replication_controller(
    obj: Object, old: Object | None, context: Context
) -> list[Cause]:
    if context.subresource == "status":
        return []
    spec = obj.get("spec") or {}
    found = workloads.check_counts("spec", spec, ("replicas", "minReadySeconds"))
    if not spec.get("selector"):
        found.append(causes.required("spec.selector"))
    else:
        selector = {"matchLabels": spec["selector"]}
        found += workloads.check_selector("spec", selector, spec.get("template"))
    return found + workloads.check_template("spec", spec.get("template"))


def _replica_fields(obj: Object) -> dict[str, str]:
    return {"status.replicas": str((obj.get("status") or {}).get("replicas", 0))}


def _validate_revision(obj: Object, old: Object | None, context: Context) -> list[Cause]:
    found = causes.minimum("revision", obj.get("revision"))
    if old is not None:
        found += causes.unchanged("data", obj.get("data"), old.get("data"))
    elif not obj.get("data"):
        found.append(causes.required("data", "data is mandatory"))
    return found


STRATEGIES = {
    "deployments.apps": rules.Rules(
        on_default=_default_deployment,
        on_validate=_validate_deployment,
        on_warn=workloads.warn_template,
    ),
    "replicasets.apps": rules.Rules(
        on_default=_default_replica_set,
        on_validate=_validate_replica_set,
        on_warn=workloads.warn_template,
        fields=_replica_fields,
    ),
    "statefulsets.apps": rules.Rules(
        on_default=_default_stateful_set,
        on_validate=_validate_stateful_set,
        on_warn=workloads.warn_template,
    ),
    "daemonsets.apps": rules.Rules(
        on_default=_default_daemon_set,
        on_validate=_validate_daemon_set,
        on_warn=workloads.warn_template,
    ),
    "controllerrevisions.apps": rules.Rules(on_validate=_validate_revision),
    "replicationcontrollers": rules.Rules(
        on_default=_default_replication_controller,
        on_validate=_validate_replication_controller,
        on_warn=workloads.warn_template,
        fields=_replica_fields,
    ),
}
