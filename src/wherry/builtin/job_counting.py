"""How a Job's finished pods are counted exactly once, whatever dies in between. Pure.

Every pod carries the finalizer ``batch.kubernetes.io/job-tracking``, so it cannot vanish uncounted.
A finished pod's uid is first written to `status.uncountedTerminatedPods`; then its finalizer goes;
then the uid moves into the counters. A succeeded index needs no uid: a set counts it once anyway;
nor do the pods that a Job's end counts, because nobody counts after it.
Source: `pkg/controller/job` of Kubernetes (KEP-2307).
"""

import dataclasses
from collections.abc import Mapping, Sequence

from wherry.builtin import indexes, pod_failure_policy
from wherry.objects import metadata
from wherry.objects.requests import Object

TRACKING = "batch.kubernetes.io/job-tracking"
INDEX = "batch.kubernetes.io/job-completion-index"
FAILURES = "batch.kubernetes.io/job-index-failure-count"
IGNORED = "batch.kubernetes.io/job-index-ignored-failure-count"


@dataclasses.dataclass
class Attempts:
    """How often an index has been tried in vain, as far as its pods tell.

    Attributes:
        failures: Attempts that count as failed.
        ignored: Attempts that failed in a way that a rule ignores.
        last: When the latest counted one ended, RFC 3339.
    """

    failures: int = 0
    ignored: int = 0
    last: str = ""


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
        attempts: Index → how often it was tried in vain.
        fatal: Why a rule fails the whole Job; empty where none does.
        failures: When each counted failure ended that pods still tell of, RFC 3339.
        last_success: When the latest success ended, RFC 3339; empty where there is none.
        release: Pods whose finalizer may go once the status is written.
        status: The counting part of the new status.
    """

    active: list[Object] = dataclasses.field(default_factory=list)
    terminating: list[Object] = dataclasses.field(default_factory=list)
    succeeded: int = 0
    failed: int = 0
    completed: set[int] = dataclasses.field(default_factory=set)
    failed_indexes: set[int] = dataclasses.field(default_factory=set)
    attempts: dict[int, Attempts] = dataclasses.field(default_factory=dict)
    fatal: str = ""
    failures: list[str] = dataclasses.field(default_factory=list)
    last_success: str = ""
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
    phase = _phase(pod)
    if phase == "Failed":
        return True
    replaced_at_once = job["spec"].get("podReplacementPolicy", "TerminatingOrFailed") != "Failed"
    return replaced_at_once and metadata.is_deleting(pod) and phase != "Succeeded"


def is_tracked(pod: Object) -> bool:
    """Return whether the pod still carries the finalizer."""
    return TRACKING in (pod["metadata"].get("finalizers") or ())


def tally(job: Object, pods: Sequence[Object]) -> Tally:
    """Count a Job's pods on top of what its status says has been counted.

    Args:
        job: The Job with its stored status.
        pods: The pods it controls. They may be older than the status: a noted pod is counted only
            once it is seen without its finalizer, and is then never seen with it again.
    """
    status = job.get("status") or {}
    total = job["spec"].get("completions")
    result = Tally(
        completed=_within(indexes.parse(status.get("completedIndexes", "")), total),
        failed_indexes=_within(indexes.parse(status.get("failedIndexes", "")), total),
    )
    held = {metadata.uid(pod) for pod in pods if is_tracked(pod)}
    noted = status.get("uncountedTerminatedPods") or {}
    waiting = {kind: [uid for uid in noted.get(kind) or () if uid in held] for kind in _KINDS}
    counts = {
        kind: int(status.get(kind, 0)) + len(noted.get(kind) or ()) - len(waiting[kind])
        for kind in _KINDS
    }
    for pod in pods:
        _sort_in(job, pod, result, waiting=waiting, held=held)
    result.completed = _within(result.completed, total)
    if is_indexed(job):
        counts["succeeded"] = len(result.completed)
    result.succeeded = counts["succeeded"] + len(waiting["succeeded"])
    result.failed = counts["failed"] + len(waiting["failed"])
    result.status = _counting_status(job, counts, waiting, result)
    return result


_KINDS = ("succeeded", "failed")


def _within(found: set[int], total: int | None) -> set[int]:
    """Return the indexes that the Job has; its size may have been changed since."""
    return found if total is None else {index for index in found if 0 <= index < total}


def _phase(pod: Object) -> str:
    return str((pod.get("status") or {}).get("phase", ""))


def _sort_in(
    job: Object,
    pod: Object,
    result: Tally,
    *,
    waiting: dict[str, list[str]],
    held: set[str],
) -> None:
    phase, deleting = _phase(pod), metadata.is_deleting(pod)
    if phase not in {"Succeeded", "Failed"}:
        (result.terminating if deleting else result.active).append(pod)
    counted = True
    if phase == "Succeeded":
        result.last_success = max(result.last_success, ended_at(pod))
    elif has_failed(job, pod):
        counted = _weigh_failure(job, pod, result)
    else:
        return
    uid = metadata.uid(pod)
    if uid not in held:
        return
    result.release.append(pod)
    if phase == "Succeeded" and is_indexed(job):
        result.completed.add(index_of(pod))
        return
    kind = "succeeded" if phase == "Succeeded" else "failed"
    if counted and uid not in waiting["succeeded"] and uid not in waiting["failed"]:
        waiting[kind].append(uid)


def _weigh_failure(job: Object, pod: Object, result: Tally) -> bool:
    """Take a failed pod into account for the delay, its index and the rules; return if it counts."""
    action, why = pod_failure_policy.action(job, pod)
    ended, index = ended_at(pod), index_of(pod)
    earlier = metadata.annotations(pod)
    attempts = result.attempts.setdefault(index, Attempts()) if index >= 0 else Attempts()
    failures, ignored = _number(earlier, FAILURES), _number(earlier, IGNORED)
    if action == "Ignore":
        attempts.failures = max(attempts.failures, failures)
        attempts.ignored = max(attempts.ignored, ignored + 1)
        return False
    attempts.failures = max(attempts.failures, failures + 1)
    attempts.ignored = max(attempts.ignored, ignored)
    attempts.last = max(attempts.last, ended)
    result.failures.append(ended)
    if action == "FailJob":
        result.fatal = result.fatal or why
    limit = job["spec"].get("backoffLimitPerIndex")
    if index >= 0 and limit is not None and (failures + 1 > limit or action == "FailIndex"):
        result.failed_indexes.add(index)
    return True


def _number(annotations: Mapping[str, str], key: str) -> int:
    text = annotations.get(key, "")
    return int(text) if text.isdecimal() else 0


def ended_at(pod: Object) -> str:
    """Return when a pod's last container ended, RFC 3339; empty where it does not say."""
    latest = ""
    for one in (pod.get("status") or {}).get("containerStatuses") or ():
        terminated = (one.get("state") or {}).get("terminated") or {}
        latest = max(latest, terminated.get("finishedAt") or "")
    return latest or str(pod["metadata"].get("deletionTimestamp") or "")


def _counting_status(
    job: Object, counts: dict[str, int], waiting: dict[str, list[str]], result: Tally
) -> Object:
    status: Object = {kind: count for kind, count in counts.items() if count}
    status["uncountedTerminatedPods"] = {kind: uids for kind, uids in waiting.items() if uids}
    if result.completed and is_indexed(job):
        status["completedIndexes"] = indexes.format(result.completed)
    if job["spec"].get("backoffLimitPerIndex") is not None:
        status["failedIndexes"] = indexes.format(result.failed_indexes)
    return status
