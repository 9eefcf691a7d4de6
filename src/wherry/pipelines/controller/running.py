"""Takes a run as far as it goes, whatever language it is in: rows, then pods, then rows again."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from typing import Generic, Protocol, TypeVar

from wherry.controller.events import Recorder
from wherry.controller.manager import Manager
from wherry.metadata.errors import UnstorableError
from wherry.metadata.records import PIPELINE, PIPELINE_RUN, Context, Execution
from wherry.metadata.store import Metadata
from wherry.objects import metadata
from wherry.objects.requests import Object
from wherry.pipelines.controller import clearing
from wherry.pipelines.controller.engine import Engine, ended, without_values
from wherry.pipelines.graph.model import Change, Start, State

E_contra = TypeVar("E_contra", bound=Engine, contravariant=True)
Known = TypeVar("Known", bound=Engine)


class Starter(Protocol[E_contra]):
    """Begins steps."""

    async def plan(self, engine: E_contra, run: Object, start: Start) -> Execution:
        """Return the row of a step that is to begin: running, or ended already."""

    async def perform(
        self, engine: E_contra, run: Object, rows: Sequence[Execution]
    ) -> list[Execution]:
        """Make the pods of steps that run, and do what needs none; return the rows of what has ended."""


class Harvester(Protocol[E_contra]):
    """Reads what steps have written."""

    async def harvest(
        self, engine: E_contra, run: Object, pods: Mapping[str, Object]
    ) -> list[Execution]:
        """Return the rows of tasks whose pods have ended; they are not stored yet."""


class Runner(Generic[Known]):
    """Takes runs as far as they go."""

    def __init__(
        self,
        *,
        manager: Manager,
        store: Metadata,
        recorder: Recorder,
        starter: Starter[Known],
        harvester: Harvester[Known],
        finalizer: str,
        failed: str,
    ) -> None:
        """Take what it works with.

        Args:
            manager: Gives client and clock.
            store: Holds the rows.
            recorder: Tells people of steps that fail.
            starter: Begins steps.
            harvester: Reads what they have left.
            finalizer: Holds pods until their rows are written.
            failed: Reason of the event of a step that failed; empty: somebody else tells people.
        """
        self._client = manager.client
        self._clock = manager.clock
        self._store = store
        self._recorder = recorder
        self._starter = starter
        self._harvester = harvester
        self._finalizer = finalizer
        self._failed = failed

    async def step(
        self, engine: Known, run: Object, pods: dict[str, Object], *, held: bool
    ) -> None:
        """Harvest what has ended, begin what may, and let go of pods.

        Args:
            engine: What is known of the run.
            run: Its object.
            pods: Those of steps that run, or were not let go; those that are made are added.
            held: Whether nothing may begin for now.
        """
        await self.save(engine, run, await self._harvester.harvest(engine, run, pods))
        if not held:
            await self._advance(engine, run, pods)
        await clearing.release(self._client, pods, engine, self._finalizer)

    async def contexts(self, engine: Known, run: Object, root: str) -> tuple[int, ...]:
        """Return the ids of a run's contexts: of its pipeline, and its own."""
        namespace = metadata.namespace(run)
        pipeline = await self._store.context(
            Context(namespace=namespace, type=PIPELINE, name=engine.name)
        )
        properties = {"name": metadata.name(run), "pipelineRoot": root}
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

    async def save(self, engine: Known, run: Object, rows: Iterable[Execution]) -> None:
        """Store rows, and only then take them for true."""
        rows = [*rows]
        if not rows:
            return
        for row in await self._stored(rows):
            engine.take(row)
            if self._failed and State(row.state).bad and row.started:
                message = f"{row.path}, attempt {row.attempt}: {row.error}"
                await self._recorder.event(run, "Warning", self._failed, message)

    async def _stored(self, rows: list[Execution]) -> list[Execution]:
        try:
            return await self._store.save(rows)
        except UnstorableError as error:
            if len(rows) > 1:
                return [stored for row in rows for stored in await self._stored([row])]
            return await self._store.save([without_values(rows[0], self._clock.now(), str(error))])

    async def _advance(self, engine: Known, run: Object, pods: dict[str, Object]) -> None:
        """Begin all that may begin; what ends at once may let more begin."""
        while True:
            while actions := engine.walk.ready(self._clock.now().timestamp()):
                now, namespace = self._clock.now(), metadata.namespace(run)
                starts = [each for each in actions if isinstance(each, Start)]
                rows = await asyncio.gather(
                    *(self._starter.plan(engine, run, each) for each in starts)
                )
                changes = [each for each in actions if isinstance(each, Change)]
                await self.save(engine, run, [*rows, *engine.changed(changes, namespace, now)])
            done = [*await self._stop(engine, pods), *await self._perform(engine, run, pods)]
            if not done:
                return
            await self.save(engine, run, done)

    async def _perform(
        self, engine: Known, run: Object, pods: dict[str, Object]
    ) -> list[Execution]:
        missing = [
            row
            for row in engine.running.values()
            if not engine.is_ended(row) and (not row.pod or row.pod not in pods)
        ]
        if not missing:
            return []
        done = await self._starter.perform(engine, run, missing)
        for row in missing:
            if row.pod and row.path in engine.pods and row.path not in engine.troubles:
                pods[row.pod] = engine.pods[row.path]
        return done

    async def _stop(self, engine: Known, pods: Mapping[str, Object]) -> list[Execution]:
        """End what runs, where it is being ended; return the rows of what has no pod."""
        done = []
        for row in [*engine.running.values()] if engine.cancelled else ():
            if not engine.is_ended(row):
                continue
            pod = pods.get(row.pod)
            if pod is None:
                now = self._clock.now()
                done.append(ended(row, engine.cancelled_as, now, error=engine.cancelled))
            elif not metadata.is_deleting(pod):
                await clearing.end(self._client, pod)
        return done
