"""The row of a Pod: the one table whose STATUS people watch all day.

Source: ``printPod`` of ``pkg/printers/internalversion``.
"""

import datetime
from collections.abc import Mapping
from typing import Any

from wherry.apiserver.tables import texts
from wherry.apiserver.tables.layout import NAME, Layout, column
from wherry.objects.requests import Object

_State = Mapping[str, Any]

_COLUMNS = (
    NAME,
    column("Ready", "Containers that are ready, of all that should run."),
    column("Status", "What the pod is doing, or why it is not running."),
    column("Restarts", "How often its containers were restarted, and when last."),
    column("Age", "Time since creation."),
    column("IP", "Address of the pod.", priority=1),
    column("Node", "Node that the pod is assigned to.", priority=1),
    column("Nominated Node", "Node where room is being made.", priority=1),
    column("Readiness Gates", "Readiness gates that are true, of all.", priority=1),
)


class _Progress:
    """What the rows of container statuses add up to."""

    def __init__(self, reason: str, total: int) -> None:
        self.reason = reason
        self.total = total
        self.ready = 0
        self.restarts = 0
        self.restarted_at = ""
        self.initializing = False

    def count_restarts(self, status: _State) -> None:
        self.restarts += status.get("restartCount") or 0
        last = (status.get("lastState") or {}).get("terminated") or {}
        self.restarted_at = max(self.restarted_at, last.get("finishedAt") or "")


def _ended(terminated: _State) -> str:
    if terminated.get("reason"):
        return str(terminated["reason"])
    if terminated.get("signal"):
        return f"Signal:{terminated['signal']}"
    return f"ExitCode:{terminated.get('exitCode', 0)}"


def _sidecars(spec: _State) -> set[str]:
    found = spec.get("initContainers") or ()
    return {one["name"] for one in found if one.get("restartPolicy") == "Always"}


def _walk_init(progress: _Progress, spec: _State, status: _State) -> _Progress:
    """Take the init containers in order until one is not done; return the sidecars' restarts."""
    sidecars = _sidecars(spec)
    count = len(spec.get("initContainers") or ())
    kept = _Progress("", 0)
    for index, one in enumerate(status.get("initContainerStatuses") or ()):
        progress.count_restarts(one)
        sidecar = one.get("name") in sidecars
        if sidecar:
            kept.count_restarts(one)
        state = one.get("state") or {}
        terminated = state.get("terminated")
        if terminated is not None and not terminated.get("exitCode"):
            continue
        if sidecar and one.get("started"):
            progress.ready += bool(one.get("ready"))
            continue
        progress.reason = _init_reason(state, f"{index}/{count}")
        progress.initializing = True
        break
    return kept


def _init_reason(state: _State, position: str) -> str:
    if state.get("terminated") is not None:
        return f"Init:{_ended(state['terminated'])}"
    waiting = (state.get("waiting") or {}).get("reason")
    if waiting and waiting != "PodInitializing":
        return f"Init:{waiting}"
    return f"Init:{position}"


def _walk_containers(progress: _Progress, status: _State) -> None:
    running = False
    for one in reversed(status.get("containerStatuses") or ()):
        progress.count_restarts(one)
        state = one.get("state") or {}
        if (state.get("waiting") or {}).get("reason"):
            progress.reason = state["waiting"]["reason"]
        elif state.get("terminated") is not None:
            progress.reason = _ended(state["terminated"])
        elif one.get("ready") and state.get("running") is not None:
            running = True
            progress.ready += 1
    if running and progress.reason == "Completed":
        ready = texts.condition_status(status.get("conditions"), "Ready") == "True"
        progress.reason = "Running" if ready else "NotReady"


def _first_reason(status: _State) -> str:
    for condition in status.get("conditions") or ():
        if condition.get("type") == "PodScheduled" and condition.get("reason") == "SchedulingGated":
            return "SchedulingGated"
    return str(status.get("reason") or status.get("phase") or "")


def _final_reason(pod: Object, status: _State, reason: str) -> str:
    if not pod["metadata"].get("deletionTimestamp"):
        return reason
    if status.get("reason") == "NodeLost":
        return "Unknown"
    return reason if status.get("phase") in {"Succeeded", "Failed"} else "Terminating"


def _progress(spec: _State, status: _State) -> _Progress:
    total = len(spec.get("containers") or ()) + len(_sidecars(spec))
    progress = _Progress(_first_reason(status), total)
    kept = _walk_init(progress, spec, status)
    initialized = texts.condition_status(status.get("conditions"), "Initialized") == "True"
    if not progress.initializing or initialized:
        progress.restarts, progress.restarted_at = kept.restarts, kept.restarted_at
        _walk_containers(progress, status)
    return progress


def _gates(spec: _State, status: _State) -> str:
    gates = spec.get("readinessGates") or ()
    if not gates:
        return texts.NONE
    conditions = status.get("conditions")
    true = sum(texts.condition_status(conditions, g["conditionType"]) == "True" for g in gates)
    return f"{true}/{len(gates)}"


def _pod(pod: Object, now: datetime.datetime) -> list[Any]:
    spec, status = pod.get("spec") or {}, pod.get("status") or {}
    progress = _progress(spec, status)
    restarts = str(progress.restarts)
    if progress.restarts and progress.restarted_at:
        restarts += f" ({texts.since(progress.restarted_at, now)} ago)"
    addresses = status.get("podIPs") or ()
    return [
        pod["metadata"]["name"],
        f"{progress.ready}/{progress.total}",
        _final_reason(pod, status, progress.reason),
        restarts,
        texts.age(pod, now),
        (addresses[0].get("ip") if addresses else status.get("podIP")) or texts.NONE,
        spec.get("nodeName") or texts.NONE,
        status.get("nominatedNodeName") or texts.NONE,
        _gates(spec, status),
    ]


TABLES = {"pods": Layout(_COLUMNS, _pod)}
