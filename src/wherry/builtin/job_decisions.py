"""What a Job needs next: pods to make, pods to stop, or an end. Pure.

Source: `pkg/controller/job` of Kubernetes.
"""

import copy
import dataclasses
import datetime
from collections.abc import Iterator

from wherry.builtin import job_counting, pod_failure_policy, replicas
from wherry.builtin.job_counting import Tally
from wherry.objects import conditions, metadata, names
from wherry.objects.requests import Object

COMPLETE, FAILED, SUSPENDED = "Complete", "Failed", "Suspended"
FAILURE_TARGET, SUCCESS_MET = "FailureTarget", "SuccessCriteriaMet"
_LONGEST_BACKOFF_SECONDS = 600.0


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
    if tally.failed > limit or _restarts(job, tally) > limit:
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


def _restarts(job: Object, tally: Tally) -> int:
    """Return how often containers were restarted in place, which counts where pods restart."""
    if job["spec"]["template"]["spec"].get("restartPolicy") != "OnFailure":
        return 0
    return sum(
        one.get("restartCount", 0)
        for pod in tally.active
        for field in ("containerStatuses", "initContainerStatuses")
        for one in (pod.get("status") or {}).get(field) or ()
    )


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


def backoff_in(job: Object, tally: Tally, now: datetime.datetime, base_seconds: float) -> float:
    """Return for how many seconds no pod may be made, since pods have failed; 0 for none."""
    if not tally.last_failure or job["spec"].get("backoffLimitPerIndex") is not None:
        return 0.0
    failures = max(1, tally.failed)
    delay = min(base_seconds * 2.0 ** min(failures - 1, 20), _LONGEST_BACKOFF_SECONDS)
    passed = (now - metadata.parse_time(tally.last_failure)).total_seconds()
    return max(0.0, delay - passed)


def new_pods(job: Object, tally: Tally, count: int, taken: set[str]) -> list[Object]:
    """Return ``count`` pods to create, fewer where no index is left."""
    if job_counting.is_indexed(job):
        return [_indexed_pod(job, tally, index) for index in _free_indexes(job, tally, count)]
    found: list[Object] = []
    for name in replicas.fresh_names(job, taken):
        if len(found) >= count:
            break
        found.append(_pod(job, name))
    return found


def _free_indexes(job: Object, tally: Tally, count: int) -> Iterator[int]:
    used = tally.completed | tally.failed_indexes
    used |= {job_counting.index_of(pod) for pod in (*tally.active, *_awaited(job, tally))}
    for index in range(job["spec"]["completions"]):
        if count <= 0:
            return
        if index not in used:
            count -= 1
            yield index


def _awaited(job: Object, tally: Tally) -> list[Object]:
    waits = job["spec"].get("podReplacementPolicy") == "Failed"
    return tally.terminating if waits else []


def _pod(job: Object, name: str) -> Object:
    pod = copy.deepcopy(replicas.pod_from_template(job, job["spec"]["template"], name))
    finalizers = pod["metadata"].setdefault("finalizers", [])
    if job_counting.TRACKING not in finalizers:
        finalizers.append(job_counting.TRACKING)
    return pod


def _indexed_pod(job: Object, tally: Tally, index: int) -> Object:
    failures = tally.index_failures.get(index, 0)
    base = f"{metadata.name(job)[:50]}-{index}"
    # The name tells index and attempt: the same attempt of an index cannot be made twice.
    pod = _pod(job, f"{base}-{names.suffix(f'{metadata.uid(job)}/{index}/{failures}')}")
    notes = pod["metadata"].setdefault("annotations", {})
    notes[job_counting.INDEX] = str(index)
    notes[job_counting.FAILURES] = str(failures)
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


def status(job: Object, tally: Tally, end: Verdict | None, now: datetime.datetime) -> Object:
    """Return the whole status after this step.

    Args:
        job: The Job with its stored status.
        tally: What its pods tell.
        end: How it ends, if it does.
        now: Current time, aware.
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
        result["startTime"] = metadata.format_time(now)
    if before.get("completionTime"):
        result["completionTime"] = before["completionTime"]
    if end is not None:
        _set_end(listed, result, tally, end, now=now)
    if listed:
        result["conditions"] = listed
    if tally.active:
        result["active"] = len(tally.active)
    result["terminating"] = len(tally.terminating)
    result["ready"] = sum(map(replicas.is_ready, tally.active))
    return result


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


def _set_end(
    listed: list[Object], result: Object, tally: Tally, end: Verdict, *, now: datetime.datetime
) -> None:
    _put(listed, end.condition, end, now)
    # The last word is said when nothing runs any more and everything is counted.
    uncounted = any(tally.status["uncountedTerminatedPods"].values())
    if tally.active or tally.terminating or tally.release or uncounted:
        return
    if end.condition == SUCCESS_MET:
        _put(listed, COMPLETE, end, now)
        result.setdefault("completionTime", metadata.format_time(now))
    else:
        _put(listed, FAILED, end, now)


def _put(listed: list[Object], kind: str, end: Verdict, now: datetime.datetime) -> None:
    conditions.set(listed, kind, "True", reason=end.reason, message=end.message, now=now)
