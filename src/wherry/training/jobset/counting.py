"""How the Jobs of a JobSet are doing. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from wherry.objects import conditions, metadata
from wherry.objects.requests import Object
from wherry.training.jobset import labels
from wherry.training.jobset.job_set import JobSet
from wherry.training.jobset.kinds import ReplicatedJob, ReplicatedJobStatus


@dataclass(frozen=True, slots=True)
class Tally:
    """The Jobs that there are.

    Attributes:
        active: Of this attempt, not ended.
        succeeded: Of this attempt, complete.
        failed: Of this attempt, failed; the one that failed first stands first.
        previous: Of earlier attempts: to be deleted.
        names: Of all of them.
        statuses: By replicated job, in the order of the spec.
    """

    active: tuple[Object, ...]
    succeeded: tuple[Object, ...]
    failed: tuple[Object, ...]
    previous: tuple[Object, ...]
    names: frozenset[str]
    statuses: Mapping[str, ReplicatedJobStatus]


def tally(job_set: JobSet, jobs: Iterable[Object]) -> Tally:
    """Count the Jobs that a JobSet controls."""
    listed = [*jobs]
    previous = [job for job in listed if _attempt(job) < job_set.status.restarts]
    current = [job for job in listed if _attempt(job) >= job_set.status.restarts]
    succeeded = tuple(job for job in current if conditions.is_true(job, "Complete"))
    failed = tuple(sorted(filter(is_failed, current), key=_failed_at))
    ended = {metadata.uid(job) for job in (*succeeded, *failed)}
    active = tuple(job for job in current if metadata.uid(job) not in ended)
    return Tally(
        active=active,
        succeeded=succeeded,
        failed=failed,
        previous=tuple(previous),
        names=frozenset(metadata.name(job) for job in listed),
        statuses={
            each.name: _status(each, active, succeeded, failed)
            for each in job_set.spec.replicated_jobs
        },
    )


def is_failed(job: Object) -> bool:
    """Return whether a Job has failed."""
    return conditions.is_true(job, "Failed")


def replicated_job(job: Object) -> str:
    """Return the replicated job that a Job is of."""
    return metadata.labels(job).get(labels.REPLICATED_JOB, "")


def _attempt(job: Object) -> int:
    text = metadata.labels(job).get(labels.RESTART_ATTEMPT, "")
    # A Job whose label somebody has spoilt is none of this attempt: it is made anew.
    return int(text) if text.isdecimal() else -1


def _failed_at(job: Object) -> tuple[str, str]:
    found = conditions.get(job, "Failed") or {}
    return str(found.get("lastTransitionTime") or ""), metadata.name(job)


def _status(
    replicated: ReplicatedJob,
    active: Iterable[Object],
    succeeded: Iterable[Object],
    failed: Iterable[Object],
) -> ReplicatedJobStatus:
    def own(jobs: Iterable[Object]) -> list[Object]:
        return [job for job in jobs if replicated_job(job) == replicated.name]

    going = own(active)
    return ReplicatedJobStatus(
        name=replicated.name,
        ready=sum(map(_is_ready, going)),
        succeeded=len(own(succeeded)),
        failed=len(own(failed)),
        active=sum(bool((job.get("status") or {}).get("active")) for job in going),
        suspended=sum(bool(job["spec"].get("suspend")) for job in going),
    )


def _is_ready(job: Object) -> bool:
    spec, status = job["spec"], job.get("status") or {}
    parallelism = spec.get("parallelism")
    wanted = 1 if parallelism is None else int(parallelism)
    if spec.get("completions") is not None:
        wanted = min(wanted, int(spec["completions"]))
    return int(status.get("ready") or 0) + int(status.get("succeeded") or 0) >= wanted
