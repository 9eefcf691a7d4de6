"""The tasks of a run, as those who ask for a run are told of them. Pure."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from wherry.metadata.records import Artifact, Execution
from wherry.pipelines import kinds
from wherry.pipelines.graph.known import ROOT
from wherry.pipelines.graph.model import State
from wherry.pipelines.history.records import Became, Run

_TURN: Final = re.compile(r"\[\d+\]$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """A task of a run: a step, a graph, a loop, or one turn of a loop.

    Attributes:
        task_id: Its id among the tasks of all runs.
        run_id: Of its run.
        name: Of the task in its graph.
        path: Its place, such as ``root/for-loop-1[3]/train``.
        execution_id: Of its row in the metadata.
        parent_id: The task that it is part of; empty: none.
        children: Ids of the tasks that are part of it.
        pod: Name of the pod of its latest attempt; empty: none.
        attempt: Number of that attempt, from 0.
        state: PENDING, RUNNING, SUCCEEDED, SKIPPED, FAILED or CANCELED.
        states: What it has become, oldest first; of a step, in its latest attempt.
        error: Why it failed, or was skipped.
        cached_from: Id of the execution whose results were taken; 0: it ran.
        cache_reason: Why they were taken, or not.
        created_at: When it was first known, in milliseconds since 1970 UTC.
        started_at: When it began; 0: it has not.
        ended_at: When it ended; 0: it has not.
        inputs: Ids of the artifacts that went in, by name.
        outputs: Ids of the artifacts that came out, by name.
    """

    task_id: str
    run_id: str
    name: str
    path: str
    execution_id: int
    parent_id: str
    children: tuple[str, ...]
    pod: str
    attempt: int
    state: str
    states: tuple[Became, ...]
    error: str
    cached_from: int
    cache_reason: str
    created_at: int
    started_at: int
    ended_at: int
    inputs: Mapping[str, tuple[int, ...]]
    outputs: Mapping[str, tuple[int, ...]]


def of(run: Run, executions: Sequence[Execution]) -> list[Task]:
    """Return the tasks of a run, as `Metadata.of_run` has them, in the order in which they were known.

    What a run that has ended did not come to is left out.
    """
    over = run.state in kinds.FINAL_STATES
    shown = [each for each in executions if not (over and each.state == State.PENDING)]
    known = {each.path: each for each in shown}
    children: dict[str, list[str]] = {}
    for each in shown:
        parent = known.get(_parent(each.path))
        if parent is not None:
            children.setdefault(parent.path, []).append(str(each.id))
    return [_task(each, known.get(_parent(each.path)), children) for each in shown]


def _parent(path: str) -> str:
    """Return the place of what a task is part of; empty: it is the root."""
    loop = _TURN.sub("", path)
    return loop if loop != path else path.rpartition("/")[0]


def _task(row: Execution, parent: Execution | None, children: Mapping[str, list[str]]) -> Task:
    return Task(
        task_id=str(row.id),
        run_id=row.run,
        name=row.name or ROOT,
        path=row.path,
        execution_id=row.id,
        parent_id=str(parent.id) if parent else "",
        children=tuple(children.get(row.path, ())),
        pod=row.pod,
        attempt=row.attempt,
        state=row.state,
        states=_states(row),
        error=row.error,
        cached_from=row.cached_from,
        cache_reason=row.cache_reason,
        created_at=row.created,
        started_at=row.started,
        ended_at=row.ended,
        inputs=_ids(row.inputs.artifacts),
        outputs=_ids(row.outputs.artifacts),
    )


def _states(row: Execution) -> tuple[Became, ...]:
    made = [Became(kinds.PENDING, row.created)]
    if row.started:
        made.append(Became(kinds.RUNNING, row.started))
    if row.ended:
        made.append(Became(row.state, row.ended, row.error))
    elif made[-1].state != row.state:
        made.append(Became(row.state, row.created))
    return tuple(made)


def _ids(artifacts: Mapping[str, tuple[Artifact, ...]]) -> dict[str, tuple[int, ...]]:
    return {name: tuple(each.id for each in listed) for name, listed in artifacts.items()}
