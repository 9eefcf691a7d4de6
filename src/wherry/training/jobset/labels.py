"""Labels and annotations of what a JobSet makes. Pure.

Source: kubernetes-sigs/jobset; every one is a label and an annotation, on Jobs and on pods, but for
those that place Jobs, which are annotations alone.
"""

import hashlib
from typing import Final

from wherry.objects import metadata
from wherry.training.jobset import job_set
from wherry.training.jobset.job_set import Child, JobSet
from wherry.training.jobset.kinds import ReplicatedJob

PREFIX: Final = "jobset.sigs.k8s.io/"
JOB_SET_NAME: Final = f"{PREFIX}jobset-name"
JOB_SET_UID: Final = f"{PREFIX}jobset-uid"
REPLICATED_JOB: Final = f"{PREFIX}replicatedjob-name"
REPLICAS: Final = f"{PREFIX}replicatedjob-replicas"
GLOBAL_REPLICAS: Final = f"{PREFIX}global-replicas"
RESTART_ATTEMPT: Final = f"{PREFIX}restart-attempt"
JOB_INDEX: Final = f"{PREFIX}job-index"
JOB_GLOBAL_INDEX: Final = f"{PREFIX}job-global-index"
JOB_KEY: Final = f"{PREFIX}job-key"
GROUP_NAME: Final = f"{PREFIX}group-name"
GROUP_REPLICAS: Final = f"{PREFIX}group-replicas"
JOB_GROUP_INDEX: Final = f"{PREFIX}job-group-index"
COORDINATOR: Final = f"{PREFIX}coordinator"
EXCLUSIVE: Final = "alpha.jobset.sigs.k8s.io/exclusive-topology"
NODE_SELECTOR: Final = "alpha.jobset.sigs.k8s.io/node-selector"


def of_child(child: Child) -> dict[str, str]:
    """Return what a Job and its pods bear."""
    owner, replicated = child.owner, child.replicated
    group = [
        each for each in owner.spec.replicated_jobs if each.group_name == replicated.group_name
    ]
    made = {
        JOB_SET_NAME: owner.name,
        JOB_SET_UID: metadata.uid(owner.obj),
        REPLICATED_JOB: replicated.name,
        REPLICAS: str(replicated.replicas),
        GLOBAL_REPLICAS: str(owner.total),
        RESTART_ATTEMPT: str(owner.status.restarts),
        JOB_INDEX: str(child.index),
        JOB_GLOBAL_INDEX: str(_before(owner.spec.replicated_jobs, replicated) + child.index),
        JOB_KEY: job_key(owner.namespace, child.name),
        GROUP_NAME: replicated.group_name,
        GROUP_REPLICAS: str(sum(each.replicas for each in group)),
        JOB_GROUP_INDEX: str(_before(group, replicated) + child.index),
    }
    chosen = owner.spec.coordinator
    if chosen is not None:
        made[COORDINATOR] = job_set.pod_host(
            owner, chosen.replicated_job, chosen.job_index, chosen.pod_index
        )
    return made


def placing(child: Child) -> dict[str, str]:
    """Return the annotations that say where a Job is placed: its template's, else the JobSet's."""
    sources = (
        metadata.annotations(child.owner.obj),
        (child.replicated.template.get("metadata") or {}).get("annotations") or {},
    )
    made: dict[str, str] = {}
    for source in sources:
        if EXCLUSIVE in source:
            made |= {name: source[name] for name in (EXCLUSIVE, NODE_SELECTOR) if name in source}
    return made


def job_key(namespace: str, name: str) -> str:
    """Return what names a Job in a label whatever the length of its name."""
    text = f"{namespace}/{name}".encode()
    return hashlib.sha1(text, usedforsecurity=False).hexdigest()


def selector(owner: JobSet) -> dict[str, str]:
    """Return the labels that all pods of a JobSet bear."""
    return {JOB_SET_NAME: owner.name}


def _before(
    listed: "tuple[ReplicatedJob, ...] | list[ReplicatedJob]", replicated: ReplicatedJob
) -> int:
    """Return how many Jobs stand before those of a replicated job."""
    found = 0
    for each in listed:
        if each.name == replicated.name:
            break
        found += each.replicas
    return found
