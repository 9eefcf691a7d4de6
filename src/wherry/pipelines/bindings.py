"""The values in a pipeline: what a task is given, whether it runs, over what it loops, and what a graph gives.

It is the language (`graph.language`) of the IR. Pure.

Source: kubeflow/pipelines 2.17, ``backend/src/v2/driver/resolve.go``. Where a value is missing that upstream
fails on (an output of a task that was skipped, for an input that may be left out), the input is left out.
"""

import dataclasses
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from wherry.metadata.records import Artifact, Values
from wherry.pipelines import placeholders, task_checks, values
from wherry.pipelines.graph.language import Language, Scope, UnresolvedError
from wherry.pipelines.graph.model import BECAME, Graph, Node, State
from wherry.pipelines.ir.messages import (
    ArtifactIterator,
    Component,
    Dag,
    GraphParameter,
    InputParameter,
    ParameterIterator,
    ParameterType,
    Task,
    TaskArtifact,
    TaskParameter,
    ValueOrParameter,
)

MISSING: Final = object()
"""The value of what is not given: an optional input without a value, an output that was not made."""
JOB_RESOURCE_NAME: Final = "{{$.pipeline_job_resource_name}}"
"""Stands in final statuses; whoever knows the name of the run puts it in."""

_STATUS_WORDS: Final = {State.SUCCEEDED: "COMPLETE"}
"""Where upstream's final status has another word than the state: those of its metadata store."""
_FAILED_PRECONDITION: Final = 9
"""The code of gRPC for the error of a final status."""
_ANYTHING: Final = InputParameter(is_optional=True)
"""What a task may be given that its component does not ask for; conditions may use it."""


