"""What `status` of a Pod says, from its spec and what its containers have come to. Pure.

Source: the kubelet's `getPhase`, `GenerateContainersReadyCondition` and `convertStatusToAPIStatus`.
"""

import datetime
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from wherry.kubelet import specs
from wherry.kubelet.launcher.types import ProcessState
from wherry.kubelet.views import ContainerView, exit_code
from wherry.objects import conditions, metadata
from wherry.objects.requests import Object

_NOT_STARTED = frozenset({None, 126, 127, 128})
"""The launcher's codes for a program that could not be started; an error with another code says
that the process was lost."""

_CREATING = {"waiting": {"reason": "ContainerCreating"}}
_INITIALIZING = {"waiting": {"reason": "PodInitializing"}}


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What is known beside the containers.

    Attributes:
        pod_ip: The pod's address, empty before it has one.
        host_ip: The node's address.
        initialized: Whether the init containers are done.
        outcome: ``Succeeded`` or ``Failed`` for a pod that is at its end, else empty.
        reason: Why the pod failed as a whole, e.g. ``DeadlineExceeded``.
        message: The same for people.
        now: Aware time.
    """

    pod_ip: str
    host_ip: str
    initialized: bool
    outcome: str = ""
    reason: str = ""
    message: str = ""
    now: datetime.datetime


def compute(pod: Object, views: Sequence[ContainerView], facts: Facts) -> Object:
    """Return the whole status; conditions that others wrote are kept.

    Args:
        pod: The pod with its present status. Not changed.
        views: All containers, init containers first, each group in the spec's order.
        facts: The rest.
    """
    before = pod.get("status") or {}
    main = [view for view in views if view.main]
    ephemeral = [view for view in views if view.ephemeral]
    init = [view for view in views if view.init]
    result = {
        **before,
        "phase": _phase(pod, main, facts),
        "hostIP": facts.host_ip,
        "hostIPs": [{"ip": facts.host_ip}],
        "startTime": before.get("startTime") or metadata.format_time(facts.now),
        "qosClass": before.get("qosClass") or specs.qos_class(pod),
    }
    if facts.pod_ip:
        result |= {"podIP": facts.pod_ip, "podIPs": [{"ip": facts.pod_ip}]}
    if facts.reason:
        result |= {"reason": facts.reason, "message": facts.message}
    waiting = _INITIALIZING if init and not facts.initialized else _CREATING
    if init:
        result["initContainerStatuses"] = [container_status(view, _INITIALIZING) for view in init]
    result["containerStatuses"] = [container_status(view, waiting) for view in main]
    if ephemeral:
        result["ephemeralContainerStatuses"] = [
            container_status(view, _CREATING) for view in ephemeral
        ]
    result["conditions"] = _conditions(pod, views, facts, str(result["phase"]))
    return result


def container_status(view: ContainerView, default: Object) -> Object:
    """Return one entry of `containerStatuses`.

    Args:
        view: The container.
        default: The state of a container that has not run and of which nothing is known.
    """
    state, last = _states(view, default)
    result: dict[str, Any] = {
        "name": view.name,
        "image": view.spec.get("image", ""),
        "imageID": view.image_id,
        "restartCount": max(view.attempt, 0),
        "started": view.running and view.started,
        "ready": _ready(view),
        "state": state,
        "lastState": last,
    }
    if view.process is not None:
        result["containerID"] = container_id(view.process)
    return result


def _ready(view: ContainerView) -> bool:
    if view.ephemeral:
        return False
    if view.init and not view.sidecar:
        return view.ended and view.exit_code == 0
    return view.running and view.ready


def _states(view: ContainerView, default: Object) -> tuple[Object, Object]:
    process, previous = view.process, view.previous
    last = (
        {"terminated": terminated(previous, view.previous_message)} if previous is not None else {}
    )
    if process is not None and view.running:
        return {"running": {"startedAt": _time(process.started_at)}}, last
    if view.waiting is not None:
        waiting = {"reason": view.waiting.reason}
        if view.waiting.message:
            waiting["message"] = view.waiting.message
        if process is not None:
            last = {"terminated": terminated(process, view.message)}
        return {"waiting": waiting}, last
    if process is not None:
        return {"terminated": terminated(process, view.message)}, last
    return dict(default), last


def terminated(process: ProcessState, message: str) -> Object:
    """Return `state.terminated` of an attempt that has ended."""
    result: dict[str, Any] = {
        "exitCode": exit_code(process),
        "reason": _end_reason(process),
        "startedAt": _time(process.started_at),
        "finishedAt": _time(process.finished_at or process.started_at),
        "containerID": container_id(process),
    }
    if process.signal:
        result["signal"] = process.signal
    text = message or process.error or ""
    if text:
        result["message"] = text
    return result


def _end_reason(process: ProcessState) -> str:
    if process.oom_killed:
        return "OOMKilled"
    if process.error is not None:
        return "StartError" if process.exit_code in _NOT_STARTED else "ContainerStatusUnknown"
    return "Completed" if exit_code(process) == 0 else "Error"


def container_id(process: ProcessState) -> str:
    """Return what `containerID` says."""
    return f"wherry://{process.id}"


def _time(seconds: float) -> str:
    return metadata.format_time(datetime.datetime.fromtimestamp(seconds, datetime.UTC))


def _phase(pod: Object, main: Sequence[ContainerView], facts: Facts) -> str:
    if facts.outcome:
        return facts.outcome
    before = specs.phase(pod)
    if before in {"Succeeded", "Failed"}:
        return before
    if not facts.initialized or any(view.process is None for view in main):
        return "Pending"
    return "Running"


def _conditions(
    pod: Object, views: Sequence[ContainerView], facts: Facts, phase: str
) -> list[Object]:
    result = [dict(item) for item in (pod.get("status") or {}).get("conditions") or []]
    ready, containers_ready = _readiness(pod, views, phase)
    wanted = {
        "PodReadyToStartContainers": (bool(facts.pod_ip) and not facts.outcome, "", ""),
        "Initialized": _initialized(views, facts, phase),
        "ContainersReady": containers_ready,
        "Ready": ready,
    }
    for kind, (value, reason, message) in wanted.items():
        text = "True" if value else "False"
        conditions.set(result, kind, text, reason=reason, message=message, now=facts.now)
    return [_compact(item) for item in result]


def _compact(condition: Object) -> Object:
    return {key: value for key, value in condition.items() if value or key == "status"}


_Verdict = tuple[bool, str, str]


def _initialized(views: Sequence[ContainerView], facts: Facts, phase: str) -> _Verdict:
    if facts.initialized or phase == "Succeeded":
        return True, "PodCompleted" if phase == "Succeeded" else "", ""
    missing = [view.name for view in views if view.init and not _ready(view)]
    text = f"containers with incomplete status: [{' '.join(missing)}]"
    return False, "ContainersNotInitialized", text


def _readiness(
    pod: Object, views: Sequence[ContainerView], phase: str
) -> tuple[_Verdict, _Verdict]:
    """Return the verdicts of Ready and ContainersReady."""
    if phase == "Succeeded":
        return (False, "PodCompleted", ""), (False, "PodCompleted", "")
    if phase == "Failed":
        return (False, "PodFailed", ""), (False, "PodFailed", "")
    unready = [view.name for view in views if (view.main or view.sidecar) and not _ready(view)]
    if unready:
        text = f"containers with unready status: [{' '.join(unready)}]"
        verdict = (False, "ContainersNotReady", text)
        return verdict, verdict
    closed = [
        str(gate["conditionType"])
        for gate in pod["spec"].get("readinessGates") or []
        if not conditions.is_true(pod, str(gate["conditionType"]))
    ]
    if closed:
        texts = [
            f'corresponding condition of pod readiness gate "{gate}" does not exist or is not true.'
            for gate in closed
        ]
        return (False, "ReadinessGatesNotReady", " ".join(texts)), (True, "", "")
    return (True, "", ""), (True, "", "")
