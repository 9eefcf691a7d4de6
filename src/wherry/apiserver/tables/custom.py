"""Tables of custom resources: the printer columns of their definition.

Source: ``apiextensions-apiserver/pkg/registry/customresource/tableconvertor``.
"""

import datetime
import functools
import json
from collections.abc import Sequence
from typing import Any

from wherry.apiserver import table
from wherry.apiserver.tables import texts
from wherry.apiserver.tables.layout import NAME, column
from wherry.objects import jsonpaths
from wherry.objects.requests import Object

_AGE = {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"}


def columns(printer_columns: Sequence[dict[str, Any]]) -> list[table.Column]:
    """Return the name and the given columns; the age where none are given."""
    return [NAME, *(_column(one) for one in printer_columns or (_AGE,))]


def _column(one: dict[str, Any]) -> table.Column:
    return column(
        one["name"],
        one.get("description") or f"Custom resource definition column from {one['jsonPath']}",
        kind=one["type"],
        form=one.get("format", ""),
        priority=one.get("priority", 0),
    )


def cells(
    obj: Object, now: datetime.datetime, printer_columns: Sequence[dict[str, Any]]
) -> list[Any]:
    """Return the name and the value of each column; None where the object has no such value."""
    found = [_cell(obj, now, one) for one in printer_columns or (_AGE,)]
    return [obj["metadata"]["name"], *found]


@functools.lru_cache(maxsize=1024)
def _plain(path: str) -> tuple[str, ...] | None:
    """Return the steps of a path of plain names, which needs no evaluator; None for any other."""
    steps = tuple(path.removeprefix(".").split("."))
    plain = all(step.replace("_", "").replace("-", "").isalnum() for step in steps)
    return steps if plain else None


def _values(obj: Object, path: str) -> list[Any]:
    steps = _plain(path)
    if steps is None:
        try:
            return jsonpaths.find(path, obj)
        except ValueError:
            # A path that leads nowhere in this object is an empty cell, not a failed list.
            return []
    value: Any = obj
    for step in steps:
        if not isinstance(value, dict) or step not in value:
            return []
        value = value[step]
    return [value]


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    return json.dumps(value, separators=(",", ":"))


def _date(value: Any, now: datetime.datetime) -> str:
    try:
        return texts.since(value, now)
    except (ValueError, TypeError):
        return "<invalid>"


def _cell(obj: Object, now: datetime.datetime, one: dict[str, Any]) -> Any:
    values = [value for value in _values(obj, one["jsonPath"]) if value is not None]
    if not values:
        return None
    kind, value = one["type"], values[0]
    if kind == "date":
        return _date(value, now)
    if kind == "string":
        return " ".join(_text(each) for each in values)
    return _typed(kind, value)


def _typed(kind: str, value: Any) -> Any:
    if kind == "boolean":
        return value if isinstance(value, bool) else None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return int(value) if kind == "integer" else value
