"""What was stored before a schema became stricter may stay as it is. Pure.

Source: `pkg/apiserver/validation/ratcheting.go` of apiextensions-apiserver. Values are told to be the
same ones by the names of fields, the keys of maps, and the keys of lists of type ``map``; items of
other lists are not.
"""

import re
from collections.abc import Mapping
from typing import Any, Final

import orjson

from wherry.objects.errors import Cause
from wherry.objects.requests import Object

_INDEX: Final = re.compile(r"\[(\d+)\]")
_ENDS: Final = frozenset({"", ".", "["})


def remaining(
    causes: list[Cause], obj: Object, old: Object, schema: Mapping[str, Any]
) -> list[Cause]:
    """Return the causes that are about something new.

    Args:
        causes: What the schema has against an object.
        obj: The object.
        old: What it replaces, in the same version.
        schema: The structural schema.
    """
    return [cause for cause in causes if not _stays(cause.field, obj, old, schema)]


def _stays(path: str, value: Any, old: Any, schema: Mapping[str, Any]) -> bool:
    """Return whether something on the way to a path is as it was."""
    if _same(value, old):
        return True
    if isinstance(value, dict) and isinstance(old, dict):
        name = _first_name(path.removeprefix("."), value)
        if name is None or name not in old:
            return False
        below = (schema.get("properties") or {}).get(name) or schema.get("additionalProperties")
        rest = path.removeprefix(".").removeprefix(name)
        return _stays(rest, value[name], old[name], below if isinstance(below, dict) else {})
    index = _INDEX.match(path)
    if index is None or not isinstance(value, list) or not isinstance(old, list):
        return False
    item = value[int(index[1])]
    before = _before(item, old, schema.get("x-kubernetes-list-map-keys") or ())
    if before is None:
        return False
    return _stays(path[index.end() :], item, before, schema.get("items") or {})


def _same(value: Any, old: Any) -> bool:
    # Not `==`, to which `true` and 1 are the same.
    sort = orjson.OPT_SORT_KEYS
    return type(value) is type(old) and orjson.dumps(value, None, sort) == orjson.dumps(
        old, None, sort
    )


def _first_name(path: str, value: Mapping[str, Any]) -> str | None:
    """Return the field that a path goes through; names may have dots in them."""
    names = sorted(value, key=len, reverse=True)
    fits = (name for name in names if path.startswith(name))
    return next((name for name in fits if path[len(name) : len(name) + 1] in _ENDS), None)


def _before(item: Any, old: list[Any], keys: tuple[str, ...] | list[str]) -> Any:
    """Return the item of a list that has the same keys; None where there are no keys."""
    if not keys or not isinstance(item, dict):
        return None
    wanted = [item.get(key) for key in keys]
    same = (
        each for each in old if isinstance(each, dict) and [each.get(k) for k in keys] == wanted
    )
    return next(same, None)
