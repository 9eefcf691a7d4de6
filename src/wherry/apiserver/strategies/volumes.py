"""Volumes, claims and the ``storage.k8s.io`` group.

A claim that names no class gets the default one when it is made, as the admission plugin
DefaultStorageClass does it.

Source: ``pkg/apis/core/v1/defaults.go``, ``pkg/apis/storage/v1/defaults.go``, ``ValidatePersistentVolume*``.
"""

from typing import Any

from wherry.apiserver.strategies import amounts, causes, limits
from wherry.apiserver.strategies.podspecs import volume_defaults
from wherry.apiserver.strategies.podspecs import volumes as podvolumes
from wherry.apiserver.strategies.rules import Rules
from wherry.apiserver.strategy import Context
from wherry.objects import kinds, quantities
from wherry.objects.errors import Cause
from wherry.objects.requests import Object

DEFAULT_CLASS_ANNOTATION = "storageclass.kubernetes.io/is-default-class"
_BETA_DEFAULT_CLASS = "storageclass.beta.kubernetes.io/is-default-class"
_BETA_CLASS = "volume.beta.kubernetes.io/storage-class"
_RECLAIM_POLICIES = frozenset({"Delete", "Recycle", "Retain"})
_BINDING_MODES = frozenset({"Immediate", "WaitForFirstConsumer"})
_VOLUME_FIELDS = frozenset(
    {
        "accessModes",
        "capacity",
        "claimRef",
        "mountOptions",
        "nodeAffinity",
        "persistentVolumeReclaimPolicy",
        "storageClassName",
        "volumeAttributesClassName",
        "volumeMode",
    }
)


def default_claim(obj: Object) -> None:
    """Fill in a claim, also where it is a template."""
    volume_defaults.claim(obj.get("spec"))
    status = obj["status"] = obj.get("status") or {}
    status["phase"] = status.get("phase") or "Pending"
    amounts.canonicalize(status.get("capacity"))


def _create_claim(obj: Object, context: Context) -> None:
    spec = obj["spec"]
    annotated = _BETA_CLASS in (obj["metadata"].get("annotations") or {})
    if spec.get("storageClassName") is None and not annotated:
        chosen = _default_class(context)
        if chosen:
            spec["storageClassName"] = chosen
    limits.admit_claim(obj, context)


def _default_class(context: Context) -> str | None:
    """Return the default class that was made last; of two as old, the first by name."""
    found = [one for one in context.lookup.list(kinds.STORAGE_CLASSES) if _is_default(one)]
    found.sort(key=lambda one: str(one["metadata"]["name"]))
    found.sort(key=lambda one: str(one["metadata"].get("creationTimestamp", "")), reverse=True)
    return str(found[0]["metadata"]["name"]) if found else None


def _is_default(storage_class: Object) -> bool:
    annotations = storage_class["metadata"].get("annotations") or {}
    return "true" in {
        annotations.get(DEFAULT_CLASS_ANNOTATION),
        annotations.get(_BETA_DEFAULT_CLASS),
    }


def _validate_claim(obj: Object, old: Object | None, context: Context) -> list[Cause]:
    if context.subresource == "status":
        return []
    spec = obj.get("spec") or {}
    found = podvolumes.check_claim_spec("spec", spec)
    if old is None or found:
        return found
    return _claim_changes(spec, old["spec"], old)


def _claim_changes(spec: dict[str, Any], before: dict[str, Any], old: Object) -> list[Cause]:
    # The volume may be set once; the class may be given to a claim that has none; a bound claim may grow.
    free = {"resources", "volumeAttributesClassName"}
    if not before.get("volumeName"):
        free.add("volumeName")
    if before.get("storageClassName") is None:
        free.add("storageClassName")
    changed = [n for n in spec.keys() | before.keys() if spec.get(n) != before.get(n)]
    why = (
        "spec is immutable after creation except resources.requests and "
        "volumeAttributesClassName for bound claims"
    )
    if set(changed) - free:
        return [causes.forbidden("spec", why)]
    if "resources" not in changed:
        return []
    if (old.get("status") or {}).get("phase") != "Bound":
        return [causes.forbidden("spec", why)]
    now, then = (quantities.parse(s["resources"]["requests"]["storage"]) for s in (spec, before))
    held = ((old.get("status") or {}).get("capacity") or {}).get("storage", "0")
    if now < then and now <= quantities.parse(held):
        text = "field can not be less than status.capacity"
        return [causes.forbidden("spec.resources.requests.storage", text)]
    return []


