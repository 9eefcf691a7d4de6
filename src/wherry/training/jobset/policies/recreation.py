"""Which Jobs are to be made now. Pure."""

from collections.abc import Iterator

from wherry.training.jobset import kinds
from wherry.training.jobset.counting import Tally
from wherry.training.jobset.job_set import Child, JobSet
from wherry.training.jobset.policies import dependencies, startup


def missing(job_set: JobSet, tally: Tally) -> Iterator[Child]:
    """Yield the Jobs that have to be made, in order.

    One whose last attempt is not gone yet waits for that, since they have one name; with
    BlockingRecreate all wait until all are gone.
    """
    policy = job_set.spec.failure_policy
    blocking = policy is not None and policy.restart_strategy == kinds.BLOCKING_RECREATE
    if blocking and tally.previous:
        return
    # While it is suspended nothing starts, so nothing has to wait for its turn.
    suspended = bool(job_set.spec.suspend)
    turn = job_set.spec.replicated_jobs if suspended else startup.startable(job_set, tally)
    for replicated in turn:
        if not dependencies.are_met(job_set, replicated, tally):
            continue
        for child in job_set.children(replicated):
            if child.name not in tally.names:
                yield child
