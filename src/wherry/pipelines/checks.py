"""What is wrong with a pipeline whose parts are right: names that lead nowhere, circles, values of the wrong type.

Pure. What upstream finds out when a task is about to run is said here before anything runs.
"""

import graphlib
import itertools
import re
from collections.abc import Iterator, Mapping, Set
from typing import Final

from wherry.objects.errors import Cause
from wherry.pipelines import task_checks
from wherry.pipelines.ir import sources
from wherry.pipelines.ir.loading import ROOT, Loaded
from wherry.pipelines.ir.messages import Component, Dag, GraphParameter, ParameterSelector
from wherry.pipelines.ir.reading import MOST_CAUSES
from wherry.pipelines.task_checks import REQUIRED, unknown

SCHEMA_VERSION: Final = "2.1.0"
DEEPEST: Final = 32
"""How deep graphs may be inside graphs."""
_NAME: Final = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_LONGEST_NAME: Final = 128


def check(loaded: Loaded) -> list[Cause]:
    """Return what is wrong, at most `MOST_CAUSES`.

    Args:
        loaded: What was read, without anything having been wrong.
    """
    parts = [_component(loaded, name, each) for name, each in loaded.components.items()]
    causes = _first(_head(loaded), *parts)
    # What is inside what can be followed only where each name leads somewhere.
    return causes or _first(_settings(loaded), _nesting(loaded))


def needs(dag: Dag, loaded: Loaded) -> dict[str, tuple[str, ...]]:
    """Return the tasks that each task of a graph waits for."""
    found = {}
    for name, task in dag.tasks.items():
        label = loaded.components[task.component_ref.name].executor_label
        settings = loaded.settings.get(label) if label is not None else None
        before = [*task.dependent_tasks, *sources.producers(task)]
        if settings is not None:
            before += sources.setting_producers(settings)
        found[name] = tuple(dict.fromkeys(before))
    return found


def _first(*parts: Iterator[Cause]) -> list[Cause]:
    return list(itertools.islice(itertools.chain(*parts), MOST_CAUSES))


def _head(loaded: Loaded) -> Iterator[Cause]:
    info, version = loaded.spec.pipeline_info, loaded.spec.schema_version
    if not info.name:
        yield Cause("pipelineInfo.name", "a pipeline must have a name", REQUIRED)
    elif not _NAME.fullmatch(info.name) or len(info.name) > _LONGEST_NAME:
        yield Cause(
            "pipelineInfo.name",
            f'"{info.name[:_LONGEST_NAME]}": must have lowercase letters, digits, "-" and "." only, begin '
            f"and end with a letter or digit, and have at most {_LONGEST_NAME} characters",
        )
    if version != SCHEMA_VERSION:
        yield Cause("schemaVersion", f'must be "{SCHEMA_VERSION}", not "{version}"')
    if loaded.spec.root.dag is None:
        yield Cause("root.dag", "the root must be a graph of tasks", REQUIRED)


def _component(loaded: Loaded, name: str, component: Component) -> Iterator[Cause]:
    place = loaded.place(name)
    label = component.executor_label
    if component.dag is not None:
        for task_name, task in component.dag.tasks.items():
            yield from task_checks.check(loaded, name, task_name, task)
        yield from _outputs(loaded, component, component.dag, f"{place}.dag.outputs")
    elif label is None:
        if name != ROOT:
            yield Cause(place, "must have either dag or executorLabel", REQUIRED)
    elif label not in loaded.executors:
        yield unknown(f"{place}.executorLabel", "executor", label, loaded.executors)
    else:
        yield from _executor(loaded, label)
        yield from _output_names(place, component)


def _output_names(place: str, component: Component) -> Iterator[Cause]:
    """Check the names of a step's outputs, which are names of files."""
    defined = component.output_definitions
    named = {"parameters": defined.parameters, "artifacts": defined.artifacts}
    for kind, names in named.items():
        for name in names:
            bad = name in {"", ".", ".."} or "/" in name or not name.isprintable()
            if bad or len(name) > _LONGEST_NAME:
                yield Cause(
                    f"{place}.outputDefinitions.{kind}.{name[:_LONGEST_NAME]}",
                    "an output's name is that of a file: it must have at most "
                    f"{_LONGEST_NAME} characters, and no /",
                )


def _executor(loaded: Loaded, label: str) -> Iterator[Cause]:
    executor, place = loaded.executors[label], f"deploymentSpec.executors.{label}"
    if executor.resolver is not None:
        yield Cause(f"{place}.resolver", "resolvers are not run here; use an importer")
    elif executor.custom_job is not None:
        yield Cause(f"{place}.customJob", "custom jobs are run by Google only; use a container")
    elif executor.container is not None:
        if not executor.container.image:
            yield Cause(f"{place}.container.image", "a container must have an image", REQUIRED)
    elif executor.importer is None:
        yield Cause(place, "must have either container or importer", REQUIRED)