class Bindings(Language):
    """The values of a pipeline's tasks.

    Args:
        components: By name, the root too.
    """

    def __init__(self, components: Mapping[str, Component]) -> None:
        self.components = components
        self._gathered: dict[tuple[str, str], bool] = {}
        self._read: dict[tuple[str, str], bool] = {}

    def task(self, graph: Graph, name: str) -> Task:
        """Return the task that a node of a graph stands for (``scope.graph``, ``node.name``)."""
        dag = self.components[graph.component].dag
        return (dag or Dag()).tasks[name]

    def parameter(self, scope: Scope, source: TaskParameter) -> Any:
        """Return the value that a setting of a step has, as its graph sees it; `MISSING`: none.

        Raises:
            UnresolvedError: What it is made of cannot be evaluated.
        """
        value = _found(scope, source)
        if value is MISSING or value is None:
            return MISSING
        return _selected(source, _filled(source, value, scope.inputs.parameters))

    def inputs(self, node: Node, scope: Scope) -> Values:
        """Return what a task is given.

        Raises:
            UnresolvedError: Something that it needs is not there, or is of the wrong type.
        """
        task, component = self.task(scope.graph, node.name), self.components[node.component]
        found = dict(_parameters(task, component, scope))
        # What is written down comes last: it may ask for others, which are what their selectors take.
        for name, source in sorted(
            task.inputs.parameters.items(), key=lambda each: _is_written(each[1])
        ):
            if name in found:
                found[name] = _selected(source, _filled(source, found[name], found))
        artifacts = dict(_artifacts(task, component, scope))
        return Values(dict(_typed(component, found)), artifacts)

    def holds(self, node: Node, scope: Scope, inputs: Values) -> bool:
        """Tell whether a task's condition holds.

        Raises:
            UnresolvedError: It cannot be evaluated.
        """
        condition = self.task(scope.graph, node.name).trigger_policy.condition
        if not condition:
            return True
        from wherry.pipelines import expressions  # noqa: PLC0415 - CEL is loaded with the first

        return expressions.holds(condition, inputs.parameters)

    def turns(self, node: Node, scope: Scope, inputs: Values) -> Sequence[Values]:
        """Return the inputs of each turn of a loop.

        Raises:
            UnresolvedError: There is no list to go over, or an item is of the wrong type.
        """
        task = self.task(scope.graph, node.name)
        if task.artifact_iterator is not None:
            return list(_artifact_turns(task.artifact_iterator, inputs))
        if task.parameter_iterator is None:
            return []
        over, rest = task.parameter_iterator, dict(inputs.parameters)
        name = over.items.input_parameter
        # Kept with each turn, long lists would take quadratic room. Loops inside may go over the list again.
        if name is not None and not self._is_read(node.component, name):
            rest.pop(name, None)
        component = self.components[node.component]
        return list(_parameter_turns(over, component, inputs, rest))

    def _is_read(self, component: str, name: str) -> bool:
        """Return whether anything in a component's graph may ask for one of its inputs by its name."""
        known = self._read.get((component, name))
        if known is None:
            whole = re.compile(rf"(?<![\w-]){re.escape(name)}(?![\w-])")
            known = any(_mentions(part, whole) for part in self.inside(component))
            self._read[component, name] = known
        return known

    def inside(self, component: str) -> Iterator[Any]:
        """Yield what may ask for inputs of a component by their names."""
        yield self.components[component].dag

    def outputs(self, scope: Scope) -> Values:
        """Return what a graph gives; what was not made, because a task was skipped, is left out."""
        outputs = (self.components[scope.graph.component].dag or Dag()).outputs
        parameters: dict[str, Any] = {}
        for name, parameter in outputs.parameters.items():
            for task, key in _selectors(parameter):
                made = scope.outputs(task)
                if made is not None and key in made.parameters:
                    parameters[name] = made.parameters[key]
                    break
        artifacts: dict[str, tuple[Artifact, ...]] = {}
        for name, artifact in outputs.artifacts.items():
            for one in artifact.artifact_selectors:
                made = scope.outputs(one.producer_subtask)
                if made is not None and one.output_artifact_key in made.artifacts:
                    artifacts[name] = made.artifacts[one.output_artifact_key]
                    break
        return Values(parameters, artifacts)

    def gathered(self, node: Node, turns: Sequence[Values]) -> Values:
        """Return what a loop gives: lists of what its turns gave; of loops in loops, one flat list."""
        defined = self.components[node.component].output_definitions
        parameters: dict[str, Any] = {}
        for name in defined.parameters:
            flat = self._is_gathered(node.component, name)
            given = [turn.parameters[name] for turn in turns if name in turn.parameters]
            parameters[name] = [item for items in given for item in items] if flat else given
        artifacts = {
            name: tuple(each for turn in turns for each in turn.artifacts.get(name, ()))
            for name in defined.artifacts
        }
        return Values(parameters, artifacts)

    def _is_gathered(self, component: str, output: str) -> bool:
        """Tell whether an output parameter of a component is already the list of a loop inside.

        Kept, because the same graph may be inside another one many times, by many levels.
        """
        known = self._gathered.get((component, output))
        if known is None:
            known = self._gathered[component, output] = self._gathers(component, output)
        return known

    def _gathers(self, component: str, output: str) -> bool:
        dag = self.components[component].dag
        if dag is None or output not in dag.outputs.parameters:
            return False
        for name, key in _selectors(dag.outputs.parameters[output]):
            task = dag.tasks[name]
            loops = task.parameter_iterator is not None or task.artifact_iterator is not None
            if loops or self._is_gathered(task.component_ref.name, key):
                return True
        return False


def constant(value: ValueOrParameter) -> Any:
    """Return a value that is written down, in the new form or in the old one; `MISSING`: none is."""
    if value.constant is not None:
        return value.constant.json
    old = value.constant_value
    if old is None:
        return MISSING
    given = (old.int_value, old.double_value, old.string_value)
    return next((each for each in given if each is not None), MISSING)


def default(parameter: InputParameter) -> Any:
    """Return what an input has that was not given; `MISSING`: nothing.

    Raises:
        UnresolvedError: It is of the wrong type.
    """
    if parameter.default_value is None or parameter.default_value.json is None:
        return MISSING
    return _coerced("the default", parameter.default_value.json, parameter)


