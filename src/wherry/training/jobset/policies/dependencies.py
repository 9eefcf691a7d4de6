"""Whether what a replicated job depends on is so. Pure."""

from wherry.training.jobset import kinds
from wherry.training.jobset.counting import Tally
from wherry.training.jobset.job_set import JobSet
from wherry.training.jobset.kinds import ReplicatedJob


def are_met(job_set: JobSet, replicated: ReplicatedJob, tally: Tally) -> bool:
    """Return whether all that a replicated job depends on is ready, or complete, as it asks."""
    wanted = {each.name: each.replicas for each in job_set.spec.replicated_jobs}
    for dependency in replicated.depends_on:
        status = tally.statuses.get(dependency.name)
        if status is None:
            return False
        reached = status.succeeded
        if dependency.status == kinds.READY:
            reached += status.ready + status.failed
        if reached != wanted[dependency.name]:
            return False
    return True
