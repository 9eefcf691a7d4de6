"""The next step of a JobSet: what to make, change and remove, and what to say. Pure."""

import datetime
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from wherry.objects.requests import Object
from wherry.training.jobset import build, claims, counting
from wherry.training.jobset.job_set import JobSet
from wherry.training.jobset.policies import (
    failure,
    recreation,
    success,
    suspension,
    time_to_live,
)
from wherry.training.jobset.status import Draft


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """One step.

    Attributes:
        status: As it is to be written.
        delete: Jobs to be deleted.
        needs: What has to exist before any Job does.
        jobs: Jobs to be made.
        change: Jobs to be suspended or resumed, each with its merge patch.
        warning: Reason and message of an event; None: no condition that changes needs more words.
        seconds_left: After how long the JobSet itself is to be deleted; None: not at all.
    """

    status: dict[str, Any]
    delete: tuple[Object, ...] = ()
    needs: tuple[Object, ...] = ()
    jobs: tuple[Object, ...] = ()
    change: tuple[tuple[Object, Object], ...] = ()
    warning: tuple[str, str] | None = None
    seconds_left: float | None = None


def make(job_set: JobSet, jobs: Iterable[Object], now: datetime.datetime) -> Plan:
    """Return the next step.

    Args:
        job_set: With defaults, and its status as it was.
        jobs: That it controls.
        now: Aware.
    """
    tally = counting.tally(job_set, jobs)
    status = Draft(job_set, tally, now)
    if time_to_live.is_finished(job_set):
        left = time_to_live.seconds_left(job_set, now)
        doomed = (*tally.active, *tally.previous)
        return Plan(status=status.value, delete=doomed, seconds_left=left)
    decision = failure.decide(job_set, tally)
    if decision is not None and decision.restarts:
        status.restart(decision)
        told = (decision.event, decision.message)
        # The count is written before anything goes: a Job that is gone could not be counted.
        return Plan(status=status.value, delete=tally.previous, warning=told)
    if decision is not None:
        status.fail(decision.reason, decision.message)
        return Plan(status=status.value, delete=tally.previous)
    if success.reached(job_set, tally):
        status.complete()
        return Plan(status=status.value, delete=tally.previous)
    status.go_on()
    needs = [*claims.wanted(job_set)]
    if job_set.has_names:
        needs.append(build.service(job_set))
    return Plan(
        status=status.value,
        delete=tally.previous,
        needs=tuple(needs),
        jobs=tuple(build.job(child) for child in recreation.missing(job_set, tally)),
        change=tuple(suspension.changes(job_set, tally)),
    )
