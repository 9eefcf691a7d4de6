"""What a step is: what it takes and gives, what it does, and how it is called."""

import contextlib
import functools
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from typing import Any, Final

from wherry.objects.requests import Object
from wherry.pipelines import task_checks
from wherry.pipelines.ir.messages import InputParameter, ParameterType, Value
from wherry.pipelines.sdk import channels, interfaces, tracing
from wherry.pipelines.sdk.channels import Channel, Port
from wherry.pipelines.sdk.errors import CompileError
from wherry.pipelines.sdk.interfaces import Interface
from wherry.pipelines.sdk.tracing import Task

_GIVEN: Final = (ParameterType.TASK_FINAL_STATUS, ParameterType.TASK_CONFIG)
"""Inputs that the engine gives."""
_NAME: Final = re.compile(r"[^a-z0-9]+")

Around = Callable[[], AbstractContextManager[Mapping[str, Any]]]
"""What is there while a function runs in this process; gives names that its module has then."""


@contextlib.contextmanager
def nothing() -> Iterator[Mapping[str, Any]]:
    """Have nothing there that is not there anyway."""
    yield {}


class Component:
    """What tasks run. In a pipeline a call makes a `Task`; elsewhere a call is a call of the function.

    Attributes:
        name: As tasks are named after it.
        interface: What it takes and gives.
        function: What it runs; None: it is no Python function.
        executor: What it does, as in the IR.
        passthroughs: Settings of its pod that its code is handed, as in the IR.
        around: What is there while its function runs in this process.
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
        self.passthroughs: list[Object] = []
        self.around: Around = nothing
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
        with self.around() as names:
            brought = interfaces.embedded(self.function, names)
            return self.function(*args, **brought | kwargs)


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
            if not port.optional and port.kind not in _GIVEN:
                raise CompileError(f"{name} needs {key} ({port.words})")
        elif isinstance(value, Channel):
            _check(f"{name}: {key}", value, port)
        elif isinstance(value, Task):
            raise CompileError(f"{name}: {key} is a task: give one of its outputs, such as .output")
        elif port.kind is None:
            raise CompileError(
                f"{name}: {key} must be an artifact that a task gives, not {value!r}"
            )
        else:
            _check_constant(f"{name}: {key}", value, port)
    return {key: value for key, value in given.items() if value is not None}


def _check(place: str, given: Channel, port: Port) -> None:
    if (given.port.kind is None) != (port.kind is None):
        raise CompileError(f"{place} is {port.words}, but {given.name} is {given.port.words}")
    if port.kind is None and given.port.is_list != port.is_list:
        listed = ("a list of", "a single")
        asked, got = listed if port.is_list else listed[::-1]
        raise CompileError(f"{place} is {asked} {port.words}, but {given.name} is {got} one")


def _check_constant(place: str, given: Any, port: Port) -> None:
    """Check a value that is written down; what an f-string will be is known later."""
    if isinstance(given, str) and channels.in_text(given):
        return
    kind = port.kind or ParameterType.UNSPECIFIED
    if kind is ParameterType.STRING and not port.literals:
        # Any value may stand for a text, also one with channels in it.
        return
    literals = tuple(Value(each) for each in port.literals)
    definition = InputParameter(parameter_type=kind, literals=literals)
    wrong = task_checks.wrong_value(list(given) if isinstance(given, tuple) else given, definition)
    if wrong:
        raise CompileError(f"{place} {wrong}")


def named(name: str) -> str:
    """Return the name of tasks of a function."""
    return _NAME.sub("-", name.lower()).strip("-")


def definition(component: Component) -> Object:
    """Return a component as in the IR, but for what it runs."""
    inputs, outputs = component.interface.inputs, component.interface.outputs
    passed = {"taskConfigPassthroughs": component.passthroughs} if component.passthroughs else {}
    return ports("inputDefinitions", inputs) | ports("outputDefinitions", outputs) | passed


def ports(field: str, given: Mapping[str, Port]) -> Object:
    """Return inputs or outputs as in the IR."""
    found: dict[str, Object] = {}
    for name, port in given.items():
        group, made = (
            ("artifacts", _artifact(port))
            if port.kind is None
            else ("parameters", _parameter(port))
        )
        if port.description:
            made["description"] = port.description
        if field == "outputDefinitions":
            made = {
                key: made[key]
                for key in made
                if key not in {"isOptional", "defaultValue", "literals"}
            }
        found.setdefault(group, {})[name] = made
    return {field: found} if found else {}


def _artifact(port: Port) -> Object:
    made: Object = {"artifactType": {"schemaTitle": port.artifact, "schemaVersion": port.version}}
    if port.is_list:
        made["isArtifactList"] = True
    if port.optional:
        made["isOptional"] = True
    return made


def _parameter(port: Port) -> Object:
    kind = port.kind or ParameterType.STRING
    made: Object = {"parameterType": kind.value}
    if port.optional or kind in _GIVEN:
        made["isOptional"] = True
    if port.default is not None:
        made["defaultValue"] = port.default
    if port.literals:
        made["literals"] = list(port.literals)
    return made
