"""What a failed Job leads to: the end, or all Jobs anew. Pure.

Source: kubernetes-sigs/jobset ``pkg/controllers/failure_policy.go``.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from wherry.objects import conditions, metadata
from wherry.objects.requests import Object
from wherry.training.jobset import kinds
from wherry.training.jobset.counting import Tally, replicated_job
from wherry.training.jobset.job_set import JobSet
from wherry.training.jobset.kinds import FailureRule

_MESSAGE_LENGTH: Final = 4096


@dataclass(frozen=True, slots=True)
class Decision:
    """What a failure leads to.

    Attributes:
        restarts: Whether all Jobs are made anew; if not, the JobSet has failed.
        counts: Whether the restart counts towards `maxRestarts`.
        reason: Of the condition that tells.
        event: Reason of the event that tells.
        message: A sentence; it names the Job that failed first.
    """

    restarts: bool
    counts: bool
    reason: str
    event: str
    message: str


def decide(job_set: JobSet, tally: Tally) -> Decision | None:
    """Return what is to be done about the Jobs that have failed; None where none has."""
    if not tally.failed:
        return None
    policy = job_set.spec.failure_policy
    if policy is None:
        message = _told("a Job has failed, and there is no failurePolicy", tally.failed[0])
        return _end("FailedJobs", message)
    rule, job = _matching(policy.rules, tally.failed)
    action = rule.action if rule is not None else kinds.RESTART
    if action == kinds.FAIL:
        return _end("FailJobSetFailurePolicyAction", _told(f"rule {_name(rule)} says so", job))
    done = job_set.status.restarts_count_towards_max
    if action == kinds.RESTART and done >= policy.max_restarts:
        message = f"restarted {done} times, which is all that maxRestarts allows"
        return _end("ReachedMaxRestarts", _told(message, job))
    reason = f"FailurePolicy_{rule.name}" if rule is not None else "DefaultFailurePolicy"
    return Decision(
        restarts=True,
        counts=action == kinds.RESTART,
        reason=reason,
        event=f"{action}FailurePolicyAction",
        message=_told(f"all Jobs are made anew ({_name(rule)})", job),
    )


def _end(reason: str, message: str) -> Decision:
    return Decision(restarts=False, counts=False, reason=reason, event=reason, message=message)


def _name(rule: FailureRule | None) -> str:
    return rule.name if rule is not None else "no rule fits"


def _told(message: str, job: Object) -> str:
    found = conditions.get(job, "Failed") or {}
    why = ": ".join(str(found[part]) for part in ("reason", "message") if found.get(part))
    return f"{message} (first failed job: {metadata.name(job)}{', ' if why else ''}{why})"


def _matching(
    rules: Sequence[FailureRule], failed: Sequence[Object]
) -> tuple[FailureRule | None, Object]:
    """Return the first rule that fits any failed Job, and the first Job that it fits."""
    for rule in rules:
        for job in failed:
            if _fits(rule, job):
                return rule, job
    return None, failed[0]


def _fits(rule: FailureRule, job: Object) -> bool:
    found = conditions.get(job, "Failed") or {}
    reasons, targets = rule.on_job_failure_reasons, rule.target_replicated_jobs
    patterns = rule.on_job_failure_message_patterns
    message = str(found.get("message") or "")[:_MESSAGE_LENGTH]
    return (
        (not reasons or found.get("reason") in reasons)
        and (not targets or replicated_job(job) in targets)
        and (not patterns or any(re.search(pattern, message) for pattern in patterns))
    )
