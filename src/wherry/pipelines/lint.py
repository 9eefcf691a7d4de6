"""What is doubtful in a pipeline that could run: what will not do what it seems to. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from wherry.pipelines import placeholders, values
from wherry.pipelines.definition import Pipeline
from wherry.pipelines.ir import reading
from wherry.pipelines.ir.executors import Container, Executor
from wherry.pipelines.ir.loading import ROOT
from wherry.pipelines.ir.messages import (
    Component,
    Dag,
    ParameterType,
    Strategy,
    Task,
    TaskParameter,
)

_ANY: Final = frozenset({ParameterType.UNSPECIFIED, ParameterType.STRING})
"""What any value may be given to."""
_ALIKE: Final = (
    {ParameterType.NUMBER_INTEGER, ParameterType.NUMBER_DOUBLE},
    {ParameterType.STRUCT, ParameterType.TASK_FINAL_STATUS, ParameterType.TASK_CONFIG},
)
_MOVING: Final = frozenset({"", "latest"})
_STAND_INS: Final = "argostub/"
"""Images of what is done without a container: claims made and deleted."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something doubtful.

    Attributes:
        field: Where, as in the compiled file.
        message: What, and what would be better.
    """

    field: str
    message: str


def findings(pipeline: Pipeline) -> list[Finding]:
    """Return what is doubtful, in the order of the file."""
    found = [*_executors(pipeline), *_unused(pipeline)]
    for name, component in pipeline.components.items():
        place = ROOT if name == ROOT else f"components.{name}"
        for task_name, task in (component.dag or Dag()).tasks.items():
            found += _task(pipeline, component, f"{place}.dag.tasks.{task_name}", task)
        found += _outputs(place, component)
    return found


def _executors(pipeline: Pipeline) -> Iterator[Finding]:
    for label, given in (pipeline.spec.deployment_spec.get("executors") or {}).items():
        place = f"deploymentSpec.executors.{label}"
        executor, causes = reading.read(Executor, given, place)
        for cause in causes:
            yield Finding(cause.field, f"{cause.message} (it is passed over)")
        if executor.container is not None:
            yield from _image(f"{place}.container", executor.container)


def _image(place: str, container: Container) -> Iterator[Finding]:
    name, _, tag = container.image.rpartition("/")[2].partition(":")
    fixed = "@" in container.image or "{{" in container.image
    if name and tag in _MOVING and not fixed and not container.image.startswith(_STAND_INS):
        yield Finding(
            f"{place}.image",
            f"{container.image} may be another image tomorrow, but cached results stay: name a version",
        )
    if container.lifecycle is not None:
        yield Finding(f"{place}.lifecycle", "nothing is done with it, here or upstream")


def _unused(pipeline: Pipeline) -> Iterator[Finding]:
    used = {
        task.component_ref.name
        for component in pipeline.components.values()
        for task in (component.dag or Dag()).tasks.values()
    }
    for name in pipeline.components:
        if name not in used and name != ROOT:
            yield Finding(f"components.{name}", "no task uses it")
    root = pipeline.components[ROOT]
    asked = {
        source.component_input_parameter
        for task in (root.dag or Dag()).tasks.values()
        for source in task.inputs.parameters.values()
    }
    settings = str(pipeline.settings)
    for name in root.input_definitions.parameters:
        if name not in asked and repr(name) not in settings:
            yield Finding(f"root.inputDefinitions.parameters.{name}", "no task uses it")


def _task(pipeline: Pipeline, around: Component, place: str, task: Task) -> Iterator[Finding]:
    component = pipeline.components[task.component_ref.name]
    trigger = task.trigger_policy
    if task.retry_policy.max_retry_count and component.dag is not None:
        yield Finding(
            f"{place}.retryPolicy", "a graph is not tried again as a whole; set it on its tasks"
        )
    waits = task.dependent_tasks or any(
        each.task_output_parameter or each.task_final_status
        for each in task.inputs.parameters.values()
    )
    if trigger.strategy is Strategy.COMPLETED and not waits and not task.inputs.artifacts:
        yield Finding(
            f"{place}.triggerPolicy.strategy",
            "there is no task before it whose end it could wait for",
        )
    executor = pipeline.step(task.component_ref.name).executor if component.dag is None else None
    yield from _given(place, task, component, str(executor))
    for name, source in task.inputs.parameters.items():
        here = f"{place}.inputs.parameters.{name}"
        yield from _types(pipeline, around, component, (here, name, source))


def _given(place: str, task: Task, component: Component, executor: str) -> Iterator[Finding]:
    """Look for inputs that are given and asked for by nothing, not even by a text of the executor."""
    asked = set(component.input_definitions.parameters)
    asked |= {
        name
        for source in task.inputs.parameters.values()
        if source.runtime_value is not None and source.runtime_value.constant is not None
        for name in placeholders.parameters_in(str(source.runtime_value.constant.json))
    }
    if task.parameter_iterator is not None:
        asked.add(task.parameter_iterator.items.input_parameter or "")
    for name in task.inputs.parameters:
        if name not in asked and name not in task.trigger_policy.condition + executor:
            field = f"{place}.inputs.parameters.{name}"
            yield Finding(field, f"{task.component_ref.name} has no such input")
    for name in task.inputs.artifacts:
        if name not in component.input_definitions.artifacts:
            field = f"{place}.inputs.artifacts.{name}"
            yield Finding(field, f"{task.component_ref.name} has no such input")


def _types(
    pipeline: Pipeline,
    around: Component,
    component: Component,
    given: tuple[str, str, TaskParameter],
) -> Iterator[Finding]:
    """Look for values that will be of another type than the input."""
    place, name, source = given
    definition = component.input_definitions.parameters.get(name)
    if definition is None or source.parameter_expression_selector:
        return
    wanted, found = values.type_of(definition), _type(pipeline, around, source)
    fits = wanted in _ANY or found in (wanted, ParameterType.UNSPECIFIED)
    if not fits and not any({wanted, found} <= alike for alike in _ALIKE):
        yield Finding(
            place, f"is {found.value}, but the input is {wanted.value}: the task will fail"
        )


def _type(pipeline: Pipeline, around: Component, source: TaskParameter) -> ParameterType:
    made, name = source.task_output_parameter, source.component_input_parameter
    if made is not None:
        task = (around.dag or Dag()).tasks[made.producer_task]
        if task.parameter_iterator is not None or task.artifact_iterator is not None:
            return ParameterType.LIST
        outputs = pipeline.components[task.component_ref.name].output_definitions.parameters
        return values.type_of(outputs[made.output_parameter_key])
    if name is not None:
        return values.type_of(around.input_definitions.parameters[name])
    return ParameterType.UNSPECIFIED


def _outputs(place: str, component: Component) -> Iterator[Finding]:
    if component.dag is None:
        return
    outputs, defined = component.dag.outputs, component.output_definitions
    for kind, names, sources in (
        ("artifacts", defined.artifacts, outputs.artifacts),
        ("parameters", defined.parameters, outputs.parameters),
    ):
        for name in names:
            if name not in sources:
                field = f"{place}.outputDefinitions.{kind}.{name}"
                yield Finding(field, "the graph does not say which task gives it")
