"""Job: pods that run to an end, so many at once, so many in all.

Source: job and ttl-after-finished controllers of Kubernetes. Deciding is in `job_decisions` and
`job_counting`; this module reads, writes and tells.
"""

import asyncio
import contextlib
import datetime
from collections.abc import Iterable
from dataclasses import dataclass

from wherry.builtin import job_counting, job_decisions
from wherry.builtin.adoption import Claimant
from wherry.builtin.job_counting import Tally
from wherry.builtin.job_decisions import Verdict
from wherry.builtin.pod_control import AFTER_REFUSAL_SECONDS, PodControl
from wherry.builtin.settings import BuiltinSettings
from wherry.controller.controller import Controller, Watch
from wherry.controller.finalizers import add_finalizer, remove_finalizer
from wherry.controller.manager import Manager
from wherry.controller.owners import is_controlled_by
from wherry.controller.requests import Request, Result
from wherry.controller.status import write_status
from wherry.objects import errors, kinds, metadata, selectors
from wherry.objects.requests import Object
from wherry.objects.selectors import LabelSelector

CONTROLLER_NAME = "kubernetes.io/job-controller"
_BY_JOB = "job"
_JOB_NAME = "batch.kubernetes.io/job-name"
_BURST = 500
_UNSAID_SECONDS = 0.5
"""For how long a status may wait that says no more than how many pods run and are ready. The Job of a
short program has ended by then, and pods that become ready together are one write.

Source: ``SyncJobBatchPeriod`` of Kubernetes' job controller, which takes in once a second what pods
tell."""


@dataclass(slots=True)
class _Memory:
    """What is known of a Job from before; without it some work is done again.

    Attributes:
        uid: Of the Job.
        selector: Its own, which never changes.
        due: Until when a status waits to be written, by the monotonic clock; None: none does.
        started: The ``startTime`` in it.
    """

    uid: str
    selector: LabelSelector
    due: float | None = None
    started: str = ""


