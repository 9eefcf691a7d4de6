"""What a step is: a Python function, a container's command, an artifact that is there already."""

import functools
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, overload

from wherry.objects.requests import Object
from wherry.pipelines.ir.messages import ParameterType
from wherry.pipelines.runtime.kfp.dsl import Artifact
from wherry.pipelines.sdk import channels, interfaces, source, tracing
from wherry.pipelines.sdk.channels import Channel, Port
from wherry.pipelines.sdk.errors import CompileError
from wherry.pipelines.sdk.interfaces import Interface
from wherry.pipelines.sdk.tracing import Task

_SCHEMA_VERSION: Final = "0.0.1"
_ARGUMENTS: Final = ("--executor_input", "{{$}}", "--function_to_execute")
_NAME: Final = re.compile(r"[^a-z0-9]+")


class Component:
    """What tasks run. In a pipeline a call makes a `Task`; elsewhere a call is a call of the function.

    Attributes:
        name: As tasks are named after it.
        interface: What it takes and gives.
        function: What it runs; None: it is no Python function.
        executor: What it does, as in the IR.
    """

    def __init__(
        self,
        name: str,
        interface: Interface,
        executor: Object,
        function: Callable[..., Any] | None = None,
    ) -> None:
        self.name = name
        self.interface = interface
        self.executor = executor
        self.function = function
        if function is not None:
            functools.update_wrapper(self, function)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Make a task, or call the function where no pipeline is being followed.

        Raises:
            CompileError: An argument is missing, or too many, or of the wrong type.
        """
        if tracing.current() is not None:
            if args:
                raise CompileError(f"{self.name}: give inputs by name, such as {self.name}(x=…)")
            return Task(self, bound(self.name, self.interface, kwargs))
        if self.function is None:
            raise CompileError(f"{self.name} is no Python function: it only runs in a pipeline")
        return self.function(*args, **kwargs)


@overload
def component(function: Callable[..., Any], /) -> Component: ...
@overload
def component(
    *, packages: Sequence[str] = ..., image: str = ..., indexes: Sequence[str] = ...
) -> Callable[[Callable[..., Any]], Component]: ...
def component(
    function: Callable[..., Any] | None = None,
    /,
    *,
    packages: Sequence[str] = (),
    image: str = "",
    indexes: Sequence[str] = (),
) -> Component | Callable[[Callable[..., Any]], Component]:
    """Make a component of a function. Decorator.

    What it takes and gives is said by its annotations: ``str``, ``int``, ``float``, ``bool``, ``list``, ``dict`` and
    ``Literal`` travel as values, ``Input[Dataset]`` and ``Output[Model]`` as files (``.path``, ``.metadata``).
    In a step there is the function alone: what it imports is imported within it.

    Args:
        function: The function.
        packages: What it needs, as pip takes it.
        image: What it runs in; empty: the Python that compiles.
        indexes: Package indexes; the first instead of the default one.

    Raises:
        CompileError: It is none.
    """
    if function is None:
        return lambda each: _made(each, packages, image, indexes)
    return _made(function, packages, image, indexes)


def _made(
    function: Callable[..., Any], packages: Sequence[str], image: str, indexes: Sequence[str]
) -> Component:
    interface = interfaces.of_function(function)
    container = {
        "image": image or f"python:{sys.version_info.major}.{sys.version_info.minor}",
        "command": [*source.command(packages, indexes), source.module(function)],
        "args": [*_ARGUMENTS, function.__name__],
    }
    return Component(named(function.__name__), interface, {"container": container}, function)


def container_component(
    name: str,
    *,
    image: str,
    command: Sequence[str] = (),
    args: Sequence[str] = (),
    inputs: Mapping[str, Any] | None = None,
    outputs: Mapping[str, Any] | None = None,
) -> Component:
    """Make a component of an image and a command.

    In texts ``{{$.inputs.parameters['x']}}``, ``{{$.inputs.artifacts['a'].path}}``,
    ``{{$.outputs.parameters['y'].output_file}}`` and ``{{$.outputs.artifacts['b'].path}}`` stand for what is meant.

    Args:
        name: What it is called.
        image: What it runs.
        command: What is started; empty: what the image says.
        args: Its arguments.
        inputs: Types by name: ``str`` …, or a class of artifacts.
        outputs: Likewise.

    Raises:
        CompileError: A type is none.
    """
    ports = [
        {key: interfaces.port_of(f"{name}: {key}", kind) for key, kind in (given or {}).items()}
        for given in (inputs, outputs)
    ]
    container: Object = {"image": image}
    if command:
        container["command"] = list(command)
    if args:
        container["args"] = list(args)
    return Component(named(name), Interface(*ports), {"container": container})


def importer(
    artifact_uri: Any,
    artifact_class: Any = Artifact,
    *,
    reimport: bool = False,
    metadata: Mapping[str, Any] | None = None,
) -> Task:
    """Make an artifact known that is there already: a task with the output ``artifact``.

    Args:
        artifact_uri: Where it is; may be an output of a task.
        artifact_class: What it is.
        reimport: Whether it is made known again if it was before.
        metadata: What is known of it.
    """
    written = isinstance(artifact_uri, str) and not channels.in_text(artifact_uri)
    executor = {
        "importer": {
            "artifactUri": {"constant": artifact_uri} if written else {"runtimeParameter": "uri"},
            "typeSchema": {
                "schemaTitle": artifact_class.schema_title,
                "schemaVersion": _SCHEMA_VERSION,
            },
            **({"reimport": True} if reimport else {}),
            **({"metadata": dict(metadata)} if metadata else {}),
        }
    }
    interface = Interface(
        {"uri": Port(ParameterType.STRING)},
        {"artifact": Port(artifact=artifact_class.schema_title)},
    )
    return Task(Component("importer", interface, executor), {"uri": artifact_uri})


def bound(name: str, interface: Interface, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of a call; what is None is left out.

    Raises:
        CompileError: One is missing, not known, or of the wrong type.
    """
    for key in given:
        if key not in interface.inputs:
            known = ", ".join(interface.inputs) or "none"
            raise CompileError(f"{name} has no input {key}; it has {known}")
    for key, port in interface.inputs.items():
        value = given.get(key)
        if value is None:
            status = port.kind in {ParameterType.TASK_FINAL_STATUS, ParameterType.TASK_CONFIG}
            if not port.optional and not status:
                raise CompileError(f"{name} needs {key} ({port.words})")
        elif isinstance(value, Channel):
            _check(f"{name}: {key}", value, port)
        elif isinstance(value, Task):
            raise CompileError(f"{name}: {key} is a task: give one of its outputs, such as .output")
        elif port.kind is None:
            raise CompileError(
                f"{name}: {key} must be an artifact that a task gives, not {value!r}"
            )
    return {key: value for key, value in given.items() if value is not None}


