"""How a JobSet is, in upstream's words: conditions and counts. Pure."""

import datetime
from typing import Any

from wherry.objects import conditions
from wherry.objects.copies import copied
from wherry.objects.declared import reading
from wherry.training.jobset import kinds
from wherry.training.jobset.counting import Tally
from wherry.training.jobset.job_set import JobSet
from wherry.training.jobset.policies import startup
from wherry.training.jobset.policies.failure import Decision


class Draft:
    """A status that is being put together.

    Attributes:
        value: As it is to be written.
    """

    def __init__(self, job_set: JobSet, tally: Tally, now: datetime.datetime) -> None:
        """Begin with the status as it was and the Jobs as they are."""
        self._job_set = job_set
        self._tally = tally
        self._now = now
        self.value: dict[str, Any] = copied(job_set.obj.get("status") or {})
        self.value.setdefault("conditions", [])
        self.value.setdefault("restarts", 0)
        self.value["replicatedJobsStatus"] = [
            reading.write(each) for each in tally.statuses.values()
        ]

    def complete(self) -> None:
        """Say that all is done."""
        message = "the Jobs that the success policy asks for are complete"
        self._set(kinds.COMPLETED, "True", "AllJobsCompleted", message)
        self._set(kinds.RESTARTING, "False", "JobSetCompleted", message)
        self.value["terminalState"] = kinds.COMPLETED

    def fail(self, reason: str, message: str) -> None:
        """Say that it has failed."""
        self._set(kinds.FAILED, "True", reason, message)
        self._set(kinds.RESTARTING, "False", "JobSetFailed", message)
        self.value["terminalState"] = kinds.FAILED

    def restart(self, decision: Decision) -> None:
        """Say that all Jobs are made anew."""
        self.value["restarts"] = self._job_set.status.restarts + 1
        if decision.counts:
            counted = self._job_set.status.restarts_count_towards_max + 1
            self.value["restartsCountTowardsMax"] = counted
        self._set(kinds.RESTARTING, "True", decision.reason, decision.message)

    def go_on(self) -> None:
        """Say how far starting, suspending and restarting are."""
        if self._job_set.spec.suspend:
            message = "suspended by spec.suspend"
            self._set(kinds.SUSPENDED, "True", "SuspendedJobs", message)
            self._set(kinds.RESTARTING, "False", "JobSetSuspended", message)
            return
        self._set(kinds.SUSPENDED, "False", "ResumeJobs", "resumed by spec.suspend")
        started = startup.all_started(self._job_set, self._tally)
        if started:
            self._set(kinds.RESTARTING, "False", "JobsReady", "all Jobs are ready")
        if startup.is_in_order(self._job_set):
            self._tell_startup(started=started)

    def _tell_startup(self, *, started: bool) -> None:
        done, under_way = kinds.STARTUP_COMPLETED, kinds.STARTUP_IN_PROGRESS
        if started:
            message = "every replicated job has started, one after the other"
            self._set(under_way, "False", "InOrderStartupPolicyCompleted", message)
            self._set(done, "True", "InOrderStartupPolicyCompleted", message)
        else:
            waiting = next(
                each.name
                for each in self._job_set.spec.replicated_jobs
                if not startup.has_started(each, self._tally)
            )
            message = f"waiting for replicated job {waiting} to be ready"
            self._set(done, "False", "InOrderStartupPolicyInProgress", message)
            self._set(under_way, "True", "InOrderStartupPolicyInProgress", message)

    def _set(self, type_: str, value: str, reason: str, message: str) -> None:
        held = self.value["conditions"]
        # What has never been so is not worth a condition.
        if value == "True" or any(each["type"] == type_ for each in held):
            conditions.set(held, type_, value, reason=reason, message=message, now=self._now)
