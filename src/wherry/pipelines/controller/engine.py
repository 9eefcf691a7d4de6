"""A run as far as it has come: its walk, and the rows of its tasks. No I/O.

It is made anew from the rows whenever it is lost, and lost it is after every error.
"""

import dataclasses
import datetime
from collections.abc import Iterable, Iterator
from typing import Any, Final

from wherry.metadata import records
from wherry.metadata.artifacts import uris
from wherry.metadata.records import Execution, Values
from wherry.objects import metadata
from wherry.objects.requests import Object
from wherry.pipelines import naming, placeholders
from wherry.pipelines.controller.roots import Root
from wherry.pipelines.graph.model import Attempt, Change, Node, State
from wherry.pipelines.graph.walk import Walk
from wherry.pipelines.ir.messages import TaskParameter
from wherry.pipelines.pipeline import MISSING, Pipeline
from wherry.pipelines.steps import executor_input
from wherry.pipelines.steps.order import Order
from wherry.pipelines.steps.platform import Resolve

FINAL: Final = "final"
"""Property of a row: the failure is not tried again."""
FILES: Final = "files"
"""Property of a row: names of the outputs that have files; the others are only metadata."""

MAX_ERROR: Final = 4000


class Engine:
    """One run.

    Attributes:
        uid: Of the run.
        pipeline: What is run.
        walk: How far it is.
        root: The pipeline root.
        rows: What the database holds of it, by path.
        running: Those of steps that run.
        contexts: Ids of the run's context and its pipeline's.
        troubles: Why pods could not be made yet, by path.
        written: When the status was last written, by the monotonic clock.
        cancelled: Why it is being ended; empty: it is not.
    """

    def __init__(self, run: Object, pipeline: Pipeline, walk: Walk, root: Root) -> None:
        self.uid = metadata.uid(run)
        self.pipeline = pipeline
        self.walk = walk
        self.root = root
        self.rows: dict[str, Execution] = {}
        self.running: dict[str, Execution] = {}
        self.contexts: tuple[int, ...] = ()
        self.troubles: dict[str, str] = {}
        self.pods: dict[str, Object] = {}
        self.written = float("-inf")
        self.cancelled = ""

    def take(self, row: Execution) -> None:
        """Take in a row that is stored."""
        self.rows[row.path] = row
        if not row.started:
            return
        if row.state == State.RUNNING:
            self.running[row.path] = row
        else:
            self.running.pop(row.path, None)
            self.pods.pop(row.path, None)
            self.troubles.pop(row.path, None)
        self.walk.record(_attempt(row))

    def cancel(self, why: str) -> None:
        """Begin nothing more, and have what runs be ended. Idempotent."""
        if not self.cancelled:
            self.cancelled = why
            self.walk.cancel()

    def order(self, run: Object, path: str, number: int) -> Order:
        """Return an attempt of a step, to be made or harvested."""
        known, scope = self.walk.known(path), self.walk.scope(path)
        node = known.node
        assert node is not None, f"{path} is no task"
        return Order(
            run=run,
            path=path,
            attempt=number,
            inputs=known.inputs,
            step=self.pipeline.step(node.component),
            task=self.pipeline.task(scope.graph, node.name),
            facts=self._facts(run, path, node),
            task_root=naming.task_root(
                self.root.uri, self.pipeline.name, self.uid, path, attempt=number
            ),
            resolve=self._resolve(path),
            workspace=naming.workspace(run) if self.pipeline.config.workspace else "",
        )

    def begun(self, order: Order, now: datetime.datetime) -> Execution:
        """Return the row of an attempt that begins."""
        old = self.rows.get(order.path)
        importer = order.step.executor.importer is not None
        return Execution(
            id=old.id if old else 0,
            created=old.created if old else 0,
            namespace=metadata.namespace(order.run),
            type=records.IMPORTER_EXECUTION if importer else records.CONTAINER_EXECUTION,
            name=order.path.rpartition("/")[2],
            pipeline=self.pipeline.name,
            run=self.uid,
            path=order.path,
            state=State.RUNNING,
            attempt=order.attempt,
            inputs=order.inputs,
            started=milliseconds(now),
            contexts=self.contexts,
        )

    def changed(
        self, changes: Iterable[Change], namespace: str, now: datetime.datetime
    ) -> list[Execution]:
        """Return the rows of nodes whose state no step reports; those that are not stored already."""
        made: dict[str, Execution] = {}
        for change in changes:
            before = made.get(change.path) or self.rows.get(change.path)
            # A walk that is made anew tells all of it once more.
            again = change.state is State.RUNNING and before is not None and _is_final(before)
            if before is None or not (again or before.state == change.state):
                made[change.path] = self._changed(change, before, namespace, now)
        return [*made.values()]

    def _changed(
        self, change: Change, old: Execution | None, namespace: str, now: datetime.datetime
    ) -> Execution:
        step = change.node is not None and change.node.graph is None
        at = milliseconds(now)
        base = old or Execution(
            namespace=namespace,
            type=records.CONTAINER_EXECUTION if step else records.DAG_EXECUTION,
            name=change.path.rpartition("/")[2],
            pipeline=self.pipeline.name,
            run=self.uid,
            path=change.path,
            created=at,
            contexts=self.contexts,
        )
        properties = {**base.properties}
        if change.turns is not None:
            properties["turns"] = change.turns
        return dataclasses.replace(
            base,
            state=str(change.state),
            inputs=_or(change.inputs, base.inputs),
            outputs=_or(change.outputs, base.outputs),
            error=change.error[:MAX_ERROR],
            ended=at if change.state.final else 0,
            properties=properties,
        )

    def _resolve(self, path: str) -> Resolve:
        scope = self.walk.scope(path)

        def resolve(source: TaskParameter) -> Any:
            value = self.pipeline.parameter(scope, source)
            return None if value is MISSING else value

        return resolve

    def _facts(self, run: Object, path: str, node: Node) -> placeholders.Facts:
        created = str(run["metadata"].get("creationTimestamp") or "")
        return placeholders.Facts(
            job_name=str(run["spec"].get("displayName") or metadata.name(run)),
            job_resource_name=naming.job(run, self.pipeline.name),
            job_uuid=self.uid,
            task_name=node.name,
            task_uuid=naming.claim(run, path),
            pipeline_root=uris.seen(self.root.uri),
            create_time=created,
            schedule_time=created,
            workspace_path=executor_input.WORKSPACE_PATH,
        )


