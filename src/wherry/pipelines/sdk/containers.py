"""Components of images and commands: what `container_component` makes of a function that returns a `ContainerSpec`."""

import inspect
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from wherry.objects.requests import Object
from wherry.pipelines.runtime.kfp.dsl.types import type_annotations
from wherry.pipelines.sdk import components, interfaces
from wherry.pipelines.sdk.channels import Port
from wherry.pipelines.sdk.components import Component
from wherry.pipelines.sdk.errors import CompileError


@dataclass(frozen=True, slots=True)
class ContainerSpec:
    """What a container component runs.

    Attributes:
        image: The image.
        command: What is started; empty: what the image says.
        args: Its arguments.
    """

    image: str
    command: Sequence[Any] = ()
    args: Sequence[Any] = ()


class ConcatPlaceholder:
    """Parts of one argument, joined when the step starts."""

    def __init__(self, items: Sequence[Any]) -> None:
        self.items = items

    def form(self) -> Object:
        """Return it as in the IR."""
        return {"Concat": [_form(each) for each in self.items]}


class IfPresentPlaceholder:
    """An argument, or a list of them, that depends on whether an input is given.

    Attributes:
        input_name: The input.
        then: If it is given.
        else_: If it is not; None: nothing.
    """

    def __init__(self, input_name: str, then: Any, else_: Any = None) -> None:
        self.input_name = input_name
        self.then = then
        self.else_ = else_

    def form(self) -> Object:
        """Return it as in the IR."""
        made: Object = {"InputName": self.input_name, "Then": _form(self.then)}
        if self.else_:
            made["Else"] = _form(self.else_)
        return {"IfPresent": made}


class _Artifact:
    """An artifact in the command of a container: its ``uri``, ``path`` or an entry of its ``metadata``."""

    def __init__(self, text: str) -> None:
        self._text = text
        self.uri = f"{{{{{text}.uri}}}}"
        self.path = f"{{{{{text}.path}}}}"
        self.metadata = _Metadata(f"{text}.metadata")

    def __str__(self) -> str:
        raise CompileError("an artifact is no text: use its .path, .uri or .metadata[…]")


class _Metadata:
    def __init__(self, text: str) -> None:
        self._text = text

    def __getitem__(self, key: str) -> str:
        return f"{{{{{self._text}['{key}']}}}}"

    def __str__(self) -> str:
        return f"{{{{{self._text}}}}}"


def container_component(function: Callable[..., Any], /) -> Component:
    """Make a component of an image and a command. Decorator.

    The function takes inputs and outputs as `component` does, and returns a `ContainerSpec` in which they stand:
    values as they are, ``.path``, ``.uri`` and ``.metadata[…]`` of artifacts, paths of output parameters.

    Raises:
        CompileError: It returns something else, or has in it what is no text.
    """
    interface = interfaces.of_function(function, returned=ContainerSpec)
    given = {
        name: _given(
            name,
            {**interface.inputs, **interface.outputs}[name],
            name in interface.outputs,
            parameter,
        )
        for name, parameter in interfaces.signature_of(function).parameters.items()
    }
    made = function(**given)
    if not isinstance(made, ContainerSpec):
        raise CompileError(f"{function.__name__}: return a ContainerSpec, not {made!r}")
    container: Object = {"image": made.image}
    for field in ("command", "args"):
        words = [word(function.__name__, each) for each in getattr(made, field) or ()]
        if words:
            container[field] = words
    return Component(components.named(function.__name__), interface, {"container": container})


def _given(name: str, port: Port, is_output: bool, parameter: inspect.Parameter) -> Any:  # noqa: FBT001 - one of two
    """Return what stands for an input or output in the command."""
    side, kind = "outputs" if is_output else "inputs", "parameters" if port.kind else "artifacts"
    text = f"$.{side}.{kind}['{name}']"
    if port.kind is not None:
        return f"{{{{{text}.output_file}}}}" if is_output else f"{{{{{text}}}}}"
    if port.is_list:
        return f"{{{{{text}}}}}"
    path = type_annotations.InputPath | type_annotations.OutputPath
    made = _Artifact(text)
    return (
        made.path if isinstance(type_annotations.without_none(parameter.annotation), path) else made
    )


def word(place: str, given: Any) -> str:
    """Return a part of a command as the IR has it.

    Raises:
        CompileError: It is no text, and no placeholder.
    """
    form = _form(given)
    if isinstance(form, str):
        return form
    if isinstance(form, dict):
        return json.dumps(form)
    raise CompileError(f"{place}: {given!r} is no text, and cannot be in a command")


def _form(given: Any) -> Any:
    if isinstance(given, ConcatPlaceholder | IfPresentPlaceholder):
        return given.form()
    if isinstance(given, list | tuple):
        return [_form(each) for each in given]
    return str(given) if isinstance(given, str | _Artifact | _Metadata) else given
