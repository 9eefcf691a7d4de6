"""What a component takes and gives, read from the annotations of its function."""

import dataclasses
import inspect
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from wherry.pipelines.ir.messages import ParameterType
from wherry.pipelines.runtime.kfp.dsl import Artifact, PipelineTaskFinalStatus, TaskConfig
from wherry.pipelines.runtime.kfp.dsl.types import type_annotations
from wherry.pipelines.sdk import docstrings
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


def of_function(function: Callable[..., Any], *, returned: type[Any] | None = None) -> Interface:
    """Return what a component's function takes and gives.

    Args:
        function: The function.
        returned: What it may say that it returns without giving it.

    Raises:
        CompileError: An annotation is missing, or says nothing that can be passed.
    """
    signature = signature_of(function)
    inputs: dict[str, Port] = {}
    outputs: dict[str, Port] = {}
    for name, parameter in signature.parameters.items():
        if parameter.kind in {parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD}:
            raise CompileError(f"{function.__name__}: *{name} cannot be an input: name each one")
        if _is_embedded(parameter.annotation):
            continue
        place = f"{function.__name__}: {name}"
        is_output, port = _argument(place, parameter)
        (outputs if is_output else inputs)[name] = port
    if returned is None or signature.return_annotation is not returned:
        outputs |= _returned(function.__name__, signature.return_annotation)
    text = inspect.getdoc(function) or ""
    return Interface(
        _described(inputs, docstrings.entries(text, docstrings.ARGUMENTS)),
        _described(outputs, docstrings.entries(text, docstrings.RETURNS)),
    )


def _described(ports: Mapping[str, Port], said: Mapping[str, str]) -> dict[str, Port]:
    return {
        name: dataclasses.replace(port, description=said.get(name, ""))
        for name, port in ports.items()
    }


def embedded(function: Callable[..., Any], names: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a function is given of the files that came with it.

    Args:
        function: The function.
        names: What its module has of them.
    """
    path = names.get("__KFP_EMBEDDED_ASSET_FILE") or names.get("__KFP_EMBEDDED_ASSET_DIR")
    found = {}
    for name, parameter in signature_of(function).parameters.items():
        if path and _is_embedded(parameter.annotation):
            kind = type_annotations.without_marker(parameter.annotation)
            found[name] = (kind if type_annotations.is_artifact_class(kind) else Artifact)(uri=path)
    return found


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
    if type_annotations.is_model(plain):
        return Port(ParameterType.STRUCT, optional=optional)
    if type_annotations.is_artifact_class(plain):
        return _of_class(plain, optional=optional)
    if type_annotations.is_list_of_artifacts(plain):
        return _of_class(type_annotations.element(plain), is_list=True, optional=optional)
    if typing.get_origin(plain) is typing.Literal:
        literals = typing.get_args(plain)
        return Port(kind_of(literals), optional=optional, literals=literals)
    kind = _kind(plain)
    if kind is None:
        raise CompileError(f"{place}: {annotation!r} cannot be passed; want {_ACCEPTED}")
    inner = typing.get_args(plain) if kind is ParameterType.LIST else ()
    return Port(kind, optional=optional, element=_kind(inner[0]) if inner else None)


def _of_class(kind: Any, **fields: Any) -> Port:
    return Port(artifact=kind.schema_title, version=kind.schema_version, **fields)


def _kind(annotation: Any) -> ParameterType | None:
    return _KINDS.get(typing.get_origin(annotation) or annotation)


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
    return is_output, dataclasses.replace(port, optional=True, default=parameter.default)


def _is_embedded(annotation: Any) -> bool:
    bare = type_annotations.without_none(annotation)
    return type_annotations.marker(bare) is type_annotations.EmbeddedAnnotation


def _path(place: str, kind: Any, *, optional: bool) -> Port:
    if isinstance(kind, str) and "@" in kind:
        title, _, version = kind.partition("@")
        return Port(artifact=title, version=version, optional=optional)
    return dataclasses.replace(port_of(place, kind), optional=optional)


def _returned(name: str, annotation: Any) -> dict[str, Port]:
    if annotation in (inspect.Signature.empty, None, type(None)):
        return {}
    fields = getattr(annotation, "_fields", None)
    if fields is None:
        return {OUTPUT: port_of(f"{name}: what it returns", annotation)}
    hints = typing.get_type_hints(annotation)
    return {field: port_of(f"{name}: {field} of what it returns", hints[field]) for field in fields}
