"""From a pipeline that was followed to the IR.

A value that is needed in another group than where it is made travels through the groups between: as an output of
each group that it leaves, as an input of each one that it enters.
"""

import copy
import dataclasses
import itertools
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import wherry
from wherry.objects.requests import Object
from wherry.pipelines.ir.messages import ParameterType
from wherry.pipelines.sdk import components, constants, executors
from wherry.pipelines.sdk.channels import PREFIX, Channel, Port
from wherry.pipelines.sdk.components import Component
from wherry.pipelines.sdk.errors import CompileError
from wherry.pipelines.sdk.interfaces import Interface
from wherry.pipelines.sdk.tracing import (
    Branches,
    Collected,
    Group,
    OneOf,
    ParallelFor,
    Task,
    Trace,
)

_SCHEMA_VERSION: Final = "2.1.0"
_COMPLETED: Final = "ALL_UPSTREAM_TASKS_COMPLETED"


@dataclass(slots=True)
class Compiled:
    """A pipeline as IR, in parts.

    Attributes:
        root: The component of the whole.
        components: By name.
        executors: By label.
        settings: What Kubernetes does for executors, by label.
        functions: What each component with an executor is made of.
    """

    root: Object = field(default_factory=dict)
    components: dict[str, Object] = field(default_factory=dict)
    executors: dict[str, Object] = field(default_factory=dict)
    settings: dict[str, Object] = field(default_factory=dict)
    functions: dict[str, Component] = field(default_factory=dict)

    def document(self, name: str, description: str) -> Object:
        """Return the compiled file."""
        info = {"name": name} | ({"description": description} if description else {})
        return {
            "components": self.components,
            "deploymentSpec": {"executors": self.executors},
            "pipelineInfo": info,
            "root": self.root,
            "schemaVersion": _SCHEMA_VERSION,
            "sdkVersion": f"wherry-{wherry.__version__}",
        }

    def platform(self, config: Object) -> Object | None:
        """Return the compiled file's second document; None: there is none.

        Args:
            config: What holds for the whole run.
        """
        made: Object = {}
        if self.settings:
            made["deploymentSpec"] = {"executors": self.settings}
        if config:
            made["pipelineConfig"] = config
        return {"platforms": {"kubernetes": made}} if made else None


@dataclass(slots=True)
class _Draft:
    """A group on its way.

    Attributes:
        given: Where each of its inputs comes from, in the group around it.
        taken: What its inputs are.
        tasks: What is in it.
        outputs: Where each of its outputs comes from, by ``parameters`` and ``artifacts``.
        made: What its outputs are.
    """

    given: dict[str, Object] = field(default_factory=dict)
    taken: dict[str, Port] = field(default_factory=dict)
    tasks: dict[str, Object] = field(default_factory=dict)
    outputs: dict[str, dict[str, Object]] = field(default_factory=dict)
    made: dict[str, Port] = field(default_factory=dict)


def lower(trace: Trace, interface: Interface, returned: Mapping[str, Channel]) -> Compiled:
    """Return the IR of a pipeline.

    Args:
        trace: What its function did.
        interface: What it takes and gives.
        returned: Its outputs.

    Raises:
        CompileError: A value is used where it cannot be.
    """
    return _Lowering(trace).run(interface, returned)