def ended(
    row: Execution,
    state: State,
    now: datetime.datetime,
    *,
    outputs: Values | None = None,
    error: str = "",
    final: bool = False,
) -> Execution:
    """Return the row of a step that has ended."""
    properties = {**row.properties, FINAL: True} if final else row.properties
    return dataclasses.replace(
        row,
        state=str(state),
        ended=milliseconds(now),
        outputs=outputs or Values(),
        error=error[:MAX_ERROR],
        properties=properties,
    )


def _is_final(row: Execution) -> bool:
    return State(row.state).final


def milliseconds(when: datetime.datetime) -> int:
    """Return a time as the database keeps it."""
    return int(when.timestamp() * 1000)


def steps(walk: Walk) -> Iterator[tuple[str, State]]:
    """Yield path and state of all steps that are known."""
    for known in walk.nodes():
        if known.node is not None and known.node.graph is None:
            yield known.path, known.state


def _attempt(row: Execution) -> Attempt:
    return Attempt(
        path=row.path,
        number=row.attempt,
        state=State(row.state),
        outputs=row.outputs,
        error=row.error,
        ended_at=row.ended / 1000,
        final=bool(row.properties.get(FINAL)),
        cached=bool(row.cached_from),
    )


def _or(given: Values, before: Values) -> Values:
    return given if given.parameters or given.artifacts else before
