"""How a task has ended, as an exit task is told."""

import dataclasses
from typing import Any


@dataclasses.dataclass
class PipelineTaskFinalStatus:
    """How a task has ended.

    Attributes:
        state: As the engine says it.
        pipeline_job_resource_name: Of the run.
        pipeline_task_name: Of the task.
        error_code: Number of the error; None: there was none.
        error_message: Of the error; None: there was none.
    """

    state: Any
    pipeline_job_resource_name: Any
    pipeline_task_name: Any
    error_code: Any
    error_message: Any


def of(value: Any) -> PipelineTaskFinalStatus:
    """Return a status from the JSON that the engine gives; old engines write names with ``_``."""
    error = value.get("error", {})
    name = value.get("pipelineTaskName")
    job = value.get("pipelineJobResourceName")
    return PipelineTaskFinalStatus(
        state=value.get("state"),
        pipeline_job_resource_name=value.get("pipeline_job_resource_name") if job is None else job,
        pipeline_task_name=value.get("pipeline_task_name") if name is None else name,
        error_code=error.get("code"),
        error_message=error.get("message"),
    )
