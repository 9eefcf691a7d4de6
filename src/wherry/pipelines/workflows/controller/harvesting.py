"""What ended pods of Workflows have left: their outputs are read, and the rows of their nodes written."""

import asyncio
import dataclasses
from collections.abc import Mapping
from typing import Any, Final

from wherry.client.client import Client
from wherry.controller.clock import Clock
from wherry.metadata.records import Execution, Values
from wherry.objects import conditions, errors, metadata
from wherry.objects.requests import Object
from wherry.pipelines.controller.engine import ended
from wherry.pipelines.controller.log_keeping import LogKeeper
from wherry.pipelines.graph.language import UnresolvedError
from wherry.pipelines.graph.model import State
from wherry.pipelines.history.logs import Logs
from wherry.pipelines.steps import ending
from wherry.pipelines.steps.draft import StepError
from wherry.pipelines.steps.outputs import OutputError
from wherry.pipelines.workflows import calls
from wherry.pipelines.workflows.controller import container_nodes
from wherry.pipelines.workflows.controller.engine import (
    DAEMON,
    EXPORTS,
    HOST,
    IP,
    MEMO,
    PROGRESS,
    WorkflowEngine,
)
from wherry.pipelines.workflows.controller.memory import Memory
from wherry.pipelines.workflows.controller.progressing import Progressing
from wherry.pipelines.workflows.scopes import EXIT_CODE, RESULT
from wherry.pipelines.workflows.steps.outputs import NodeOutputs
from wherry.pipelines.workflows.steps.working import Steps
from wherry.pipelines.workflows.sums import DAEMONED

_NEVER: Final = (errors.NotFoundError, errors.BadRequestError)


class Harvester:
    """Reads what nodes have written."""

    def __init__(
        self, client: Client, steps: Steps, *, logs: Logs, memory: Memory, clock: Clock
    ) -> None:
        """Take what it works with.

        Args:
            client: Reads what steps have said.
            steps: Knows where to look.
            logs: Keep what steps have said.
            memory: Keeps results.
            clock: Tells when steps have ended.
        """
        self._steps = steps
        self._memory = memory
        self._clock = clock
        self._keeper = LogKeeper(client, logs)
        self._progressing = Progressing(client, clock)

    async def harvest(
        self, engine: WorkflowEngine, run: Object, pods: Mapping[str, Object]
    ) -> list[Execution]:
        """Return the rows of nodes whose pods have ended, or go on as daemons; not stored yet."""
        found = [
            (row, pod)
            for row in engine.running.values()
            if row.pod and (pod := pods.get(row.pod)) is not None
        ]
        rows = await asyncio.gather(*(self._row(engine, run, row, pod) for row, pod in found))
        return [row for row in rows if row is not None]

    async def keep_log(self, engine: WorkflowEngine, row: Execution, pod: Object) -> None:
        """Keep what a step has said whose pod has ended."""
        await self._keeper.keep(engine.uid, row, pod)

    async def _row(
        self, engine: WorkflowEngine, run: Object, row: Execution, pod: Object
    ) -> Execution | None:
        end = ending.of(pod)
        if end is None:
            return self._daemoned(engine, row, pod)
        await self.keep_log(engine, row, pod)
        now = self._clock.now()
        more = {**where(pod), **_containers(engine, row, pod)}
        far = await self._progressing.last(pod)
        if far is not None:
            more[PROGRESS] = str(far)
        row = dataclasses.replace(row, properties={**row.properties, **more})
        try:
            order = engine.order(run, row.path, row.attempt, None)
            given = _values(await self._steps.outputs(order, pod))
        except (OutputError, StepError, UnresolvedError) as error:
            return ended(row, State.ERROR, now, error=str(error))
        except errors.ApiError as error:
            told = f"what it gave cannot be asked for: {error.message}"
            # A node that does not answer may come back; one whose pods are being deleted will not.
            if metadata.is_deleting(pod) or isinstance(error, _NEVER):
                return ended(row, State.ERROR, now, error=told)
            engine.troubles[row.path] = told
            return None
        return await self._ended(engine, run, pod, row=row, given=given)

    async def _ended(
        self, engine: WorkflowEngine, run: Object, pod: Object, *, row: Execution, given: Values
    ) -> Execution:
        """Return the row of a node whose pod has ended, and has given something."""
        now, end = self._clock.now(), ending.of(pod)
        assert end is not None, f"{row.pod} has not ended"
        if not end.succeeded:
            message = engine.cancelled if engine.is_ended(row) else end.message
            return ended(row, bad(pod), now, outputs=given, error=message)
        row = _exporting(engine, row, given)
        if row.properties.get(MEMO):
            await self._memory.keep(run, row, given, now)
        return ended(row, State.SUCCEEDED, now, outputs=given)

    def _daemoned(self, engine: WorkflowEngine, row: Execution, pod: Object) -> Execution | None:
        """Return the row of a daemon that is ready: what waits for it may begin."""
        known = calls.content(engine.spot(row.path))
        ready = conditions.is_true(pod, "Ready")
        if known is None or known.template is None or not known.template.daemon or not ready:
            return None
        properties = {**row.properties, **where(pod), DAEMON: True}
        row = dataclasses.replace(row, properties=properties)
        given = Values({DAEMONED: True})
        return ended(row, State.SUCCEEDED, self._clock.now(), outputs=given)


def where(pod: Object) -> dict[str, str]:
    """Return where a pod is, as properties of its row."""
    status = pod.get("status") or {}
    found = {IP: status.get("podIP"), HOST: (pod.get("spec") or {}).get("nodeName")}
    return {key: str(value) for key, value in found.items() if value}


def _containers(engine: WorkflowEngine, row: Execution, pod: Object) -> Object:
    known = calls.content(engine.spot(row.path))
    of_set = known is not None and known.template is not None and known.template.container_set
    return {container_nodes.CONTAINERS: container_nodes.ended(pod)} if of_set else {}


def bad(pod: Object) -> State:
    """Return whether a step has failed, or something around it: evicted, deleted, never started."""
    code = any(
        ((each.get("state") or {}).get("terminated") or {}).get("exitCode")
        for each in (pod.get("status") or {}).get("containerStatuses") or ()
    )
    reason = (pod.get("status") or {}).get("reason")
    return State.FAILED if code or reason == "DeadlineExceeded" else State.ERROR


def _values(found: NodeOutputs) -> Values:
    parameters: dict[str, Any] = dict(found.parameters)
    if found.result is not None:
        parameters[RESULT] = found.result
    if found.exit_code is not None:
        parameters[EXIT_CODE] = str(found.exit_code)
    return Values(parameters, {name: (each,) for name, each in found.artifacts.items()})


def _exporting(engine: WorkflowEngine, row: Execution, given: Values) -> Execution:
    """Return the row with what the node gives to the whole workflow."""
    known = calls.content(engine.spot(row.path))
    if known is None or known.template is None:
        return row
    outputs = known.template.outputs
    parameters = {
        f"workflow.outputs.parameters.{each.global_name}": given.parameters[each.name]
        for each in outputs.parameters
        if each.global_name and each.name in given.parameters
    }
    artifacts = {
        f"workflow.outputs.artifacts.{each.global_name}": each.name
        for each in outputs.artifacts
        if each.global_name and each.name in given.artifacts
    }
    if not parameters and not artifacts:
        return row
    properties = {**row.properties, EXPORTS: parameters, f"{EXPORTS}Artifacts": artifacts}
    return dataclasses.replace(row, properties=properties)
