"""Pipelines: graphs of containers, as Kubeflow Pipelines compiles them, run without drivers.

For those who write pipelines this is the SDK: ``from wherry.pipelines import component, pipeline, run``. It is
imported when one of its names is first asked for, since the control plane has no use for it. Type checkers read
what there is in ``__init__.pyi``.
"""

import importlib
from typing import Any

__all__ = [  # noqa: F822 - names that `__getattr__` gives
    "HTML",
    "PIPELINE_JOB_CREATE_TIME_UTC_PLACEHOLDER",
    "PIPELINE_JOB_ID_PLACEHOLDER",
    "PIPELINE_JOB_NAME_PLACEHOLDER",
    "PIPELINE_JOB_RESOURCE_NAME_PLACEHOLDER",
    "PIPELINE_JOB_SCHEDULE_TIME_UTC_PLACEHOLDER",
    "PIPELINE_ROOT_PLACEHOLDER",
    "PIPELINE_TASK_EXECUTOR_INPUT_PLACEHOLDER",
    "PIPELINE_TASK_EXECUTOR_OUTPUT_PATH_PLACEHOLDER",
    "PIPELINE_TASK_ID_PLACEHOLDER",
    "PIPELINE_TASK_NAME_PLACEHOLDER",
    "WORKSPACE_PATH_PLACEHOLDER",
    "Artifact",
    "ClassificationMetrics",
    "Collected",
    "CompileError",
    "ConcatPlaceholder",
    "Condition",
    "ContainerSpec",
    "CreatePVC",
    "Dataset",
    "DeletePVC",
    "Elif",
    "Else",
    "EmbeddedInput",
    "ExitHandler",
    "FailedRunError",
    "If",
    "IfPresentPlaceholder",
    "Input",
    "InputPath",
    "KubernetesWorkspaceConfig",
    "Markdown",
    "Metrics",
    "Model",
    "OneOf",
    "Output",
    "OutputPath",
    "ParallelFor",
    "PipelineConfig",
    "PipelineTask",
    "PipelineTaskFinalStatus",
    "Run",
    "RunError",
    "SlicedClassificationMetrics",
    "TaskConfig",
    "TaskConfigField",
    "TaskConfigPassthrough",
    "WorkspaceConfig",
    "cached_results",
    "clear_cache",
    "component",
    "container_component",
    "find_run",
    "get_uri",
    "importer",
    "load_component_from_file",
    "load_component_from_text",
    "load_component_from_url",
    "notebook_component",
    "pipeline",
    "run",
    "run_notebook",
]


def __getattr__(name: str) -> Any:
    """Return a name of the SDK."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = globals()[name] = getattr(importlib.import_module(f"{__name__}.sdk"), name)
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
