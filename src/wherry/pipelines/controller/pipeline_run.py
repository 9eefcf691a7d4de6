"""One run, one look: harvest what has ended, begin what may, say how it stands."""

from collections.abc import Mapping
from typing import Final

from wherry.controller import finalizers
from wherry.controller.controller import Controller
from wherry.controller.errors import ForeignOwnerError
from wherry.controller.manager import Manager
from wherry.controller.requests import Request, Result
from wherry.controller.status import write_status
from wherry.metadata.errors import DatabaseError
from wherry.objects import errors, metadata
from wherry.objects import kinds as core
from wherry.objects.requests import Object
from wherry.pipelines import admission, defaults, kinds, naming, status
from wherry.pipelines.controller import claims, clearing, seeing
from wherry.pipelines.controller.engine import ended
from wherry.pipelines.controller.harvesting import Harvester
from wherry.pipelines.controller.kept import Kept
from wherry.pipelines.controller.pipeline_engine import PipelineEngine
from wherry.pipelines.controller.pods import Pods
from wherry.pipelines.controller.resuming import Resumer
from wherry.pipelines.controller.roots import RootError, Roots
from wherry.pipelines.controller.running import Runner
from wherry.pipelines.controller.starting import Starter
from wherry.pipelines.graph.model import State
from wherry.pipelines.graph.walk import Walk
from wherry.pipelines.history import recording
from wherry.pipelines.ir.documents import PipelineError
from wherry.pipelines.status import Seen
from wherry.pipelines.steps.draft import StepError

NAME: Final = "pipelinerun"
STATUS_SECONDS: Final = 0.5
"""How often counts alone are written at most; a new state is written at once."""
_INVALID: Final = "InvalidPipeline"
_REFUSED_SECONDS: Final = 5.0
_WORKERS: Final = 8


class ClaimError(Exception):
    """A run says that it goes on with one that it may not go on with; the message says which."""


