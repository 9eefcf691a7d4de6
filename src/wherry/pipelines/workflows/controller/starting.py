"""A step of a Workflow that is to begin: by a pod, by waiting, from a kept result, once it has its locks."""

import asyncio
import dataclasses
import datetime
from collections.abc import Sequence
from typing import Any, Final

from wherry.client.client import Client
from wherry.controller import apply
from wherry.controller.clock import Clock
from wherry.controller.errors import ForeignOwnerError
from wherry.metadata.artifacts.uris import UriError
from wherry.metadata.records import Execution, Values
from wherry.objects import errors
from wherry.objects import kinds as core
from wherry.objects.requests import Object
from wherry.pipelines.controller.engine import ended
from wherry.pipelines.controller.roots import RootError
from wherry.pipelines.graph.language import UnresolvedError
from wherry.pipelines.graph.model import Start, State
from wherry.pipelines.steps.draft import StepError
from wherry.pipelines.workflows import calls, durations
from wherry.pipelines.workflows.calls import Role
from wherry.pipelines.workflows.controller import resumed, telling
from wherry.pipelines.workflows.controller.engine import (
    EXPORTED,
    LOCKS,
    MEMO,
    NODE,
    ORIGINAL,
    SUPPLIED,
    UNTIL,
    WAITS,
    WorkflowEngine,
)
from wherry.pipelines.workflows.controller.locks import Locks
from wherry.pipelines.workflows.controller.memory import Memory
from wherry.pipelines.workflows.language import HIT
from wherry.pipelines.workflows.messages import Template
from wherry.pipelines.workflows.steps.working import Steps

_REFUSALS: Final = (StepError, UnresolvedError, UriError, RootError, ValueError)
REFUSALS: Final = (*_REFUSALS, errors.InvalidError, errors.BadRequestError, ForeignOwnerError)
"""Why a pod is never made."""


