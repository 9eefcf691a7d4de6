"""How far the container of a trial's pod is whose metrics are read. Pure."""

from collections.abc import Sequence
from typing import Any

from wherry.objects.requests import Object


def has_begun(pod: Object, container: str) -> bool:
    """Tell whether there is, or was, a run of it whose log can be read."""
    entry = _entry(pod, container)
    state, last = entry.get("state") or {}, entry.get("lastState") or {}
    return "running" in state or "terminated" in state or "terminated" in last


def is_over(pod: Object, container: str) -> bool:
    """Tell whether it has ended and does not start again."""
    if str((pod.get("status") or {}).get("phase", "")) in {"Succeeded", "Failed"}:
        return True
    terminated = (_entry(pod, container).get("state") or {}).get("terminated")
    if not terminated:
        return False
    policy = (pod.get("spec") or {}).get("restartPolicy") or "Always"
    return policy == "Never" or (policy == "OnFailure" and terminated.get("exitCode") == 0)


def run(pod: Object, container: str) -> int:
    """Return which run of it is the present one, from 0."""
    return int(_entry(pod, container).get("restartCount") or 0)


def name_of(pod: Object, container: str) -> str:
    """Return the name of the container that is meant, where it is the first if none is named."""
    containers: Sequence[Object] = (pod.get("spec") or {}).get("containers") or ()
    return container or next((str(each.get("name", "")) for each in containers), "")


def _entry(pod: Object, container: str) -> dict[str, Any]:
    wanted = name_of(pod, container)
    for each in (pod.get("status") or {}).get("containerStatuses") or ():
        if each.get("name") == wanted:
            return dict(each)
    return {}
