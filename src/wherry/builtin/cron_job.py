"""CronJob: a Job at each time of a schedule, each time at most once.

A job's name tells its time, so that the same time is never run twice, whatever dies in between.
Source: `pkg/controller/cronjob/cronjob_controllerv2.go` of Kubernetes.
"""

import datetime
from collections.abc import Sequence

from wherry.builtin import job_decisions
from wherry.builtin.schedules import MANY, Schedule
from wherry.controller.apply import delete_if_present
from wherry.controller.controller import Controller
from wherry.controller.manager import Manager
from wherry.controller.owners import is_controlled_by
from wherry.controller.requests import Request, Result
from wherry.controller.status import write_status
from wherry.objects import conditions, errors, kinds, metadata
from wherry.objects.copies import copied
from wherry.objects.requests import Object

_SCHEDULED = "batch.kubernetes.io/cronjob-scheduled-timestamp"
# Timers may fire a hair early; the schedule must have come when it is looked at.
_MARGIN_SECONDS = 0.1


class CronJobReconciler:
    """Starts jobs when they are due, and clears away old ones."""

    def __init__(self, manager: Manager) -> None:
        self._client = manager.client
        self._clock = manager.clock
        self._recorder = manager.recorder("cronjob-controller")
        self._cron_jobs = manager.cache(kinds.CRON_JOBS)
        self._jobs = manager.cache(kinds.JOBS)

    async def reconcile(self, request: Request) -> Result | None:
        """Note what has finished, start what is due, write the status."""
        cron_job = self._cron_jobs.get(*request)
        if cron_job is None:
            return None
        owned = self._jobs.owned_by(metadata.uid(cron_job))
        jobs = [job for job in owned if is_controlled_by(job, cron_job)]
        status = await self._observe(cron_job, jobs)
        wait: float | None = None
        if not metadata.is_deleting(cron_job):
            wait = await self._start(cron_job, jobs, status)
        await write_status(self._client, kinds.CRON_JOBS, cron_job, status)
        if not metadata.is_deleting(cron_job):
            await self._clear_away(cron_job, jobs)
        return Result(requeue_after_seconds=wait) if wait is not None else None

    async def _observe(self, cron_job: Object, jobs: Sequence[Object]) -> Object:
        before = cron_job.get("status") or {}
        status: Object = {
            name: before[name]
            for name in ("lastScheduleTime", "lastSuccessfulTime")
            if before.get(name)
        }
        was_active = {one.get("uid") for one in before.get("active") or ()}
        for job in jobs:
            if not job_decisions.is_finished(job):
                status.setdefault("active", []).append(_reference(job))
                continue
            complete = conditions.is_true(job, job_decisions.COMPLETE)
            if complete:
                ended = (job.get("status") or {}).get("completionTime", "")
                status["lastSuccessfulTime"] = max(status.get("lastSuccessfulTime", ""), ended)
            if metadata.uid(job) in was_active:
                how = "Complete" if complete else "Failed"
                message = f"Saw completed job: {metadata.name(job)}, condition: {how}"
                await self._recorder.event(cron_job, "Normal", "SawCompletedJob", message)
        return status

    async def _start(
        self, cron_job: Object, jobs: Sequence[Object], status: Object
    ) -> float | None:
        """Start a job if one is due, noting it in ``status``; return when to look again."""
        spec, now = cron_job["spec"], self._clock.now()
        if spec.get("suspend"):
            return None
        try:
            schedule = Schedule.parse(spec["schedule"], spec.get("timeZone"))
        except ValueError as error:
            await self._recorder.event(cron_job, "Warning", "UnparseableSchedule", str(error))
            return None
        try:
            wait = (schedule.next(now) - now).total_seconds() + _MARGIN_SECONDS
            slot = await self._due(cron_job, schedule, now)
        except ValueError as error:
            message = f"invalid schedule: {spec['schedule']} : {error}"
            await self._recorder.event(cron_job, "Warning", "InvalidSchedule", message)
            return None
        if slot is None or not await self._make_way(cron_job, jobs, status):
            return wait
        made = await self._create(cron_job, slot, schedule)
        if made is None:
            return wait
        status["lastScheduleTime"] = metadata.format_time(slot)
        listed = [] if job_decisions.is_finished(made) else [_reference(made)]
        known = [one for one in status.get("active") or () if one["uid"] != metadata.uid(made)]
        status["active"] = [*known, *listed]
        if not status["active"]:
            del status["active"]
        return wait

    async def _due(
        self, cron_job: Object, schedule: Schedule, now: datetime.datetime
    ) -> datetime.datetime | None:
        last = (cron_job.get("status") or {}).get("lastScheduleTime")
        after = metadata.parse_time(last or cron_job["metadata"]["creationTimestamp"])
        deadline = cron_job["spec"].get("startingDeadlineSeconds")
        if deadline is not None:
            after = max(after, now - datetime.timedelta(seconds=deadline))
        due = schedule.due(after, now)
        if due.missed > MANY:
            message = (
                "too many missed start times. Set or decrease .spec.startingDeadlineSeconds "
                "or check clock skew"
            )
            await self._recorder.event(cron_job, "Warning", "TooManyMissedTimes", message)
        return due.slot

    async def _make_way(self, cron_job: Object, jobs: Sequence[Object], status: Object) -> bool:
        """Return whether a job may start beside those that run, having stopped them if so told."""
        running = [job for job in jobs if not job_decisions.is_finished(job)]
        policy = cron_job["spec"].get("concurrencyPolicy", "Allow")
        if policy == "Forbid" and running:
            message = "Not starting job because prior execution is running and concurrency policy is Forbid"
            await self._recorder.event(cron_job, "Normal", "JobAlreadyActive", message)
            return False
        if policy == "Replace":
            for job in running:
                await delete_if_present(self._client, kinds.JOBS, job)
                message = f"Deleted job {metadata.name(job)}"
                await self._recorder.event(cron_job, "Normal", "SuccessfulDelete", message)
            status.pop("active", None)
        return True

    async def _create(
        self, cron_job: Object, slot: datetime.datetime, schedule: Schedule
    ) -> Object | None:
        wanted = job_for(cron_job, slot, schedule.zone)
        namespace, name = metadata.namespaced_name(wanted)
        try:
            made = await self._client.create(kinds.JOBS, wanted)
        except errors.AlreadyExistsError:
            there = await self._client.get(kinds.JOBS, name, namespace)
            if is_controlled_by(there, cron_job):
                return there
            message = f"Job {name} exists and is not this CronJob's"
            await self._recorder.event(cron_job, "Warning", "FailedCreate", message)
            return None
        except (errors.ForbiddenError, errors.InvalidError) as error:
            message = f"Error creating job: {error.message}"
            await self._recorder.event(cron_job, "Warning", "FailedCreate", message)
            return None
        await self._recorder.event(cron_job, "Normal", "SuccessfulCreate", f"Created job {name}")
        return made

    async def _clear_away(self, cron_job: Object, jobs: Sequence[Object]) -> None:
        limits = (
            (job_decisions.COMPLETE, cron_job["spec"].get("successfulJobsHistoryLimit", 3)),
            (job_decisions.FAILED, cron_job["spec"].get("failedJobsHistoryLimit", 1)),
        )
        for condition, limit in limits:
            done = sorted((job for job in jobs if conditions.is_true(job, condition)), key=_started)
            for job in done[: max(0, len(done) - limit)]:
                if not metadata.is_deleting(job):
                    await delete_if_present(self._client, kinds.JOBS, job)
                    message = f"Deleted job {metadata.name(job)}"
                    await self._recorder.event(cron_job, "Normal", "SuccessfulDelete", message)


