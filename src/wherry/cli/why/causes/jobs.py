"""Jobs and CronJobs that do not get done. Pure."""

from wherry.cli.why.causes import workloads
from wherry.cli.why.finding import Finding, fine, grouped, worst
from wherry.cli.why.look import Look
from wherry.cli.words import counted
from wherry.objects import conditions, kinds, metadata
from wherry.objects.requests import Object

_MOST = 20
_MENDS = {
    "BackoffLimitExceeded": "mend the cause, then delete the job and apply it again",
    "DeadlineExceeded": "raise spec.activeDeadlineSeconds, or make the work shorter; then delete the "
    "job and apply it again",
    "PodFailurePolicy": "a rule of spec.podFailurePolicy ends the job at such a failure; mend the "
    "cause, then delete the job and apply it again",
    "FailedIndexes": "mend the cause, then delete the job and apply it again",
}


def look(look: Look) -> Finding:
    """Return why a job is not complete."""
    if conditions.is_true(look.obj, "Complete"):
        return fine(
            look.name,
            f"is complete: {counted(int(look.status.get('succeeded') or 0), 'pod')} succeeded",
        )
    failed = conditions.get(look.obj, "Failed") or conditions.get(look.obj, "FailureTarget")
    if failed is not None and failed.get("status") == "True":
        return _failed(look, failed)
    if look.spec.get("suspend"):
        mend = f'kubectl patch {look.name} --type=merge -p \'{{"spec":{{"suspend":false}}}}\''
        return Finding(look.name, "is suspended", "waiting", mend=mend)
    return _unfinished(look)


def _pods(look: Look) -> list[Object]:
    return look.world.owned(look.resource, look.obj, kinds.PODS)


def _phase(pod: Object) -> str:
    return str((pod.get("status") or {}).get("phase") or "Pending")


def _failed(look: Look, condition: Object) -> Finding:
    reason = str(condition.get("reason") or "")
    message = str(condition.get("message") or "")
    causes = _failures(look)
    evidence = [message] if message else []
    if not causes and reason != "DeadlineExceeded":
        evidence.append("its failed pods are gone, and their logs with them")
    return Finding(
        look.name,
        f"has failed: {reason}",
        evidence=tuple(evidence),
        mend=_MENDS.get(reason, ""),
        causes=causes,
    )


def _failures(look: Look) -> tuple[Finding, ...]:
    pods = [pod for pod in _pods(look) if _phase(pod) == "Failed"]
    pods.sort(key=lambda pod: str(pod["metadata"].get("creationTimestamp")), reverse=True)
    return grouped(look.descend(kinds.PODS, pod) for pod in pods[:_MOST])


def _unfinished(look: Look) -> Finding:
    pods = _pods(look)
    active = [pod for pod in pods if _phase(pod) in {"Pending", "Running"}]
    done = int(look.status.get("succeeded") or 0)
    wanted = look.spec.get("completions")
    progress = f"{done} of {wanted} pods have succeeded" if wanted else f"{done} have succeeded"
    below = list(grouped(look.descend(kinds.PODS, pod) for pod in active[:_MOST]))
    if not active:
        said = look.warning("FailedCreate")
        if said:
            below.append(workloads.refusal(look.name, said))
    below += _failures(look)
    if below:
        return Finding(look.name, f"is not done: {progress}", worst(below), causes=tuple(below))
    running = sum(_phase(pod) == "Running" for pod in active)
    if running:
        return fine(look.name, f"is at work, {counted(running, 'pod')} running: {progress}")
    return Finding(look.name, f"is about to start pods: {progress}", "waiting")


def look_at_cron_job(look: Look) -> Finding:
    """Return why a cron job does not start jobs, or what is wrong with its newest one."""
    schedule = look.spec.get("schedule")
    if look.spec.get("suspend"):
        mend = f'kubectl patch {look.name} --type=merge -p \'{{"spec":{{"suspend":false}}}}\''
        return Finding(look.name, "is suspended", "waiting", mend=mend)
    jobs = look.world.owned(look.resource, look.obj, kinds.JOBS)
    if jobs:
        newest: Object = max(jobs, key=lambda job: str(job["metadata"].get("creationTimestamp")))
        found = look.descend(kinds.JOBS, newest)
        if found.holds_back:
            said = f"its newest job, {metadata.name(newest)}, is not complete"
            return Finding(look.name, said, found.state, causes=(found,))
    warning = look.warning()
    if warning:
        return Finding(look.name, "does not start jobs as it should", evidence=(warning,))
    last = look.status.get("lastScheduleTime")
    when = f"its last job was at {last}" if last else "no job was due yet"
    return fine(look.name, f"waits for its time ({schedule}); {when}")
