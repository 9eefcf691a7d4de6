"""Pipelines from Python: components and pipelines as typed functions, compiled, run here or on a cluster.

Read `components.py` first (what a step is), then `tracing.py` (how a pipeline's function is followed) and
`lowering.py` (how what was found becomes the IR). The names are those of KFP's SDK. Users import them from
`wherry.pipelines`.
"""

from wherry.pipelines.runtime.kfp.dsl import (
    HTML,
    PIPELINE_JOB_CREATE_TIME_UTC_PLACEHOLDER,
    PIPELINE_JOB_ID_PLACEHOLDER,
    PIPELINE_JOB_NAME_PLACEHOLDER,
    PIPELINE_JOB_RESOURCE_NAME_PLACEHOLDER,
    PIPELINE_JOB_SCHEDULE_TIME_UTC_PLACEHOLDER,
    PIPELINE_ROOT_PLACEHOLDER,
    PIPELINE_TASK_EXECUTOR_INPUT_PLACEHOLDER,
    PIPELINE_TASK_EXECUTOR_OUTPUT_PATH_PLACEHOLDER,
    PIPELINE_TASK_ID_PLACEHOLDER,
    PIPELINE_TASK_NAME_PLACEHOLDER,
    WORKSPACE_PATH_PLACEHOLDER,
    Artifact,
    ClassificationMetrics,
    Dataset,
    EmbeddedInput,
    Input,
    InputPath,
    Markdown,
    Metrics,
    Model,
    Output,
    OutputPath,
    PipelineTaskFinalStatus,
    SlicedClassificationMetrics,
    TaskConfig,
    get_uri,
)
from wherry.pipelines.sdk.cache import cached_results, clear_cache
from wherry.pipelines.sdk.claims import CreatePVC, DeletePVC
from wherry.pipelines.sdk.config import (
    KubernetesWorkspaceConfig,
    PipelineConfig,
    TaskConfigField,
    TaskConfigPassthrough,
    WorkspaceConfig,
)
from wherry.pipelines.sdk.containers import (
    ConcatPlaceholder,
    ContainerSpec,
    IfPresentPlaceholder,
    container_component,
)
from wherry.pipelines.sdk.errors import CompileError, FailedRunError, RunError
from wherry.pipelines.sdk.functions import component
from wherry.pipelines.sdk.importing import importer
from wherry.pipelines.sdk.loading import (
    load_component_from_file,
    load_component_from_text,
    load_component_from_url,
)
from wherry.pipelines.sdk.notebooks import notebook_component, run_notebook
from wherry.pipelines.sdk.pipelines import pipeline
from wherry.pipelines.sdk.running import Run
from wherry.pipelines.sdk.starting import find_run, run
from wherry.pipelines.sdk.tracing import (
    Collected,
    Condition,
    Elif,
    Else,
    ExitHandler,
    If,
    OneOf,
    ParallelFor,
)
from wherry.pipelines.sdk.tracing import Task as PipelineTask

__all__ = [
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