def _outputs(loaded: Loaded, component: Component, dag: Dag, place: str) -> Iterator[Cause]:
    defined = component.output_definitions
    for key, artifact in dag.outputs.artifacts.items():
        here = f"{place}.artifacts.{key}"
        if key not in defined.artifacts:
            yield unknown(here, "output artifact of the component", key, defined.artifacts)
        for index, one in enumerate(artifact.artifact_selectors):
            selector = f"{here}.artifactSelectors[{index}]"
            made = _made(loaded, dag, one.producer_subtask)
            if made is None:
                yield unknown(
                    f"{selector}.producerSubtask", "task", one.producer_subtask, dag.tasks
                )
            elif one.output_artifact_key not in made.output_definitions.artifacts:
                known = made.output_definitions.artifacts
                field = f"{selector}.outputArtifactKey"
                yield unknown(field, "output artifact", one.output_artifact_key, known)
    for key, parameter in dag.outputs.parameters.items():
        here = f"{place}.parameters.{key}"
        if key not in defined.parameters:
            yield unknown(here, "output parameter of the component", key, defined.parameters)
        for selector, source in _selectors(here, parameter):
            yield from _selector(loaded, dag, selector, source)


def _selectors(place: str, parameter: GraphParameter) -> Iterator[tuple[str, ParameterSelector]]:
    if parameter.value_from_parameter is not None:
        yield f"{place}.valueFromParameter", parameter.value_from_parameter
    if parameter.value_from_oneof is not None:
        for index, one in enumerate(parameter.value_from_oneof.parameter_selectors):
            yield f"{place}.valueFromOneof.parameterSelectors[{index}]", one


def _selector(loaded: Loaded, dag: Dag, place: str, source: ParameterSelector) -> Iterator[Cause]:
    made = _made(loaded, dag, source.producer_subtask)
    if made is None:
        yield unknown(f"{place}.producerSubtask", "task", source.producer_subtask, dag.tasks)
    elif source.output_parameter_key not in made.output_definitions.parameters:
        known = made.output_definitions.parameters
        field = f"{place}.outputParameterKey"
        yield unknown(field, "output parameter", source.output_parameter_key, known)


def _made(loaded: Loaded, dag: Dag, task: str) -> Component | None:
    """Return the component of a task, where both are there."""
    if task not in dag.tasks:
        return None
    return loaded.components.get(dag.tasks[task].component_ref.name, Component())


def _settings(loaded: Loaded) -> Iterator[Cause]:
    """Check what the settings of pods refer to, in each graph that has such a pod."""
    for component in loaded.components.values():
        tasks = component.dag.tasks if component.dag is not None else {}
        for task in tasks.values():
            label = loaded.components[task.component_ref.name].executor_label or ""
            if label not in loaded.settings:
                continue
            place = f"platforms.kubernetes.deploymentSpec.executors.{label}"
            for inner, source in sources.in_settings(loaded.settings[label]):
                here = f"{place}.{inner}"
                yield from task_checks.source(loaded, component, here, source)


def _nesting(loaded: Loaded) -> Iterator[Cause]:
    inside: dict[str, Set[str]] = {}
    for name, component in loaded.components.items():
        tasks = component.dag.tasks if component.dag is not None else {}
        inside[name] = {task.component_ref.name for task in tasks.values()}
        if component.dag is not None:
            yield from _circle(f"{loaded.place(name)}.dag.tasks", needs(component.dag, loaded))
    try:
        order = list(graphlib.TopologicalSorter(inside).static_order())
    except graphlib.CycleError as error:
        circle = " → ".join(reversed(error.args[1]))
        yield Cause("components", f"a component may not be part of itself: {circle}")
        return
    depth: dict[str, int] = {}
    for name in order:
        depth[name] = 1 + max((depth[each] for each in inside[name]), default=0)
    if depth[ROOT] > DEEPEST:
        yield Cause(
            "components", f"graphs are {depth[ROOT]} deep in one another; at most {DEEPEST}"
        )


def _circle(place: str, before: Mapping[str, tuple[str, ...]]) -> Iterator[Cause]:
    try:
        graphlib.TopologicalSorter(before).prepare()
    except graphlib.CycleError as error:
        circle = " → ".join(error.args[1])
        yield Cause(place, f"tasks may not wait for one another in a circle: {circle}")
