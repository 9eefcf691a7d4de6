"""Which pods belong to an object that a person names. Pure."""

from wherry.objects import conditions, selectors
from wherry.objects.requests import Object


def pod_selector(obj: Object) -> selectors.LabelSelector | None:
    """Return the selector of an object's pods; None if it selects none."""
    selector = (obj.get("spec") or {}).get("selector")
    if not isinstance(selector, dict) or not selector:
        return None
    structured = "matchLabels" in selector or "matchExpressions" in selector
    try:
        if structured:
            return selectors.from_object(selector)
        return selectors.from_labels(selector)
    except ValueError:
        return None


def telling(pod: Object) -> tuple[bool, bool, bool, str]:
    """Return the rank of a pod by how much its log has to tell: running and ready first, then new."""
    status = pod.get("status") or {}
    started = any(
        {"running", "terminated"} & (each.get("state") or {}).keys()
        for each in status.get("containerStatuses") or []
    )
    created = str(pod["metadata"].get("creationTimestamp") or "")
    return conditions.is_true(pod, "Ready"), status.get("phase") == "Running", started, created
