"""The schema of a declared kind, as a CustomResourceDefinition takes it. Pure."""

import dataclasses
import typing
from typing import Any

from wherry.objects.declared import fields, published, reading

Schema = dict[str, Any]

_SCALARS: dict[Any, Schema] = {
    str: {"type": "string"},
    bool: {"type": "boolean"},
    int: {"type": "integer", "format": "int32"},
    float: {"type": "number"},
    # A quantity, or a number that may be given as text: `nprocPerNode: auto`.
    int | str: {"x-kubernetes-int-or-string": True},
    Any: {"x-kubernetes-preserve-unknown-fields": True},
}
_TIME: Schema = {"type": "string", "format": "date-time"}


def conditions(*times: str) -> Schema:
    """Return the schema of `status.conditions`, as apimachinery's `metav1.Condition` has them.

    Args:
        times: Further fields that hold a time, such as ``lastUpdateTime``.
    """
    return {
        "type": "array",
        "items": {
            "type": "object",
            "required": ["type", "status"],
            "properties": {
                "type": {"type": "string"},
                "status": {"type": "string", "enum": ["True", "False", "Unknown"]},
                "reason": {"type": "string"},
                "message": {"type": "string"},
                "observedGeneration": {"type": "integer", "format": "int64"},
                **dict.fromkeys(("lastTransitionTime", *times), _TIME),
            },
        },
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["type"],
    }


CONDITIONS: Schema = conditions("lastUpdateTime")
"""Those of the kinds that say besides when a condition was last looked at."""


def schema(cls: type[Any]) -> Schema:
    """Return the schema of a declared dataclass, its docstring's first line as description.

    Args:
        cls: Its fields are declared with `fields.about`.

    Raises:
        TypeError: a field has a type that has no place in the API, or says not what it is for.
    """
    hints = typing.get_type_hints(cls)
    declared = [(field, fields.of(field)) for field in dataclasses.fields(cls)]
    made: Schema = {
        "type": "object",
        "description": (cls.__doc__ or "").strip().partition("\n")[0],
        "properties": {
            fields.name(field): _field(hints[field.name], about, f"{cls.__name__}.{field.name}")
            for field, about in declared
        },
    }
    if required := [fields.name(field) for field, about in declared if about.required]:
        made["required"] = required
    return made


def _field(annotation: Any, about: fields.About, place: str) -> Schema:
    made: Schema = {**_type(annotation, about.published, place), **about.limits}
    made["description"] = about.description
    if about.filled is not None:
        made["default"] = about.filled
    return made


def _type(annotation: Any, held: str, place: str) -> Schema:
    annotation = reading.without_none(annotation)
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if annotation in _SCALARS:
        return dict(_SCALARS[annotation])
    if dataclasses.is_dataclass(annotation):
        return schema(typing.cast("type[Any]", annotation))
    if origin is tuple:
        return {"type": "array", "items": _type(arguments[0], held, place)}
    if annotation == dict[str, Any]:
        return _object(held)
    if origin is dict:
        return {"type": "object", "additionalProperties": _type(arguments[1], held, place)}
    raise TypeError(f"{place}: {annotation} has no form in the API")


def _object(held: str) -> Schema:
    if held:
        return dict(published.structural(held))
    return {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