def _check(place: str, given: Channel, port: Port) -> None:
    if (given.port.kind is None) != (port.kind is None):
        raise CompileError(f"{place} is {port.words}, but {given.name} is {given.port.words}")
    if port.kind is None and given.port.is_list != port.is_list:
        listed = ("a list of", "a single")
        asked, got = listed if port.is_list else listed[::-1]
        raise CompileError(f"{place} is {asked} {port.words}, but {given.name} is {got} one")


def named(name: str) -> str:
    """Return the name of tasks of a function."""
    return _NAME.sub("-", name.lower()).strip("-")


def definition(component: Component) -> Object:
    """Return a component as in the IR, but for what it runs."""
    inputs, outputs = component.interface.inputs, component.interface.outputs
    return ports("inputDefinitions", inputs) | ports("outputDefinitions", outputs)


def ports(field: str, given: Mapping[str, Port]) -> Object:
    """Return inputs or outputs as in the IR."""
    found: dict[str, Object] = {}
    for name, port in given.items():
        group, made = (
            ("artifacts", _artifact(port))
            if port.kind is None
            else ("parameters", _parameter(port))
        )
        if field == "outputDefinitions":
            made = {
                key: made[key]
                for key in made
                if key not in {"isOptional", "defaultValue", "literals"}
            }
        found.setdefault(group, {})[name] = made
    return {field: found} if found else {}


def _artifact(port: Port) -> Object:
    made: Object = {
        "artifactType": {"schemaTitle": port.artifact, "schemaVersion": _SCHEMA_VERSION}
    }
    if port.is_list:
        made["isArtifactList"] = True
    if port.optional:
        made["isOptional"] = True
    return made


def _parameter(port: Port) -> Object:
    kind = port.kind or ParameterType.STRING
    made: Object = {"parameterType": kind.value}
    if port.optional or kind is ParameterType.TASK_FINAL_STATUS:
        made["isOptional"] = True
    if port.default is not None:
        made["defaultValue"] = port.default
    if port.literals:
        made["literals"] = list(port.literals)
    return made
