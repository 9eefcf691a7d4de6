"""What a task runs, with the settings that are the task's own."""

import copy
from collections.abc import Iterator
from typing import Final

from wherry.objects.requests import Object
from wherry.pipelines.sdk import constants
from wherry.pipelines.sdk.components import Component
from wherry.pipelines.sdk.config import TaskConfigField
from wherry.pipelines.sdk.errors import CompileError
from wherry.pipelines.sdk.tracing import Task

_PLATFORM_FIELDS: Final = {
    "tolerations": TaskConfigField.KUBERNETES_TOLERATIONS,
    "nodeSelector": TaskConfigField.KUBERNETES_NODE_SELECTOR,
    "nodeAffinity": TaskConfigField.KUBERNETES_AFFINITY,
    "pvcMount": TaskConfigField.KUBERNETES_VOLUMES,
    "secretAsVolume": TaskConfigField.KUBERNETES_VOLUMES,
    "configMapAsVolume": TaskConfigField.KUBERNETES_VOLUMES,
}


def made(task: Task, runs: Component) -> Object:
    """Return the executor of a task, as in the IR.

    Raises:
        CompileError: A setting is of no use to what it runs.
    """
    _check_passed(task, runs)
    executor = copy.deepcopy(runs.executor)
    if not (task.resources or task.env or task.image):
        return executor
    container = executor.get("container")
    if container is None:
        raise CompileError(f"{task.name}: an importer has no resources, environment or image")
    if task.image:
        container["image"], _ = constants.constant(task.image)
    if task.resources:
        container["resources"], _ = constants.constant(task.resources)
    if task.env:
        own = [each for each in container.get("env", ()) if each["name"] not in task.env]
        container["env"] = own + [
            {"name": name, "value": constants.constant(value)[0]}
            for name, value in task.env.items()
        ]
    return executor


def check_none(task: Task) -> None:
    """Check that a task that is a pipeline has no settings of a step.

    Raises:
        CompileError: It has.
    """
    if task.resources or task.env or task.image or task.platform:
        raise CompileError(
            f"{task.name} is a pipeline: set resources, variables, the image, and what Kubernetes does, on its tasks"
        )


def _check_passed(task: Task, runs: Component) -> None:
    """Check that code that is handed settings of its pod is handed those that are made.

    Raises:
        CompileError: It would not see one.
    """
    passed = {each["field"] for each in runs.passthroughs}
    missing = [field.value for field in _set(task) if field.value not in passed]
    if passed and missing:
        raise CompileError(
            f"{task.name}: {missing[0]} is not among the task_config_passthroughs of {runs.name}: "
            f"{', '.join(sorted(passed))}"
        )


def _set(task: Task) -> Iterator[TaskConfigField]:
    if task.resources:
        yield TaskConfigField.RESOURCES
    if task.env:
        yield TaskConfigField.ENV
    for name, field in _PLATFORM_FIELDS.items():
        if task.platform.get(name):
            yield field
