"""One ChainerJob, one step: workers, master, and the status of the master's Job for its own."""

from collections.abc import Sequence
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
from wherry.training import status
from wherry.training.chainer import admission, build, kinds
from wherry.training.chainer.kinds import CHAINER_JOBS, ChainerJob

_REFUSED_SECONDS: Final = 5.0
_TAKEN_OVER: Final = ("startTime", "completionTime", "active", "ready", "succeeded", "failed")


class ChainerJobReconciler:
    """Takes ChainerJobs a step nearer to their end."""

    def __init__(self, manager: Manager) -> None:
        """Take what it works with: client, caches, clock and recorder of a manager."""
        self._client = manager.client
        self._clock = manager.clock
        self._recorder = manager.recorder("chainer-operator")
        self._chainer_jobs = manager.cache(CHAINER_JOBS)
        self._masters = manager.cache(core.JOBS)
        self._sets = manager.cache(core.STATEFUL_SETS)
        self._pods = manager.cache(core.PODS)

    async def reconcile(self, request: Request) -> Result | None:
        """Take one step."""
        stored = self._chainer_jobs.get(*request)
        if stored is None or metadata.is_deleting(stored):
            return None
        obj = admission.default(stored)
        causes = admission.validate(obj, None)
        if causes:
            # It came in where no webhook has looked at it.
            told = "; ".join(f"{each.field}: {each.message}" for each in causes)
            await self._fail(stored, "ChainerJobFailedValidation", told)
            return None
        job = kinds.read(obj)
        done = any(conditions.is_true(stored, each) for each in (kinds.COMPLETE, kinds.FAILED))
        made = await self._make(job, done=done)
        if not done:
            await self._take_over(stored, job)
        return None if made else Result(requeue_after_seconds=_REFUSED_SECONDS)

    async def _make(self, job: ChainerJob, *, done: bool) -> bool:
        """Create what is missing, send workers home at the end; return whether the API has let us."""
        sets = build.worker_sets(job, done=done)
        if done:
            sets = [each for each in sets if self._sets.get(*metadata.namespaced_name(each))]
        try:
            for each in (*(() if done else build.companions(job)), *sets):
                await self._apply(job, each)
            if not done and self._master(job) is None:
                applied = await apply.create_if_absent(
                    self._client, None, core.JOBS, build.master(job)
                )
                await self._tell(job, applied)
        except (errors.ForbiddenError, errors.InvalidError, ForeignOwnerError) as error:
            message = f"Error creating: {getattr(error, 'message', error)}"
            await self._recorder.event(job.obj, "Warning", "FailedCreate", message)
            return False
        return True

    async def _apply(self, job: ChainerJob, wanted: Object) -> None:
        resource = core.by_kind(wanted["apiVersion"], wanted["kind"])
        assert resource is not None
        cache = self._sets if resource == core.STATEFUL_SETS else None
        await self._tell(job, await apply.create_or_update(self._client, cache, resource, wanted))

    async def _tell(self, job: ChainerJob, applied: apply.Applied) -> None:
        if applied.outcome == "created":
            kind, name = applied.object["kind"], metadata.name(applied.object)
            message = f"Created {kind.lower()}: {name}"
            await self._recorder.event(job.obj, "Normal", f"SuccessfulCreate{kind}", message)

    def _master(self, job: ChainerJob) -> Object | None:
        found = self._masters.get(job.namespace, job.master_name)
        return found if found is not None and is_controlled_by(found, job.obj) else None

    async def _take_over(self, stored: Object, job: ChainerJob) -> None:
        """Write the status: the master's."""
        master = self._master(job)
        if master is None:
            return
        theirs = master.get("status") or {}
        after: dict[str, Any] = {key: theirs[key] for key in _TAKEN_OVER if key in theirs}
        held = [dict(each) for each in theirs.get("conditions") or ()]
        for each in held:
            if each["type"] == kinds.FAILED and (words := self._last_words(master)):
                each["message"] = f"{each.get('message', '')}: {words}"
        if held:
            after["conditions"] = held
        await self._write(stored, after)

    def _last_words(self, master: Object) -> str:
        pods = self._pods.owned_by(metadata.uid(master))
        ended = sorted(filter(_failed, pods), key=lambda pod: pod["metadata"]["creationTimestamp"])
        return status.last_words(ended[-1], kinds.CONTAINER) if ended else ""

    async def _fail(self, stored: Object, reason: str, message: str) -> None:
        if conditions.is_true(stored, kinds.FAILED):
            return
        after = {**(stored.get("status") or {})}
        held = [dict(each) for each in after.get("conditions") or ()]
        now = self._clock.now()
        conditions.set(held, kinds.FAILED, "True", reason=reason, message=message, now=now)
        await self._write(stored, {**after, "conditions": held})

    async def _write(self, stored: Object, after: dict[str, Any]) -> None:
        await write_status(self._client, CHAINER_JOBS, stored, after)
        before = stored.get("status") or {}
        if after.get("active") and not before.get("active"):
            message = f"{metadata.name(stored)}-master has started"
            await self._recorder.event(stored, "Normal", "ChainerJobRunning", message)
        for condition in _news(stored, after.get("conditions") or ()):
            bad = condition["type"] == kinds.FAILED
            reason = condition.get("reason") or f"ChainerJob{condition['type']}"
            message = condition.get("message") or f"the master is {condition['type'].lower()}"
            await self._recorder.event(stored, "Warning" if bad else "Normal", reason, message)


def _failed(pod: Object) -> bool:
    return (pod.get("status") or {}).get("phase") == "Failed"


def _news(stored: Object, held: Sequence[Object]) -> list[Object]:
    return [
        each
        for each in held
        if each["type"] in {kinds.COMPLETE, kinds.FAILED}
        and each["status"] == "True"
        and not conditions.is_true(stored, each["type"])
    ]


def controller(manager: Manager) -> Controller:
    """Return the controller of ChainerJobs."""
    return Controller(
        name="chainerjob",
        resource=CHAINER_JOBS,
        reconciler=ChainerJobReconciler(manager),
        owns=(core.JOBS, core.STATEFUL_SETS),
    )
