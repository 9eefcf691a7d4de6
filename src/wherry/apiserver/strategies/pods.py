"""Pods and templates of pods: admission at creation, hardly any change afterwards, a grace."""

from collections.abc import Mapping
from typing import Any

from wherry.apiserver.strategies import podadmission
from wherry.apiserver.strategies.podspecs import defaults, rules, updates, warnings
from wherry.apiserver.strategies.rules import Rules
from wherry.apiserver.strategy import Context
from wherry.objects.errors import Cause
from wherry.objects.requests import Object

_SELECTABLE = ("nodeName", "restartPolicy", "schedulerName", "serviceAccountName")
_GATED = {
    "type": "PodScheduled",
    "status": "False",
    "reason": "SchedulingGated",
    "message": "Scheduling is blocked due to non-empty scheduling gates",
}


def qos_class(spec: Mapping[str, Any]) -> str:
    """Return ``Guaranteed``, ``Burstable`` or ``BestEffort``, from the containers' resources."""
    containers = [*(spec.get("containers") or ()), *(spec.get("initContainers") or ())]
    resources = [container.get("resources") or {} for container in containers]
    pairs = [(one.get("requests") or {}, one.get("limits") or {}) for one in resources]
    named = {name for pair in pairs for amounts in pair for name in amounts}
    if not named & {"cpu", "memory"}:
        return "BestEffort"
    for requests, limits in pairs:
        for name in ("cpu", "memory"):
            if name not in limits or requests.get(name) != limits[name]:
                return "Burstable"
    return "Guaranteed"


def _default(obj: Object) -> None:
    if obj.get("spec") is not None:
        defaults.pod(obj["spec"])
    status = obj["status"] = obj.get("status") or {}
    status["phase"] = status.get("phase") or "Pending"


def _create(obj: Object, context: Context) -> None:
    spec = obj["spec"]
    spec.pop("ephemeralContainers", None)
    podadmission.admit(obj, context)
    obj["status"] = {"phase": "Pending", "qosClass": qos_class(spec)}
    if spec.get("schedulingGates"):
        obj["status"]["conditions"] = [dict(_GATED)]


def _update(obj: Object, old: Object, context: Context) -> None:
    spec, before = obj["spec"], old["spec"]
    if context.subresource == "ephemeralcontainers":
        obj["spec"] = {**before, "ephemeralContainers": spec.get("ephemeralContainers") or []}
    elif context.subresource is None and "ephemeralContainers" in before:
        # They have a way of their own; clients that do not know them do not drop them.
        spec["ephemeralContainers"] = before["ephemeralContainers"]
    for name in ("priority", "preemptionPolicy"):
        # Admission has set them; manifests do not name them.
        if spec.get(name) is None and before.get(name) is not None:
            obj["spec"][name] = before[name]
    if context.subresource is None:
        podadmission.tolerate(obj["spec"])
    status = obj["status"] = obj.get("status") or {}
    # It was decided when the pod was made, and no one may change it.
    status["qosClass"] = (old.get("status") or {}).get("qosClass") or qos_class(before)


def _validate(obj: Object, old: Object | None, context: Context) -> list[Cause]:
    spec = obj.get("spec") or {}
    if old is None:
        return rules.check("spec", spec)
    if spec == old["spec"] or context.subresource in {"status", "binding"}:
        return []
    change = _CHANGES.get(context.subresource or "", updates.check)
    return rules.check("spec", spec) or change(spec, old["spec"])


_CHANGES = {"ephemeralcontainers": updates.check_ephemeral, "resize": updates.check_resize}


def _grace(obj: Object, options: Mapping[str, Any]) -> int:
    spec, status = obj["spec"], obj.get("status") or {}
    # Nobody has to be asked about a pod that never reached a node, or that has ended.
    if not spec.get("nodeName") or status.get("phase") in {"Succeeded", "Failed"}:
        return 0
    seconds = options.get("gracePeriodSeconds")
    if seconds is None:
        seconds = spec.get("terminationGracePeriodSeconds", 30)
    return 1 if seconds < 0 else int(seconds)


def _fields(obj: Object) -> Mapping[str, str]:
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    addresses = status.get("podIPs") or [{}]
    fields = {f"spec.{name}": str(spec.get(name) or "") for name in _SELECTABLE}
    fields["spec.hostNetwork"] = "true" if spec.get("hostNetwork") else "false"
    fields["status.phase"] = str(status.get("phase") or "")
    fields["status.podIP"] = str(status.get("podIP") or addresses[0].get("ip") or "")
    fields["status.nominatedNodeName"] = str(status.get("nominatedNodeName") or "")
    return fields


def _default_template(obj: Object) -> None:
    defaults.template(obj.get("template"))


def _validate_template(obj: Object, old: Object | None, context: Context) -> list[Cause]:
    return rules.check_template("template", obj.get("template") or {})


def _warn_template(obj: Object) -> list[str]:
    return warnings.of(obj.get("template") or {}, "template.")


RULES = Rules(
    on_default=_default,
    on_create=_create,
    on_update=_update,
    on_validate=_validate,
    on_warn=warnings.of,
    on_grace=_grace,
    fields=_fields,
)
STRATEGIES = {
    "pods": RULES,
    "podtemplates": Rules(
        on_default=_default_template, on_validate=_validate_template, on_warn=_warn_template
    ),
}
