"""What a component takes and gives, read from the annotations of its function."""

import inspect
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from wherry.pipelines.ir.messages import ParameterType
from wherry.pipelines.runtime.kfp.dsl import PipelineTaskFinalStatus, TaskConfig
from wherry.pipelines.runtime.kfp.dsl.types import type_annotations
from wherry.pipelines.sdk.channels import Port, kind_of
from wherry.pipelines.sdk.errors import CompileError

OUTPUT: Final = "Output"
"""The name of what a function returns, when that is no tuple with names."""
_KINDS: Final[Mapping[Any, ParameterType]] = {
    str: ParameterType.STRING,
    int: ParameterType.NUMBER_INTEGER,
    float: ParameterType.NUMBER_DOUBLE,
    bool: ParameterType.BOOLEAN,
    list: ParameterType.LIST,
    dict: ParameterType.STRUCT,
    PipelineTaskFinalStatus: ParameterType.TASK_FINAL_STATUS,
    TaskConfig: ParameterType.TASK_CONFIG,
}
_ACCEPTED: Final = (
    "str, int, float, bool, list, dict, Literal of these, Input[…] or Output[…] of an artifact's class, "
    "InputPath, OutputPath"
)


@dataclass(frozen=True, slots=True)
class Interface:
    """What a component takes and gives, by name."""

    inputs: Mapping[str, Port]
    outputs: Mapping[str, Port]


def of_function(function: Callable[..., Any]) -> Interface:
    """Return what a component's function takes and gives.

    Raises:
        CompileError: An annotation is missing, or says nothing that can be passed.
    """
    signature = signature_of(function)
    inputs: dict[str, Port] = {}
    outputs: dict[str, Port] = {}
    for name, parameter in signature.parameters.items():
        if parameter.kind in {parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD}:
            raise CompileError(f"{function.__name__}: *{name} cannot be an input: name each one")
        place = f"{function.__name__}: {name}"
        is_output, port = _argument(place, parameter)
        (outputs if is_output else inputs)[name] = port
    return Interface(inputs, outputs | _returned(function.__name__, signature.return_annotation))


def signature_of(function: Callable[..., Any]) -> inspect.Signature:
    """Return a function's signature, with annotations that are texts looked up.

    Raises:
        CompileError: One cannot be looked up.
    """
    try:
        return inspect.signature(function, eval_str=True)
    except NameError as error:
        raise CompileError(f"{function.__name__}: an annotation cannot be read: {error}") from error


def port_of(place: str, annotation: Any) -> Port:
    """Return what an annotation says.

    Raises:
        CompileError: It says nothing that can be passed.
    """
    plain = type_annotations.without_none(annotation)
    optional = plain is not annotation
    plain = type_annotations.without_marker(plain)
    if type_annotations.is_artifact_class(plain):
        return Port(artifact=plain.schema_title, optional=optional)
    if type_annotations.is_list_of_artifacts(plain):
        title = type_annotations.element(plain).schema_title
        return Port(artifact=title, is_list=True, optional=optional)
    if typing.get_origin(plain) is typing.Literal:
        literals = typing.get_args(plain)
        return Port(kind_of(literals), optional=optional, literals=literals)
    kind = _KINDS.get(typing.get_origin(plain) or plain)
    if kind is None:
        raise CompileError(f"{place}: {annotation!r} cannot be passed; want {_ACCEPTED}")
    return Port(kind, optional=optional)


def _argument(place: str, parameter: inspect.Parameter) -> tuple[bool, Port]:
    annotation = parameter.annotation
    if annotation is inspect.Parameter.empty:
        raise CompileError(f"{place}: say what it is; want {_ACCEPTED}")
    bare = type_annotations.without_none(annotation)
    if isinstance(bare, type_annotations.InputPath | type_annotations.OutputPath):
        is_output = isinstance(bare, type_annotations.OutputPath)
        return is_output, _path(place, bare.type, optional=bare is not annotation)
    is_output = type_annotations.marker(bare) is type_annotations.OutputAnnotation
    port = port_of(place, annotation)
    if parameter.default is inspect.Parameter.empty:
        return is_output, port
    literals, default = port.literals, parameter.default
    return is_output, Port(
        port.kind,
        port.artifact,
        is_list=port.is_list,
        optional=True,
        default=default,
        literals=literals,
    )


def _path(place: str, kind: Any, *, optional: bool) -> Port:
    if isinstance(kind, str) and "@" in kind:
        return Port(artifact=kind.partition("@")[0], optional=optional)
    port = port_of(place, kind)
    return Port(port.kind, port.artifact, optional=optional)


def _returned(name: str, annotation: Any) -> dict[str, Port]:
    if annotation in (inspect.Signature.empty, None, type(None)):
        return {}
    fields = getattr(annotation, "_fields", None)
    if fields is None:
        return {OUTPUT: port_of(f"{name}: what it returns", annotation)}
    hints = typing.get_type_hints(annotation)
    return {field: port_of(f"{name}: {field} of what it returns", hints[field]) for field in fields}
