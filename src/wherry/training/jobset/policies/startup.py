"""In which order replicated jobs start, by the older of the two ways to say it. Pure."""

from wherry.training.jobset import kinds
from wherry.training.jobset.counting import Tally
from wherry.training.jobset.job_set import JobSet
from wherry.training.jobset.kinds import ReplicatedJob


def is_in_order(job_set: JobSet) -> bool:
    """Return whether each replicated job waits for the one before it."""
    policy = job_set.spec.startup_policy
    return policy is not None and policy.startup_policy_order == kinds.IN_ORDER


def has_started(replicated: ReplicatedJob, tally: Tally) -> bool:
    """Return whether all Jobs of a replicated job are ready or have ended."""
    status = tally.statuses[replicated.name]
    return status.ready + status.succeeded + status.failed == replicated.replicas


def startable(job_set: JobSet, tally: Tally) -> tuple[ReplicatedJob, ...]:
    """Return the replicated jobs whose turn has come, those that have started among them."""
    if not is_in_order(job_set):
        return job_set.spec.replicated_jobs
    made = []
    for replicated in job_set.spec.replicated_jobs:
        made.append(replicated)
        if not has_started(replicated, tally):
            break
    return tuple(made)


def all_started(job_set: JobSet, tally: Tally) -> bool:
    """Return whether every replicated job has started."""
    return all(has_started(each, tally) for each in job_set.spec.replicated_jobs)
