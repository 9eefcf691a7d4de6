"""Where values come from: what a task, and the settings of its pod, refer to."""

import dataclasses
from collections.abc import Iterator
from typing import Any

from wherry.pipelines.ir.messages import ParameterSource, Task, TaskParameter
from wherry.pipelines.ir.platforms import KubernetesConfig, PvcMount
from wherry.pipelines.ir.reading import json_name


def producers(task: Task) -> Iterator[str]:
    """Yield the tasks whose outputs, or end, a task refers to."""
    for parameter in task.inputs.parameters.values():
        yield from _producer(parameter)
    for artifact in task.inputs.artifacts.values():
        if artifact.task_output_artifact is not None:
            yield artifact.task_output_artifact.producer_task


def setting_producers(settings: KubernetesConfig) -> Iterator[str]:
    """Yield the tasks whose outputs the settings of a pod refer to."""
    for _, parameter in in_settings(settings):
        yield from _producer(parameter)


def in_settings(settings: KubernetesConfig) -> Iterator[tuple[str, TaskParameter]]:
    """Yield each value that a pod's settings take from elsewhere, with its place among them."""
    yield from _inside("", settings)


def of_claim(mount: PvcMount) -> TaskParameter:
    """Return where the name of a claim comes from, whether said in the new way or in the old one."""
    if mount.pvc_name_parameter is not None:
        return mount.pvc_name_parameter
    return TaskParameter(
        task_output_parameter=mount.task_output_parameter,
        component_input_parameter=mount.component_input_parameter,
    )


def _producer(parameter: TaskParameter) -> Iterator[str]:
    source: ParameterSource | None = parameter.task_output_parameter
    if source is not None:
        yield source.producer_task
    if parameter.task_final_status is not None:
        yield parameter.task_final_status.producer_task


def _inside(place: str, value: Any) -> Iterator[tuple[str, TaskParameter]]:
    if isinstance(value, TaskParameter):
        yield place, value
    elif isinstance(value, PvcMount):
        yield place, of_claim(value)
    elif isinstance(value, tuple):
        for index, item in enumerate(value):
            yield from _inside(f"{place}[{index}]", item)
    elif dataclasses.is_dataclass(value):
        for each in dataclasses.fields(value):
            name = json_name(each.name)
            inner = f"{place}.{name}" if place else name
            yield from _inside(inner, getattr(value, each.name))
