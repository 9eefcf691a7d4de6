"""One run, one look: harvest what has ended, begin what may, say how it stands."""

import asyncio
from collections.abc import Iterable, Mapping
from typing import Final

from wherry.controller import finalizers
from wherry.controller.controller import Controller
from wherry.controller.manager import Manager
from wherry.controller.requests import Request, Result
from wherry.controller.status import write_status
from wherry.metadata.records import PIPELINE, PIPELINE_RUN, Context, Execution
from wherry.metadata.store import Metadata
from wherry.objects import errors, metadata
from wherry.objects import kinds as core
from wherry.objects.requests import Object
from wherry.pipelines import admission, defaults, kinds, status
from wherry.pipelines.controller import claims, clearing, seeing
from wherry.pipelines.controller.engine import Engine, ended
from wherry.pipelines.controller.harvesting import Harvester
from wherry.pipelines.controller.roots import RootError, Roots
from wherry.pipelines.controller.starting import Starter
from wherry.pipelines.graph.model import Change, Start, State
from wherry.pipelines.graph.walk import Walk
from wherry.pipelines.ir.documents import PipelineError
from wherry.pipelines.status import Seen

NAME: Final = "pipelinerun"
STATUS_SECONDS: Final = 0.5
"""How often counts alone are written at most; a new state is written at once."""
_REFUSED_SECONDS: Final = 5.0
_WORKERS: Final = 8
_PODS_OF_RUN: Final = "pods of a pipeline run"