def _coerced(name: str, value: Any, parameter: InputParameter) -> Any:
    wrong = task_checks.wrong_value(value, parameter)
    if wrong:
        raise UnresolvedError(f"{name}: {wrong}")
    return values.coerce(value, values.type_of(parameter))


def _found(scope: Scope, source: TaskParameter) -> Any:
    """Return the value that a source has in a graph; null of an input of the graph is none."""
    output, status, runtime = (
        source.task_output_parameter,
        source.task_final_status,
        source.runtime_value,
    )
    if output is not None:
        made = scope.outputs(output.producer_task) or Values()
        return made.parameters.get(output.output_parameter_key, MISSING)
    if status is not None:
        return _final_status(scope, status.producer_task)
    name = source.component_input_parameter
    if runtime is not None:
        if runtime.runtime_parameter is None:
            return constant(runtime)
        name = runtime.runtime_parameter
    value = scope.inputs.parameters.get(name or "")
    return MISSING if value is None else value


def _final_status(scope: Scope, task: str) -> Mapping[str, Any]:
    state, error = scope.state(task), scope.error(task)
    return {
        "state": _STATUS_WORDS.get(state, state.value),
        "pipelineTaskName": task,
        "pipelineJobResourceName": JOB_RESOURCE_NAME,
        "error": {"code": _FAILED_PRECONDITION, "message": error} if error else {},
    }


def _is_written(source: TaskParameter) -> bool:
    """Tell whether a value stands in the pipeline itself."""
    runtime = source.runtime_value
    return runtime is not None and runtime.runtime_parameter is None


def _filled(source: TaskParameter, value: Any, parameters: Mapping[str, Any]) -> Any:
    """Put parameters into a value that is written down, as f-strings of the SDK leave it."""
    if not _is_written(source):
        return value
    names = list(placeholders.parameters_in(value)) if isinstance(value, str) else []
    if len(names) == 1 and value == f"{{{{$.inputs.parameters['{names[0]}']}}}}":
        return parameters.get(names[0], value)
    return placeholders.fill(value, parameters)


def _selected(source: TaskParameter, value: Any) -> Any:
    if not source.parameter_expression_selector:
        return value
    from wherry.pipelines import expressions  # noqa: PLC0415 - CEL is loaded with the first

    return expressions.selected(source.parameter_expression_selector, value)


def _parameters(task: Task, component: Component, scope: Scope) -> Iterator[tuple[str, Any]]:
    defined = component.input_definitions.parameters
    for name, source in task.inputs.parameters.items():
        definition = defined.get(name, _ANYTHING)
        value = _found(scope, source)
        if value is not MISSING:
            yield name, value
        elif not _may_lack(component, source, definition):
            raise UnresolvedError(f"input parameter {name}: {_why(scope, source)}")


def _may_lack(component: Component, source: TaskParameter, definition: InputParameter) -> bool:
    """Tell whether an input may be without a value. Groups hand on what nobody gave, whatever they say."""
    handed_on = component.dag is not None and source.component_input_parameter is not None
    return handed_on or definition.is_optional or definition.default_value is not None


def _why(scope: Scope, source: TaskParameter | TaskArtifact) -> str:
    """Return why a value is not there."""
    if isinstance(source, TaskParameter):
        made = source.task_output_parameter
        task, key = (made.producer_task, made.output_parameter_key) if made else ("", "")
        name = source.component_input_parameter
    else:
        made_artifact = source.task_output_artifact
        task, key = ("", "")
        if made_artifact:
            task, key = made_artifact.producer_task, made_artifact.output_artifact_key
        name = source.component_input_artifact
    if not task:
        return f"the input {name} of the pipeline around it has no value" if name else "no value"
    became = BECAME.get(scope.state(task))
    return f"it is the output {key} of {task}, which {became or 'did not make it'}"


