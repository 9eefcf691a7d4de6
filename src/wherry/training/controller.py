"""One job, one step: read, decide, make and remove, write the status once.

The same for every framework. What is decided is decided in `counting`, `status` and `policies`.
"""

import asyncio
import dataclasses
from collections.abc import Iterable, Sequence

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
from wherry.objects.resources import Resource
from wherry.training import admission, build, counting, kinds, status
from wherry.training.counting import Tally
from wherry.training.framework import Framework
from wherry.training.job import ATTEMPT, Job, Replica
from wherry.training.policies import clean_up, gangs, limits, restarts

_REFUSED_SECONDS = 5.0
_BATCH = 64


class JobReconciler:
    """Takes jobs of one framework a step nearer to their end."""

    def __init__(self, manager: Manager, framework: Framework) -> None:
        """Take what it works with.

        Args:
            manager: Gives client, caches, clock and recorder.
            framework: Whose jobs.
        """
        self._framework = framework
        self._resource: Resource = framework.resource
        self._client = manager.client
        self._clock = manager.clock
        self._recorder = manager.recorder(f"{framework.resource.singular}-controller")
        self._jobs = manager.cache(self._resource)
        self._pods = manager.cache(core.PODS)
        self._services = manager.cache(core.SERVICES)

    async def reconcile(self, request: Request) -> Result | None:
        """Take one step."""
        stored = self._jobs.get(*request)
        if stored is None or metadata.is_deleting(stored) or not self._framework.runs(stored):
            return None
        obj = admission.default(self._framework, stored)
        if obj["spec"]["runPolicy"].get("managedBy") not in {None, "", self._framework.managers[0]}:
            return None
        causes = admission.validate(self._framework, obj, None)
        if causes:
            await self._refuse(stored, [f"{each.field}: {each.message}" for each in causes])
            return None
        job = self._framework.read(obj)
        owned = self._pods.owned_by(metadata.uid(stored))
        pods = [pod for pod in owned if is_controlled_by(pod, stored)]
        if status.is_finished(stored):
            return await self._after_end(job, pods)
        tally = counting.tally(self._framework, job, pods)
        if job.policy.suspend:
            await self._suspend(stored, job, tally, pods)
            return None
        return await self._step(stored, job, tally)

    async def _refuse(self, stored: Object, causes: Sequence[str]) -> None:
        """Say that a job cannot be run: it came in where no webhook has looked at it."""
        if conditions.is_true(stored, kinds.FAILED):
            return
        now = self._clock.now()
        message = f"{stored['kind']} {metadata.name(stored)} cannot be run: {'; '.join(causes)}"
        reason = f"{stored['kind']}FailedValidation"
        held = list((stored.get("status") or {}).get("conditions") or ())
        conditions.set(held, kinds.FAILED, "True", reason=reason, message=message, now=now)
        after = {**(stored.get("status") or {}), "conditions": held}
        after.setdefault("completionTime", metadata.format_time(now))
        await write_status(self._client, self._resource, stored, after)
        await self._recorder.event(stored, "Warning", reason, message)

    async def _suspend(
        self, stored: Object, job: Job, tally: Tally, pods: Sequence[Object]
    ) -> None:
        # All of them: one may have lost its pod, or never have had one, when we were cut off.
        await self._remove_services(job, self._services.owned_by(metadata.uid(stored)))
        await self._delete_pods(job, pods)
        await self._drop(job, gangs.group(job))
        after = status.suspended(job, tally, self._clock.now())
        await self._write(stored, after)

    async def _step(self, stored: Object, job: Job, tally: Tally) -> Result | None:
        now = self._clock.now()
        end = status.verdict(self._framework, job, tally, now)
        waits: list[float] = []
        if end is None:
            stored, job, wait = await self._restart(stored, job, tally)
            await self._remove(job, tally.surplus)
            made = await self._make(job, tally.missing)
            waits = [wait] if made else [wait, _REFUSED_SECONDS]
        after = status.after(self._framework, job, tally, end=end, now=now)
        await self._write(stored, after)
        left = limits.seconds_left(self._framework.read({**job.obj, "status": after}), now)
        waits += [] if left is None or end is not None else [max(left, 0.001)]
        waits.append(0 if end else status.seconds_to_judge(self._framework, job, tally, now))
        due = min((wait for wait in waits if wait > 0), default=None)
        return None if due is None else Result(requeue_after_seconds=due)

    async def _write(self, stored: Object, after: Object) -> None:
        """Write the status, and tell what has changed in it."""
        await write_status(self._client, self._resource, stored, after)
        for condition in status.news(stored, after):
            bad = condition["type"] in {kinds.FAILED, kinds.RESTARTING}
            reason, message = condition["reason"], condition["message"]
            await self._recorder.event(stored, "Warning" if bad else "Normal", reason, message)

    async def _restart(self, stored: Object, job: Job, tally: Tally) -> tuple[Object, Job, float]:
        """Make room for the successors of pods that have failed; they are counted first.

        Returns:
            The job as it stands now, stored and with defaults; after how many seconds more of its
            pods may be made anew.
        """
        now = self._clock.now()
        waits = {metadata.uid(p): restarts.seconds_to_wait(stored, p, now) for p in tally.retried}
        due = [pod for pod in tally.retried if not waits[metadata.uid(pod)]]
        lost = [each for pod in due if (each := counting.replica_of(job, pod)) is not None]
        everyone = bool(lost) and self._framework.restarts_all(job, lost)
        failed = {metadata.uid(pod) for pod in due}
        others = [pod for pod in tally.pods.values() if metadata.uid(pod) not in failed]
        doomed = [*due, *(others if everyone else ()), *tally.stale]
        stored, job = await self._note(stored, job, due, others if everyone else None)
        await self._delete_pods(job, doomed)
        return stored, job, min((wait for wait in waits.values() if wait), default=0.0)

    async def _note(
        self, stored: Object, job: Job, failed: Sequence[Object], others: Sequence[Object] | None
    ) -> tuple[Object, Job]:
        """Note on a job that pods get successors; ``others`` with them where it is not None."""
        before = restarts.remembered(stored)
        after = restarts.after(stored, failed, others or ())
        if after == before:
            return stored, job
        annotations = {restarts.ANNOTATION: restarts.written(after)}
        if others is not None:
            # In the same write: whoever comes after us sees by it which pods have to go.
            annotations[ATTEMPT] = str(job.attempt + 1)
        where = metadata.namespaced_name(stored)
        patch = {"metadata": {"annotations": annotations}}
        stored = await self._client.patch(self._resource, where.name, patch, where.namespace)
        return stored, dataclasses.replace(job, obj={**job.obj, "metadata": stored["metadata"]})

    async def _make(self, job: Job, missing: Sequence[Replica]) -> bool:
        """Create what is missing; return whether the API has let us."""
        framework = self._framework
        try:
            for companion in framework.companions(job):
                await self._apply(job, companion, _resource_of(companion))
            await self._make_group(job, tell=bool(missing))
            for start in range(0, len(missing), _BATCH):
                batch = missing[start : start + _BATCH]
                made = await asyncio.gather(*(self._make_replica(job, each) for each in batch))
                if not all(made):
                    return False
        except (errors.ForbiddenError, errors.InvalidError, ForeignOwnerError) as error:
            message = f"Error creating: {getattr(error, 'message', error)}"
            await self._recorder.event(job.obj, "Warning", "FailedCreate", message)
            return False
        return True

    async def _make_group(self, job: Job, *, tell: bool) -> None:
        group = gangs.group(job)
        if group is None:
            return
        try:
            await self._apply(job, group, gangs.resource(job))
        except errors.NotFoundError:
            if not tell:
                return
            message = (
                f"no PodGroup is made: this cluster does not serve {group['apiVersion']}; the pods "
                "start one by one. Install the scheduler plug-ins, or Volcano"
            )
            await self._recorder.event(job.obj, "Warning", "NoPodGroup", message)

    async def _make_replica(self, job: Job, replica: Replica) -> bool:
        # The Service first: the pod's process looks for its own name at once.
        await self._create(job, build.service(self._framework, replica), core.SERVICES)
        pod = await self._create(job, build.pod(self._framework, replica), core.PODS)
        if is_controlled_by(pod, job.obj):
            return True
        message = (
            f"a pod {replica.name} exists that is not this job's: delete it, or rename the job"
        )
        await self._recorder.event(job.obj, "Warning", "NameTaken", message)
        return False

    async def _create(self, job: Job, wanted: Object, resource: Resource) -> Object:
        cache = self._pods if resource == core.PODS else self._services
        applied = await apply.create_if_absent(self._client, cache, resource, wanted)
        await self._tell_created(job, applied)
        return applied.object

    async def _apply(self, job: Job, wanted: Object, resource: Resource) -> None:
        applied = await apply.create_or_update(self._client, None, resource, wanted)
        await self._tell_created(job, applied)

    async def _tell_created(self, job: Job, applied: apply.Applied) -> None:
        if applied.outcome == "created":
            kind, name = applied.object["kind"], metadata.name(applied.object)
            message = f"Created {kind.lower()}: {name}"
            await self._recorder.event(job.obj, "Normal", f"SuccessfulCreate{kind}", message)

    async def _after_end(self, job: Job, pods: Sequence[Object]) -> Result | None:
        await self._remove(job, clean_up.doomed(job, pods))
        if job.policy.clean_pod_policy == "All":
            await self._remove_services(job, self._services.owned_by(metadata.uid(job.obj)))
        for companion in (*self._framework.companions(job), gangs.group(job)):
            if companion is not None and companion["kind"] in clean_up.TRANSIENT:
                await self._drop(job, companion)
        left = clean_up.seconds_to_live(job, self._clock.now())
        if left is None:
            return None
        if left > 0:
            return Result(requeue_after_seconds=left)
        await apply.delete_if_present(self._client, self._resource, job.obj)
        return None

    async def _drop(self, job: Job, companion: Object | None) -> None:
        """Delete a companion of a job, if it is there and the job's."""
        if companion is None:
            return
        resource, where = _resource_of(companion), metadata.namespaced_name(companion)
        try:
            found = await self._client.get(resource, where.name, where.namespace)
        except errors.NotFoundError:
            return
        if is_controlled_by(found, job.obj) and not metadata.is_deleting(found):
            await apply.delete_if_present(self._client, resource, found)

    async def _remove(self, job: Job, pods: Iterable[Object]) -> None:
        """Delete pods, and the Services that bear their names."""
        doomed = list(pods)
        # The Services first: who is cut off in between finds them by the pods.
        named = (self._services.get(*metadata.namespaced_name(pod)) for pod in doomed)
        await self._remove_services(job, [each for each in named if each is not None])
        await self._delete_pods(job, doomed)

    async def _remove_services(self, job: Job, services: Iterable[Object]) -> None:
        for service in services:
            if is_controlled_by(service, job.obj) and not metadata.is_deleting(service):
                await apply.delete_if_present(self._client, core.SERVICES, service)

    async def _delete_pods(self, job: Job, pods: Iterable[Object]) -> None:
        for pod in pods:
            if metadata.is_deleting(pod):
                continue
            await apply.delete_if_present(self._client, core.PODS, pod)
            message = f"Deleted pod: {metadata.name(pod)}"
            await self._recorder.event(job.obj, "Normal", "SuccessfulDeletePod", message)


def _resource_of(companion: Object) -> Resource:
    for resource in (gangs.GROUPS, gangs.VOLCANO_GROUPS):
        if companion["apiVersion"] == resource.api_version:
            return resource
    known = core.by_kind(companion["apiVersion"], companion["kind"])
    assert known is not None, f"{companion['kind']} is no kind of Kubernetes' own"
    return known


def controller(manager: Manager, framework: Framework) -> Controller:
    """Return the controller of a framework's jobs."""
    return Controller(
        name=framework.resource.singular,
        resource=framework.resource,
        reconciler=JobReconciler(manager, framework),
        owns=(core.PODS, core.SERVICES),
    )
