"""The status of PodGroups and Queues, from their pods. Pure.

Source: the phases of scheduler-plugins' and Volcano's own controllers.
"""

import datetime
import functools
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from wherry.builtin import placement
from wherry.builtin.gangs.membership import Group
from wherry.objects import conditions, metadata, quantities
from wherry.objects.requests import Object

_UNSCHEDULABLE = "Unschedulable"
_SCHEDULED = "Scheduled"
_NOT_ENOUGH = "NotEnoughResources"
_READY = "tasksReady"


@dataclass(frozen=True, slots=True)
class Counts:
    """A group's pods by how far they are.

    Attributes:
        present: That are there and not about to go.
        scheduled: That have a node and have not ended.
        running: That run.
        succeeded: That have ended well.
        failed: That have failed.
        waits_for: What one without a node waits for, in the scheduler's words; empty if none waits.
    """

    present: int
    scheduled: int
    running: int
    succeeded: int
    failed: int
    waits_for: str


def count(pods: Iterable[Object]) -> Counts:
    """Count a group's pods."""
    phases: Counter[str] = Counter()
    present = scheduled = 0
    told = ""
    for pod in pods:
        phase = (pod.get("status") or {}).get("phase", "Pending")
        if metadata.is_deleting(pod) and phase not in {"Succeeded", "Failed"}:
            continue
        present += 1
        phases[phase] += 1
        if not pod["spec"].get("nodeName"):
            told = told or _waits_for(pod)
        elif not placement.is_finished(pod):
            scheduled += 1
    return Counts(
        present, scheduled, phases["Running"], phases["Succeeded"], phases["Failed"], told
    )


def _waits_for(pod: Object) -> str:
    condition = conditions.get(pod, "PodScheduled") or {}
    return str(condition.get("message") or "") if condition.get("status") == "False" else ""


def waits_for(group: Group, counts: Counts) -> str:
    """Return what a group waits for; empty where it waits for nothing."""
    missing = group.min_member - counts.present
    if missing > 0 and not counts.waits_for and not counts.succeeded:
        return f"waiting for {missing} more of {group.min_member} members"
    return counts.waits_for.removeprefix(f"{group.key.shown}: ")


def pod_group(
    obj: Object, group: Group, pods: Sequence[Object], now: datetime.datetime
) -> dict[str, Any]:
    """Return the whole status of a group in the coscheduling plug-in's form."""
    counts = count(pods)
    status = dict(obj.get("status") or {})
    status |= {"phase": _phase(group, counts), **_numbers(counts), "scheduled": counts.scheduled}
    owner = next((each for each in map(metadata.controller_of, pods) if each), None)
    if owner is not None:
        status["occupiedBy"] = f"{group.key.namespace}/{owner['name']}"
    if counts.present >= group.min_member:
        status.setdefault("scheduleStartTime", metadata.format_time(now))
    return status


def _numbers(counts: Counts) -> dict[str, int]:
    return {
        "running": counts.running,
        "succeeded": counts.succeeded,
        "failed": counts.failed,
    }


def _phase(group: Group, counts: Counts) -> str:
    least = group.min_member
    if counts.succeeded >= least:
        return "Finished"
    if counts.failed and counts.failed + counts.running + counts.succeeded >= least:
        return "Failed"
    if counts.present < least:
        return "Pending"
    if counts.running + counts.succeeded >= least:
        return "Running"
    return "Scheduled" if counts.scheduled + counts.succeeded >= least else "Scheduling"


def volcano_pod_group(
    obj: Object, group: Group, pods: Sequence[Object], now: datetime.datetime
) -> dict[str, Any]:
    """Return the whole status of a group in Volcano's form."""
    counts = count(pods)
    status = dict(obj.get("status") or {})
    listed = [dict(each) for each in status.get("conditions") or ()]
    told = waits_for(group, counts)
    now_so = functools.partial(conditions.set, listed, now=now)
    if told:
        now_so(_UNSCHEDULABLE, "True", reason=_NOT_ENOUGH, message=told)
        now_so(_SCHEDULED, "False", reason=_NOT_ENOUGH, message=told)
    elif counts.scheduled:
        now_so(_SCHEDULED, "True", reason=_READY, message="all needed pods have a node")
        if any(each["type"] == _UNSCHEDULABLE for each in listed):
            now_so(_UNSCHEDULABLE, "False", reason=_READY, message="")
    return {
        **status,
        "phase": _volcano_phase(group, counts),
        "conditions": listed,
        **_numbers(counts),
    }


def _volcano_phase(group: Group, counts: Counts) -> str:
    least = group.min_member
    ended = counts.succeeded + counts.failed
    if ended and ended >= max(least, counts.present):
        return "Completed"
    if counts.scheduled + counts.succeeded >= least:
        return "Running"
    if counts.scheduled:
        return "Unknown"
    return "Inqueue" if counts.present >= least else "Pending"


def queue(obj: Object, groups: Iterable[Object], pods: Iterable[Object]) -> dict[str, Any]:
    """Return the whole status of a Queue.

    Args:
        obj: The Queue.
        groups: PodGroups in it.
        pods: Pods in it.
    """
    phases = Counter(
        str((each.get("status") or {}).get("phase") or "Pending").lower() for each in groups
    )
    held: Counter[str] = Counter()
    for pod in pods:
        if pod["spec"].get("nodeName") and not placement.is_finished(pod):
            held.update(placement.requests_of(pod))
            held["pods"] += 1
    status: dict[str, Any] = {**(obj.get("status") or {}), "state": "Open"}
    for phase in ("pending", "inqueue", "running", "unknown", "completed"):
        status[phase] = phases[phase]
    return {**status, "allocated": _quantities(held)}


def _quantities(amounts: Mapping[str, int]) -> dict[str, str]:
    return {name: _quantity(name, value) for name, value in sorted(amounts.items()) if value}


def _quantity(name: str, value: int) -> str:
    if name == "cpu":
        return quantities.canonical(f"{value}m")
    return quantities.format(Decimal(value), like="1Ki")
