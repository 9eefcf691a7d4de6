"""What the history holds, as messages of the API. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from wherry.metadata.records import Context
from wherry.objects.requests import Object
from wherry.pipelines.api import wire
from wherry.pipelines.history.records import Became, Experiment, Run
from wherry.pipelines.history.tasks import Task

_FAILED: Final = 13
"""Of the codes of gRPC: what a failed run or task has failed with."""
_NEVER: Final = wire.format_instant(0)
"""What upstream says of times that have not come."""


def experiment(record: Experiment) -> Object:
    """Return an experiment as clients see it."""
    return {
        "experiment_id": record.experiment_id,
        "display_name": record.display_name,
        "description": record.description,
        "created_at": instant(record.created_at),
        "namespace": record.namespace,
        "storage_state": record.storage_state,
        "last_run_created_at": instant(record.last_run_created_at) or _NEVER,
    }


def run(record: Run, tasks: Sequence[Task] | None = None, context: Context | None = None) -> Object:
    """Return a run as clients see it.

    Args:
        record: The run; with its pipeline, where that is to be seen.
        tasks: Its tasks; None: they are not asked for.
        context: The run's, in the metadata; None: there is none yet.
    """
    return {
        "experiment_id": record.experiment_id,
        "run_id": record.run_id,
        "display_name": record.display_name,
        "storage_state": record.storage_state,
        "description": record.description,
        **_source(record),
        "runtime_config": _runtime_config(record),
        "service_account": record.service_account,
        "created_at": instant(record.created_at),
        "scheduled_at": instant(record.scheduled_at),
        "finished_at": instant(record.finished_at) or _NEVER,
        "state": record.state,
        "error": _error(record.error),
        "run_details": _details(tasks or (), context),
        "recurring_run_id": record.recurring_run_id,
        "state_history": _states(record.states),
    }


def documents(spec: Mapping[str, Any], platform: Mapping[str, Any] | None) -> Object:
    """Return both documents of a pipeline as clients see them: in an envelope where there are two."""
    if not platform:
        return dict(spec)
    return {"pipeline_spec": dict(spec), "platform_spec": dict(platform)}


def instant(milliseconds: int) -> str | None:
    """Return a time as clients see it; None where there is none."""
    return wire.format_instant(milliseconds) if milliseconds else None


def _details(tasks: Sequence[Task], context: Context | None) -> Object | None:
    made: Object = {"task_details": [_task(each) for each in tasks]} if tasks else {}
    if context is not None:
        made["pipeline_run_context_id"] = context.id
        made["pipeline_context_id"] = next(iter(context.parents), 0)
    return made or None


def _source(record: Run) -> Object:
    if record.pipeline_version_id:
        reference = {
            "pipeline_id": record.pipeline_id,
            "pipeline_version_id": record.pipeline_version_id,
        }
        return {"pipeline_version_reference": reference}
    if not record.pipeline_spec:
        return {}
    return {"pipeline_spec": documents(record.pipeline_spec, record.platform_spec)}


def _runtime_config(record: Run) -> Object | None:
    config: Object = {
        "parameters": dict(record.runtime_config.get("parameters") or {}),
        "pipeline_root": record.pipeline_root or record.runtime_config.get("pipelineRoot", ""),
    }
    return config if any(config.values()) else None


def _states(states: Sequence[Became]) -> list[Object]:
    return [
        {"update_time": instant(each.at), "state": each.state, "error": _error(each.error)}
        for each in states
    ]


def _error(text: str) -> Object | None:
    return {"code": _FAILED, "message": text} if text else None


def _task(task: Task) -> Object:
    return {
        "run_id": task.run_id,
        "task_id": task.task_id,
        "display_name": task.name,
        "create_time": instant(task.created_at),
        "start_time": instant(task.started_at),
        "end_time": instant(task.ended_at),
        "executor_detail": {"main_job": task.pod} if task.pod else None,
        "state": task.state,
        "execution_id": task.execution_id,
        "error": _error(task.error),
        "inputs": _lists(task.inputs),
        "outputs": _lists(task.outputs),
        "parent_task_id": task.parent_id,
        "state_history": _states(task.states),
        "pod_name": task.pod,
        "child_tasks": [{"task_id": each} for each in task.children],
    }


def _lists(artifacts: Mapping[str, tuple[int, ...]]) -> Object:
    return {name: {"artifact_ids": [*ids]} for name, ids in artifacts.items()}