class _Lowering:
    def __init__(self, trace: Trace) -> None:
        self._root = trace.root
        self._tasks = trace.names
        self._made = Compiled()
        self._drafts: dict[Group, _Draft] = {}
        self._groups: dict[str, Group] = {}
        self._numbers = itertools.count(1)

    def run(self, interface: Interface, returned: Mapping[str, Channel]) -> Compiled:
        self._name(self._root)
        self._fill(self._root)
        draft = self._drafts[self._root]
        for name, channel in returned.items():
            self._output(self._root, name, channel, loose=False)
        draft.taken, draft.made = dict(interface.inputs), dict(interface.outputs)
        # What a group gives is known only when everything around it has been seen.
        for component, group in self._groups.items():
            self._made.components[component] = self._component(group)
        self._made.root = self._component(self._root)
        return self._made

    def _name(self, group: Group) -> None:
        self._drafts[group] = _Draft()
        for member in group.members:
            if isinstance(member, Group):
                if isinstance(member, ParallelFor) and not isinstance(member.items, Channel):
                    # Upstream's numbers: a list that is written down has one of its own.
                    member.number = next(self._numbers)
                member.name = self._free_name(member)
                component = _component_of(member)
                # Taken from now on: pipelines in the pipeline bring groups of such names.
                self._groups[component], self._made.components[component] = member, {}
                self._name(member)

    def _free_name(self, group: Group) -> str:
        """Return a group's name, which no task has."""
        names = (f"{group.prefix}-{number}" for number in self._numbers)
        return next(name for name in names if name not in self._tasks)

    # What is in a group.

    def _fill(self, group: Group) -> None:
        for member in group.members:
            if isinstance(member, Task):
                self._drafts[group].tasks[member.name] = self._task(group, member)
            else:
                self._fill(member)
        for member in group.members:
            if isinstance(member, Group):
                self._drafts[group].tasks[member.name] = self._group(group, member)

    def _task(self, group: Group, task: Task) -> Object:
        parameters: dict[str, Object] = {}
        artifacts: dict[str, Object] = {}
        _, in_texts = constants.constant([task.env, task.resources, task.image])
        for name, value in task.arguments.items():
            if isinstance(value, Channel):
                into = artifacts if value.port.kind is None else parameters
                into[name] = self._source(group, value)
            else:
                constant, used = constants.constant(value)
                parameters[name] = {"runtimeValue": {"constant": constant}}
                in_texts += used
        for channel in in_texts:
            parameters[f"{PREFIX}{channel.name}"] = self._source(group, channel)
        platform = self._settings(group, task.platform)
        made: Object = {
            "cachingOptions": {"enableCache": True},
            "componentRef": {"name": self._runs(task, platform)},
            "taskInfo": {"name": task.name},
            **self._settings(group, task.settings),
        }
        _add_inputs(made, parameters, artifacts)
        before = self._beside(group, task.before)
        before += _producers(platform)
        if task.exits is not None:
            made["triggerPolicy"] = {"strategy": _COMPLETED}
            before.append(task.exits.name)
        _add_needs(made, before)
        self._add_status(made, task)
        return made

    def _add_status(self, made: Object, task: Task) -> None:
        """Tell a task that asks for it what has become of the one before."""
        for name, port in task.runs.interface.inputs.items():
            if port.kind is ParameterType.TASK_FINAL_STATUS:
                if len(made.get("dependentTasks", ())) != 1:
                    raise CompileError(
                        f"{task.name}: {name} is the final status of one task before it: use it as the task of an "
                        "ExitHandler, or with after(task) and ignore_upstream_failure()"
                    )
                producer = {"producerTask": made["dependentTasks"][0]}
                inputs = made.setdefault("inputs", {}).setdefault("parameters", {})
                inputs[name] = {"taskFinalStatus": producer}

    def _group(self, around: Group, group: Group) -> Object:
        """Return the task that a group is in the one around it."""
        draft = self._drafts[group]
        made: Object = {"taskInfo": {"name": group.title or group.name}}
        if group.condition is not None:
            for channel in group.condition.channels():
                self._take(group, channel)
            made["triggerPolicy"] = {"condition": group.condition.text()}
        if isinstance(group, ParallelFor):
            made |= self._loop(around, group)
        made["componentRef"] = {"name": _component_of(group)}
        parameters = {key: each for key, each in draft.given.items() if _is_parameter(each)}
        artifacts = {key: each for key, each in draft.given.items() if key not in parameters}
        _add_inputs(made, parameters, artifacts)
        _add_needs(made, self._beside(around, _waits(group)))
        return made

    def _loop(self, around: Group, group: ParallelFor) -> Object:
        draft, item = self._drafts[group], f"{PREFIX}{group.item.name}"
        draft.taken[item] = group.item.port
        made: Object = {}
        if not isinstance(group.items, Channel):
            items = {"raw": json.dumps(list(group.items))}
            made["parameterIterator"] = {"items": items, "itemInput": item}
        else:
            key = self._take(group, group.items)
            if group.items.port.kind is None:
                made["artifactIterator"] = {"items": {"inputArtifact": key}, "itemInput": item}
            else:
                made["parameterIterator"] = {"items": {"inputParameter": key}, "itemInput": item}
        if group.parallelism:
            made["iteratorPolicy"] = {"parallelismLimit": group.parallelism}
        return made

    def _component(self, group: Group) -> Object:
        draft = self._drafts[group]
        dag: Object = {"tasks": draft.tasks}
        if draft.outputs:
            dag["outputs"] = draft.outputs
        return {
            "dag": dag,
            **components.ports("inputDefinitions", draft.taken),
            **components.ports("outputDefinitions", draft.made),
        }

    # Where values come from.

    def _source(self, group: Group, channel: Channel) -> Object:
        """Return where a value comes from, for a task of a group."""
        home = _home(channel)
        if group is home:
            found = self._direct(channel)
            return found | (
                {"parameterExpressionSelector": channel.selector} if channel.selector else {}
            )
        if group in home.above():
            child = _below(group, home)
            return _made_by(child.name, self._give(child, channel, loose=False), channel)
        key = self._take(group, channel)
        return _input(key, channel)

    def _direct(self, channel: Channel) -> Object:
        if isinstance(channel, OneOf):
            return _made_by(channel.owner.name, self._choose(channel), channel)
        if isinstance(channel.owner, Task):
            return _made_by(channel.owner.name, channel.key, channel)
        if isinstance(channel.owner, ParallelFor):
            return _input(f"{PREFIX}{channel.owner.item.name}", channel)
        return _input(channel.key, channel)

    def _take(self, group: Group, channel: Channel) -> str:
        """Let a group have a value from around it; return its name there."""
        key, draft = f"{PREFIX}{channel.name}", self._drafts[group]
        if key not in draft.taken and group.parent is not None:
            draft.taken[key] = _plain(channel.port)
            draft.given[key] = self._source(group.parent, channel)
        return key

    def _give(self, group: Group, channel: Channel, *, loose: bool) -> str:
        """Let a group give a value of a task in it; return the output's name.

        Args:
            group: The group.
            channel: The value.
            loose: Whether it may be that it is not made.
        """
        key = f"{PREFIX}{channel.name}"
        if key not in self._drafts[group].made:
            self._check_leaving(group, channel, loose=loose)
            self._output(group, key, channel, loose=loose)
            loops = any(
                isinstance(each, ParallelFor)
                for each in _home(channel).above()
                if group in each.above()
            )
            given = channel.port
            if isinstance(channel, Collected) and not loops:
                given = channel.owner.runs.interface.outputs[channel.key]
            self._drafts[group].made[key] = given
        return key

    def _output(self, group: Group, key: str, channel: Channel, *, loose: bool) -> None:
        home = _home(channel)
        if group is home:
            direct = self._direct(channel)
        else:
            child = _below(group, home)
            direct = _made_by(child.name, self._give(child, channel, loose=loose), channel)
        outputs = self._drafts[group].outputs
        if "taskOutputParameter" in direct:
            made = direct["taskOutputParameter"]
            selector = {
                "producerSubtask": made["producerTask"],
                "outputParameterKey": made["outputParameterKey"],
            }
            outputs.setdefault("parameters", {})[key] = {"valueFromParameter": selector}
        elif "taskOutputArtifact" in direct:
            made = direct["taskOutputArtifact"]
            selector = {
                "producerSubtask": made["producerTask"],
                "outputArtifactKey": made["outputArtifactKey"],
            }
            outputs.setdefault("artifacts", {})[key] = {"artifactSelectors": [selector]}
        else:
            raise CompileError(f"{channel.name} is an input: only outputs of tasks can be returned")

    def _choose(self, channel: OneOf) -> str:
        """Let an If with its branches give what whichever of them ran has made."""
        branches, key = channel.owner, f"{PREFIX}{channel.name}"
        draft = self._drafts[branches]
        if key in draft.made:
            return key
        draft.made[key] = channel.port
        given = [
            (
                _below(branches, _home(each)).name,
                self._give(_below(branches, _home(each)), each, loose=True),
            )
            for each in channel.given
        ]
        if channel.port.kind is None:
            found = [{"producerSubtask": name, "outputArtifactKey": each} for name, each in given]
            draft.outputs.setdefault("artifacts", {})[key] = {"artifactSelectors": found}
        else:
            found = [{"producerSubtask": name, "outputParameterKey": each} for name, each in given]
            chosen = {"valueFromOneof": {"parameterSelectors": found}}
            draft.outputs.setdefault("parameters", {})[key] = chosen
        return key

    @staticmethod
    def _check_leaving(group: Group, channel: Channel, *, loose: bool) -> None:
        if loose or isinstance(channel, Collected):
            return
        if isinstance(group, ParallelFor):
            raise CompileError(f"{channel.name} is made once each turn of a loop: use Collected(…)")
        if group.condition is not None or isinstance(group, Branches):
            raise CompileError(f"{channel.name} is made only if a condition holds: use OneOf(…)")

    def _beside(self, group: Group, others: "Iterable[Task | Group]") -> list[str]:
        """Return what to wait for in a group; what is not in it, however deep, a group around waits for."""
        found = []
        for other in others:
            name, place = other.name, other.group if isinstance(other, Task) else other.parent
            if (
                any(other is each for each in group.above())
                or place is None
                or self._root not in place.above()
            ):
                raise CompileError(f"{name} cannot be waited for by what is in it, or elsewhere")
            if group not in place.above():
                continue
            while place is not group:
                name, place = place.name, place.parent  # type: ignore[union-attr]  # the group is above
            found.append(name)
        return found

    # What tasks run.

    def _runs(self, task: Task, platform: Object) -> str:
        if isinstance(task.runs, Component):
            return self._step(task, task.runs, platform)
        inner: Compiled = task.runs.compiled()  # type: ignore[attr-defined]  # the only other thing that tasks run
        return self._nested(task, inner)

    def _settings(self, group: Group, given: Any) -> Any:
        """Return settings for Kubernetes, with where names come from."""
        if isinstance(given, list):
            return [self._settings(group, each) for each in given]
        if not isinstance(given, Mapping):
            return constants.known(given)
        return {
            key: self._named(group, value)
            if key.endswith(("Parameter", "Json"))
            else self._settings(group, value)
            for key, value in given.items()
        }

    def _named(self, group: Group, name: Any) -> Object:
        if isinstance(name, Channel):
            return self._source(group, name)
        return {"runtimeValue": {"constant": constants.known(name)}}

    def _step(self, task: Task, runs: Component, settings: Object) -> str:
        label = self._label(f"exec-{task.name}", executors.made(task, runs), settings)
        definition = {"executorLabel": label, **components.definition(runs)}
        name = _kept(self._made.components, f"comp-{task.name}", definition)
        self._made.functions[name] = runs
        return name

    def _label(self, name: str, executor: Object, settings: Object) -> str:
        """Return the label of an executor: of one that is known already, where all is the same."""
        for label, each in self._made.executors.items():
            if each == executor and self._made.settings.get(label, {}) == settings:
                return label
        label = _free(self._made.executors, name)
        self._made.executors[label] = executor
        if settings:
            self._made.settings[label] = settings
        return label

    def _nested(self, task: Task, inner: Compiled) -> str:
        """Take in a pipeline in a pipeline, under names that are free."""
        executors.check_none(task)
        inner = copy.deepcopy(inner)
        labels = {
            label: self._label(label, executor, inner.settings.get(label, {}))
            for label, executor in inner.executors.items()
        }
        names = {name: _free(self._made.components, name) for name in inner.components}
        for name, each in inner.components.items():
            self._made.components[names[name]] = _renamed(each, names, labels)
            if name in inner.functions:
                self._made.functions[names[name]] = inner.functions[name]
        own = _free(self._made.components, f"comp-{task.name}")
        self._made.components[own] = _renamed(inner.root, names, labels)
        return own