class PipelineRunReconciler:
    """Takes runs a step nearer to their end."""

    def __init__(self, manager: Manager, store: Metadata, roots: Roots) -> None:
        """Take what it works with.

        Args:
            manager: Gives client, caches, clock and recorder.
            store: Holds the tasks of runs.
            roots: Where artifacts go.
        """
        self._client = manager.client
        self._clock = manager.clock
        self._recorder = manager.recorder("pipeline-controller")
        self._runs = manager.cache(kinds.PIPELINE_RUNS)
        self._pods = manager.cache(core.PODS)
        self._pods.add_index(_PODS_OF_RUN, _runs_of_pod)
        self._store = store
        self._roots = roots
        self._starter = Starter(manager.client, store, roots, manager.clock)
        self._harvester = Harvester(roots, manager.clock)
        self._engines: dict[Request, Engine] = {}

    async def reconcile(self, request: Request) -> Result | None:
        """Take one step."""
        run = self._runs.get(*request)
        if run is None:
            self._engines.pop(request, None)
            # Whoever has taken the run's finalizer away has left these.
            left = self._pods.by_index(_PODS_OF_RUN, "/".join(request))
            await clearing.release_all(self._client, left)
            return None
        pods = {metadata.name(pod): pod for pod in self._pods.owned_by(metadata.uid(run))}
        if metadata.is_deleting(run):
            await self._leave(request, run, pods)
            return None
        if status.is_finished(run):
            self._engines.pop(request, None)
            return await clearing.after_end(self._client, run, pods, self._clock.now())
        run = await finalizers.add_finalizer(
            self._client, kinds.PIPELINE_RUNS, run, kinds.FINALIZER
        )
        try:
            return await self._step(request, defaults.default(run), pods)
        except errors.ConflictError:
            # Of the status, which is written last: what is in memory is stored.
            raise
        except BaseException:
            # What is in memory may be ahead of what is stored: the rows are right.
            self._engines.pop(request, None)
            raise

    async def _step(self, request: Request, run: Object, pods: dict[str, Object]) -> Result | None:
        try:
            engine = await self._engine(request, run)
        except (PipelineError, RootError) as error:
            seen = Seen(state=kinds.FAILED, reason="InvalidPipeline", message=str(error))
            await self._write(run, seen)
            return None
        self._watch_limits(engine, run)
        await self._save(engine, run, await self._harvester.harvest(engine, run, pods))
        if not run["spec"].get("suspend") or engine.cancelled:
            await self._advance(engine, run, pods)
        await clearing.release(self._client, pods, engine)
        return await self._tell(engine, run, pods)

    async def _engine(self, request: Request, run: Object) -> Engine:
        """Return what is known of a run; after a restart that is what the rows say.

        Raises:
            PipelineError: it cannot be run.
            RootError: its artifacts have no place to go.
        """
        found = self._engines.get(request)
        if found is not None and found.uid == metadata.uid(run):
            return found
        pipeline, inputs = admission.read(run)
        root = await self._roots.of(run, pipeline)
        fail_fast = run["spec"]["failurePolicy"] == kinds.FAIL_FAST
        walk = Walk(pipeline.graph, pipeline, inputs, fail_fast=fail_fast)
        engine = Engine(run, pipeline, walk, root)
        for row in await self._store.of_run(engine.uid):
            engine.take(row)
        if not engine.rows:
            await self._begin(engine, run)
        engine.contexts = await self._contexts(engine, run)
        self._engines[request] = engine
        return engine

    async def _begin(self, engine: Engine, run: Object) -> None:
        if engine.pipeline.config.workspace is not None:
            await claims.make_workspace(self._client, run, engine.pipeline.config.workspace)
        if not status.state(run):
            message = f"Run of pipeline {engine.pipeline.name} begins"
            await self._recorder.event(run, "Normal", "Started", message)

    async def _contexts(self, engine: Engine, run: Object) -> tuple[int, ...]:
        namespace = metadata.namespace(run)
        pipeline = await self._store.context(
            Context(namespace=namespace, type=PIPELINE, name=engine.pipeline.name)
        )
        properties = {"name": metadata.name(run), "pipelineRoot": engine.root.uri}
        own = await self._store.context(
            Context(
                namespace=namespace,
                type=PIPELINE_RUN,
                name=engine.uid,
                properties=properties,
                parents=(pipeline.id,),
            )
        )
        return (pipeline.id, own.id)

    def _watch_limits(self, engine: Engine, run: Object) -> None:
        if run["spec"].get("terminate"):
            engine.cancel("the run was told to end")
        elif seeing.seconds_left(engine, run, self._clock.now()) == 0:
            engine.cancel(seeing.OVERDUE)

    async def _save(self, engine: Engine, run: Object, rows: Iterable[Execution]) -> None:
        """Store rows, and only then take them for true."""
        rows = [*rows]
        if not rows:
            return
        for row in await self._store.save(rows):
            engine.take(row)
            if row.state == State.FAILED and row.started:
                message = f"{row.path}, attempt {row.attempt}: {row.error}"
                await self._recorder.event(run, "Warning", "TaskFailed", message)

    async def _advance(self, engine: Engine, run: Object, pods: dict[str, Object]) -> None:
        """Begin all that may begin; what ends at once may let more begin."""
        while True:
            while actions := engine.walk.ready(self._clock.now().timestamp()):
                now, namespace = self._clock.now(), metadata.namespace(run)
                starts = [each for each in actions if isinstance(each, Start)]
                rows = await asyncio.gather(
                    *(self._starter.plan(engine, run, each) for each in starts)
                )
                changes = [each for each in actions if isinstance(each, Change)]
                await self._save(engine, run, [*rows, *engine.changed(changes, namespace, now)])
            done = [*await self._stop(engine, pods), *await self._perform(engine, run, pods)]
            if not done:
                return
            await self._save(engine, run, done)

    async def _perform(
        self, engine: Engine, run: Object, pods: dict[str, Object]
    ) -> list[Execution]:
        if engine.cancelled:
            return []
        missing = [row for row in engine.running.values() if not row.pod or row.pod not in pods]
        done = await self._starter.perform(engine, run, missing)
        for row in missing:
            if row.pod and row.path in engine.pods and row.path not in engine.troubles:
                pods[row.pod] = engine.pods[row.path]
        return done

    async def _stop(self, engine: Engine, pods: Mapping[str, Object]) -> list[Execution]:
        """End what runs, where the run is being ended; return the rows of what has no pod."""
        if not engine.cancelled:
            return []
        done = []
        for row in engine.running.values():
            pod = pods.get(row.pod)
            if pod is None:
                now = self._clock.now()
                done.append(ended(row, State.CANCELED, now, error=engine.cancelled))
            elif not metadata.is_deleting(pod):
                await clearing.end(self._client, pod)
        return done

    async def _tell(self, engine: Engine, run: Object, pods: Mapping[str, Object]) -> Result | None:
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
        rows = [
            row for row in await self._store.of_run(metadata.uid(run)) if row.state == State.RUNNING
        ]
        now = self._clock.now()
        why = "the run was deleted"
        await self._store.save([ended(row, State.CANCELED, now, error=why) for row in rows])
        await clearing.release_all(self._client, pods.values())
        await finalizers.remove_finalizer(self._client, kinds.PIPELINE_RUNS, run, kinds.FINALIZER)


def _runs_of_pod(pod: Object) -> Iterable[str]:
    owner = metadata.controller_of(pod)
    if owner is None or owner.get("kind") != kinds.PIPELINE_RUNS.kind:
        return ()
    return (f"{metadata.namespace(pod)}/{owner['name']}",)


def controller(manager: Manager, store: Metadata, roots: Roots) -> Controller:
    """Return the controller of runs."""
    return Controller(
        name=NAME,
        resource=kinds.PIPELINE_RUNS,
        reconciler=PipelineRunReconciler(manager, store, roots),
        owns=(core.PODS,),
        workers=_WORKERS,
    )
