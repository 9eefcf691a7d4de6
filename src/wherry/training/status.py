"""How a job is, in upstream's words: conditions, counts, times. Pure.

Source: kubeflow/training-operator 1.9, ``pkg/util/status.go``: Running and Restarting take turns; at
the end Running becomes False; what has failed stays so.
"""

import dataclasses
import datetime
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from wherry.objects import conditions, metadata
from wherry.objects.copies import copied
from wherry.objects.requests import Object
from wherry.training import build, kinds
from wherry.training.counting import Tally, replica_of, type_of
from wherry.training.framework import Counts, Framework
from wherry.training.job import Job
from wherry.training.policies import limits, restarts

_MESSAGE_LENGTH: Final = 512
_PEER_SECONDS: Final = 2.0
"""How long a failure that is final waits for the news that a peer was killed, and was its cause."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """How a job ends.

    Attributes:
        condition: ``Succeeded`` or ``Failed``.
        reason: One word.
        message: A sentence.
    """

    condition: str
    reason: str
    message: str


def is_finished(obj: Object) -> bool:
    """Return whether a job has ended, well or badly."""
    return conditions.is_true(obj, kinds.SUCCEEDED) or conditions.is_true(obj, kinds.FAILED)


def verdict(framework: Framework, job: Job, tally: Tally, now: datetime.datetime) -> Verdict | None:
    """Return how a job ends now; None while it goes on."""
    if framework.succeeded(job, tally.counts):
        message = f"{job.kind} {job.name} successfully completed."
        return Verdict(kinds.SUCCEEDED, f"{job.kind}Succeeded", message)
    # What has lost a peer fails of that: where all start anew with the peer, it is no failure of its own.
    excused = _start_together(framework, job, tally.retried)
    waits = seconds_to_judge(framework, job, tally, now) > 0
    for pod in () if excused or waits else tally.lost:
        type_ = type_of(job, pod)
        if not framework.tolerates_failure(type_, job):
            message = f"{job.kind} {job.name} is failed because {_why(framework, pod, type_)}."
            evicted = (pod.get("status") or {}).get("reason") == "Evicted"
            return Verdict(kinds.FAILED, f"{job.kind}{'Evicted' if evicted else 'Failed'}", message)
    made = restarts.total(restarts.after(job.obj, tally.retried), tally.pods)
    exceeded = limits.exceeded(job, made, now)
    if exceeded is not None:
        reason, why = exceeded
        message = f"{job.kind} {job.name} has failed: {why}"
        return Verdict(kinds.FAILED, reason, message)
    return None


def _start_together(framework: Framework, job: Job, pods: Iterable[Object]) -> bool:
    replicas = [each for pod in pods if (each := replica_of(job, pod)) is not None]
    return bool(replicas) and framework.restarts_all(job, replicas)


def seconds_to_judge(framework: Framework, job: Job, tally: Tally, now: datetime.datetime) -> float:
    """Return for how long a failure that is final may turn out to be another's; 0: it is its own.

    A rank that is killed takes the others along, and which end is told first is chance.
    """
    ends = [ended for pod in tally.lost if (ended := restarts.ended(pod)) is not None]
    running = [
        pod
        for pod in tally.pods.values()
        if (pod.get("status") or {}).get("phase") == "Running"
        and (each := replica_of(job, pod)) is not None
        and each.spec.restart_policy == kinds.EXIT_CODE
    ]
    if not ends or not _start_together(framework, job, running):
        return 0.0
    return max(0.0, _PEER_SECONDS - (now - min(ends)).total_seconds())


def _why(framework: Framework, pod: Object, type_: str) -> str:
    """Return what a person wants to know of a pod that has failed."""
    name = metadata.name(pod)
    status = pod.get("status") or {}
    code = restarts.exit_code(pod, framework.container)
    parts = [f"the {type_.lower()} {name} failed"]
    if code is not None:
        parts.append(f" with exit code {code}")
    if status.get("reason"):
        parts.append(f" ({status['reason']})")
    told = last_words(pod, framework.container)
    return "".join([*parts, f": {told}"] if told else parts)


def last_words(pod: Object, container: str = "") -> str:
    """Return what a pod's container said at its end, or what the node says of the pod; cut.

    Args:
        pod: That has ended.
        container: Its name; empty: whichever has said something.
    """
    status = pod.get("status") or {}
    for each in status.get("containerStatuses") or ():
        ended = (each.get("state") or {}).get("terminated") or {}
        if container in {"", each.get("name")} and ended.get("message"):
            return str(ended["message"])[-_MESSAGE_LENGTH:].strip()
    return str(status.get("message") or "")[-_MESSAGE_LENGTH:].strip()


def news(before: Object, after: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the conditions of a status that are true and were not before.

    Args:
        before: The object.
        after: Its new status.
    """
    return [
        condition
        for condition in after["conditions"]
        if condition["status"] == "True" and not conditions.is_true(before, condition["type"])
    ]


def suspended(job: Job, tally: Tally, now: datetime.datetime) -> dict[str, Any]:
    """Return the status of a job that is suspended: its pods are on their way out."""
    made = _begun(job, now)
    made.pop("startTime", None)
    reason, message = f"{job.kind}Suspended", f"{job.kind} {job.name} is suspended."
    _drop(made, kinds.RESTARTING)
    if _find(made, kinds.RUNNING) is not None:
        _set(made, kinds.RUNNING, "False", reason=reason, message=message, now=now)
    _set(made, kinds.SUSPENDED, "True", reason=reason, message=message, now=now)
    counts = {type_: dataclasses.replace(each, running=0) for type_, each in tally.counts.items()}
    made["replicaStatuses"] = _replica_statuses(job, counts, None)
    return _stamped(job, made, now)