class JobReconciler:
    """Takes a Job one step nearer to its end."""

    def __init__(self, manager: Manager, settings: BuiltinSettings) -> None:
        self._client = manager.client
        self._clock = manager.clock
        self._recorder = manager.recorder("job-controller")
        self._control = PodControl(manager.client, self._recorder)
        self._backoff_seconds = settings.job_backoff_seconds
        self._memories: dict[Request, _Memory] = {}
        self._jobs = manager.cache(kinds.JOBS)
        self._pods = manager.cache(kinds.PODS)
        self._pods.add_index(_BY_JOB, _job_of_tracked)
        self._claimant = Claimant(manager.client, kinds.JOBS, self._pods)

    async def reconcile(self, request: Request) -> Result | None:
        """Count, decide, make or stop pods, write the status, let counted pods go."""
        job = self._jobs.get(*request)
        tracked = self._pods.by_index(_BY_JOB, request.path)
        if job is None or metadata.is_deleting(job):
            self._memories.pop(request, None)
            # Nobody is left to count its pods: they must not be held for that.
            await self._release(tracked)
            return None
        owned = self._pods.owned_by(metadata.uid(job))
        pods = [pod for pod in owned if is_controlled_by(pod, job)]
        mine = job["spec"].get("managedBy", CONTROLLER_NAME) == CONTROLLER_NAME
        finished = job_decisions.is_finished(job)
        if mine and not finished:
            claimed = await self._claim(job, pods)
            if claimed is None:
                return None
            pods = claimed
        kept = {metadata.uid(pod) for pod in pods}
        await self._release([pod for pod in tracked if metadata.uid(pod) not in kept])
        if not mine:
            return None
        if finished:
            self._memories.pop(request, None)
            return await self._after_end(job, pods)
        return await self._step(job, pods)

    async def _claim(self, job: Object, controlled: list[Object]) -> list[Object] | None:
        """Return the job's pods, orphans taken in; None while there are strays to be let go first."""
        selector = self._memory(job).selector
        strays = [
            pod
            for pod in controlled
            if job_counting.is_tracked(pod) and not selector.matches(metadata.labels(pod))
        ]
        if strays:
            # Before they lose their owner: nobody would find them afterwards.
            await self._release(strays)
            return None
        known = {metadata.uid(pod) for pod in controlled}
        pods = await self._claimant.claim(job, selector)
        return [
            pod
            if metadata.uid(pod) in known or job_counting.is_tracked(pod)
            else await self._track(pod)
            for pod in pods
        ]

    def _memory(self, job: Object) -> _Memory:
        request, uid = Request(*metadata.namespaced_name(job)), metadata.uid(job)
        known = self._memories.get(request)
        if known is None or known.uid != uid:
            selector = selectors.from_object(job["spec"]["selector"])
            known = self._memories[request] = _Memory(uid, selector)
        return known

    async def _track(self, pod: Object) -> Object:
        return await add_finalizer(self._client, kinds.PODS, pod, job_counting.TRACKING)

    async def _step(self, job: Object, pods: list[Object]) -> Result | None:
        now = self._clock.now()
        tally = job_counting.tally(job, pods)
        end = job_decisions.verdict(job, tally, now)
        waits = [await self._act(job, tally, end)]
        if end is None:
            waits.append(job_decisions.deadline_in(job, now))
        waits.append(await self._say(job, tally, end, now))
        await self._release(tally.release)
        wait = min((wait for wait in waits if wait is not None), default=None)
        return Result(requeue_after_seconds=wait) if wait is not None else None

    async def _say(
        self, job: Object, tally: Tally, end: Verdict | None, now: datetime.datetime
    ) -> float | None:
        """Write the status and tell what is new in it, or return for how long that may wait."""
        memory = self._memory(job)
        status = job_decisions.status(job, tally, end, now, started=memory.started)
        if job_decisions.may_wait(job, status):
            moment = self._clock.monotonic()
            if memory.due is None:
                memory.due, memory.started = moment + _UNSAID_SECONDS, status["startTime"]
            if memory.due > moment:
                return memory.due - moment
        await write_status(self._client, kinds.JOBS, job, status)
        memory.due, memory.started = None, ""
        await self._tell(job, status)
        return None

    async def _act(self, job: Object, tally: Tally, end: Verdict | None) -> float | None:
        """Make or stop pods; return when to look again."""
        if end is not None:
            await self._control.delete(job, tally.active)
            return None
        if job["spec"].get("suspend"):
            await self._withdraw(job, tally.active)
            return None
        missing = job_decisions.wanted_active(job, tally) - len(tally.active)
        if job["spec"].get("podReplacementPolicy") == "Failed":
            missing -= len(tally.terminating)
        surplus = job_decisions.surplus(job, tally, -missing)
        if surplus:
            await self._withdraw(job, surplus)
            return None
        if missing <= 0:
            return None
        now = self._clock.now()
        wait = job_decisions.backoff_in(job, tally, now, self._backoff_seconds)
        return wait or await self._create(job, tally, min(missing, _BURST))

    async def _create(self, job: Object, tally: Tally, count: int) -> float | None:
        wait: float | None = None
        if job_counting.is_indexed(job):
            now = self._clock.now()
            indexes, wait = job_decisions.next_indexes(
                job, tally, count, now=now, base_seconds=self._backoff_seconds
            )
            fresh = [job_decisions.indexed_pod(job, tally, index) for index in indexes]
        else:
            namespace = metadata.namespace(job)
            fresh = job_decisions.new_pods(
                job, tally, count, lambda name: self._pods.get(namespace, name) is not None
            )
        refused = await self._control.create(job, fresh)
        if refused is not None:
            return AFTER_REFUSAL_SECONDS
        # They are active from now on: the status need not be written again to say so.
        tally.active += fresh
        return wait

    async def _withdraw(self, job: Object, pods: list[Object]) -> None:
        """Delete pods that are not wanted any more: that is no failure, so they are not counted."""
        await self._release(pods)
        await self._control.delete(job, pods)

    async def _release(self, pods: list[Object]) -> None:
        await asyncio.gather(
            *(
                remove_finalizer(self._client, kinds.PODS, pod, job_counting.TRACKING)
                for pod in pods
            )
        )

    async def _after_end(self, job: Object, pods: list[Object]) -> Result | None:
        await self._release([pod for pod in pods if job_counting.is_tracked(pod)])
        lifetime = job["spec"].get("ttlSecondsAfterFinished")
        if lifetime is None:
            return None
        left = lifetime - (self._clock.now() - job_decisions.ended_at(job)).total_seconds()
        if left > 0:
            return Result(requeue_after_seconds=left)
        namespace, name = metadata.namespaced_name(job)
        uid, version = metadata.uid(job), job["metadata"]["resourceVersion"]
        with contextlib.suppress(errors.NotFoundError):
            # Only as it was read: its time to live may just have been made longer.
            await self._client.delete(
                kinds.JOBS,
                name,
                namespace,
                propagation_policy="Foreground",
                uid=uid,
                resource_version=version,
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
    """Yield whose job's pod this is, also where that job is gone and the pod was orphaned."""
    if not job_counting.is_tracked(pod):
        return
    reference = metadata.controller_of(pod)
    if reference is None:
        name = metadata.labels(pod).get(_JOB_NAME)
    else:
        name = reference["name"] if reference["kind"] == kinds.JOBS.kind else None
    if name:
        yield f"{metadata.namespace(pod)}/{name}"


def _of_pod(pod: Object) -> Iterable[Request]:
    """Yield the job that controls a pod, or that an orphan tells of."""
    reference = metadata.controller_of(pod)
    if reference is None:
        name = metadata.labels(pod).get(_JOB_NAME)
    elif reference.get("kind") == kinds.JOBS.kind and _is_ours(reference):
        name = reference["name"]
    else:
        name = None
    if name:
        yield Request(metadata.namespace(pod), name)


def _is_ours(reference: Object) -> bool:
    return str(reference.get("apiVersion", "")).rpartition("/")[0] == kinds.JOBS.group


def _matters(before: Object, after: Object) -> bool:
    """Return whether a pod has changed otherwise than by being bound to a node."""
    return _looked_at(before) != _looked_at(after)


def _looked_at(pod: Object) -> tuple[object, ...]:
    told = pod.get("status") or {}
    return (
        {**pod["metadata"], "resourceVersion": ""},
        told.get("phase"),
        told.get("initContainerStatuses"),
        told.get("containerStatuses"),
        [each for each in told.get("conditions") or () if each.get("type") != "PodScheduled"],
    )


def controller(manager: Manager, settings: BuiltinSettings) -> Controller:
    """Return the Job controller."""
    return Controller(
        "job",
        kinds.JOBS,
        JobReconciler(manager, settings),
        watches=(Watch(kinds.PODS, _of_pod, _matters),),
    )