def _waits(group: Group) -> "Iterator[Task | Group]":
    """Yield what a group waits for because tasks in it do, and it is outside."""
    for member in group.members:
        inside = member.before if isinstance(member, Task) else list(_waits(member))
        for each in inside:
            place = each.group if isinstance(each, Task) else each.parent
            if place is not None and group not in place.above():
                yield each


def _home(channel: Channel) -> Group:
    """Return the group in which a value is made, or whose input it is."""
    owner = channel.owner
    if isinstance(channel, OneOf):
        parent: Group = owner.parent
        return parent
    if isinstance(owner, Task):
        return owner.group
    home: Group = owner
    return home


def _below(group: Group, inner: Group) -> Group:
    """Return the group right in another one that a third is, or is in."""
    return next(each for each in inner.above() if each.parent is group)


def _made_by(task: str, key: str, channel: Channel) -> Object:
    if channel.port.kind is None:
        return {"taskOutputArtifact": {"producerTask": task, "outputArtifactKey": key}}
    return {"taskOutputParameter": {"producerTask": task, "outputParameterKey": key}}


def _input(key: str, channel: Channel) -> Object:
    return {f"componentInput{'Artifact' if channel.port.kind is None else 'Parameter'}": key}


def _is_parameter(source: Object) -> bool:
    return not any("Artifact" in key for key in source)


