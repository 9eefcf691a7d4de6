"""One TrainJob, one step: look up its runtime, make its JobSet, take over its status."""

from collections.abc import Iterable, Sequence
from typing import Any, Final

from wherry.controller import apply
from wherry.controller.controller import Controller, Watch
from wherry.controller.errors import ForeignOwnerError
from wherry.controller.manager import Manager
from wherry.controller.owners import is_controlled_by
from wherry.controller.requests import Request, Result
from wherry.controller.status import write_status
from wherry.objects import errors, metadata
from wherry.objects import kinds as core
from wherry.objects.requests import Object
from wherry.objects.resources import Resource
from wherry.training.jobset import kinds as sets
from wherry.training.trainer import (
    admission,
    build,
    checks,
    groups,
    kinds,
    policies,
    reporting,
    status,
    train_job,
)
from wherry.training.trainer.draft import Draft
from wherry.training.trainer.endpoint import Endpoint
from wherry.training.trainer.policy import Policy
from wherry.training.trainer.train_job import TrainJob

_BY_RUNTIME: Final = "runtime"
_REFUSED_SECONDS: Final = 5.0


class TrainJobReconciler:
    """Takes TrainJobs a step nearer to their end."""

    def __init__(self, manager: Manager, endpoint: Endpoint) -> None:
        """Take what it works with: client, caches, clock and recorder of a manager.

        Args:
            manager: Whose.
            endpoint: Where jobs send their state.
        """
        self._client = manager.client
        self._clock = manager.clock
        self._recorder = manager.recorder("trainjob-controller")
        self._endpoint = endpoint
        self.jobs = manager.cache(kinds.TRAIN_JOBS)
        self.jobs.add_index(_BY_RUNTIME, _runtime_of)
        self._sets = manager.cache(sets.JOB_SETS)
        self._runtimes = {
            resource.kind: manager.cache(resource)
            for resource in (kinds.RUNTIMES, kinds.CLUSTER_RUNTIMES)
        }

    def users(self, runtime: Object) -> Iterable[Request]:
        """Return the TrainJobs that a runtime concerns: those that wait for it among them."""
        for job in self.jobs.by_index(_BY_RUNTIME, _key(runtime["kind"], runtime)):
            if not status.is_finished(job):
                yield Request(metadata.namespace(job), metadata.name(job))

    def _read(self, request: Request) -> TrainJob | None:
        """Return a job that there is something to do for."""
        stored = self.jobs.get(*request)
        if stored is None or metadata.is_deleting(stored) or status.is_finished(stored):
            return None
        job = train_job.read(admission.default(stored))
        return job if job.spec.managed_by == kinds.CONTROLLER else None

    async def reconcile(self, request: Request) -> Result | None:
        """Take one step."""
        job = self._read(request)
        if job is None:
            return None
        left = status.seconds_left(job, self._clock.now())
        if left is not None and left <= 0:
            await self._overrun(job)
            return None
        causes = admission.validate(job.obj, None)
        if causes:
            await self._fail(job, "TrainJobFailedValidation", _text(causes))
            return None
        refused = False
        missing: str | None = ""
        try:
            missing = await self._run(job)
        except (errors.ForbiddenError, errors.InvalidError, ForeignOwnerError) as error:
            message = f"Error creating: {error}"
            reason = "TrainJobResourcesCreationFailed"
            await self._recorder.event(job.obj, "Warning", reason, message)
            refused = True
        if missing is None:
            return None
        if not await self._take_over(job, missing) and refused:
            return Result(requeue_after_seconds=_REFUSED_SECONDS)
        return Result(requeue_after_seconds=left) if left is not None else None

    def _job_set(self, job: TrainJob) -> Object | None:
        found = self._sets.get(job.namespace, job.name)
        return found if found is not None and is_controlled_by(found, job.obj) else None

    async def _take_over(self, job: TrainJob, missing: str) -> bool:
        """Write the status; return whether there is a JobSet to take it from."""
        found = self._job_set(job)
        await self._write(job, status.of(job, found, self._clock.now(), missing=missing))
        return found is not None

    async def _run(self, job: TrainJob) -> str | None:
        """Make what the job needs, and keep it as the job says while it is suspended.

        Returns:
            What it waits for; empty where nothing is missing. None: it has failed.
        """
        there = self._job_set(job)
        if there is not None and not job.spec.suspend and not there["spec"].get("suspend"):
            return ""
        runtime = self._runtime(job)
        if runtime is None:
            return self._missing(job)
        draft = build.begin(job, runtime)
        policy = policies.of(draft.policy)
        causes = checks.validate(policy, draft)
        if causes:
            unsupported = any(each.reason == "FieldValueNotSupported" for each in causes)
            reason = "TrainingRuntimeNotSupported" if unsupported else "TrainJobFailedValidation"
            await self._fail(job, reason, _text(causes))
            return None
        build.finish(policy, draft)
        # Pods that are there in name cannot be given another volume.
        told = self._endpoint.is_served if there is None else reporting.is_told(there)
        if told:
            reporting.tell(draft)
        if told and there is None:
            authority = reporting.config_map(job, (await self._endpoint.pair()).certificate)
            await apply.create_if_absent(self._client, None, core.CONFIG_MAPS, authority)
        await self._make(policy, draft)
        return ""

    def _runtime(self, job: TrainJob) -> Object | None:
        reference = job.spec.runtime_ref
        namespace = job.namespace if reference.kind == kinds.RUNTIMES.kind else ""
        return self._runtimes[reference.kind].get(namespace, reference.name)

    def _missing(self, job: TrainJob) -> str:
        reference = job.spec.runtime_ref
        known = sorted(metadata.name(each) for each in self._runtimes[reference.kind].list())
        return (
            f'waiting for {reference.kind} "{reference.name}", which does not exist; there are: '
            f"{', '.join(known) or 'none'}"
        )

    async def _make(self, policy: Policy, draft: Draft) -> None:
        group = groups.wanted(draft)
        if group is not None:
            await self._make_group(draft.job, *group)
        for companion in policy.companions(draft):
            resource = core.by_kind(companion["apiVersion"], companion["kind"])
            assert resource is not None, f"{companion['kind']} is no kind of Kubernetes' own"
            await apply.create_if_absent(self._client, None, resource, companion)
        wanted = build.job_set(draft)
        applied = await apply.create_or_update(self._client, self._sets, sets.JOB_SETS, wanted)
        if applied.outcome == "created":
            pods, runtime = groups.members(draft), draft.job.spec.runtime_ref.name
            message = f"JobSet {draft.job.name} made of runtime {runtime}: {pods} pods in all"
            await self._recorder.event(draft.job.obj, "Normal", "Created", message)

    async def _make_group(self, job: TrainJob, resource: Resource, wanted: Object) -> None:
        try:
            await apply.create_or_update(self._client, None, resource, wanted)
        except errors.NotFoundError:
            # The scheduler that the runtime speaks of is not installed: its pods would wait for it.
            message = f"{resource.key} is not served here: the pods are scheduled one by one"
            await self._recorder.event(job.obj, "Warning", "PodGroupNotServed", message)

    async def _overrun(self, job: TrainJob) -> None:
        seconds = job.spec.active_deadline_seconds
        found = self._job_set(job)
        if found is not None:
            # First: were the status written and this cut off, its pods would run on for ever.
            await apply.delete_if_present(self._client, sets.JOB_SETS, found)
        message = f"active for longer than spec.activeDeadlineSeconds, {seconds}"
        await self._fail(job, status.DEADLINE_EXCEEDED, message)

    async def _fail(self, job: TrainJob, reason: str, message: str) -> None:
        await self._write(job, status.failed(job, reason, message, self._clock.now()))

    async def _write(self, job: TrainJob, after: dict[str, Any]) -> None:
        await write_status(self._client, kinds.TRAIN_JOBS, job.obj, after)
        for level, reason, message in status.news(job.obj, after):
            await self._recorder.event(job.obj, level, reason, message)  # type: ignore[arg-type]  # of two


def _text(causes: Sequence[errors.Cause]) -> str:
    return "; ".join(f"{each.field}: {each.message}" for each in causes)


def _runtime_of(job: Object) -> Iterable[str]:
    reference = admission.default(job)["spec"]["runtimeRef"]
    namespace = metadata.namespace(job) if reference["kind"] == kinds.RUNTIMES.kind else ""
    yield f"{reference['kind']}/{namespace}/{reference.get('name')}"


def _key(kind: str, runtime: Object) -> str:
    return f"{kind}/{metadata.namespace(runtime)}/{metadata.name(runtime)}"


def controller(manager: Manager, endpoint: Endpoint) -> Controller:
    """Return the TrainJob controller.

    Args:
        manager: Whose.
        endpoint: Where jobs send their state.
    """
    reconciler = TrainJobReconciler(manager, endpoint)
    return Controller(
        name="trainjob",
        resource=kinds.TRAIN_JOBS,
        reconciler=reconciler,
        owns=(sets.JOB_SETS,),
        watches=(
            Watch(kinds.RUNTIMES, reconciler.users),
            Watch(kinds.CLUSTER_RUNTIMES, reconciler.users),
        ),
    )