def _default_volume(obj: Object) -> None:
    spec = obj["spec"] = obj.get("spec") or {}
    policy = spec.get("persistentVolumeReclaimPolicy")
    spec["persistentVolumeReclaimPolicy"] = policy or "Retain"
    spec["volumeMode"] = spec.get("volumeMode") or "Filesystem"
    amounts.canonicalize(spec.get("capacity"))
    for name in _sources(spec):
        volume_defaults.plain_source(name, spec[name])
    status = obj["status"] = obj.get("status") or {}
    status["phase"] = status.get("phase") or "Pending"


def _sources(spec: dict[str, Any]) -> list[str]:
    return [name for name in spec if name not in _VOLUME_FIELDS and spec[name] is not None]


def _validate_volume(obj: Object, old: Object | None, context: Context) -> list[Cause]:
    if context.subresource == "status":
        return []
    spec = obj.get("spec") or {}
    found = podvolumes.check_access_modes("spec.accessModes", spec.get("accessModes"))
    if not (spec.get("capacity") or {}).get("storage"):
        found.append(causes.required("spec.capacity"))
    found += amounts.check("spec.capacity", spec.get("capacity"))
    found += podvolumes.check_volume_mode("spec.volumeMode", spec.get("volumeMode"))
    policy = spec.get("persistentVolumeReclaimPolicy")
    found += causes.choice("spec.persistentVolumeReclaimPolicy", policy, _RECLAIM_POLICIES)
    found += _volume_source(spec)
    return found + (_volume_changes(spec, old["spec"]) if old else [])


def _volume_source(spec: dict[str, Any]) -> list[Cause]:
    given = _sources(spec)
    if not given:
        return [causes.required("spec", "must specify a volume type")]
    why = "may not specify more than 1 volume type"
    found = [causes.forbidden(f"spec.{name}", why) for name in given[1:]]
    if "hostPath" in spec:
        found += podvolumes.check_host_path("spec.hostPath", spec["hostPath"])
        if spec["hostPath"].get("path") == "/" and (
            spec.get("persistentVolumeReclaimPolicy") == "Recycle"
        ):
            why = "may not be 'recycle' for a hostPath mount of '/'"
            found.append(causes.forbidden("spec.persistentVolumeReclaimPolicy", why))
    if "local" in spec and not spec.get("nodeAffinity"):
        found.append(causes.required("spec.nodeAffinity", "Local volume requires node affinity"))
    return found


def _volume_changes(spec: dict[str, Any], before: dict[str, Any]) -> list[Cause]:
    if {n: spec[n] for n in _sources(spec)} != {n: before[n] for n in _sources(before)}:
        why = "spec.persistentvolumesource is immutable after creation"
        return [causes.forbidden("spec.persistentvolumesource", why)]
    return causes.unchanged("spec.volumeMode", spec.get("volumeMode"), before.get("volumeMode"))


def _default_class_fields(obj: Object) -> None:
    obj["reclaimPolicy"] = obj.get("reclaimPolicy") or "Delete"
    obj["volumeBindingMode"] = obj.get("volumeBindingMode") or "Immediate"


def _validate_class(obj: Object, old: Object | None, context: Context) -> list[Cause]:
    found: list[Cause] = []
    if not obj.get("provisioner"):
        found.append(causes.required("provisioner"))
    policy = obj.get("reclaimPolicy")
    found += causes.choice("reclaimPolicy", policy, {"Delete", "Retain"})
    found += causes.choice("volumeBindingMode", obj.get("volumeBindingMode"), _BINDING_MODES)
    if old is None:
        return found
    if (obj.get("parameters") or {}) != (old.get("parameters") or {}):
        found.append(causes.forbidden("parameters", "updates to parameters are forbidden."))
    if obj.get("provisioner") != old.get("provisioner"):
        found.append(causes.forbidden("provisioner", "updates to provisioner are forbidden."))
    for name in ("reclaimPolicy", "volumeBindingMode"):
        found += causes.unchanged(name, obj.get(name), old.get(name))
    return found


def _default_driver(obj: Object) -> None:
    spec = obj["spec"] = obj.get("spec") or {}
    values: dict[str, Any] = {
        "attachRequired": True,
        "podInfoOnMount": False,
        "storageCapacity": False,
        "fsGroupPolicy": "ReadWriteOnceWithFSType",
        "requiresRepublish": False,
        "seLinuxMount": False,
    }
    for name, value in values.items():
        if spec.get(name) is None:
            spec[name] = value
    spec["volumeLifecycleModes"] = spec.get("volumeLifecycleModes") or ["Persistent"]


STRATEGIES = {
    "persistentvolumeclaims": Rules(
        on_default=default_claim, on_create=_create_claim, on_validate=_validate_claim
    ),
    "persistentvolumes": Rules(on_default=_default_volume, on_validate=_validate_volume),
    "storageclasses.storage.k8s.io": Rules(
        on_default=_default_class_fields, on_validate=_validate_class
    ),
    "csidrivers.storage.k8s.io": Rules(on_default=_default_driver),
}