def job_for(cron_job: Object, slot: datetime.datetime, zone: datetime.tzinfo) -> Object:
    """Return the job of one time; the same time has the same name."""
    template = copied(cron_job["spec"]["jobTemplate"])
    fields = template.get("metadata") or {}
    namespace, name = metadata.namespaced_name(cron_job)
    made: Object = {
        "name": f"{name}-{int(slot.timestamp()) // 60}",
        "namespace": namespace,
        "annotations": {
            **(fields.get("annotations") or {}),
            _SCHEDULED: slot.astimezone(zone).isoformat().replace("+00:00", "Z"),
        },
        "ownerReferences": [metadata.owner_reference(cron_job)],
    }
    if fields.get("labels"):
        made["labels"] = fields["labels"]
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": made, "spec": template["spec"]}


def _reference(job: Object) -> Object:
    namespace, name = metadata.namespaced_name(job)
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "namespace": namespace,
        "name": name,
        "uid": metadata.uid(job),
        "resourceVersion": job["metadata"].get("resourceVersion", ""),
    }


def _started(job: Object) -> tuple[str, str]:
    started = (job.get("status") or {}).get("startTime", "")
    return started or job["metadata"].get("creationTimestamp", ""), metadata.name(job)


def controller(manager: Manager) -> Controller:
    """Return the CronJob controller."""
    return Controller("cronjob", kinds.CRON_JOBS, CronJobReconciler(manager), owns=(kinds.JOBS,))
