"""What ended pods have left: their outputs are read, and the rows of their tasks written."""

import asyncio
import dataclasses
from collections.abc import Mapping

from wherry.controller.clock import Clock
from wherry.metadata.records import Execution, Values
from wherry.objects import errors, metadata
from wherry.objects.requests import Object
from wherry.pipelines.controller import importing
from wherry.pipelines.controller.engine import FILES, Engine, ended
from wherry.pipelines.controller.roots import Roots
from wherry.pipelines.graph.model import State
from wherry.pipelines.steps import ending, executor_input, outputs
from wherry.pipelines.steps.order import Order
from wherry.pipelines.steps.outputs import OutputError


class Harvester:
    """Reads what steps have written."""

    def __init__(self, roots: Roots, clock: Clock) -> None:
        """Take what it works with.

        Args:
            roots: Knows where to look.
            clock: Tells when steps have ended.
        """
        self._roots = roots
        self._clock = clock

    async def harvest(
        self, engine: Engine, run: Object, pods: Mapping[str, Object]
    ) -> list[Execution]:
        """Return the rows of tasks whose pods have ended; they are not stored yet."""
        found = [
            (row, pod)
            for row in engine.running.values()
            if row.pod and (pod := pods.get(row.pod)) and ending.of(pod) is not None
        ]
        return [*await asyncio.gather(*(self._row(engine, run, row, pod) for row, pod in found))]

    async def _row(self, engine: Engine, run: Object, row: Execution, pod: Object) -> Execution:
        now, end = self._clock.now(), ending.of(pod)
        assert end is not None
        if not end.succeeded:
            state = State.CANCELED if engine.cancelled else State.FAILED
            return ended(row, state, now, error=engine.cancelled or end.message)
        order = engine.order(run, row.path, row.attempt)
        try:
            given, files = await self._outputs(engine, order, pod)
        except (OutputError, errors.NotFoundError, errors.BadRequestError) as error:
            return ended(row, State.FAILED, now, error=str(error))
        row = dataclasses.replace(row, properties={**row.properties, FILES: [*files]})
        return ended(row, State.SUCCEEDED, now, outputs=given)

    async def _outputs(
        self, engine: Engine, order: Order, pod: Object
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
