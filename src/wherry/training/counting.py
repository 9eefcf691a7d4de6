"""How a job's pods are doing, by replica type. Pure."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from wherry.objects import metadata
from wherry.objects.requests import Object
from wherry.training import build
from wherry.training.framework import Count, Framework
from wherry.training.job import Job, Replica, attempt_of
from wherry.training.policies import restarts


@dataclass(frozen=True, slots=True)
class Tally:
    """What there is of a job, and what that means.

    Pods that are on their way out have names that are taken, and mean nothing else.

    Attributes:
        pods: That should exist and do, by name.
        missing: Replicas without a pod.
        surplus: Pods of replicas that are not wanted any more.
        stale: Pods of an earlier attempt.
        retried: Pods that have failed and get a successor.
        lost: Pods that have failed for good.
        counts: By type.
    """

    pods: Mapping[str, Object]
    missing: tuple[Replica, ...]
    surplus: tuple[Object, ...]
    stale: tuple[Object, ...]
    retried: tuple[Object, ...]
    lost: tuple[Object, ...]
    counts: Mapping[str, Count]


def tally(framework: Framework, job: Job, pods: Iterable[Object]) -> Tally:
    """Count a job's pods.

    Args:
        framework: Of the job's kind.
        job: What is wanted.
        pods: That the job controls.
    """
    there = {metadata.name(pod): pod for pod in pods}
    wanted = {replica.name: replica for replica in job.all()}
    staying = {name: pod for name, pod in there.items() if not metadata.is_deleting(pod)}
    stale = {
        name: pod
        for name, pod in staying.items()
        if name in wanted and attempt_of(pod) < job.attempt
    }
    good = {name: pod for name, pod in staying.items() if name in wanted and name not in stale}
    failed = {name: pod for name, pod in good.items() if restarts.is_failed(pod)}
    retried = {
        name: pod
        for name, pod in failed.items()
        if restarts.is_retried(wanted[name].spec, pod, framework.container)
    }
    return Tally(
        pods=good,
        missing=tuple(replica for name, replica in wanted.items() if name not in there),
        surplus=tuple(pod for name, pod in staying.items() if name not in wanted),
        stale=tuple(stale.values()),
        retried=tuple(retried.values()),
        lost=tuple(pod for name, pod in failed.items() if name not in retried),
        counts={type_: _count(job, type_, good, retried.keys()) for type_ in job.replicas},
    )


def _count(job: Job, type_: str, pods: Mapping[str, Object], retried: Collection[str]) -> Count:
    running = failed = 0
    succeeded = set()
    for replica in job.of(type_):
        pod = pods.get(replica.name)
        phase = (pod.get("status") or {}).get("phase") if pod is not None else None
        running += phase == "Running"
        failed += phase == "Failed" and replica.name not in retried
        if phase == "Succeeded":
            succeeded.add(replica.index)
    return Count(job.count(type_), running, len(succeeded), failed, frozenset(succeeded))


def type_of(job: Job, pod: Object) -> str:
    """Return the replica type of a job's pod, as the job spells it."""
    told = metadata.labels(pod).get(build.REPLICA_TYPE, "")
    return next((type_ for type_ in job.replicas if type_.lower() == told), told)


def replica_of(job: Job, pod: Object) -> Replica | None:
    """Return the replica that a pod is; None where the job does not want it."""
    name = metadata.name(pod)
    return next((replica for replica in job.of(type_of(job, pod)) if replica.name == name), None)
