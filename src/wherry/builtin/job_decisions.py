"""What a Job needs next: pods to make, pods to stop, or an end. Pure.

Source: `pkg/controller/job` of Kubernetes.
"""

import dataclasses
import datetime
import itertools
from collections.abc import Callable

from wherry.builtin import job_counting, pod_failure_policy, replicas
from wherry.builtin.job_counting import Tally
from wherry.objects import conditions, metadata, names
from wherry.objects.copies import copied
from wherry.objects.requests import Object

COMPLETE, FAILED, SUSPENDED = "Complete", "Failed", "Suspended"
FAILURE_TARGET, SUCCESS_MET = "FailureTarget", "SuccessCriteriaMet"
_LONGEST_BACKOFF_SECONDS = 600.0
_UNTOLD: Object = {"uncountedTerminatedPods": {}, "terminating": 0}
"""What a status says when it says nothing."""
_PASSING = frozenset({"startTime", "active", "ready"})


@dataclasses.dataclass(frozen=True)
class Verdict:
    """That a Job is over before its last pod is gone.

    Attributes:
        condition: ``FailureTarget`` or ``SuccessCriteriaMet``.
        reason: Of the condition, one word.
        message: Of the condition, a sentence.
    """

    condition: str
    reason: str
    message: str


def is_finished(job: Object) -> bool:
    """Return whether a Job has ended, well or badly."""
    return conditions.is_true(job, COMPLETE) or conditions.is_true(job, FAILED)


def verdict(job: Object, tally: Tally, now: datetime.datetime) -> Verdict | None:
    """Return how a Job ends, or None while it goes on. What was decided once stays decided."""
    for kind in (FAILURE_TARGET, SUCCESS_MET):
        decided = conditions.get(job, kind)
        if decided is not None and decided.get("status") == "True":
            return Verdict(kind, decided["reason"], decided.get("message", ""))
    failure = _failure(job, tally, now)
    if failure is not None:
        return Verdict(FAILURE_TARGET, *failure)
    if job_counting.is_indexed(job):
        message = pod_failure_policy.success_reached(job, tally.completed)
        if message:
            return Verdict(SUCCESS_MET, "SuccessPolicy", message)
    if _has_completed(job, tally):
        message = "Reached expected number of succeeded pods"
        return Verdict(SUCCESS_MET, "CompletionsReached", message)
    return None


def _has_completed(job: Object, tally: Tally) -> bool:
    completions = job["spec"].get("completions")
    if completions is None:
        return tally.succeeded > 0 and not tally.active and not tally.terminating
    return tally.succeeded >= int(completions)


def _failure(job: Object, tally: Tally, now: datetime.datetime) -> tuple[str, str] | None:
    spec = job["spec"]
    if tally.fatal:
        return "PodFailurePolicy", tally.fatal
    deadline = spec.get("activeDeadlineSeconds")
    started = (job.get("status") or {}).get("startTime")
    if deadline is not None and started and not spec.get("suspend"):
        late = (now - metadata.parse_time(started)).total_seconds() >= deadline
        if late:
            return "DeadlineExceeded", "Job was active longer than specified deadline"
    if spec.get("backoffLimitPerIndex") is not None:
        return _index_failure(job, tally)
    limit = spec.get("backoffLimit", 6)
    if tally.failed > limit or _restarted_too_often(job, tally):
        return "BackoffLimitExceeded", "Job has reached the specified backoff limit"
    return None


def _index_failure(job: Object, tally: Tally) -> tuple[str, str] | None:
    spec = job["spec"]
    most = spec.get("maxFailedIndexes")
    if most is not None and len(tally.failed_indexes) > most:
        message = "Job has exceeded the specified maximal number of failed indexes"
        return "MaxFailedIndexesExceeded", message
    settled = tally.completed | tally.failed_indexes
    if tally.failed_indexes and len(settled) >= spec["completions"] and not tally.active:
        return "FailedIndexes", "Job has failed indexes"
    limit = spec.get("backoffLimit")
    if limit is not None and tally.failed > limit:
        return "BackoffLimitExceeded", "Job has reached the specified backoff limit"
    return None


def _restarted_too_often(job: Object, tally: Tally) -> bool:
    """Return whether containers were restarted in place as often as pods may fail."""
    if job["spec"]["template"]["spec"].get("restartPolicy") != "OnFailure":
        return False
    restarts = sum(
        one.get("restartCount", 0)
        for pod in tally.active
        for field in ("containerStatuses", "initContainerStatuses")
        for one in (pod.get("status") or {}).get(field) or ()
    )
    return bool(restarts >= max(1, job["spec"].get("backoffLimit", 6)))


