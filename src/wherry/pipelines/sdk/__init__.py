"""Pipelines from Python: components and pipelines as typed functions, compiled, run here or on a cluster.

Read `components.py` first (what a step is), then `tracing.py` (how a pipeline's function is followed) and
`lowering.py` (how what was found becomes the IR). The names are those of KFP's SDK.
"""

from wherry.pipelines.runtime.kfp.dsl import (
    HTML,
    Artifact,
    ClassificationMetrics,
    Dataset,
    Input,
    InputPath,
    Markdown,
    Metrics,
    Model,
    Output,
    OutputPath,
    PipelineTaskFinalStatus,
    SlicedClassificationMetrics,
)
from wherry.pipelines.sdk.components import component, container_component, importer
from wherry.pipelines.sdk.errors import CompileError, FailedRunError, RunError
from wherry.pipelines.sdk.pipelines import pipeline
from wherry.pipelines.sdk.running import Run
from wherry.pipelines.sdk.starting import find_run, run
from wherry.pipelines.sdk.tracing import (
    Collected,
    Elif,
    Else,
    ExitHandler,
    If,
    OneOf,
    ParallelFor,
)

__all__ = [
    "HTML",
    "Artifact",
    "ClassificationMetrics",
    "Collected",
    "CompileError",
    "Dataset",
    "Elif",
    "Else",
    "ExitHandler",
    "FailedRunError",
    "If",
    "Input",
    "InputPath",
    "Markdown",
    "Metrics",
    "Model",
    "OneOf",
    "Output",
    "OutputPath",
    "ParallelFor",
    "PipelineTaskFinalStatus",
    "Run",
    "RunError",
    "SlicedClassificationMetrics",
    "component",
    "container_component",
    "find_run",
    "importer",
    "pipeline",
    "run",
]
