"""What is wrong with a task of a pipeline: where its inputs come from, when it runs, over what it loops. Pure."""

import difflib
import itertools
import json
from collections.abc import Collection, Iterator, Mapping
from typing import Any, Final

from wherry.objects.errors import Cause
from wherry.pipelines import placeholders, values
from wherry.pipelines.ir.loading import Loaded
from wherry.pipelines.ir.messages import (
    Component,
    InputParameter,
    ParameterType,
    Task,
    TaskArtifact,
    TaskParameter,
)

REQUIRED: Final = "FieldValueRequired"
UNSUPPORTED: Final = "FieldValueNotSupported"
_FORBIDDEN: Final = "/[]"
_LONGEST_NAME: Final = 128
_MOST_RETRIES: Final = 1000
_MOST_COMPARED: Final = 100
"""Among how many names the one is looked for that may be meant; each costs tens of microseconds."""

_Tasks = Mapping[str, Task]


def check(loaded: Loaded, graph: str, name: str, task: Task) -> Iterator[Cause]:
    """Yield what is wrong with a task.

    Args:
        loaded: The pipeline.
        graph: The component around it.
        name: Of the task.
        task: The task.
    """
    around = loaded.components[graph]
    place = f"{loaded.place(graph)}.dag.tasks.{name}"
    tasks = around.dag.tasks if around.dag is not None else {}
    if not name or len(name) > _LONGEST_NAME or set(_FORBIDDEN) & set(name):
        yield Cause(
            place,
            f"a task's name must have at most {_LONGEST_NAME} characters, and none of / [ ]",
        )
    for index, each in enumerate(task.dependent_tasks):
        if each not in tasks:
            yield unknown(f"{place}.dependentTasks[{index}]", "task", each, tasks)
    yield from _policies(place, task)
    component = loaded.components.get(task.component_ref.name)
    if component is None:
        known = [each for each in loaded.components if each != graph]
        yield unknown(f"{place}.componentRef.name", "component", task.component_ref.name, known)
        return
    yield from _inputs(loaded, around, place, task)
    yield from _missing(place, task, component)
    yield from _iterator(place, task, component)


def source(
    loaded: Loaded, around: Component, place: str, parameter: TaskParameter
) -> Iterator[Cause]:
    """Yield what is wrong with where a parameter comes from.

    Args:
        loaded: The pipeline.
        around: The graph.
        place: Where it is said.
        parameter: What is said.
    """
    tasks, inputs = around.dag.tasks if around.dag else {}, around.input_definitions.parameters
    output, status = parameter.task_output_parameter, parameter.task_final_status
    if output is not None:
        made = _component(loaded, tasks, output.producer_task)
        here, key = f"{place}.taskOutputParameter", output.output_parameter_key
        if made is None:
            yield unknown(f"{here}.producerTask", "task", output.producer_task, tasks)
        elif key not in made.output_definitions.parameters:
            known = made.output_definitions.parameters
            yield unknown(f"{here}.outputParameterKey", "output parameter", key, known)
    if status is not None and status.producer_task not in tasks:
        field = f"{place}.taskFinalStatus.producerTask"
        yield unknown(field, "task", status.producer_task, tasks)
    for field, name in _graph_inputs(parameter):
        if name not in inputs:
            yield unknown(f"{place}.{field}", "input parameter of the graph", name, inputs)
    selector = parameter.parameter_expression_selector
    if selector:
        from wherry.pipelines import expressions  # noqa: PLC0415 - CEL is loaded with the first

        yield from _wrong(
            f"{place}.parameterExpressionSelector", expressions.check_selector(selector)
        )


def unknown(place: str, what: str, name: str, known: Collection[str]) -> Cause:
    """Return what to say of a name that leads nowhere."""
    compared = itertools.islice(known, _MOST_COMPARED)
    near = difflib.get_close_matches(name[:_LONGEST_NAME], compared, 1)
    if near:
        hint = f"; did you mean {near[0]}?"
    elif known:
        names = sorted(known)
        more = ", …" if len(names) > 10 else ""
        hint = f"; there is {', '.join(names[:10])}{more}"
    else:
        hint = "; there is none"
    return Cause(place, f"there is no {what} {values.shown(name)}{hint}", UNSUPPORTED)


