"""Objects of the API as the dataclasses that declare them, and back. Pure.

Reading is forgiving: the API has checked what it holds, and an object of an older release that
lacks a field, or holds one that nobody knows any more, is still to be worked with.
"""

import dataclasses
import functools
import operator
import types
import typing
from collections.abc import Mapping
from typing import Any, TypeVar

from wherry.objects import metadata
from wherry.objects.declared import fields
from wherry.objects.requests import Object

_T = TypeVar("_T")


@dataclasses.dataclass(frozen=True, slots=True)
class ReadObject:
    """An object of the API; subclasses hold its parts as the dataclasses that declare them.

    Attributes:
        obj: The object, defaults filled in. Shared: not to be changed.
    """

    obj: Object

    @property
    def name(self) -> str:
        """Name of the object."""
        return metadata.name(self.obj)

    @property
    def namespace(self) -> str:
        """Namespace of the object."""
        return metadata.namespace(self.obj)


def read(cls: type[_T], values: Mapping[str, Any] | None) -> _T:
    """Return the dataclass that a part of an object describes.

    Args:
        cls: A declared dataclass.
        values: The part, such as `spec`; None and unknown fields are passed over.

    Returns:
        The value; dicts and lists of published types in it are the object's own, not copies.
    """
    given = values or {}
    known = {
        attribute: _value(annotation, given[name])
        for attribute, name, annotation in _attributes(typing.cast("Any", cls))
        if given.get(name) is not None
    }
    return cls(**known)


def write(value: Any) -> dict[str, Any]:
    """Return the JSON form of a declared dataclass; what is at its default, and empty, is left out.

    Args:
        value: An instance of a declared dataclass.
    """
    made: dict[str, Any] = {}
    for attribute, name, _ in _attributes(typing.cast("Any", type(value))):
        held = getattr(value, attribute)
        if held is None or held in ("", (), {}):
            continue
        made[name] = _plain(held)
    return made


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value):
        return write(value)
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return value


@functools.cache
def _attributes(cls: Any) -> tuple[tuple[str, str, Any], ...]:
    """Return (attribute, name in the API, type) of each field."""
    hints = typing.get_type_hints(cls)
    return tuple(
        (field.name, fields.name(field), hints[field.name]) for field in dataclasses.fields(cls)
    )


def _value(annotation: Any, value: Any) -> Any:
    annotation = without_none(annotation)
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if dataclasses.is_dataclass(annotation):
        return read(typing.cast("type[Any]", annotation), value)
    if origin is tuple:
        return tuple(_value(arguments[0], item) for item in value)
    if origin is dict and dataclasses.is_dataclass(without_none(arguments[1])):
        return {key: _value(arguments[1], item) for key, item in value.items()}
    return value


def without_none(annotation: Any) -> Any:
    """Return ``X`` of ``X | None``, ``X | Y`` of ``X | Y | None``; other annotations as they are."""
    if isinstance(annotation, types.UnionType):
        left = [part for part in typing.get_args(annotation) if part is not types.NoneType]
        return functools.reduce(operator.or_, left)
    return annotation
