"""When a JobSet has done its work. Pure."""

from wherry.training.jobset import kinds
from wherry.training.jobset.counting import Tally, replicated_job
from wherry.training.jobset.job_set import JobSet
from wherry.training.jobset.kinds import SuccessPolicy

_DEFAULT = SuccessPolicy()


def reached(job_set: JobSet, tally: Tally) -> bool:
    """Return whether the Jobs that count are complete: all of them, or any, as the policy says."""
    policy = job_set.spec.success_policy or _DEFAULT
    counted = frozenset(
        policy.target_replicated_jobs or (each.name for each in job_set.spec.replicated_jobs)
    )
    done = sum(replicated_job(job) in counted for job in tally.succeeded)
    if policy.operator == kinds.ANY:
        return done > 0
    wanted = [each.replicas for each in job_set.spec.replicated_jobs if each.name in counted]
    # Where nothing is wanted nothing has been done: as upstream, such a set waits.
    return 0 < sum(wanted) <= done
