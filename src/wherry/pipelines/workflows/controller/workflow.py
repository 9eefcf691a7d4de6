"""One Workflow, one look: harvest what has ended, begin what may, say how it stands."""

import contextlib
import functools
from collections.abc import Mapping
from typing import Final

from wherry.controller import apply, finalizers
from wherry.controller.controller import Controller
from wherry.controller.errors import ForeignOwnerError
from wherry.controller.manager import Manager
from wherry.controller.requests import Request, Result
from wherry.metadata.errors import DatabaseError
from wherry.metadata.records import Execution
from wherry.objects import errors, metadata
from wherry.objects import kinds as core
from wherry.objects.copies import copied
from wherry.objects.requests import Object
from wherry.pipelines.controller import clearing
from wherry.pipelines.controller.engine import ended
from wherry.pipelines.controller.kept import Kept
from wherry.pipelines.controller.pods import Pods
from wherry.pipelines.controller.roots import RootError, Roots
from wherry.pipelines.controller.running import Runner
from wherry.pipelines.graph.language import UnresolvedError
from wherry.pipelines.graph.model import State
from wherry.pipelines.ir.documents import PipelineError
from wherry.pipelines.steps.draft import StepError
from wherry.pipelines.workflows import kinds, nodes, operations
from wherry.pipelines.workflows.archive.store import Archive
from wherry.pipelines.workflows.controller import beginning, leaving, locks, room, telling
from wherry.pipelines.workflows.controller.beginning import Beginner
from wherry.pipelines.workflows.controller.daemons import Daemons
from wherry.pipelines.workflows.controller.engine import WorkflowEngine, is_result
from wherry.pipelines.workflows.controller.estimating import Estimator
from wherry.pipelines.workflows.controller.harvesting import Harvester
from wherry.pipelines.workflows.controller.locks import Locks
from wherry.pipelines.workflows.controller.measures import Measures
from wherry.pipelines.workflows.controller.measuring import Measurer
from wherry.pipelines.workflows.controller.memory import Memory
from wherry.pipelines.workflows.controller.node_events import NodeEvents
from wherry.pipelines.workflows.controller.progressing import Progressing
from wherry.pipelines.workflows.controller.removing import Remover
from wherry.pipelines.workflows.controller.resuming import Resumer
from wherry.pipelines.workflows.controller.room import Room
from wherry.pipelines.workflows.controller.starting import Starter
from wherry.pipelines.workflows.controller.telling import Seen
from wherry.pipelines.workflows.engines import FINALIZER, Engines
from wherry.pipelines.workflows.messages import Shutdown
from wherry.pipelines.workflows.steps import collecting
from wherry.pipelines.workflows.steps.working import Steps
from wherry.pipelines.workflows.templates import NodeError

NAME: Final = "workflow"
STATUS_SECONDS: Final = 0.5
"""How often progress alone is written at most; a new phase is written at once."""
_SECONDS_A_NODE: Final = 0.001
"""Of large workflows the status is written less often."""
_REFUSED_SECONDS: Final = 5.0
_COLLECTING_SECONDS: Final = 1.0
_TO_BE_KEPT: Final = "Pending"
_KEPT: Final = "Archived"
"""What is said of workflows that have ended; clients wait for the latter."""
_WORKERS: Final = 8
_PASSING: Final = (
    errors.NotFoundError, errors.AlreadyExistsError, errors.TooManyRequestsError, errors.InternalError,
    errors.ServiceUnavailableError, errors.ServerTimeoutError,
)  # fmt: skip
"""Of these people are not told: the next try does better, or the API itself is in trouble."""
_INVALID: Final = (PipelineError, UnresolvedError, RootError, StepError, ValueError)