class Starter:
    """Begins steps."""

    def __init__(
        self, client: Client, steps: Steps, *, locks: Locks, memory: Memory, clock: Clock
    ) -> None:
        """Take what it works with.

        Args:
            client: Makes pods.
            steps: Knows what pods.
            locks: Held by steps.
            memory: Of results that are kept.
            clock: Tells when steps begin.
        """
        self._client = client
        self._steps = steps
        self._locks = locks
        self._memory = memory
        self._clock = clock

    async def plan(self, engine: WorkflowEngine, run: Object, start: Start) -> Execution:
        """Return the row of a step that is to begin: running, or ended already."""
        row = engine.begun(start, run["metadata"]["namespace"], self._clock.now())
        spot = engine.spot(start.path)
        known = calls.content(spot)
        assert known is not None, f"{start.path} was not entered"
        assert known.template is not None, f"{start.path} runs nothing"
        template = known.template
        before = engine.earlier.get(start.path)
        # Whoever has this one retried wants it done.
        if before is not None and row.attempt == 0 and not spot.exiting:
            return _taken_over(row, before, self._clock.now())
        try:
            if template.timeout:
                telling.timeout_seconds(engine, start.path, row.attempt)
            if engine.role(start.path) is Role.GUARD or template.synchronization is not None:
                return _waiting(row, "locks", template)
            if template.memoize is not None:
                return _waiting(row, "memo", template)
            return self._begun(engine, run, row, template)
        except _REFUSALS as error:
            return self._refused(row, error)

    async def perform(
        self, engine: WorkflowEngine, run: Object, rows: Sequence[Execution]
    ) -> list[Execution]:
        """Make the pods of steps that run, and do what needs none.

        Returns:
            The rows that are others now, not stored yet.
        """
        done = await asyncio.gather(*(self._perform(engine, run, row) for row in rows))
        return [row for row in done if row is not None]

    async def _perform(
        self, engine: WorkflowEngine, run: Object, row: Execution
    ) -> Execution | None:
        try:
            if row.properties.get(WAITS):
                return await self._awaited(engine, run, row)
            if not row.pod:
                return self._suspended(engine, run, row)
            await self.make(engine, run, row)
        except errors.ForbiddenError as error:
            # A quota, perhaps: there may be room later.
            engine.troubles[row.path] = error.message
            return None
        except REFUSALS as error:
            return self._refused(row, error)
        engine.troubles.pop(row.path, None)
        return None

    def _refused(self, row: Execution, error: Exception) -> Execution:
        told = str(getattr(error, "message", error))
        return ended(row, State.ERROR, self._clock.now(), error=told, final=True)

    # Pods.

    def _begun(
        self, engine: WorkflowEngine, run: Object, row: Execution, template: Template
    ) -> Execution:
        """Return the row of a step that nothing keeps any more."""
        if template.suspend is not None:
            return self._suspending(engine, row)
        order = engine.order(
            run, row.path, row.attempt, telling.seconds_left(engine, run, self._clock.now())
        )
        engine.pods[row.path] = self._steps.pod(order)
        return dataclasses.replace(row, pod=order.pod)

    async def make(self, engine: WorkflowEngine, run: Object, row: Execution) -> None:
        """Make the pod of a step; one that is there already stays.

        Raises:
            Exception: One of `REFUSALS`: it cannot be made.
            ForbiddenError: There is no room for it; there may be later.
            ApiError: The API does not take it.
        """
        order = engine.order(
            run, row.path, row.attempt, telling.seconds_left(engine, run, self._clock.now())
        )
        wanted = engine.pods.get(row.path)
        if wanted is None:
            wanted = engine.pods[row.path] = self._steps.pod(order)
        await self._steps.prepare(order)
        try:
            await self._client.create(core.PODS, wanted)
        except errors.AlreadyExistsError:
            await apply.create_if_absent(self._client, None, core.PODS, wanted)

    # Waiting.

    def _suspending(self, engine: WorkflowEngine, row: Execution) -> Execution:
        spot = engine.spot(row.path)
        written = engine.language.filled(spot, row.attempt, "")
        told = str((written.get("suspend") or {}).get("duration") or "")
        until = 0
        if told:
            until = row.started + int(durations.seconds(told) * 1000)
        return dataclasses.replace(row, properties={**row.properties, UNTIL: until})

    def _suspended(self, engine: WorkflowEngine, run: Object, row: Execution) -> Execution | None:
        """Return the row of a step that waits no longer; None: it does."""
        now = self._clock.now()
        until = int(row.properties.get(UNTIL) or 0)
        told = resumed.told(engine, run, row)
        if told.state is not None:
            return ended(row, told.state, now, outputs=told.outputs, error=told.message)
        if told.given != (row.properties.get(SUPPLIED) or {}):
            return dataclasses.replace(row, properties={**row.properties, SUPPLIED: told.given})
        if until and now.timestamp() * 1000 >= until:
            try:
                outputs = resumed.supplied(engine, row, told.given)
            except ValueError as error:
                return ended(row, State.FAILED, now, error=str(error))
            return ended(row, State.SUCCEEDED, now, outputs=outputs)
        return None

    async def _awaited(
        self, engine: WorkflowEngine, run: Object, row: Execution
    ) -> Execution | None:
        """Return the row of a step that has what it waited for; None: it has not."""
        spot = engine.spot(row.path)
        known = calls.content(spot)
        assert known is not None, f"{row.path} was not entered"
        assert known.template is not None, f"{row.path} runs nothing"
        template, properties = known.template, dict(row.properties)
        if template.synchronization is not None and LOCKS not in properties:
            got = await self._locks.acquire(engine, run, row, template)
            if isinstance(got, str):
                properties[WAITS] = got
                same = properties == row.properties
                return None if same else dataclasses.replace(row, properties=properties)
            properties[LOCKS] = got
        properties.pop(WAITS, None)
        row = dataclasses.replace(row, properties=properties)
        found: Values | None = None
        if template.memoize is not None:
            # What has ended in this very look is there for what begins in it.
            await self._memory.keep_ended(engine, run, self._clock.now())
            found, told = await self._memory.recall(engine, run, row, self._clock.now())
            row = dataclasses.replace(row, properties={**row.properties, MEMO: told})
        if found is None and engine.role(row.path) is not Role.GUARD:
            return self._begun(engine, run, row, template)
        return self._taken(engine, row, found)

    def _taken(self, engine: WorkflowEngine, row: Execution, found: Values | None) -> Execution:
        """Return the row of a step that has ended with its locks, or with a result that was kept."""
        now = self._clock.now()
        if found is None:
            return ended(row, State.SUCCEEDED, now)
        kept: dict[str, Any] = dict(found.parameters)
        if engine.role(row.path) is Role.GUARD:
            kept[HIT] = True
        row = dataclasses.replace(row, cache_reason="its result was kept")
        return ended(row, State.SUCCEEDED, now, outputs=Values(kept, found.artifacts))


def _taken_over(row: Execution, before: Execution, now: datetime.datetime) -> Execution:
    """Return the row of a step that has succeeded in another run."""
    exports = {key: each for key, each in before.properties.items() if key in EXPORTED}
    row = dataclasses.replace(
        row,
        cached_from=before.id,
        cache_reason=f"it has succeeded in workflow {before.pipeline}",
        properties={**row.properties, **exports, ORIGINAL: str(before.properties.get(NODE) or "")},
    )
    return ended(row, State.SUCCEEDED, now, outputs=before.outputs)


def _waiting(row: Execution, what: str, template: Template) -> Execution:
    properties = {**row.properties, WAITS: f"Waiting for {what} of {template.name}"}
    return dataclasses.replace(row, properties=properties)