def wanted_active(job: Object, tally: Tally) -> int:
    """Return how many pods should be active now."""
    spec = job["spec"]
    parallelism = int(spec.get("parallelism", 1))
    completions = spec.get("completions")
    if completions is None:
        # A work queue: once one pod has found it empty, no more are started.
        return len(tally.active) if tally.succeeded else parallelism
    left = int(completions) - tally.succeeded - len(tally.failed_indexes - tally.completed)
    return max(0, min(parallelism, left))


def surplus(job: Object, tally: Tally, count: int) -> list[Object]:
    """Return the active pods to stop: those of indexes that are no more, and ``count`` in all."""
    doomed = []
    if job_counting.is_indexed(job):
        every = range(job["spec"]["completions"])
        doomed = [pod for pod in tally.active if job_counting.index_of(pod) not in every]
    rest = [pod for pod in tally.active if not any(pod is one for one in doomed)]
    return doomed + replicas.surplus(rest, max(0, count - len(doomed)))


def deadline_in(job: Object, now: datetime.datetime) -> float | None:
    """Return in how many seconds the Job has run for too long; None where it may run for ever."""
    limit: int | None = job["spec"].get("activeDeadlineSeconds")
    if limit is None or job["spec"].get("suspend"):
        return None
    started = (job.get("status") or {}).get("startTime")
    passed = (now - metadata.parse_time(started)).total_seconds() if started else 0.0
    return max(0.0, limit - passed)


def ended_at(job: Object) -> datetime.datetime:
    """Return when a finished Job ended."""
    ends = [one for one in job["status"]["conditions"] if one["type"] in {COMPLETE, FAILED}]
    return metadata.parse_time(ends[-1]["lastTransitionTime"])


def backoff_in(job: Object, tally: Tally, now: datetime.datetime, base_seconds: float) -> float:
    """Return for how many seconds no pod may be made, since pods have failed; 0 for none."""
    if job["spec"].get("backoffLimitPerIndex") is not None:
        return 0.0  # there each index waits for itself
    in_a_row = [when for when in tally.failures if when >= tally.last_success]
    return _delay(len(in_a_row), max(in_a_row, default=""), now, base_seconds)


def _delay(failures: int, last: str, now: datetime.datetime, base_seconds: float) -> float:
    if not failures or not last:
        return 0.0
    delay = min(base_seconds * 2.0 ** min(failures - 1, 20), _LONGEST_BACKOFF_SECONDS)
    return max(0.0, delay - (now - metadata.parse_time(last)).total_seconds())


def new_pods(
    job: Object, tally: Tally, count: int, is_taken: Callable[[str], bool]
) -> list[Object]:
    """Return ``count`` pods to create for a Job without indexes.

    Args:
        job: The Job.
        tally: What its pods tell.
        count: How many.
        is_taken: Whether any pod of the namespace has a name now.
    """
    start = tally.succeeded + tally.failed + len(tally.active) + len(tally.terminating)
    fresh = replicas.fresh_names(job, is_taken, start)
    return [_pod(job, name) for name in itertools.islice(fresh, count)]


def next_indexes(
    job: Object, tally: Tally, count: int, *, now: datetime.datetime, base_seconds: float
) -> tuple[list[int], float | None]:
    """Return the indexes to make pods for.

    Args:
        job: An Indexed Job.
        tally: What its pods tell.
        count: At most how many.
        now: Current time, aware.
        base_seconds: How long an index waits after its first failure.

    Returns:
        The lowest indexes that are free, and in how many seconds the next one is that has failed and
        waits; None where none waits.
    """
    used = tally.completed | tally.failed_indexes
    used |= {job_counting.index_of(pod) for pod in (*tally.active, *_awaited(job, tally))}
    per_index = job["spec"].get("backoffLimitPerIndex") is not None
    found: list[int] = []
    soonest: float | None = None
    for index in range(job["spec"]["completions"]):
        if len(found) >= count:
            break
        if index in used:
            continue
        tried = tally.attempts.get(index)
        wait = _delay(tried.failures, tried.last, now, base_seconds) if per_index and tried else 0
        if wait > 0:
            soonest = wait if soonest is None else min(wait, soonest)
        else:
            found.append(index)
    return found, soonest


def _awaited(job: Object, tally: Tally) -> list[Object]:
    waits = job["spec"].get("podReplacementPolicy") == "Failed"
    return tally.terminating if waits else []


