"""What is to be told of a run: its state, its tasks, what it waits for, when to look again. Pure."""

import datetime
from collections.abc import Iterator, Mapping
from typing import Final

from wherry.objects import metadata
from wherry.objects.requests import Object
from wherry.pipelines import kinds, status
from wherry.pipelines.controller.engine import steps
from wherry.pipelines.controller.pipeline_engine import PipelineEngine
from wherry.pipelines.graph.model import State
from wherry.pipelines.status import Seen, Task
from wherry.pipelines.steps import ending

OVERDUE: Final = "the run has taken longer than it may"
_LEAST_SECONDS: Final = 0.01


def of(engine: PipelineEngine, run: Object, pods: Mapping[str, Object]) -> Seen:
    """Return what is seen of a run."""
    state = state_of(engine, run)
    running = [_running(engine, row.path, pods) for row in engine.running.values()]
    waiting = [task.message for task in running if task.message]
    message = waiting[0] if waiting and state == kinds.RUNNING else ""
    reason = ""
    if state in {kinds.FAILED, kinds.CANCELED}:
        message = engine.cancelled or engine.walk.error
        reason = "DeadlineExceeded" if engine.cancelled == OVERDUE else ""
    return Seen(
        state=state,
        reason=reason,
        message=message,
        pipeline=engine.pipeline.name,
        root=engine.root.uri,
        counts=_counts(engine),
        running=running,
        failed=[*_failed(engine)],
        outputs=engine.walk.outputs.parameters if state == kinds.SUCCEEDED else {},
    )


def seconds_left(engine: PipelineEngine, run: Object, now: datetime.datetime) -> float | None:
    """Return how long a run may still take, at least 0; None: as long as it likes."""
    limits = [run["spec"].get("timeoutSeconds"), engine.pipeline.config.active_deadline_seconds]
    seconds = min((int(each) for each in limits if each), default=None)
    told: Mapping[str, str] = run.get("status") or {}
    began = told.get("retryTime") or told.get("startTime")
    if seconds is None or not began:
        return None
    gone = (now - metadata.parse_time(began)).total_seconds()
    return max(0.0, seconds - gone)


def waits(engine: PipelineEngine, run: Object, now: datetime.datetime) -> Iterator[float]:
    """Yield after how many seconds there is something to do though nothing changes."""
    if engine.walk.state.final:
        return
    if engine.walk.wake_at is not None and not run["spec"].get("suspend"):
        yield max(_LEAST_SECONDS, engine.walk.wake_at - now.timestamp())
    if not engine.cancelled:
        left = seconds_left(engine, run, now)
        if left is not None:
            yield max(_LEAST_SECONDS, left)


def state_of(engine: PipelineEngine, run: Object) -> str:
    """Return how a run stands, in KFP's words."""
    state = engine.walk.state
    if state is State.SUCCEEDED:
        return kinds.SUCCEEDED
    if state is State.FAILED:
        return kinds.FAILED
    if state is State.CANCELED:
        return kinds.FAILED if engine.cancelled == OVERDUE else kinds.CANCELED
    if engine.cancelled:
        return kinds.CANCELING
    return kinds.PAUSED if run["spec"].get("suspend") else kinds.RUNNING


def _running(engine: PipelineEngine, path: str, pods: Mapping[str, Object]) -> Task:
    row = engine.running[path]
    pod = pods.get(row.pod)
    message = engine.troubles.get(path) or (ending.waits_for(pod) if pod is not None else "")
    return Task(path, kinds.RUNNING, row.pod, row.attempt, message)


def _failed(engine: PipelineEngine) -> Iterator[Task]:
    for row in engine.rows.values():
        if row.state == State.FAILED and row.started:
            yield Task(row.path, kinds.FAILED, row.pod, row.attempt, row.error)


def _counts(engine: PipelineEngine) -> dict[str, int]:
    cached = {row.path for row in engine.rows.values() if row.cached_from}
    return status.count(
        "cached" if path in cached and state is State.SUCCEEDED else str(state)
        for path, state in steps(engine.walk)
    )