def wrong_value(value: Any, definition: InputParameter) -> str:
    """Return what is wrong with a value for an input; empty: nothing."""
    try:
        found = values.coerce(value, values.type_of(definition))
    except ValueError as error:
        return str(error)
    literals = [each.json for each in definition.literals]
    if literals and not any(values.same(found, each) for each in literals):
        accepted = ", ".join(values.shown(each) for each in literals)
        return f"must be one of {accepted}, not {values.shown(value)}"
    return ""


def _wrong(place: str, message: str) -> Iterator[Cause]:
    if message:
        yield Cause(place, message)


def _graph_inputs(parameter: TaskParameter) -> Iterator[tuple[str, str]]:
    if parameter.component_input_parameter is not None:
        yield "componentInputParameter", parameter.component_input_parameter
    runtime = parameter.runtime_value
    if runtime is not None and runtime.runtime_parameter is not None:
        yield "runtimeValue.runtimeParameter", runtime.runtime_parameter


def _component(loaded: Loaded, tasks: _Tasks, name: str) -> Component | None:
    if name not in tasks:
        return None
    return loaded.components.get(tasks[name].component_ref.name, Component())


def _policies(place: str, task: Task) -> Iterator[Cause]:
    condition, retry = task.trigger_policy.condition, task.retry_policy
    if condition:
        from wherry.pipelines import expressions  # noqa: PLC0415 - CEL is loaded with the first

        yield from _wrong(
            f"{place}.triggerPolicy.condition", expressions.check_condition(condition)
        )
    if not 0 <= retry.max_retry_count <= _MOST_RETRIES:
        yield Cause(
            f"{place}.retryPolicy.maxRetryCount",
            f"must be from 0 to {_MOST_RETRIES}, not {retry.max_retry_count}",
        )
    for field, number in (
        ("retryPolicy.backoffDuration", retry.backoff_duration or 0),
        ("retryPolicy.backoffMaxDuration", retry.backoff_max_duration or 0),
        ("retryPolicy.backoffFactor", retry.backoff_factor),
        ("iteratorPolicy.parallelismLimit", task.iterator_policy.parallelism_limit),
    ):
        if number < 0:
            yield Cause(f"{place}.{field}", f"must not be negative: {number:g}")


def _inputs(loaded: Loaded, around: Component, place: str, task: Task) -> Iterator[Cause]:
    component = loaded.components[task.component_ref.name]
    for name, parameter in task.inputs.parameters.items():
        here = f"{place}.inputs.parameters.{name}"
        if not _has_source(parameter):
            yield Cause(here, "does not say where its value comes from", REQUIRED)
        yield from source(loaded, around, here, parameter)
        definition = component.input_definitions.parameters.get(name)
        if definition is not None:
            yield from _constant(here, parameter, definition)
    for name, artifact in task.inputs.artifacts.items():
        yield from _artifact(loaded, around, f"{place}.inputs.artifacts.{name}", artifact)


def _has_source(parameter: TaskParameter) -> bool:
    runtime = parameter.runtime_value
    if runtime is not None:
        given = (runtime.constant, runtime.constant_value, runtime.runtime_parameter)
        return any(each is not None for each in given)
    return (
        parameter.task_output_parameter is not None
        or parameter.component_input_parameter is not None
        or parameter.task_final_status is not None
    )


def _constant(place: str, parameter: TaskParameter, definition: InputParameter) -> Iterator[Cause]:
    """Check a value that is written down, unless something is still done with it."""
    runtime = parameter.runtime_value
    if runtime is None or runtime.constant is None or parameter.parameter_expression_selector:
        return
    value = runtime.constant.json
    filled_in = isinstance(value, str) and any(placeholders.parameters_in(value))
    if value is not None and not filled_in:
        wrong = wrong_value(value, definition)
        if wrong:
            yield Cause(f"{place}.runtimeValue.constant", wrong)


