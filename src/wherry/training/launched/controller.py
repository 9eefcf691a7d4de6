"""One v2beta1 `MPIJob`, one step: workers, launcher, status.

The launcher's tries and its deadline are the batch Job's; here it is looked at, started when it is time,
and held while the MPIJob is suspended.
"""

import contextlib
from collections.abc import Iterable, Mapping, Sequence

from wherry.controller import apply
from wherry.controller.controller import Controller
from wherry.controller.errors import ForeignOwnerError
from wherry.controller.manager import Manager
from wherry.controller.owners import is_controlled_by
from wherry.controller.requests import Request, Result
from wherry.controller.status import write_status
from wherry.objects import conditions, errors, metadata
from wherry.objects import kinds as core
from wherry.objects.requests import Object
from wherry.training import counting, kinds, status
from wherry.training.counting import Tally
from wherry.training.framework import Count
from wherry.training.frameworks import mpi
from wherry.training.job import Job
from wherry.training.launched import build, mpi_job
from wherry.training.mpi import keys, parts
from wherry.training.policies import clean_up, gangs
from wherry.training.status import Verdict

_REFUSED_SECONDS = 5.0
_FRAMEWORK = mpi_job.V2
_RESOURCE = _FRAMEWORK.resource


class MPIJobReconciler:
    """Takes v2beta1 MPIJobs a step nearer to their end."""

    def __init__(self, manager: Manager) -> None:
        """Take what it works with.

        Args:
            manager: Gives client, caches, clock and recorder.
        """
        self._client = manager.client
        self._clock = manager.clock
        self._recorder = manager.recorder("mpi-operator")
        self._jobs = manager.cache(_RESOURCE)
        self._pods = manager.cache(core.PODS)
        self._launchers = manager.cache(core.JOBS)

    async def reconcile(self, request: Request) -> Result | None:
        """Take one step."""
        stored = self._jobs.get(*request)
        if stored is None or metadata.is_deleting(stored):
            return None
        if mpi.WRITTEN_AS not in metadata.annotations(stored):
            await self._note(stored)
        if not _FRAMEWORK.runs(stored):
            return None
        obj = mpi_job.default(stored)
        manager = obj["spec"]["runPolicy"].get("managedBy")
        if manager not in {None, "", _FRAMEWORK.managers[0]} or mpi_job.validate(obj, None):
            return None
        job = _FRAMEWORK.read(obj)
        pods = [p for p in self._pods.owned_by(metadata.uid(stored)) if is_controlled_by(p, stored)]
        launcher = self._launchers.get(job.namespace, build.launcher_name(job))
        if launcher is not None and not is_controlled_by(launcher, stored):
            launcher = None
        if status.is_finished(stored):
            return await self._after_end(job, pods)
        tally = self._tally(job, pods, launcher)
        if job.policy.suspend:
            await self._hold(launcher, suspend=True)
            await self._delete(job, pods)
            await self._write(stored, job, status.suspended(job, tally, self._clock.now()))
            return None
        return await self._step(stored, job, tally, launcher)

    async def _note(self, stored: Object) -> None:
        """Note which version a job was written in, where no webhook has: either controller waits."""
        where = metadata.namespaced_name(stored)
        with contextlib.suppress(errors.NotFoundError):
            # Caches keep no managed fields.
            whole = await self._client.get(_RESOURCE, where.name, where.namespace)
            noted = {"annotations": {mpi.WRITTEN_AS: mpi.written_as(whole)}}
            await self._client.patch(_RESOURCE, where.name, {"metadata": noted}, where.namespace)

    def _tally(self, job: Job, pods: Sequence[Object], launcher: Object | None) -> Tally:
        """Count workers by their pods, and the launcher by its Job."""
        tally = counting.tally(_FRAMEWORK, job, pods)
        counts = {**tally.counts, mpi.LAUNCHER: self._launcher_count(launcher)}
        missing = tuple(one for one in tally.missing if one.type == mpi.WORKER)
        return Tally(
            pods=tally.pods,
            missing=missing,
            surplus=tally.surplus,
            stale=(),
            # Workers are there to be used: one that is gone is made anew while the launcher tries.
            retried=(*tally.retried, *tally.lost),
            lost=(),
            counts=counts,
        )

    def _launcher_count(self, launcher: Object | None) -> Count:
        if launcher is None:
            return Count(wanted=1)
        owned = self._pods.owned_by(metadata.uid(launcher))
        running = sum((pod.get("status") or {}).get("phase") == "Running" for pod in owned)
        done = int(conditions.is_true(launcher, "Complete"))
        failed = int((launcher.get("status") or {}).get("failed") or 0)
        return Count(1, running, done, failed, frozenset(range(done)))

    async def _hold(self, launcher: Object | None, *, suspend: bool) -> None:
        if launcher is None or bool(launcher["spec"].get("suspend")) == suspend:
            return
        where = metadata.namespaced_name(launcher)
        patch = {"spec": {"suspend": suspend}}
        await self._client.patch(core.JOBS, where.name, patch, where.namespace)

    async def _step(
        self, stored: Object, job: Job, tally: Tally, launcher: Object | None
    ) -> Result | None:
        end = self._verdict(job, launcher)
        made = True
        if end is None:
            await self._delete(job, (*tally.retried, *tally.surplus))
            made = await self._make(job, tally, launcher)
        after = status.after(_FRAMEWORK, job, tally, end=end, now=self._clock.now())
        await self._write(stored, job, after)
        return None if made else Result(requeue_after_seconds=_REFUSED_SECONDS)

    def _verdict(self, job: Job, launcher: Object | None) -> Verdict | None:
        if launcher is None:
            return None
        if conditions.is_true(launcher, "Complete"):
            message = f"MPIJob {job.name} successfully completed."
            return Verdict(kinds.SUCCEEDED, "MPIJobSucceeded", message)
        failed = conditions.get(launcher, "Failed")
        if failed is None or failed.get("status") != "True":
            return None
        pods = self._pods.owned_by(metadata.uid(launcher))
        ended = [pod for pod in pods if (pod.get("status") or {}).get("phase") == "Failed"]
        told = f": {status.last_words(ended[-1])}" if ended else ""
        message = f"MPIJob {job.name} has failed: {failed.get('message', '')}{told}"
        return Verdict(kinds.FAILED, str(failed.get("reason") or "MPIJobFailed"), message)

    async def _make(self, job: Job, tally: Tally, launcher: Object | None) -> bool:
        """Create what is missing; return whether the API has let us."""
        cluster = build.cluster(job)
        try:
            group = gangs.group(job)
            if group is not None:
                await self._make_group(job, group)
            for part in (parts.config_map(cluster), *parts.access(cluster)):
                await self._apply(job, part)
            for service in build.services(job):
                await self._create(job, service)
            await self._make_keys(job)
            for replica in tally.missing:
                await self._create(job, build.worker(replica))
            await self._hold(launcher, suspend=False)
            if launcher is None and self._is_time(job, tally):
                await self._create(job, build.launcher(job))
        except (errors.ForbiddenError, errors.InvalidError, ForeignOwnerError) as error:
            message = f"Error creating: {getattr(error, 'message', error)}"
            await self._recorder.event(job.obj, "Warning", "FailedCreate", message)
            return False
        return True

    def _is_time(self, job: Job, tally: Tally) -> bool:
        """Return whether the launcher may start."""
        if job.spec.launcher_creation_policy == mpi.AT_STARTUP:
            return True
        workers = [replica.name for replica in job.of(mpi.WORKER)]
        return all(name in tally.pods and _is_ready(tally.pods[name]) for name in workers)

    async def _make_group(self, job: Job, group: Object) -> None:
        try:
            await apply.create_or_update(self._client, None, gangs.resource(job), group)
        except errors.NotFoundError:
            message = f"no PodGroup is made: this cluster does not serve {group['apiVersion']}"
            await self._recorder.event(job.obj, "Warning", "NoPodGroup", message)

    async def _make_keys(self, job: Job) -> None:
        try:
            await self._client.get(core.SECRETS, build.keys_name(job), job.namespace)
        except errors.NotFoundError:
            await self._create(job, build.secret(job, keys.new()))

    async def _create(self, job: Job, wanted: Object) -> None:
        resource = core.by_kind(wanted["apiVersion"], wanted["kind"])
        assert resource is not None
        applied = await apply.create_if_absent(self._client, None, resource, wanted)
        await self._tell(job, applied)

    async def _apply(self, job: Job, wanted: Object) -> None:
        resource = core.by_kind(wanted["apiVersion"], wanted["kind"])
        assert resource is not None
        await self._tell(job, await apply.create_or_update(self._client, None, resource, wanted))

    async def _tell(self, job: Job, applied: apply.Applied) -> None:
        if applied.outcome == "created":
            kind, name = applied.object["kind"], metadata.name(applied.object)
            message = f"Created {kind.lower()}: {name}"
            await self._recorder.event(job.obj, "Normal", f"SuccessfulCreate{kind}", message)

    async def _write(self, stored: Object, job: Job, after: Object) -> None:
        """Write the status, and tell what has changed in it."""
        for role, counted in (after.get("replicaStatuses") or {}).items():
            counted["selector"] = build.selector(job, role)
        await write_status(self._client, _RESOURCE, stored, after)
        for condition in status.news(stored, after):
            bad = condition["type"] in {kinds.FAILED, kinds.RESTARTING}
            reason, message = condition["reason"], condition["message"]
            await self._recorder.event(stored, "Warning" if bad else "Normal", reason, message)

    async def _after_end(self, job: Job, pods: Sequence[Object]) -> Result | None:
        await self._delete(job, clean_up.doomed(job, pods))
        left = clean_up.seconds_to_live(job, self._clock.now())
        if left is None:
            return None
        if left > 0:
            return Result(requeue_after_seconds=left)
        await apply.delete_if_present(self._client, _RESOURCE, job.obj)
        return None

    async def _delete(self, job: Job, pods: Iterable[Object]) -> None:
        for pod in pods:
            if not metadata.is_deleting(pod):
                await apply.delete_if_present(self._client, core.PODS, pod)
                message = f"Deleted pod: {metadata.name(pod)}"
                await self._recorder.event(job.obj, "Normal", "SuccessfulDeletePod", message)


def _is_ready(pod: Mapping[str, object]) -> bool:
    return conditions.is_true(dict(pod), "Ready")


def controller(manager: Manager) -> Controller:
    """Return the controller of v2beta1 MPIJobs."""
    return Controller(
        name="mpijob-v2beta1",
        resource=_RESOURCE,
        reconciler=MPIJobReconciler(manager),
        owns=(core.PODS, core.JOBS),
    )
