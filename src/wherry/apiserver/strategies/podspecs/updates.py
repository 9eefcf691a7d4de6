"""What may change in a pod that exists: very little.

Source: ``ValidatePodUpdate`` and ``ValidatePodEphemeralContainersUpdate``.
"""

from typing import Any

from wherry.apiserver.strategies import causes
from wherry.objects.errors import Cause

_MUTABLE = (
    "`spec.containers[*].image`,`spec.initContainers[*].image`,"
    "`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),"
    "`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)"
)
_FREE = ("activeDeadlineSeconds", "tolerations", "terminationGracePeriodSeconds")
_CONTAINER_LISTS = ("containers", "initContainers")
_MESSAGE = f"pod updates may not change fields other than {_MUTABLE}"

Spec = dict[str, Any]


def check(spec: Spec, old: Spec) -> list[Cause]:
    """Check an update of the pod itself."""
    if spec == old:
        return []
    found = _counts(spec, old)
    if found:
        return found
    found += _deadline(spec.get("activeDeadlineSeconds"), old.get("activeDeadlineSeconds"))
    found += _tolerations(spec.get("tolerations") or [], old.get("tolerations") or [])
    found += _grace(spec, old)
    gated = bool(old.get("schedulingGates"))
    found += _gates(spec.get("schedulingGates") or [], old.get("schedulingGates") or [])
    changed = _changed_fields(spec, old, gated=gated)
    found += [causes.forbidden("spec", f"{_MESSAGE}; changed: {changed}")] if changed else []
    return found


def _counts(spec: Spec, old: Spec) -> list[Cause]:
    for name in _CONTAINER_LISTS:
        if len(spec.get(name) or ()) != len(old.get(name) or ()):
            why = "pod updates may not add or remove containers"
            return [causes.forbidden(f"spec.{name}", why)]
    return []


def _changed_fields(spec: Spec, old: Spec, *, gated: bool) -> str:
    free = {*_FREE, "schedulingGates"}
    if gated:
        # A pod that may not be scheduled yet can still be directed.
        free |= {"nodeSelector", "affinity"}
    changed = [
        name
        for name in sorted(spec.keys() | old.keys())
        if name not in free and _without_images(name, spec) != _without_images(name, old)
    ]
    return ", ".join(f"spec.{name}" for name in changed)


def _without_images(name: str, spec: Spec) -> Any:
    value = spec.get(name)
    if name not in _CONTAINER_LISTS:
        return value or None
    return [{k: v for k, v in one.items() if k != "image"} for one in value or ()]


def _deadline(new: int | None, old: int | None) -> list[Cause]:
    where = "spec.activeDeadlineSeconds"
    if old is None or new == old:
        return []
    if new is None:
        return [causes.invalid(where, None, "must not update from a positive integer to nil value")]
    if new > old:
        return [causes.invalid(where, new, f"must be less than or equal to previous value {old}")]
    return []


def _tolerations(new: list[Any], old: list[Any]) -> list[Cause]:
    def bare(one: dict[str, Any]) -> dict[str, Any]:
        # For how long a taint is tolerated may change.
        return {key: value for key, value in one.items() if key != "tolerationSeconds"}

    have = [bare(one) for one in new]
    if all(bare(one) in have for one in old):
        return []
    why = "existing toleration can not be modified except its tolerationSeconds"
    return [causes.forbidden("spec.tolerations", why)]


def _grace(spec: Spec, old: Spec) -> list[Cause]:
    name = "terminationGracePeriodSeconds"
    new, before = spec.get(name), old.get(name)
    if new == before or (new == 1 and before is not None and before < 0):
        return []
    return [causes.forbidden("spec", f"{_MESSAGE}; changed: spec.{name}")]


def _gates(new: list[Any], old: list[Any]) -> list[Cause]:
    added = [gate for gate in new if gate not in old]
    if not added:
        return []
    return [causes.forbidden("spec.schedulingGates", "only deletion is allowed")]


def check_ephemeral(spec: Spec, old: Spec) -> list[Cause]:
    """Check an update of the ``ephemeralcontainers``: they may only be added."""
    before = {one["name"]: one for one in old.get("ephemeralContainers") or ()}
    after = {one.get("name"): one for one in spec.get("ephemeralContainers") or ()}
    where = "spec.ephemeralContainers"
    found = []
    for name, container in before.items():
        if name not in after:
            why = f"existing ephemeral containers {name!r} may not be removed"
            found.append(causes.forbidden(where, why))
        elif after[name] != container:
            why = f"existing ephemeral containers {name!r} may not be changed"
            found.append(causes.forbidden(where, why))
    return found


def check_resize(spec: Spec, old: Spec) -> list[Cause]:
    """Check an update of ``resize``: only the containers' resources may change."""
    found = _counts(spec, old)
    for name in sorted(spec.keys() | old.keys()):
        if not found and _without_resources(name, spec) != _without_resources(name, old):
            why = "only cpu and memory resources are mutable"
            found.append(causes.forbidden(f"spec.{name}", why))
    return found


def _without_resources(name: str, spec: Spec) -> Any:
    value = spec.get(name)
    if name not in _CONTAINER_LISTS:
        return value or None
    return [{k: v for k, v in one.items() if k != "resources"} for one in value or ()]
