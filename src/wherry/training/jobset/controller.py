"""One JobSet, one step: read, plan, make and remove, write the status once."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

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
from wherry.training.jobset import admission, job_set, kinds, plan
from wherry.training.jobset.job_set import JobSet
from wherry.training.jobset.plan import Plan

_REFUSED_SECONDS: Final = 5.0
_BATCH: Final = 64
_REASONS: Final = {
    core.JOBS.kind: "JobCreationFailed",
    core.SERVICES.kind: "HeadlessServiceCreationFailed",
    core.PERSISTENT_VOLUME_CLAIMS.kind: "PVCCreationFailed",
}


class JobSetReconciler:
    """Takes JobSets a step nearer to their end."""

    def __init__(self, manager: Manager) -> None:
        """Take what it works with: client, caches, clock and recorder of a manager."""
        self._client = manager.client
        self._clock = manager.clock
        self._recorder = manager.recorder("jobset-controller")
        self._sets = manager.cache(kinds.JOB_SETS)
        made = (core.JOBS, core.SERVICES, core.PERSISTENT_VOLUME_CLAIMS)
        self._caches = {resource: manager.cache(resource) for resource in made}

    async def reconcile(self, request: Request) -> Result | None:
        """Take one step."""
        stored = self._sets.get(*request)
        if stored is None or metadata.is_deleting(stored):
            return None
        wanted = job_set.read(admission.default(stored))
        if (wanted.spec.managed_by or kinds.CONTROLLER) != kinds.CONTROLLER:
            return None
        causes = admission.validate(wanted.obj, None)
        if causes:
            await self._refuse(wanted, [f"{each.field}: {each.message}" for each in causes])
            return None
        owned = self._caches[core.JOBS].owned_by(metadata.uid(stored))
        jobs = [job for job in owned if is_controlled_by(job, stored)]
        return await self._step(wanted, plan.make(wanted, jobs, self._clock.now()))

    async def _refuse(self, wanted: JobSet, causes: Sequence[str]) -> None:
        """Say that a JobSet cannot be run: it came in where no webhook has looked at it."""
        if conditions.is_true(wanted.obj, kinds.FAILED):
            return
        status = {**(wanted.obj.get("status") or {})}
        held = [*(status.get("conditions") or ())]
        message = f"cannot be run: {'; '.join(causes)}"
        conditions.set(
            held, kinds.FAILED, "True", reason="Invalid", message=message, now=self._clock.now()
        )
        status |= {"conditions": held, "terminalState": kinds.FAILED}
        await self._write(wanted, status)

    async def _step(self, wanted: JobSet, step: Plan) -> Result | None:
        if step.seconds_left is not None and step.seconds_left <= 0:
            await self._delete(kinds.JOB_SETS, wanted.obj)
            return None
        await _each(step.delete, self._delete_job)
        try:
            await _each(step.needs, lambda obj: self._ensure(wanted, obj))
            await _each(step.jobs, lambda obj: self._ensure(wanted, obj))
            refused = False
        except (errors.ForbiddenError, errors.InvalidError, ForeignOwnerError):
            refused = True
        await _each(step.change, lambda change: self._change(*change))
        await self._write(wanted, step.status)
        if step.warning is not None:
            await self._recorder.event(wanted.obj, "Warning", *step.warning)
        if refused:
            return Result(requeue_after_seconds=_REFUSED_SECONDS)
        return Result(step.seconds_left) if step.seconds_left is not None else None

    async def _write(self, wanted: JobSet, status: Object) -> None:
        """Write the status, and tell what has changed in it."""
        await write_status(self._client, kinds.JOB_SETS, wanted.obj, status)
        for condition in status["conditions"]:
            before = conditions.get(wanted.obj, condition["type"]) or {}
            if condition["status"] == before.get("status"):
                continue
            bad = condition["type"] in {kinds.FAILED, kinds.RESTARTING}
            level: Any = "Warning" if bad and condition["status"] == "True" else "Normal"
            reason, message = condition["reason"], condition["message"]
            await self._recorder.event(wanted.obj, level, reason, message)

    async def _ensure(self, wanted: JobSet, obj: Object) -> None:
        resource = core.by_kind(obj["apiVersion"], obj["kind"])
        assert resource is not None, f"{obj['kind']} is no kind of Kubernetes' own"
        name, cache = metadata.name(obj), self._caches[resource]
        try:
            applied = await apply.create_if_absent(self._client, cache, resource, obj)
        except ForeignOwnerError as error:
            if resource != core.JOBS:
                # JobSets may share a subdomain, and claims that were there before them.
                return
            await self._tell_refusal(wanted, obj, error)
            raise
        except errors.ApiError as error:
            await self._tell_refusal(wanted, obj, error)
            raise
        if applied.outcome == "created":
            message = f"Created {obj['kind']} {name}"
            await self._recorder.event(wanted.obj, "Normal", "SuccessfulCreate", message)

    async def _tell_refusal(self, wanted: JobSet, obj: Object, error: Exception) -> None:
        message = f"{obj['kind']} {metadata.name(obj)}: {error}"
        await self._recorder.event(wanted.obj, "Warning", _REASONS[obj["kind"]], message)

    async def _change(self, job: Object, patch: Object) -> None:
        where = metadata.namespaced_name(job)
        if "template" in patch["spec"] and (job.get("status") or {}).get("startTime"):
            # Kubernetes lets a Job's template change only before its first start.
            begun = {"status": {"startTime": None}}
            await self._client.patch(
                core.JOBS, where.name, begun, where.namespace, subresource="status"
            )
        await self._client.patch(core.JOBS, where.name, patch, where.namespace)

    async def _delete_job(self, job: Object) -> None:
        if not metadata.is_deleting(job):
            await self._delete(core.JOBS, job)

    async def _delete(self, resource: Any, obj: Object) -> None:
        """Delete in the foreground: the name is free when the pods are gone, not before."""
        where = metadata.namespaced_name(obj)
        try:
            await self._client.delete(
                resource,
                where.name,
                where.namespace,
                propagation_policy="Foreground",
                uid=metadata.uid(obj),
            )
        except (errors.NotFoundError, errors.ConflictError):
            return


async def _each(items: Sequence[Any], act: Callable[[Any], Awaitable[None]]) -> None:
    for start in range(0, len(items), _BATCH):
        await asyncio.gather(*(act(item) for item in items[start : start + _BATCH]))


def controller(manager: Manager) -> Controller:
    """Return the JobSet controller."""
    return Controller(
        name="jobset",
        resource=kinds.JOB_SETS,
        reconciler=JobSetReconciler(manager),
        owns=(core.JOBS, core.SERVICES),
    )