def _artifact(
    loaded: Loaded, around: Component, place: str, artifact: TaskArtifact
) -> Iterator[Cause]:
    tasks = around.dag.tasks if around.dag is not None else {}
    output, given = artifact.task_output_artifact, artifact.component_input_artifact
    if output is not None:
        made = _component(loaded, tasks, output.producer_task)
        here, key = f"{place}.taskOutputArtifact", output.output_artifact_key
        if made is None:
            yield unknown(f"{here}.producerTask", "task", output.producer_task, tasks)
        elif key not in made.output_definitions.artifacts:
            known = made.output_definitions.artifacts
            yield unknown(f"{here}.outputArtifactKey", "output artifact", key, known)
    elif given is None:
        yield Cause(place, "does not say where it comes from", REQUIRED)
    elif given not in around.input_definitions.artifacts:
        names = around.input_definitions.artifacts
        field = f"{place}.componentInputArtifact"
        yield unknown(field, "input artifact of the graph", given, names)


def _missing(place: str, task: Task, component: Component) -> Iterator[Cause]:
    """Yield the inputs that the component must be given, and is not."""
    turn = _turn_input(task)
    for name, parameter in component.input_definitions.parameters.items():
        may_lack = (
            parameter.is_optional
            or parameter.default_value is not None
            or name == turn
            or values.type_of(parameter) is ParameterType.TASK_CONFIG
        )
        if name not in task.inputs.parameters and not may_lack:
            field = f"{place}.inputs.parameters.{name}"
            yield Cause(field, f"{task.component_ref.name} needs a value for it", REQUIRED)
    for name, artifact in component.input_definitions.artifacts.items():
        if name not in task.inputs.artifacts and not artifact.is_optional and name != turn:
            field = f"{place}.inputs.artifacts.{name}"
            yield Cause(field, f"{task.component_ref.name} needs an artifact for it", REQUIRED)


def _turn_input(task: Task) -> str:
    """Return the input that a loop gives each of its turns; empty: there is no loop."""
    if task.parameter_iterator is not None:
        return task.parameter_iterator.item_input
    return task.artifact_iterator.item_input if task.artifact_iterator is not None else ""


def _iterator(place: str, task: Task, component: Component) -> Iterator[Cause]:
    over = task.parameter_iterator
    inputs = component.input_definitions
    if over is not None:
        here = f"{place}.parameterIterator"
        if over.item_input not in inputs.parameters:
            yield unknown(
                f"{here}.itemInput", "input parameter", over.item_input, inputs.parameters
            )
        yield from _items(f"{here}.items", task, component)
    elif task.artifact_iterator is not None:
        here, item = f"{place}.artifactIterator", task.artifact_iterator.item_input
        items = task.artifact_iterator.items.input_artifact
        if item not in inputs.artifacts:
            yield unknown(f"{here}.itemInput", "input artifact", item, inputs.artifacts)
        if items not in task.inputs.artifacts:
            given = task.inputs.artifacts
            yield unknown(f"{here}.items.inputArtifact", "input artifact of the task", items, given)


def _items(place: str, task: Task, component: Component) -> Iterator[Cause]:
    assert task.parameter_iterator is not None
    items = task.parameter_iterator.items
    if items.input_parameter is not None:
        known = {**task.inputs.parameters, **component.input_definitions.parameters}
        if items.input_parameter not in known:
            name = items.input_parameter
            yield unknown(f"{place}.inputParameter", "input parameter of the task", name, known)
    elif items.raw is None:
        yield Cause(place, "must have either raw or inputParameter", REQUIRED)
    else:
        try:
            found = json.loads(items.raw)
        except (ValueError, RecursionError) as error:
            yield Cause(f"{place}.raw", f"must be a list as JSON: {error}")
            return
        if not isinstance(found, list):
            yield Cause(f"{place}.raw", f"must be a list as JSON, not {values.shown(found)}")
