"""The annotations of a component's function: what is an input, an output, a path."""

import typing
from typing import Annotated, Any, TypeVar

from . import artifact_types  # noqa: TID252 - there the package is called kfp

_PARAMETERS = {
    *("str", "string", "text", "int", "integer", "float", "double", "bool", "boolean"),
    *("dict", "jsonobject", "list", "jsonarray"),
}
_GIVEN = ("PipelineTaskFinalStatus", "TaskConfig")
"""Classes whose values the engine gives."""


class InputAnnotation:
    """Marks an input artifact."""


class OutputAnnotation:
    """Marks an output artifact."""


class EmbeddedAnnotation:
    """Marks a file that came with the component."""


T = TypeVar("T")
Input = Annotated[T, InputAnnotation]
Output = Annotated[T, OutputAnnotation]
EmbeddedInput = Annotated[T, EmbeddedAnnotation]


class _Path:
    """An argument that is a path.

    Attributes:
        type: What is there: a parameter's type, or ``system.Dataset@0.0.1``.
    """

    def __init__(self, type: Any = None) -> None:  # noqa: A002 - KFP's name
        self.type = _kind(type)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, self.__class__) and self.type == other.type

    # What is equal by a value that can change has no hash.
    __hash__ = None  # type: ignore[assignment] # the way to say so


class InputPath(_Path):
    """The path of an input artifact."""


class OutputPath(_Path):
    """The path of an output: of an artifact, or of a file with a parameter's value."""


def _kind(given: Any) -> Any:
    if is_artifact_class(given):
        return f"{given.schema_title}@{given.schema_version}"
    if isinstance(given, str) and given.lower() in artifact_types.BY_NAME:
        return _kind(artifact_types.BY_NAME[given.lower()])
    if is_parameter(given):
        return given
    return _kind(artifact_types.Artifact)


def is_parameter(annotation: Any) -> bool:
    """Return whether values of an annotation travel as JSON, rather than as files."""
    if isinstance(annotation, dict):
        annotation = next(iter(annotation), "")
    if isinstance(annotation, type) and not typing.get_args(annotation):
        plain = annotation in (str, int, float, bool, dict, list)
        return plain or annotation.__name__ in _GIVEN or is_model(annotation)
    name = short_name(annotation if isinstance(annotation, str) else str(annotation))
    return name.lower() in _PARAMETERS or name in _GIVEN or name == "Literal"


def short_name(text: str) -> str:
    """Return the name of a type without module and arguments: of ``typing.List[int]`` ``List``."""
    bare = text.removeprefix("typing.")
    return bare.split("[", 1)[0].strip()


def is_model(annotation: Any) -> bool:
    """Return whether it is a class of pydantic's, whose values travel as JSON objects."""
    return isinstance(annotation, type) and callable(getattr(annotation, "model_validate", None))


def is_artifact_class(annotation: Any) -> bool:
    """Return whether it is a class of artifacts."""
    return hasattr(annotation, "schema_title") and hasattr(annotation, "schema_version")


def marker(annotation: Any) -> Any:
    """Return by which class an annotation is marked; None where it is not."""
    found = getattr(annotation, "__metadata__", (None,))[0]
    return found if found in (InputAnnotation, OutputAnnotation, EmbeddedAnnotation) else None


def without_marker(annotation: Any) -> Any:
    """Return what is marked; what is not marked as it is."""
    return annotation.__origin__ if marker(annotation) else annotation


def without_none(annotation: Any) -> Any:
    """Return ``X`` of ``Optional[X]`` and ``X | None``; anything else as it is."""
    origin = typing.get_origin(annotation)
    if origin is not typing.Union and getattr(origin, "__name__", "") != "UnionType":
        return annotation
    kinds = typing.get_args(annotation)
    others = [each for each in kinds if each is not type(None)]
    return others[0] if len(kinds) == 2 and len(others) == 1 else annotation


def is_list_of_artifacts(annotation: Any) -> bool:
    """Return whether it is ``List[A]`` of a class of artifacts."""
    # `typing.List` alone has the origin too, and says nothing of what is in it.
    if typing.get_origin(annotation) is not list or not typing.get_args(annotation):
        return False
    (inner,) = typing.get_args(annotation)
    return is_list_of_artifacts(inner) or (
        isinstance(inner, type) and issubclass(inner, artifact_types.Artifact)
    )


def element(annotation: Any) -> Any:
    """Return ``A`` of a list of artifacts, however deep."""
    while typing.get_origin(annotation) is list:
        (annotation,) = typing.get_args(annotation)
    return annotation