def _artifacts(
    task: Task, component: Component, scope: Scope
) -> Iterator[tuple[str, tuple[Artifact, ...]]]:
    defined = component.input_definitions.artifacts
    for name, source in task.inputs.artifacts.items():
        made, given = source.task_output_artifact, source.component_input_artifact
        if made is not None:
            outputs = scope.outputs(made.producer_task) or Values()
            found = outputs.artifacts.get(made.output_artifact_key)
        else:
            found = scope.inputs.artifacts.get(given or "")
        if found is not None:
            yield name, found
        elif name not in defined or not defined[name].is_optional:
            raise UnresolvedError(f"input artifact {name}: {_why(scope, source)}")


def _typed(component: Component, found: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield parameters as their component has them, with defaults.

    A graph has all its inputs, those without a value as null, so that its conditions may ask for them.
    """
    defined = component.input_definitions.parameters
    for name, parameter in defined.items():
        value = found.get(name, MISSING)
        if values.type_of(parameter) is ParameterType.TASK_CONFIG:
            continue
        if value is MISSING:
            value = default(parameter)
        if value is None and not parameter.is_optional:
            raise UnresolvedError(f"input parameter {name}: must not be null")
        if value is MISSING or value is None:
            if component.dag is not None or value is None:
                yield name, None
        else:
            yield name, _coerced(f"input parameter {name}", value, parameter)
    yield from ((name, value) for name, value in found.items() if name not in defined)


def _mentions(part: Any, name: re.Pattern[str]) -> bool:
    """Return whether there is a text in a message that has a name in it."""
    if isinstance(part, str):
        return name.search(part) is not None
    if isinstance(part, Mapping):
        return any(_mentions(each, name) for pair in part.items() for each in pair)
    if isinstance(part, Sequence):
        return any(_mentions(each, name) for each in part)
    if dataclasses.is_dataclass(part):
        return any(_mentions(getattr(part, each.name), name) for each in dataclasses.fields(part))
    return False


def _parameter_turns(
    over: ParameterIterator, component: Component, inputs: Values, rest: Mapping[str, Any]
) -> Iterator[Values]:
    """Yield the inputs of each turn.

    Args:
        over: What it loops over.
        component: What it does.
        inputs: Of the loop.
        rest: Its parameters that each turn is given, besides the item.
    """
    items_input = over.items.input_parameter
    if items_input is None:
        items = json.loads(over.items.raw or "[]")
    else:
        items = _list(items_input, inputs.parameters.get(items_input))
    definition = component.input_definitions.parameters.get(over.item_input, _ANYTHING)
    for place, item in enumerate(items):
        given = None if item is None else _coerced(f"item {place} of the loop", item, definition)
        yield dataclasses.replace(inputs, parameters={**rest, over.item_input: given})


def _list(name: str, value: Any) -> list[Any]:
    """Return the items of a loop; a text may be a list as JSON."""
    found = value
    if isinstance(value, str):
        try:
            found = json.loads(value)
        except (ValueError, RecursionError) as error:
            raise UnresolvedError(f"{name}, over which it loops, is no list: {error}") from error
    if not isinstance(found, list):
        raise UnresolvedError(f"{name}, over which it loops, is no list but {values.shown(found)}")
    return found


def _artifact_turns(over: ArtifactIterator, inputs: Values) -> Iterator[Values]:
    items_input = over.items.input_artifact
    rest = {name: each for name, each in inputs.artifacts.items() if name != items_input}
    for item in inputs.artifacts.get(items_input, ()):
        yield dataclasses.replace(inputs, artifacts={**rest, over.item_input: (item,)})


def _selectors(parameter: GraphParameter) -> Iterator[tuple[str, str]]:
    """Yield the tasks, with their outputs, of which the first that there is counts."""
    one, several = parameter.value_from_parameter, parameter.value_from_oneof
    for each in [one] if one is not None else several.parameter_selectors if several else ():
        yield each.producer_subtask, each.output_parameter_key