class WorkflowReconciler:
    """Takes workflows a step nearer to their end."""

    def __init__(
        self, manager: Manager, kept: Kept, roots: Roots, archive: Archive, *, who: Engines
    ) -> None:
        """Take what it works with.

        Args:
            manager: Gives client, caches, clock and recorder.
            kept: What is known of runs.
            roots: Where artifacts go.
            archive: Keeps workflows that have ended.
            who: Says which of them are run here.
        """
        self._who = who
        self._client = manager.client
        self._clock = manager.clock
        self._recorder = manager.recorder("workflow-controller")
        self._workflows = manager.cache(kinds.WORKFLOWS)
        self._pods = Pods(manager, kinds.WORKFLOWS, kinds.POD_FINALIZER)
        self._store = kept.tasks
        self._archive = archive
        steps = Steps(manager.client, roots)
        self._beginner = Beginner(manager, steps)
        wake = functools.partial(manager.request, NAME)
        self._locks = Locks(
            kept.tasks,
            self._own,
            config=self._beginner.config,
            limit=archive.limit,
            wake=wake,
        )
        self._room = Room(manager.client, self._own, wake)
        self._memory = memory = Memory(manager.client)
        clock = manager.clock
        starter = Starter(manager.client, steps, locks=self._locks, memory=memory, clock=clock)
        harvester = Harvester(manager.client, steps, logs=kept.logs, memory=memory, clock=clock)
        self._progressing = Progressing(manager.client, clock)
        self._daemons = Daemons(self._pods, starter, harvester, clock)
        self._runner = Runner(
            manager=manager,
            store=kept.tasks,
            recorder=self._recorder,
            starter=starter,
            harvester=harvester,
            finalizer=kinds.POD_FINALIZER,
            failed="",
        )
        self._estimator = Estimator(self._workflows, archive)
        self._node_events = NodeEvents(self._recorder)
        self._resumer = Resumer(manager, kept.tasks, self._beginner)
        self._engines: dict[Request, WorkflowEngine] = {}
        self._archived: dict[str, int] = {}
        measures = Measures(manager.clock)
        manager.measure(measures.lines)
        self._measurer = Measurer(measures, self._recorder)
        self._remover = Remover(
            manager.client, roots, self._rows, beginner=self._beginner, recorder=self._recorder
        )

    async def reconcile(self, request: Request) -> Result | None:
        """Take one step."""
        workflow = self._workflows.get(*request)
        if workflow is None:
            self._forget(request)
            # Whoever has taken the workflow's finalizer away has left these.
            left = self._pods.left(request)
            await clearing.release_all(self._client, left, kinds.POD_FINALIZER)
            return None
        if not self._who.is_ours(workflow):
            await self._follow(workflow)
            return None
        if metadata.is_deleting(workflow):
            return await self._leave(request, workflow)
        if telling.is_finished(workflow) and operations.retry_wish(workflow) is None:
            # After a failure of its last look nothing of it is in memory, but its locks are.
            self._forget(request, await self._lawful_id(workflow))
            return await self._after_end(workflow)
        workflow = await finalizers.add_finalizer(
            self._client, kinds.WORKFLOWS, workflow, FINALIZER
        )
        try:
            if operations.retry_wish(workflow) is not None:
                await self._take_up(request, workflow)
                return None
            return await self._step(request, workflow)
        except errors.ConflictError:
            # Of the status, which is written last: what is in memory is stored.
            raise
        except BaseException as error:
            # What is in memory may be ahead of what is stored: the rows are right.
            self._engines.pop(request, None)
            if isinstance(error, Exception) and not isinstance(error, _PASSING):
                known = isinstance(error, DatabaseError | ForeignOwnerError | errors.ApiError)
                why = str(error) if known else repr(error)
                await self._recorder.event(workflow, "Warning", "TriedAgain", why)
            raise

    def _own(self) -> list[Object]:
        return [each for each in self._workflows.list() if self._who.is_ours(each)]

    async def _follow(self, workflow: Object) -> None:
        """Keep a workflow that somebody else runs, once it has ended; nothing is done to it."""
        if metadata.is_deleting(workflow):
            self._archived.pop(metadata.uid(workflow), None)
        elif telling.is_finished(workflow):
            await self._keep(workflow)

    async def _keep(self, workflow: Object) -> None:
        version, uid = metadata.resource_version(workflow), metadata.uid(workflow)
        if self._archived.get(uid) != version:
            await self._archive.keep(workflow)
            self._archived[uid] = version

    async def _tell_kept(self, workflow: Object) -> Object:
        """Have a workflow say that it is kept, by the label that clients look for."""
        is_told = metadata.labels(workflow).get(kinds.ARCHIVING_LABEL) == _KEPT
        if is_told or not self._archive.is_there():
            return workflow
        labels = {kinds.ARCHIVING_LABEL: _KEPT}
        uid, where = metadata.uid(workflow), metadata.namespaced_name(workflow)
        change = {"metadata": {"uid": uid, "labels": labels}}
        with contextlib.suppress(errors.NotFoundError, errors.ConflictError):
            workflow = await self._client.patch(
                kinds.WORKFLOWS, where.name, change, where.namespace
            )
            self._archived[uid] = metadata.resource_version(workflow)
        return workflow

    async def _take_up(self, request: Request, workflow: Object) -> None:
        """Have a workflow that has ended go on."""
        self._forget(request)
        try:
            await self._resumer.resume(workflow, await self._run_id(workflow))
        except _INVALID as error:
            await self._write(workflow, Seen(phase="Error", message=f"cannot be retried: {error}"))

    def _forget(self, request: Request, run_id: str = "") -> None:
        engine = self._engines.pop(request, None)
        self._room.leave(request)
        uid = run_id if engine is None else engine.uid
        if uid:
            self._locks.release_all(uid)
            self._measurer.forget(uid)

    async def _step(self, request: Request, workflow: Object) -> Result | None:
        try:
            engine = await self._engine(request, workflow)
            if not await self._has_locks(engine, workflow):
                told = await self._tell(engine, workflow, {})
                full = engine.waits == room.FULL
                return Result(requeue_after_seconds=room.SECONDS) if full else told
        except _INVALID as error:
            await self._write(workflow, Seen(phase="Error", message=f"invalid spec: {error}"))
            return None
        pods = self._pods.of_interest(engine, workflow)
        self._watch_limits(engine, workflow)
        await self._watch_timeouts(engine, workflow, pods)
        held = bool(workflow["spec"].get("suspend")) and not engine.cancelled
        if not held:
            await self._runner.save(engine, workflow, await self._daemons.look(engine, workflow))
        await self._runner.step(engine, workflow, pods, held=held)
        await self._let_go(engine, workflow)
        await self._progressing.look(engine, pods)
        return await self._tell(engine, workflow, pods)

    async def _engine(self, request: Request, workflow: Object) -> WorkflowEngine:
        """Return what is known of a workflow; after a restart that is what the rows say."""
        found = self._engines.get(request)
        run_id = await self._run_id(workflow)
        if found is not None and found.uid == run_id:
            return found
        engine = await self._beginner.engine(workflow, run_id)
        for row in await self._store.of_run(engine.uid):
            engine.take(row)
        engine.earlier = await self._earlier(workflow)
        engine.estimates = await self._estimator.of(workflow)
        told = nodes.stored(workflow)
        engine.phases = {key: str(each.get("phase") or "") for key, each in told.items()}
        if not engine.rows:
            await self._tell_begin(engine, workflow)
        await self._beginner.claims(engine, workflow)
        await self._beginner.budget(engine, workflow)
        root = engine.repository.root.uri
        engine.contexts = await self._runner.contexts(engine, workflow, root)
        self._engines[request] = engine
        return engine

    async def _earlier(self, workflow: Object) -> dict[str, Execution]:
        """Return the steps whose results a workflow takes over, by path."""
        claimed = metadata.annotations(workflow).get(operations.RESULTS_ANNOTATION)
        rows = await self._store.of_run(claimed) if claimed else ()
        # Whoever makes the workflow may write anything there: what is in other namespaces is not theirs.
        mine = (row for row in rows if row.namespace == metadata.namespace(workflow))
        return {row.path: row for row in mine if row.state == State.SUCCEEDED and is_result(row)}

    async def _tell_begin(self, engine: WorkflowEngine, workflow: Object) -> None:
        tell = self._recorder.event
        await tell(workflow, "Normal", "WorkflowRunning", "Workflow Running")
        if engine.earlier:
            message = f"{len(engine.earlier)} steps have succeeded in the workflow before"
            await tell(workflow, "Normal", "ResultsTakenOver", message)
        without = ", ".join(telling.ignored(engine.spec))
        if without:
            await tell(workflow, "Normal", "FieldIgnored", f"without effect: {without}"[:1000])

    async def _run_id(self, workflow: Object) -> str:
        """Return the id of the run that a workflow is: its own, unless it goes on where another has ended.

        Raises:
            NodeError: it says that it goes on with one that it may not go on with.
        """
        claimed = metadata.annotations(workflow).get(operations.RUN_ID_ANNOTATION)
        if not claimed or claimed == metadata.uid(workflow):
            return metadata.uid(workflow)
        before = await self._archive.get(claimed)
        where = metadata.namespaced_name(workflow)
        if before is None or metadata.namespaced_name(before) != where:
            raise NodeError(
                f"annotation {operations.RUN_ID_ANNOTATION}: {claimed[:80]!r} is no workflow of this name "
                "whose object is gone"
            )
        return claimed

    async def _lawful_id(self, workflow: Object) -> str:
        """Return the id of the run that a workflow is, whatever it says that it goes on with."""
        try:
            return await self._run_id(workflow)
        except NodeError:
            return metadata.uid(workflow)

    async def _rows(self, workflow: Object) -> list[Execution]:
        return await self._store.of_run(await self._run_id(workflow))

    async def _has_locks(self, engine: WorkflowEngine, workflow: Object) -> bool:
        """Tell whether a workflow may begin; it has the locks that it wants as a whole then."""
        if workflow["spec"].get("shutdown"):
            engine.waits = ""
            return True
        if await self._room.is_full(engine, workflow):
            engine.waits = room.FULL
            return False
        got = await self._locks.acquire_whole(engine, workflow)
        engine.waits = got if isinstance(got, str) else ""
        return not engine.waits

    def _watch_limits(self, engine: WorkflowEngine, workflow: Object) -> None:
        told = workflow["spec"].get("shutdown")
        if told in {*Shutdown}:
            engine.end(f"Stopped with strategy '{told}'", Shutdown(told))
        elif telling.seconds_left(engine, workflow, self._clock.now()) == 0:
            engine.end(telling.OVERDUE, None)

    async def _watch_timeouts(
        self, engine: WorkflowEngine, workflow: Object, pods: Mapping[str, Object]
    ) -> None:
        """End the steps that have taken longer than they may."""
        now = self._clock.now()
        late = []
        for row in [*engine.running.values()]:
            due = telling.timeout(engine, row.path)
            if due is not None and now.timestamp() >= due:
                if row.pod in pods:
                    await clearing.end(self._client, pods[row.pod])
                late.append(ended(row, State.FAILED, now, error="Step exceeded its deadline"))
        await self._runner.save(engine, workflow, late)

    async def _let_go(self, engine: WorkflowEngine, workflow: Object) -> None:
        """Give back locks, end daemons, and delete pods that are not wanted any more."""
        for path in self._locks.holders(engine.uid):
            row = engine.rows.get(path)
            if row is None or not locks.holds(row, engine.rows):
                self._locks.release(engine.uid, path)
        for row in engine.daemons.values():
            pod = self._pods.get(metadata.namespace(workflow), row.pod)
            going = pod is not None and not metadata.is_deleting(pod)
            if pod is not None and going and engine.is_over(row.path):
                await clearing.end(self._client, pod)
        await self._memory.keep_ended(engine, workflow, self._clock.now())
        await leaving.after_pods(self._client, engine, self._pods, workflow)

    async def _tell(
        self, engine: WorkflowEngine, workflow: Object, pods: Mapping[str, Object]
    ) -> Result | None:
        waits = [*telling.waits(engine, workflow, self._clock.now())]
        if engine.troubles:
            waits.append(_REFUSED_SECONDS)
        if engine.asks_at is not None:
            waits.append(max(0.0, engine.asks_at - self._clock.monotonic()))
        pause = max(STATUS_SECONDS, len(engine.rows) * _SECONDS_A_NODE)
        due = engine.written + pause - self._clock.monotonic()
        if due > 0 and telling.phase_of(engine) == telling.phase(workflow):
            waits.append(due)
        else:
            told = self._locks.of(engine.uid, engine.name, locks.node_id(engine))
            seen = telling.of(engine, pods, told)
            await self._node_events.look(engine, workflow, seen.nodes)
            await self._write(workflow, seen, engine)
            await self._measurer.look(engine, workflow, seen)
            engine.written = self._clock.monotonic()
        return Result(requeue_after_seconds=min(waits)) if waits else None

    async def _write(
        self, workflow: Object, seen: Seen, engine: WorkflowEngine | None = None
    ) -> None:
        """Say how a workflow stands: with the object itself, which has no status subresource.

        It is the object that this look has seen: what others have written since, perhaps into its
        status, must not be lost.
        """
        after = {**workflow, "metadata": copied(workflow["metadata"])}
        more = beginning.added_metadata(engine) if engine and not telling.phase(workflow) else {}
        for key, values in more.items():
            after["metadata"][key] = {**(after["metadata"].get(key) or {}), **values}
        after["metadata"]["labels"] = labels = telling.labels(after, seen.phase)
        if seen.phase in telling.FINAL and self._archive.is_there():
            labels.setdefault(kinds.ARCHIVING_LABEL, _TO_BE_KEPT)
        after["status"] = telling.status(workflow, seen, self._clock.now())
        if engine is not None and workflow["spec"].get("workflowTemplateRef"):
            after["status"]["storedWorkflowTemplateSpec"] = engine.spec
        if engine is not None and engine.claims:
            after["status"]["persistentVolumeClaims"] = [
                {"name": name, "persistentVolumeClaim": {"claimName": claim}}
                for name, claim in engine.claims.items()
            ]
        if after != workflow:
            await self._client.update(kinds.WORKFLOWS, after)
        if seen.phase in telling.FINAL and telling.phase(workflow) != seen.phase:
            well = seen.phase == "Succeeded"
            # Of one that has ended as Error clients look for the same.
            reason = "WorkflowSucceeded" if well else "WorkflowFailed"
            message = seen.message or "Workflow completed"
            await self._recorder.event(workflow, "Normal" if well else "Warning", reason, message)

    async def _after_end(self, workflow: Object) -> Result | None:
        """Keep a workflow that has ended, and clear up after it."""
        await self._keep(workflow)
        workflow = await self._tell_kept(workflow)
        pods = self._pods.all(workflow)
        await clearing.release_all(self._client, pods.values(), kinds.POD_FINALIZER)
        spec = self._beginner.spec_or_own(workflow)
        await leaving.clear(self._client, workflow, spec, pods)
        if not await self._remover.is_done(workflow, collecting.ON_COMPLETION):
            return Result(requeue_after_seconds=_COLLECTING_SECONDS)
        left = leaving.seconds_to_live(workflow, spec, self._clock.now())
        if left is None:
            return None
        if left > 0:
            return Result(requeue_after_seconds=left)
        await apply.delete_if_present(self._client, kinds.WORKFLOWS, workflow)
        return None

    async def _leave(self, request: Request, workflow: Object) -> Result | None:
        """Let go of a workflow that is deleted: what ran of it is ended, and said to be."""
        run_id = await self._lawful_id(workflow)
        self._forget(request, run_id)
        self._archived.pop(metadata.uid(workflow), None)
        if not finalizers.has_finalizer(workflow, FINALIZER):
            return None
        if telling.is_finished(workflow):
            await self._archive.keep(workflow)
        rows, now = await self._store.of_run(run_id), self._clock.now()
        running = [row for row in rows if row.state == State.RUNNING]
        why = "the workflow was deleted"
        await self._store.save([ended(row, State.CANCELED, now, error=why) for row in running])
        pods = self._pods.all(workflow)
        await clearing.release_all(self._client, pods.values(), kinds.POD_FINALIZER)
        if not await self._remover.is_done(workflow, collecting.ON_DELETION):
            return Result(requeue_after_seconds=_COLLECTING_SECONDS)
        await finalizers.remove_finalizer(self._client, kinds.WORKFLOWS, workflow, FINALIZER)
        return None


def controller(
    manager: Manager, kept: Kept, roots: Roots, archive: Archive, *, who: Engines
) -> Controller:
    """Return the controller of Workflows."""
    return Controller(
        name=NAME,
        resource=kinds.WORKFLOWS,
        reconciler=WorkflowReconciler(manager, kept, roots, archive, who=who),
        owns=(core.PODS,),
        workers=_WORKERS,
    )
