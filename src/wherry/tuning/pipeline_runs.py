"""Runs of pipelines as trials' work: values take their parameters' types, outputs are metrics. Pure."""

import json
import math
from collections.abc import Mapping
from typing import Any, Final

from wherry.objects.requests import Object

GROUP: Final = "wherry.dev"
KIND: Final = "PipelineRun"
RUN_LABEL: Final = "wherry.dev/pipeline-run"
"""Of the pods of steps: the run's name."""

_TEXTS: Final = frozenset({"", "STRING"})
_LONGEST_NUMBER: Final = 64


def is_run(obj: Object) -> bool:
    """Return whether an object is a run of a pipeline."""
    group, _, _ = str(obj.get("apiVersion", "")).rpartition("/")
    return (group, obj.get("kind")) == (GROUP, KIND)


def type_parameters(run: Object) -> None:
    """Make numbers of the texts that a template puts in the place of numbers, in place.

    Args:
        run: A PipelineRun; its pipeline says what type each parameter has.
    """
    spec = run.get("spec") or {}
    root = (spec.get("pipelineSpec") or {}).get("root") or {}
    declared = (root.get("inputDefinitions") or {}).get("parameters") or {}
    given = (spec.get("runtimeConfig") or {}).get("parameters") or {}
    for name, value in given.items():
        type_ = str((declared.get(name) or {}).get("parameterType") or "")
        if isinstance(value, str) and type_ not in _TEXTS:
            given[name] = _parsed(value)


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text  # the run's own admission says what is wrong with it


def outputs(run: Object) -> Mapping[str, str]:
    """Return the numbers that a pipeline has given as its outputs, by name, as text."""
    if not is_run(run):
        return {}
    found = (run.get("status") or {}).get("outputs") or {}
    return {str(name): text for name, value in found.items() if (text := _number(value))}


def _number(value: object) -> str:
    if isinstance(value, bool):
        return ""
    text = str(value)[:_LONGEST_NUMBER].strip()
    try:
        return text if math.isfinite(float(text)) else ""
    except ValueError:
        return ""