def _plain(port: Port) -> Port:
    nothing = port.optional and port.default is None
    return dataclasses.replace(port, optional=nothing, default=None, literals=(), description="")


def _add_inputs(
    made: Object, parameters: Mapping[str, Object], artifacts: Mapping[str, Object]
) -> None:
    groups = {"parameters": dict(parameters), "artifacts": dict(artifacts)}
    inputs = {name: group for name, group in groups.items() if group}
    if inputs:
        made["inputs"] = inputs


def _add_needs(made: Object, before: list[str]) -> None:
    """Name all that a task waits for, as upstream's compiler does."""
    found = {*before, *_producers(made.get("inputs"))}
    if found:
        made["dependentTasks"] = sorted(found)


def _producers(given: Any) -> Iterator[str]:
    """Yield the tasks whose outputs something takes."""
    if isinstance(given, list):
        for each in given:
            yield from _producers(each)
    elif isinstance(given, Mapping):
        for key, source in given.items():
            if key != "runtimeValue":
                yield from _producers(source)
        if "producerTask" in given:
            yield given["producerTask"]


def _component_of(group: Group) -> str:
    return f"comp-{group.name}"


def _kept(known: dict[str, Object], name: str, value: Object) -> str:
    """Return the name of something that is known already, or make it known."""
    for other, each in known.items():
        if each == value:
            return other
    free = _free(known, name)
    known[free] = value
    return free


def _free(known: Mapping[str, Any], name: str) -> str:
    found, number = name, 1
    while found in known:
        number += 1
        found = f"{name}-{number}"
    return found


def _renamed(component: Object, names: Mapping[str, str], labels: Mapping[str, str]) -> Object:
    if "executorLabel" in component:
        component["executorLabel"] = labels[component["executorLabel"]]
    for task in component.get("dag", {}).get("tasks", {}).values():
        task["componentRef"]["name"] = names[task["componentRef"]["name"]]
    return component