class PipelineRunReconciler:
    """Takes runs a step nearer to their end."""

    def __init__(self, manager: Manager, kept: Kept, roots: Roots) -> None:
        """Take what it works with.

        Args:
            manager: Gives client, caches, clock and recorder.
            kept: What is known of runs.
            roots: Where artifacts go.
        """
        self._client = manager.client
        self._clock = manager.clock
        self._recorder = manager.recorder("pipeline-controller")
        self._runs = manager.cache(kinds.PIPELINE_RUNS)
        self._pods = Pods(manager, kinds.PIPELINE_RUNS, kinds.FINALIZER)
        self._store = kept.tasks
        self._history = kept.history
        self._roots = roots
        self._runner = Runner(
            manager=manager,
            store=kept.tasks,
            recorder=self._recorder,
            starter=Starter(manager.client, kept.tasks, roots, manager.clock),
            harvester=Harvester(manager.client, roots, kept.logs, manager.clock),
            finalizer=kinds.FINALIZER,
            failed="TaskFailed",
        )
        self._resumer = Resumer(kept.tasks, manager.clock)
        self._engines: dict[Request, PipelineEngine] = {}

    async def reconcile(self, request: Request) -> Result | None:
        """Take one step."""
        run = self._runs.get(*request)
        if run is None:
            self._engines.pop(request, None)
            # Whoever has taken the run's finalizer away has left these.
            await clearing.release_all(self._client, self._pods.left(request))
            return None
        if metadata.is_deleting(run):
            await self._leave(request, run, self._pods.all(run))
            return None
        if status.is_finished(run) and not status.retry_wanted(run):
            self._engines.pop(request, None)
            pods = self._pods.all(run)
            return await clearing.after_end(self._client, run, pods, self._clock.now())
        run = await finalizers.add_finalizer(
            self._client, kinds.PIPELINE_RUNS, run, kinds.FINALIZER
        )
        try:
            if status.retry_wanted(run):
                await self._take_up(request, run)
                return None
            return await self._step(request, defaults.default(run))
        except errors.ConflictError:
            # Of the status, which is written last: what is in memory is stored.
            raise
        except BaseException as error:
            # What is in memory may be ahead of what is stored: the rows are right.
            self._engines.pop(request, None)
            if isinstance(error, DatabaseError | ForeignOwnerError | errors.ForbiddenError):
                await self._recorder.event(run, "Warning", "TriedAgain", str(error))
            raise

    async def _take_up(self, request: Request, run: Object) -> None:
        """Have a run that has ended go on."""
        self._engines.pop(request, None)
        try:
            await self._check_own(run)
        except ClaimError as error:
            await self._write(run, Seen(state=kinds.FAILED, reason=_INVALID, message=str(error)))
            return
        after = await self._resumer.resume(run)
        await write_status(self._client, kinds.PIPELINE_RUNS, run, after)
        message = f"Run is taken up again (retry {after['retries']})"
        await self._recorder.event(run, "Normal", "Retried", message)

    async def _check_own(self, run: Object) -> None:
        """Check that a run may go on as the one that it says it is.

        Raises:
            ClaimError: it may not.
        """
        claimed = naming.run_id(run)
        if claimed == metadata.uid(run):
            return
        where = metadata.namespaced_name(run)
        if not await self._history.adopt(claimed, where, metadata.uid(run)):
            raise ClaimError(
                f"annotation {kinds.RUN_ID_ANNOTATION}: {claimed[:80]!r} is no run of this namespace "
                "whose object is gone"
            )

    async def _step(self, request: Request, run: Object) -> Result | None:
        try:
            engine = await self._engine(request, run)
        except (PipelineError, RootError, StepError, ClaimError) as error:
            seen = Seen(state=kinds.FAILED, reason=_INVALID, message=str(error))
            await self._write(run, seen)
            return None
        pods = self._pods.of_interest(engine, run)
        self._watch_limits(engine, run)
        held = bool(run["spec"].get("suspend")) and not engine.cancelled
        await self._runner.step(engine, run, pods, held=held)
        return await self._tell(engine, run, pods)

    async def _engine(self, request: Request, run: Object) -> PipelineEngine:
        """Return what is known of a run; after a restart that is what the rows say.

        Raises:
            PipelineError: it cannot be run.
            RootError: its artifacts have no place to go.
            StepError: its workspace cannot be made.
            ClaimError: it says that it is another's.
        """
        found = self._engines.get(request)
        if found is not None and found.uid == naming.run_id(run):
            return found
        await self._check_own(run)
        pipeline, inputs = admission.read(run)
        root = await self._roots.of(run, pipeline)
        fail_fast = run["spec"]["failurePolicy"] == kinds.FAIL_FAST
        walk = Walk(pipeline.graph, pipeline, inputs, fail_fast=fail_fast)
        engine = PipelineEngine(run, pipeline, walk, root)
        for row in await self._store.of_run(engine.uid):
            engine.take(row)
        if not engine.rows or engine.uid != metadata.uid(run):
            await self._begin(engine, run)
        # Not only at the beginning: another version of us may have taken over, with another runtime.
        await self._roots.carry(run, pipeline)
        engine.contexts = await self._runner.contexts(engine, run, root.uri)
        self._engines[request] = engine
        return engine

    async def _begin(self, engine: PipelineEngine, run: Object) -> None:
        if engine.pipeline.config.workspace is not None:
            await claims.make_workspace(self._client, run, engine.pipeline.config.workspace)
        if not status.state(run):
            message = f"Run of pipeline {engine.pipeline.name} begins"
            await self._recorder.event(run, "Normal", "Started", message)

    def _watch_limits(self, engine: PipelineEngine, run: Object) -> None:
        if run["spec"].get("terminate"):
            engine.cancel("the run was told to end")
        elif seeing.seconds_left(engine, run, self._clock.now()) == 0:
            engine.cancel(seeing.OVERDUE)

    async def _tell(
        self, engine: PipelineEngine, run: Object, pods: Mapping[str, Object]
    ) -> Result | None:
        waits = [*seeing.waits(engine, run, self._clock.now())]
        if engine.troubles:
            waits.append(_REFUSED_SECONDS)
        due = engine.written + STATUS_SECONDS - self._clock.monotonic()
        if due > 0 and seeing.state_of(engine, run) == status.state(run):
            waits.append(due)
        else:
            await self._write(run, seeing.of(engine, run, pods))
            engine.written = self._clock.monotonic()
        return Result(requeue_after_seconds=min(waits)) if waits else None

    async def _write(self, run: Object, seen: Seen) -> None:
        stored = self._runs.get(*metadata.namespaced_name(run)) or run
        after = status.of(stored, seen, self._clock.now())
        await write_status(self._client, kinds.PIPELINE_RUNS, stored, after)
        if seen.state in kinds.FINAL_STATES and status.state(stored) != seen.state:
            well = seen.state == kinds.SUCCEEDED
            message = seen.message or f"Run of pipeline {seen.pipeline} has succeeded"
            await self._recorder.event(
                run, "Normal" if well else "Warning", seen.state.capitalize(), message
            )

    async def _leave(self, request: Request, run: Object, pods: Mapping[str, Object]) -> None:
        """Let go of a run that is deleted: what ran of it is ended, and said to be."""
        self._engines.pop(request, None)
        if not finalizers.has_finalizer(run, kinds.FINALIZER):
            return
        run_id, now = naming.run_id(run), self._clock.now()
        known = await self._history.record(recording.seen(run))
        rows = await self._store.of_run(run_id)
        if known is not None and known.object_uid != metadata.uid(run):
            rows = []  # it says that it is another's
        running = [row for row in rows if row.state == State.RUNNING]
        why = "the run was deleted"
        await self._store.save([ended(row, State.CANCELED, now, error=why) for row in running])
        await self._history.lost(metadata.namespaced_name(run))
        await clearing.release_all(self._client, pods.values())
        await finalizers.remove_finalizer(self._client, kinds.PIPELINE_RUNS, run, kinds.FINALIZER)


def controller(manager: Manager, kept: Kept, roots: Roots) -> Controller:
    """Return the controller of runs."""
    return Controller(
        name=NAME,
        resource=kinds.PIPELINE_RUNS,
        reconciler=PipelineRunReconciler(manager, kept, roots),
        owns=(core.PODS,),
        workers=_WORKERS,
    )
