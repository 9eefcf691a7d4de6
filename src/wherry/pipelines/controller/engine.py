"""A run as far as it has come: its walk, and the rows of its tasks. No I/O.

It is made anew from the rows whenever it is lost, and lost it is after every error.
"""

import dataclasses
import datetime
from collections.abc import Iterable, Iterator
from typing import Final

from wherry.metadata import records
from wherry.metadata.records import Execution, Values
from wherry.objects.requests import Object
from wherry.pipelines.graph.model import Attempt, Change, Start, State
from wherry.pipelines.graph.walk import Walk

FINAL: Final = "final"
"""Property of a row: the failure is not tried again."""
ROUND: Final = "round"
"""Property of a row: number of the first attempt since the run was last taken up again."""
BEGAN: Final = "began"
"""Property of a row: when the first of its attempts began; without it this is the first."""
MAX_ERROR: Final = 4000


class Engine:
    """One run.

    Attributes:
        uid: The run's id.
        name: Of the pipeline, as its rows have it.
        walk: How far it is.
        rows: What the database holds of it, by path.
        running: Those of steps that run.
        contexts: Ids of the run's context and its pipeline's.
        troubles: Why pods could not be made yet, by path.
        pods: Those that are to be made, by path.
        written: When the status was last written, by the monotonic clock.
        cancelled: Why it is being ended; empty: it is not.
        cancelled_as: What then becomes of what runs.
    """

    def __init__(self, uid: str, name: str, walk: Walk) -> None:
        self.uid = uid
        self.name = name
        self.walk = walk
        self.rows: dict[str, Execution] = {}
        self.running: dict[str, Execution] = {}
        self.contexts: tuple[int, ...] = ()
        self.troubles: dict[str, str] = {}
        self.pods: dict[str, Object] = {}
        self.written = float("-inf")
        self.cancelled = ""
        self.cancelled_as = State.CANCELED

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
        self.walk.record(attempt(row))

    def cancel(self, why: str) -> None:
        """Begin nothing more, and have what runs be ended. Idempotent."""
        if not self.cancelled:
            self.cancelled = why
            self.walk.cancel()

    def is_ended(self, row: Execution) -> bool:
        """Tell whether a step that runs is to be ended."""
        return bool(self.cancelled)

    def holds(self, row: Execution) -> bool:
        """Tell whether something is still to be learnt of the pod of a row."""
        return row.state == State.RUNNING

    def number(self, start: Start) -> int:
        """Return the number of an attempt among all; the walk counts those of its own time."""
        row = self.rows.get(start.path)
        return start.number + (_round(row) if row is not None else 0)

    def begun(self, start: Start, namespace: str, now: datetime.datetime, type_: str) -> Execution:
        """Return the row of an attempt that begins."""
        old = self.rows.get(start.path)
        kept: dict[str, object] = {}
        if old and _round(old):
            kept[ROUND] = _round(old)
        if old and start.number:
            kept[BEGAN] = old.properties.get(BEGAN) or old.started
        return Execution(
            id=old.id if old else 0,
            created=old.created if old else 0,
            namespace=namespace,
            type=type_,
            name=start.path.rpartition("/")[2],
            pipeline=self.name,
            run=self.uid,
            path=start.path,
            state=State.RUNNING,
            attempt=self.number(start),
            inputs=start.inputs,
            started=milliseconds(now),
            properties=kept,
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
        at = milliseconds(now)
        base = old or Execution(
            namespace=namespace,
            type=records.CONTAINER_EXECUTION if change.step else records.DAG_EXECUTION,
            name=change.path.rpartition("/")[2],
            pipeline=self.name,
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


def without_values(row: Execution, now: datetime.datetime, why: str) -> Execution:
    """Return the row of a task whose values cannot be stored: a step has failed by it."""
    bare = dataclasses.replace(row, inputs=Values(), outputs=Values())
    if not row.started:
        return bare
    return ended(bare, State.FAILED, now, error=f"its values cannot be kept: {why}", final=True)


def _is_final(row: Execution) -> bool:
    return State(row.state).final


def milliseconds(when: datetime.datetime) -> int:
    """Return a time as the database keeps it."""
    return int(when.timestamp() * 1000)


def steps(walk: Walk) -> Iterator[tuple[str, State]]:
    """Yield path and state of all steps that are known."""
    for known in walk.nodes():
        if known.step:
            yield known.path, known.state


def attempt(row: Execution) -> Attempt:
    """Return what a row of a step that was started says of it."""
    return Attempt(
        path=row.path,
        number=row.attempt - _round(row),
        state=State(row.state),
        outputs=row.outputs,
        error=row.error,
        ended_at=row.ended / 1000,
        final=bool(row.properties.get(FINAL)),
        cached=bool(row.cached_from),
        began_at=(row.properties.get(BEGAN) or row.started) / 1000,
    )


def again(row: Execution) -> Execution:
    """Return the row of a node that is done again, or may be: it has not begun."""
    properties = {ROUND: row.attempt + 1} if row.started else row.properties
    return dataclasses.replace(
        row,
        state=str(State.PENDING),
        outputs=Values(),
        pod="",
        started=0,
        ended=0,
        error="",
        fingerprint="",
        cached_from=0,
        cache_reason="",
        properties=properties,
    )


def _round(row: Execution) -> int:
    return int(row.properties.get(ROUND) or 0)


def _or(given: Values, before: Values) -> Values:
    return given if given.parameters or given.artifacts else before
