"""Daemons that have ended before what they are part of: they are tried again, or are lost.

To the walk a daemon has ended when it is ready, and that stays so: what it was ready for may have begun. So an
attempt after that changes the row of the daemon, and nothing that was decided.

Source: argo-workflows after 4.1.2, ``assessNodeStatus`` and ``processNodeRetries`` in
``workflow/controller/operator.go``.
"""

import dataclasses
import datetime
from typing import Final

from wherry.controller.clock import Clock
from wherry.metadata.records import Execution, Values
from wherry.objects import conditions, errors
from wherry.objects.requests import Object
from wherry.pipelines.controller import engine as engines
from wherry.pipelines.controller.engine import ended
from wherry.pipelines.controller.pods import Pods
from wherry.pipelines.graph.language import UnresolvedError
from wherry.pipelines.graph.model import Start, State
from wherry.pipelines.steps import ending
from wherry.pipelines.workflows.controller import harvesting
from wherry.pipelines.workflows.controller.engine import (
    AGAIN,
    DAEMON,
    HOST,
    IP,
    WorkflowEngine,
)
from wherry.pipelines.workflows.controller.harvesting import Harvester
from wherry.pipelines.workflows.controller.starting import REFUSALS, Starter
from wherry.pipelines.workflows.scopes import EXIT_CODE
from wherry.pipelines.workflows.steps import outputs
from wherry.pipelines.workflows.sums import DAEMONED, LOST

_KEPT: Final = (HOST, IP)
"""What holds of the next attempt, too; until it is ready others ask the last one's address."""
_DELETED: Final = "pod deleted"


class Daemons:
    """Looks after steps that count as ended while their pods go on."""

    def __init__(self, pods: Pods, starter: Starter, harvester: Harvester, clock: Clock) -> None:
        """Take what it works with.

        Args:
            pods: As the cache has them.
            starter: Makes the next ones.
            harvester: Keeps what they have said.
            clock: Tells when they have ended.
        """
        self._pods = pods
        self._starter = starter
        self._harvester = harvester
        self._clock = clock

    async def look(self, engine: WorkflowEngine, run: Object) -> list[Execution]:
        """Return the rows of daemons that have become something else; they are not stored yet.

        Args:
            engine: What is known of the workflow.
            run: Its object.
        """
        found = []
        for row in [*engine.daemons.values()]:
            if engine.holds(row) and not engine.is_ended(row):
                changed = await self._row(engine, run, row)
                if changed is not None:
                    found.append(changed)
        return found

    async def _row(self, engine: WorkflowEngine, run: Object, row: Execution) -> Execution | None:
        pod = self._pods.get(row.namespace, row.pod)
        if pod is None and AGAIN in row.properties:
            return await self._make(engine, run, row)
        if pod is None:
            return self._failed(engine, row, state=State.ERROR, message=_DELETED)
        if AGAIN in row.properties:
            engine.remade.add(row.path)
        end = ending.of(pod)
        if end is not None:
            await self._harvester.keep_log(engine, row, pod)
            # A daemon that ends by itself has failed, however it ends.
            state = State.FAILED if end.succeeded else harvesting.bad(pod)
            code = outputs.exit_code(pod)
            return self._failed(engine, row, state=state, message=end.message, code=code)
        if AGAIN in row.properties and conditions.is_true(pod, "Ready"):
            properties = {**row.properties, **harvesting.where(pod)}
            del properties[AGAIN]
            return dataclasses.replace(row, properties=properties)
        return None

    async def _make(self, engine: WorkflowEngine, run: Object, row: Execution) -> Execution | None:
        """Make the pod of the next attempt, where it is time; return the row where that cannot be done."""
        if self._clock.now().timestamp() * 1000 < row.properties[AGAIN]:
            return None
        # Nobody has to wait for that time any more; for room there is another one.
        engine.remade.add(row.path)
        try:
            await self._starter.make(engine, run, row)
        except errors.ForbiddenError as error:
            engine.troubles[row.path] = error.message
        except REFUSALS as error:
            told = str(getattr(error, "message", error))
            return lost(engine, row, State.ERROR, told, now=self._clock.now())
        else:
            engine.troubles.pop(row.path, None)
        return None

    def _failed(
        self,
        engine: WorkflowEngine,
        row: Execution,
        *,
        state: State,
        message: str,
        code: int | None = None,
    ) -> Execution:
        """Return the row of a daemon that has ended: of its next attempt, or of one that is lost."""
        now, spot = self._clock.now(), engine.spot(row.path)
        given = Values({} if code is None else {EXIT_CODE: str(code)})
        properties = {key: each for key, each in row.properties.items() if key != DAEMON}
        bad = dataclasses.replace(row, properties=properties)
        bad = ended(bad, state, now, outputs=given, error=message)
        # Whether it is tried again may depend on how it has ended.
        engine.rows[row.path] = bad
        try:
            at = engine.language.again(spot, engines.attempt(bad))
        except UnresolvedError as error:
            return lost(engine, bad, error.state, str(error), now=now)
        if at is None:
            return lost(engine, bad, state, message, now=now)
        return _next(engine, row, at, now)


def lost(
    engine: WorkflowEngine, row: Execution, state: State, message: str, *, now: datetime.datetime
) -> Execution:
    """Return the row of a daemon that has ended too early, for good.

    Args:
        engine: What is known of the workflow; it learns of it.
        row: As it was.
        state: What has become of it.
        message: Why.
        now: When.
    """
    spot = engine.spot(row.path)
    # The walk looks at what it has given where it sums up what is around it.
    spot.outputs = Values({**row.outputs.parameters, DAEMONED: True, LOST: str(state)})
    spot.error = message
    properties = {key: each for key, each in row.properties.items() if key != AGAIN}
    row = dataclasses.replace(row, properties={**properties, DAEMON: True})
    return ended(row, State.SUCCEEDED, now, outputs=spot.outputs, error=message)


def _next(engine: WorkflowEngine, old: Execution, at: float, now: datetime.datetime) -> Execution:
    """Return the row of the next attempt of a daemon, whose pod is not made yet."""
    spot = engine.spot(old.path)
    assert spot.node is not None, f"{old.path} is no step"
    number = engines.attempt(old).number + 1
    begun = engine.begun(
        Start(old.path, spot.node, number, spot.inputs), old.namespace, now, old.type
    )
    kept = {key: old.properties[key] for key in _KEPT if key in old.properties}
    begun = dataclasses.replace(
        begun,
        pod=engine.pod_name(spot, begun.attempt),
        properties={**begun.properties, **kept, DAEMON: True, AGAIN: int(at * 1000)},
    )
    return ended(begun, State.SUCCEEDED, now, outputs=Values({DAEMONED: True}))
