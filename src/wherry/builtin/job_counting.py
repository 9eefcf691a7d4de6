"""How a Job's finished pods are counted exactly once, whatever dies in between. Pure.

Every pod carries the finalizer ``batch.kubernetes.io/job-tracking``, so it cannot vanish uncounted.
A finished pod's uid is first written to `status.uncountedTerminatedPods`; then its finalizer goes;
then the uid moves into the counters. Source: `pkg/controller/job` of Kubernetes (KEP-2307).
"""

import dataclasses
from collections.abc import Sequence

from wherry.builtin import indexes, pod_failure_policy
from wherry.objects import metadata
from wherry.objects.requests import Object

TRACKING = "batch.kubernetes.io/job-tracking"
INDEX = "batch.kubernetes.io/job-completion-index"
FAILURES = "batch.kubernetes.io/job-index-failure-count"


@dataclasses.dataclass
class Tally:
    """What is known of a Job's pods.

    Attributes:
        active: Pods that run or are about to.
        terminating: Pods that are on their way out but have not ended.
        succeeded: How many have succeeded (for an Indexed Job: how many indexes).
        failed: How many have failed and count.
        completed: Indexes that have succeeded.
        failed_indexes: Indexes that will not be tried again.
        index_failures: Index → how often it has failed, as far as its pods tell.
        fatal: Why a rule fails the whole Job; empty where none does.
        last_failure: When the latest counted failure ended, RFC 3339; empty where there is none.
        release: Pods whose finalizer may go once the status is written.
        status: The counting part of the new status.
    """

    active: list[Object]
    terminating: list[Object]
    succeeded: int = 0
    failed: int = 0
    completed: set[int] = dataclasses.field(default_factory=set)
    failed_indexes: set[int] = dataclasses.field(default_factory=set)
    index_failures: dict[int, int] = dataclasses.field(default_factory=dict)
    fatal: str = ""
    last_failure: str = ""
    release: list[Object] = dataclasses.field(default_factory=list)
    status: Object = dataclasses.field(default_factory=dict)


def is_indexed(job: Object) -> bool:
    """Return whether each pod of the Job stands for an index."""
    return bool(job["spec"].get("completionMode") == "Indexed")


def index_of(pod: Object) -> int:
    """Return a pod's completion index, -1 where it has none."""
    text = metadata.annotations(pod).get(INDEX, "")
    return int(text) if text.isdecimal() else -1


def has_failed(job: Object, pod: Object) -> bool:
    """Return whether a pod counts as failed: it has, or is being deleted before it was done."""
    phase = (pod.get("status") or {}).get("phase")
    if phase == "Failed":
        return True
    replaced_at_once = job["spec"].get("podReplacementPolicy", "TerminatingOrFailed") != "Failed"
    gone = metadata.is_deleting(pod) and phase != "Succeeded"
    return gone and replaced_at_once


def tally(job: Object, pods: Sequence[Object]) -> Tally:
    """Count a Job's pods on top of what its status says has been counted.

    Args:
        job: The Job with its stored status.
        pods: The pods it controls.
    """
    status = job.get("status") or {}
    result = Tally(
        active=[pod for pod in pods if _is_active(pod)],
        terminating=[pod for pod in pods if metadata.is_deleting(pod) and not _has_ended(pod)],
        completed=indexes.parse(status.get("completedIndexes", "")),
        failed_indexes=indexes.parse(status.get("failedIndexes", "")),
    )
    uncounted = status.get("uncountedTerminatedPods") or {}
    noted = {
        "succeeded": list(uncounted.get("succeeded") or ()),
        "failed": list(uncounted.get("failed") or ()),
    }
    counts = {kind: int(status.get(kind, 0)) for kind in noted}
    _move_to_counters(job, noted, counts, pods)
    _note_finished(job, pods, noted, result)
    if is_indexed(job):
        counts["succeeded"] = len(result.completed)
        result.succeeded = len(result.completed)
    else:
        result.succeeded = counts["succeeded"] + len(noted["succeeded"])
    result.failed = counts["failed"] + len(noted["failed"])
    result.status = _counting_status(counts, noted, result, per_index=_per_index(job))
    return result


def _per_index(job: Object) -> bool:
    return job["spec"].get("backoffLimitPerIndex") is not None


def _has_ended(pod: Object) -> bool:
    return (pod.get("status") or {}).get("phase") in {"Succeeded", "Failed"}


def _is_active(pod: Object) -> bool:
    return not _has_ended(pod) and not metadata.is_deleting(pod)


def is_tracked(pod: Object) -> bool:
    """Return whether the pod still carries the finalizer."""
    return TRACKING in (pod["metadata"].get("finalizers") or ())


def _move_to_counters(
    job: Object, noted: dict[str, list[str]], counts: dict[str, int], pods: Sequence[Object]
) -> None:
    held = {metadata.uid(pod) for pod in pods if is_tracked(pod)}
    for kind, uids in noted.items():
        done = [uid for uid in uids if uid not in held]
        if not (kind == "succeeded" and is_indexed(job)):
            counts[kind] += len(done)
        noted[kind] = [uid for uid in uids if uid in held]


def _note_finished(
    job: Object, pods: Sequence[Object], noted: dict[str, list[str]], result: Tally
) -> None:
    for pod in pods:
        succeeded = (pod.get("status") or {}).get("phase") == "Succeeded"
        if not succeeded and not has_failed(job, pod):
            continue
        if not succeeded:
            _weigh_failure(job, pod, result)
        if not is_tracked(pod):
            continue
        result.release.append(pod)
        uid = metadata.uid(pod)
        if succeeded:
            if is_indexed(job):
                result.completed.add(index_of(pod))
            if uid not in noted["succeeded"]:
                noted["succeeded"].append(uid)
        elif uid not in noted["failed"] and _counts(job, pod):
            noted["failed"].append(uid)
    result.completed.discard(-1)


def _counts(job: Object, pod: Object) -> bool:
    return pod_failure_policy.action(job, pod)[0] != "Ignore"


def _weigh_failure(job: Object, pod: Object, result: Tally) -> None:
    """Take a failed pod into account for the delay, its index and the rules that end the Job."""
    action, why = pod_failure_policy.action(job, pod)
    if action == "Ignore":
        return
    if action == "FailJob":
        result.fatal = result.fatal or why
    result.last_failure = max(result.last_failure, ended_at(pod))
    index = index_of(pod)
    if index < 0:
        return
    earlier = int(metadata.annotations(pod).get(FAILURES, "0") or 0)
    failures = max(result.index_failures.get(index, 0), earlier + 1)
    result.index_failures[index] = failures
    limit = job["spec"].get("backoffLimitPerIndex")
    if limit is not None and (failures > limit or action == "FailIndex"):
        result.failed_indexes.add(index)


def ended_at(pod: Object) -> str:
    """Return when a pod's last container ended, RFC 3339; empty where it does not say."""
    status = pod.get("status") or {}
    times = [
        ((one.get("state") or {}).get("terminated") or {}).get("finishedAt") or ""
        for one in status.get("containerStatuses") or ()
    ]
    return max(times, default="") or str(pod["metadata"].get("deletionTimestamp", ""))


def _counting_status(
    counts: dict[str, int], noted: dict[str, list[str]], result: Tally, *, per_index: bool
) -> Object:
    status: Object = {kind: count for kind, count in counts.items() if count}
    left = {kind: uids for kind, uids in noted.items() if uids}
    status["uncountedTerminatedPods"] = left
    if result.completed:
        status["completedIndexes"] = indexes.format(result.completed)
    if per_index:
        status["failedIndexes"] = indexes.format(result.failed_indexes)
    return status
