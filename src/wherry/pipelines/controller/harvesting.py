"""What ended pods have left: their outputs are read, and the rows of their tasks written."""

import asyncio
import dataclasses
from collections.abc import Mapping

from wherry.client.client import Client
from wherry.controller.clock import Clock
from wherry.metadata.records import Execution, Values
from wherry.objects import errors, metadata
from wherry.objects.requests import Object
from wherry.pipelines.controller import importing
from wherry.pipelines.controller.engine import ended
from wherry.pipelines.controller.log_keeping import LogKeeper
from wherry.pipelines.controller.pipeline_engine import PipelineEngine
from wherry.pipelines.controller.roots import FILES, Roots
from wherry.pipelines.graph.model import State
from wherry.pipelines.history.logs import Logs
from wherry.pipelines.steps import ending, executor_input, outputs
from wherry.pipelines.steps.order import Order
from wherry.pipelines.steps.outputs import OutputError


class Harvester:
    """Reads what steps have written."""

    def __init__(self, client: Client, roots: Roots, logs: Logs, clock: Clock) -> None:
        """Take what it works with.

        Args:
            client: Reads what steps have said.
            roots: Knows where to look.
            logs: Keep what steps have said.
            clock: Tells when steps have ended.
        """
        self._keeper = LogKeeper(client, logs)
        self._roots = roots
        self._clock = clock

    async def harvest(
        self, engine: PipelineEngine, run: Object, pods: Mapping[str, Object]
    ) -> list[Execution]:
        """Return the rows of tasks whose pods have ended; they are not stored yet."""
        found = [
            (row, pod)
            for row in engine.running.values()
            if row.pod and (pod := pods.get(row.pod)) and ending.of(pod) is not None
        ]
        rows = await asyncio.gather(*(self._row(engine, run, row, pod) for row, pod in found))
        return [row for row in rows if row is not None]

    async def _row(
        self, engine: PipelineEngine, run: Object, row: Execution, pod: Object
    ) -> Execution | None:
        """Return the row of a task that has ended; None: what it gave cannot be had for now."""
        now, end = self._clock.now(), ending.of(pod)
        assert end is not None
        await self._keeper.keep(engine.uid, row, pod)
        if not end.succeeded:
            state = State.CANCELED if engine.cancelled else State.FAILED
            return ended(row, state, now, error=engine.cancelled or end.message)
        order = engine.order(run, row.path, row.attempt)
        try:
            given, files = await self._outputs(engine, order, pod)
        except (OutputError, errors.NotFoundError, errors.BadRequestError) as error:
            return ended(row, State.FAILED, now, error=str(error))
        except errors.ApiError as error:
            told = f"what it gave cannot be asked for: {error.message}"
            # A node that does not answer may come back; one whose pods are being deleted will not.
            if metadata.is_deleting(pod):
                return ended(row, State.FAILED, now, error=told)
            engine.troubles[row.path] = told
            return None
        row = dataclasses.replace(row, properties={**row.properties, FILES: [*files]})
        return ended(row, State.SUCCEEDED, now, outputs=given)

    async def _outputs(
        self, engine: PipelineEngine, order: Order, pod: Object
    ) -> tuple[Values, tuple[str, ...]]:
        if order.step.executor.importer is not None:
            artifact = importing.artifact(order)
            return Values(artifacts={artifact.name: (artifact,)}), ()
        found = await self._roots.found(engine.root, order, pod)
        told = executor_input.make(order)
        given = outputs.read(order.component, told, found.written, metadata.namespace(order.run))
        if found.files is not None:
            return given, found.files
        return given, await self._roots.files(given)