def after(
    framework: Framework,
    job: Job,
    tally: Tally,
    *,
    end: Verdict | None,
    now: datetime.datetime,
) -> dict[str, Any]:
    """Return the status of a job that is worked on.

    Args:
        framework: Of its kind.
        job: With its status as it was.
        tally: What there is of it.
        end: How it ends now; None while it goes on.
        now: Aware.
    """
    made = _begun(job, now)
    made.setdefault("startTime", metadata.format_time(now))
    if conditions.is_true(job.obj, kinds.SUSPENDED):
        message = f"{job.kind} {job.name} is resumed."
        _set(made, kinds.SUSPENDED, "False", reason=f"{job.kind}Resumed", message=message, now=now)
        made["startTime"] = metadata.format_time(now)
    made["replicaStatuses"] = _replica_statuses(job, tally.counts, end)
    if end is not None:
        _finish(made, end, now)
    elif tally.retried:
        _restarting(made, job, names=[metadata.name(pod) for pod in tally.retried], now=now)
    elif framework.running(job, tally.counts):
        message = f"{job.kind} {job.name} is running."
        _drop(made, kinds.RESTARTING)
        _set(made, kinds.RUNNING, "True", reason=f"{job.kind}Running", message=message, now=now)
    elif conditions.is_true(job.obj, kinds.RUNNING) and (names := _away(job, tally)):
        # Whoever made room for their successors was cut off before it could say so.
        _restarting(made, job, names=names, now=now)
    return _stamped(job, made, now)


def _restarting(
    status: dict[str, Any], job: Job, *, names: Sequence[str], now: datetime.datetime
) -> None:
    message = f"{job.kind} {job.name} is restarting because {', '.join(names)} failed."
    _drop(status, kinds.RUNNING)
    reason = f"{job.kind}Restarting"
    _set(status, kinds.RESTARTING, "True", reason=reason, message=message, now=now)


def _away(job: Job, tally: Tally) -> list[str]:
    """Return the replicas that have failed before and have no pod that runs."""
    noted = restarts.remembered(job.obj)
    phases = {name: (pod.get("status") or {}).get("phase") for name, pod in tally.pods.items()}
    wanted = (replica.name for replica in job.all())
    return [name for name in wanted if name in noted and phases.get(name, "Pending") == "Pending"]


def _begun(job: Job, now: datetime.datetime) -> dict[str, Any]:
    made: dict[str, Any] = copied(job.obj.get("status") or {})
    made.setdefault("conditions", [])
    if _find(made, kinds.CREATED) is None:
        message = f"{job.kind} {job.name} is created."
        _set(made, kinds.CREATED, "True", reason=f"{job.kind}Created", message=message, now=now)
    return made


def _finish(status: dict[str, Any], end: Verdict, now: datetime.datetime) -> None:
    if _find(status, kinds.RUNNING) is not None:
        _set(status, kinds.RUNNING, "False", reason=end.reason, message=end.message, now=now)
    _drop(status, kinds.RESTARTING)
    _set(status, end.condition, "True", reason=end.reason, message=end.message, now=now)
    status.setdefault("completionTime", metadata.format_time(now))


def _replica_statuses(job: Job, counts: Counts, end: Verdict | None) -> dict[str, Any]:
    succeeded_job = end is not None and end.condition == kinds.SUCCEEDED
    noted = restarts.remembered(job.obj)
    made = {}
    for type_, count in counts.items():
        names = {replica.name for replica in job.of(type_)}
        done = count.succeeded + (count.running if succeeded_job else 0)
        failed = count.failed + sum(noted[name].count for name in names & noted.keys())
        status: dict[str, Any] = {"selector": build.selector(job, type_)}
        numbers = {"active": 0 if succeeded_job else count.running, "succeeded": done}
        status |= {name: value for name, value in numbers.items() if value}
        made[type_] = {**status, "failed": failed} if failed else status
    return made


def _stamped(job: Job, status: dict[str, Any], now: datetime.datetime) -> dict[str, Any]:
    """Return the status with the time of writing, which is no reason to write."""
    before = job.obj.get("status") or {}
    stamp = {"lastReconcileTime": before.get("lastReconcileTime")}
    if {**before, **stamp} == {**status, **stamp}:
        return {**status, **({} if stamp["lastReconcileTime"] is None else stamp)}
    return {**status, "lastReconcileTime": metadata.format_time(now)}


def _set(
    status: dict[str, Any],
    type_: str,
    value: str,
    *,
    reason: str,
    message: str,
    now: datetime.datetime,
) -> None:
    held = status["conditions"]
    changed = conditions.set(held, type_, value, reason=reason, message=message, now=now)
    if changed:
        found = _find(status, type_)
        assert found is not None
        found["lastUpdateTime"] = metadata.format_time(now)
        if value == "True":
            # What is so now stands last: that is what `kubectl get` prints.
            held.remove(found)
            held.append(found)


def _find(status: dict[str, Any], type_: str) -> dict[str, Any] | None:
    return next((each for each in status["conditions"] if each["type"] == type_), None)


def _drop(status: dict[str, Any], type_: str) -> None:
    status["conditions"] = [each for each in status["conditions"] if each["type"] != type_]
