"""Job: pods that run to an end, so many at once, so many in all.

Source: job and ttl-after-finished controllers of Kubernetes. Deciding is in `job_decisions` and
`job_counting`; this module reads, writes and tells.
"""

import asyncio
import datetime
from collections.abc import Iterable

from wherry.builtin import job_counting, job_decisions, replicas
from wherry.builtin.job_counting import Tally
from wherry.builtin.job_decisions import Verdict
from wherry.builtin.pod_control import PodControl
from wherry.builtin.settings import BuiltinSettings
from wherry.controller.controller import Controller
from wherry.controller.finalizers import remove_finalizer
from wherry.controller.manager import Manager
from wherry.controller.owners import is_controlled_by
from wherry.controller.requests import Request, Result
from wherry.controller.status import write_status
from wherry.objects import errors, kinds, metadata
from wherry.objects.requests import Object

CONTROLLER_NAME = "kubernetes.io/job-controller"
_BY_JOB = "job"
_BURST = 500
_AFTER_REFUSAL_SECONDS = 5.0


class JobReconciler:
    """Takes a Job one step nearer to its end."""

    def __init__(self, manager: Manager, settings: BuiltinSettings) -> None:
        self._client = manager.client
        self._clock = manager.clock
        self._recorder = manager.recorder("job-controller")
        self._control = PodControl(manager.client, self._recorder)
        self._backoff_seconds = settings.job_backoff_seconds
        self._jobs = manager.cache(kinds.JOBS)
        self._pods = manager.cache(kinds.PODS)
        self._pods.add_index(_BY_JOB, _job_of_tracked)

    async def reconcile(self, request: Request) -> Result | None:
        """Count, decide, make or stop pods, write the status, let counted pods go."""
        job = self._jobs.get(*request)
        if job is None:
            # Nobody is left to count its pods: they must not be held for that.
            await self._release(self._pods.by_index(_BY_JOB, str(request)))
            return None
        if job["spec"].get("managedBy", CONTROLLER_NAME) != CONTROLLER_NAME:
            return None
        owned = self._pods.owned_by(metadata.uid(job))
        pods = [pod for pod in owned if is_controlled_by(pod, job)]
        if metadata.is_deleting(job):
            await self._release([pod for pod in pods if job_counting.is_tracked(pod)])
            return None
        if job_decisions.is_finished(job):
            return await self._after_end(job, pods)
        now = self._clock.now()
        tally = job_counting.tally(job, pods)
        end = job_decisions.verdict(job, tally, now)
        wait = await self._act(job, pods, tally, end)
        status = job_decisions.status(job, tally, end, now)
        await write_status(self._client, kinds.JOBS, job, status)
        await self._tell(job, status)
        await self._release(tally.release)
        return Result(requeue_after_seconds=wait) if wait is not None else None

    async def _act(
        self, job: Object, pods: list[Object], tally: Tally, end: Verdict | None
    ) -> float | None:
        """Make or stop pods; return when to look again."""
        if end is not None or job["spec"].get("suspend"):
            await self._control.delete(job, tally.active)
            return None
        now = self._clock.now()
        missing = job_decisions.wanted_active(job, tally) - len(tally.active)
        if job["spec"].get("podReplacementPolicy") == "Failed":
            missing -= len(tally.terminating)
        if missing < 0:
            await self._control.delete(job, replicas.surplus(tally.active, -missing))
        elif missing > 0:
            wait = job_decisions.backoff_in(job, tally, now, self._backoff_seconds)
            if wait > 0:
                return wait
            taken = {metadata.name(pod) for pod in pods}
            fresh = job_decisions.new_pods(job, tally, min(missing, _BURST), taken)
            if await self._control.create(job, fresh) is not None:
                return _AFTER_REFUSAL_SECONDS
        return self._deadline_in(job)

    def _deadline_in(self, job: Object) -> float | None:
        limit: int | None = job["spec"].get("activeDeadlineSeconds")
        if limit is None:
            return None
        started = (job.get("status") or {}).get("startTime")
        if not started:
            return float(limit)
        passed = (self._clock.now() - metadata.parse_time(started)).total_seconds()
        return max(0.0, limit - passed)

    async def _release(self, pods: list[Object]) -> None:
        await asyncio.gather(*(self._release_one(pod) for pod in pods))

    async def _release_one(self, pod: Object) -> None:
        try:
            await remove_finalizer(self._client, kinds.PODS, pod, job_counting.TRACKING)
        except errors.NotFoundError:
            return

    async def _after_end(self, job: Object, pods: list[Object]) -> Result | None:
        await self._release([pod for pod in pods if job_counting.is_tracked(pod)])
        lifetime = job["spec"].get("ttlSecondsAfterFinished")
        if lifetime is None:
            return None
        left = lifetime - (self._clock.now() - _ended_at(job)).total_seconds()
        if left > 0:
            return Result(requeue_after_seconds=left)
        namespace, name = metadata.namespaced_name(job)
        uid = metadata.uid(job)
        await self._client.delete(
            kinds.JOBS, name, namespace, propagation_policy="Foreground", uid=uid
        )
        return None

    async def _tell(self, job: Object, status: Object) -> None:
        before = {
            one["type"]: one["status"] for one in (job.get("status") or {}).get("conditions") or ()
        }
        for one in status.get("conditions") or ():
            if before.get(one["type"]) == one["status"]:
                continue
            if one["type"] == job_decisions.COMPLETE:
                await self._recorder.event(job, "Normal", "Completed", "Job completed")
            elif one["type"] == job_decisions.FAILED:
                await self._recorder.event(job, "Warning", one["reason"], one["message"])
            elif one["type"] == job_decisions.SUSPENDED:
                reason = "Suspended" if one["status"] == "True" else "Resumed"
                await self._recorder.event(job, "Normal", reason, one["message"])


def _job_of_tracked(pod: Object) -> Iterable[str]:
    reference = metadata.controller_of(pod)
    if reference and reference["kind"] == kinds.JOBS.kind and job_counting.is_tracked(pod):
        yield f"{metadata.namespace(pod)}/{reference['name']}"


def _ended_at(job: Object) -> datetime.datetime:
    last = (job_decisions.COMPLETE, job_decisions.FAILED)
    found = [one for one in job["status"]["conditions"] if one["type"] in last]
    return metadata.parse_time(found[-1]["lastTransitionTime"])


def controller(manager: Manager, settings: BuiltinSettings) -> Controller:
    """Return the Job controller."""
    return Controller("job", kinds.JOBS, JobReconciler(manager, settings), owns=(kinds.PODS,))