def _pod(job: Object, name: str) -> Object:
    pod = copied(replicas.pod_from_template(job, job["spec"]["template"], name))
    finalizers = pod["metadata"].setdefault("finalizers", [])
    if job_counting.TRACKING not in finalizers:
        finalizers.append(job_counting.TRACKING)
    return pod


def indexed_pod(job: Object, tally: Tally, index: int) -> Object:
    """Return the pod for the next attempt of an index."""
    tried = tally.attempts.get(index) or job_counting.Attempts()
    base = f"{metadata.name(job)[:50]}-{index}"
    # The name tells index and attempt: the same attempt of an index cannot be made twice.
    seed = f"{metadata.uid(job)}/{index}/{tried.failures + tried.ignored}"
    pod = _pod(job, f"{base}-{names.suffix(seed)}")
    notes = pod["metadata"].setdefault("annotations", {})
    notes[job_counting.INDEX] = str(index)
    notes[job_counting.FAILURES] = str(tried.failures)
    if tried.ignored:
        notes[job_counting.IGNORED] = str(tried.ignored)
    pod["metadata"].setdefault("labels", {})[job_counting.INDEX] = str(index)
    pod["spec"].setdefault("hostname", base)
    variable = {
        "name": "JOB_COMPLETION_INDEX",
        "valueFrom": {"fieldRef": {"fieldPath": f"metadata.annotations['{job_counting.INDEX}']"}},
    }
    for field in ("initContainers", "containers"):
        for container in pod["spec"].get(field) or ():
            present = container.setdefault("env", [])
            if all(one["name"] != variable["name"] for one in present):
                present.append(variable)
    return pod


def status(
    job: Object,
    tally: Tally,
    end: Verdict | None,
    now: datetime.datetime,
    *,
    started: str = "",
) -> Object:
    """Return the whole status after this step.

    Args:
        job: The Job with its stored status.
        tally: What its pods tell.
        end: How it ends, if it does.
        now: Current time, aware.
        started: When the Job began, where that is known and not stored; empty: now.
    """
    before = job.get("status") or {}
    result = dict(tally.status)
    listed = [dict(one) for one in before.get("conditions") or ()]
    suspended = bool(job["spec"].get("suspend"))
    _set_suspended(listed, suspended=suspended, now=now)
    if suspended:
        pass
    elif before.get("startTime"):
        result["startTime"] = before["startTime"]
    else:
        result["startTime"] = started or metadata.format_time(now)
    if before.get("completionTime"):
        result["completionTime"] = before["completionTime"]
    if end is not None:
        _put(listed, end.condition, end, now)
        # The last word is said when nothing runs any more.
        if not tally.active and not tally.terminating:
            _finish(listed, result, tally, end, now=now)
    if listed:
        result["conditions"] = listed
    if tally.active:
        result["active"] = len(tally.active)
    result["terminating"] = len(tally.terminating)
    result["ready"] = sum(map(replicas.is_ready, tally.active))
    return result


def may_wait(job: Object, after: Object) -> bool:
    """Return whether a status differs from the stored one only in how many pods run and are ready.

    That the Job has begun says no more, unless its time is limited: then it has to be known since when.
    """
    before = {**_UNTOLD, **(job.get("status") or {})}
    if before == after or "startTime" not in after:
        return False
    if "startTime" not in before and job["spec"].get("activeDeadlineSeconds") is not None:
        return False
    fields = before.keys() | after.keys()
    return all(each in _PASSING or before.get(each) == after.get(each) for each in fields)


def _set_suspended(listed: list[Object], *, suspended: bool, now: datetime.datetime) -> None:
    known = any(one["type"] == SUSPENDED for one in listed)
    if suspended:
        conditions.set(
            listed, SUSPENDED, "True", reason="JobSuspended", message="Job suspended", now=now
        )
    elif known:
        conditions.set(
            listed, SUSPENDED, "False", reason="JobResumed", message="Job resumed", now=now
        )


def _finish(
    listed: list[Object], result: Object, tally: Tally, end: Verdict, *, now: datetime.datetime
) -> None:
    # Nobody counts after this: what waits to be counted is counted with it, in the same write, and
    # pods are let go afterwards.
    for kind, count in (("succeeded", tally.succeeded), ("failed", tally.failed)):
        if count:
            result[kind] = count
    result["uncountedTerminatedPods"] = {}
    if end.condition == SUCCESS_MET:
        _put(listed, COMPLETE, end, now)
        result.setdefault("completionTime", metadata.format_time(now))
    else:
        _put(listed, FAILED, end, now)


def _put(listed: list[Object], kind: str, end: Verdict, now: datetime.datetime) -> None:
    conditions.set(listed, kind, "True", reason=end.reason, message=end.message, now=now)
