"""From values to sets of fields: what an applied configuration names, and all that a value holds."""

import functools
from typing import Any, Final

from wherry.objects.managed_fields import elements, views
from wherry.objects.managed_fields.fields import LEAF, SELF, Fields
from wherry.objects.requests import Object
from wherry.objects.schemas import ANY, Node

_SCALARS: Final = frozenset({str, int, float, bool, type(None)})
_MAX_FLAT: Final = 16
_REMEMBERED: Final = 4096


class TypingError(ValueError):
    """An applied configuration whose lists cannot be told apart item by item; the text names the place."""


def to_fields(obj: Object, node: Node) -> Fields:
    """Return the fields that an applied configuration names.

    Containers are members only where their being there says something: items of lists, entries of
    maps, and what is empty.

    Raises:
        TypingError: An item of a list has no key, or one that another has.
    """
    return _fields(node, obj, "") or {}


def contents(obj: Object, node: Node) -> Fields:
    """Return the fields of any object, counted as `to_fields` counts them, whatever is wrong with it."""
    return _fields(node, obj, None) or {}


def _fields(node: Node, value: Any, path: str | None) -> Fields | None:
    """Return what stands below a value's element; None for nothing.

    Args:
        node: The value's node.
        value: The value.
        path: Where it stands, for errors; None to put up with everything.
    """
    if type(value) is dict:
        return LEAF if node.map_type == "atomic" else _map_fields(node, value, path)
    if type(value) is list:
        keys = views.list_keys(node)
        if keys is None:
            return LEAF
        if path is not None:
            _refuse_indistinct(node, keys, value, path)
        return _list_fields(node, keys, value, path)
    return LEAF


def _map_fields(node: Node, value: dict[str, Any], path: str | None) -> Fields | None:
    made: Fields = {}
    known, additional = node.properties, node.additional or ANY
    for name in sorted(value):
        item, named = value[name], known.get(name)
        below = _fields(named or additional, item, None if path is None else f"{path}.{name}")
        if below is None:
            if named is not None and item != {}:
                continue
            below = LEAF
        made["f:" + name] = below if named is not None else _as_member(below)
    return made or None


def _list_fields(
    node: Node, keys: tuple[str, ...], items: list[Any], path: str | None
) -> Fields | None:
    made: Fields = {}
    inner = node.items or ANY
    found = views.grouped(node, keys, items)
    for name in elements.ordered(found):
        same = found[name]
        where = None if path is None else path + elements.render(name)
        below = _fields(inner, same[0], where) if len(same) == 1 else LEAF
        made[name] = _as_member(below or LEAF)
    return made or None


def _as_member(below: Fields) -> Fields:
    return {SELF: LEAF, **below} if below and SELF not in below else below


def _refuse_indistinct(node: Node, keys: tuple[str, ...], items: list[Any], path: str) -> None:
    seen: set[str] = set()
    for number, item in enumerate(items):
        name = views.element(node, keys, item)
        if name is None:
            quoted = " ".join(f'"{key}"' for key in keys)
            raise TypingError(
                f"{path}: element {number}: associative list with keys has an element that omits "
                f"all key fields [{quoted}] (and doesn't have default values for any key fields)"
            )
        if name in seen:
            raise TypingError(f"{path}: duplicate entries for key {elements.render(name)}")
        seen.add(name)


@functools.lru_cache(maxsize=_REMEMBERED)
def _flat(names: tuple[str, ...]) -> Fields:
    """Return what stands below an object of scalars; the same set for all that have the same names."""
    return {SELF: LEAF} | {f"f:{name}": LEAF for name in sorted(names)}


def everything(node: Node, value: Any) -> Fields:
    """Return what stands below a value's element when all of the value has come or gone."""
    if type(value) is dict:
        if not value or node.map_type == "atomic":
            return LEAF
        if len(value) <= _MAX_FLAT and _SCALARS.issuperset(map(type, value.values())):
            return _flat(tuple(value))
        made: Fields = {SELF: LEAF}
        known, additional = node.properties, node.additional or ANY
        for name in sorted(value):
            item = value[name]
            if type(item) is dict or type(item) is list:
                made["f:" + name] = everything(known.get(name) or additional, item)
            else:
                made["f:" + name] = LEAF
        return made
    if type(value) is list and value and (keys := views.list_keys(node)) is not None:
        made = {SELF: LEAF}
        inner = node.items or ANY
        found = views.grouped(node, keys, value)
        for name in elements.ordered(found):
            same = found[name]
            made[name] = everything(inner, same[0]) if len(same) == 1 else LEAF
        return made
    return LEAF


def with_named(node: Node, fields: Fields) -> Fields:
    """Return the set with every named field that has members below it as a member itself."""
    made: Fields = {}
    for element, below in fields.items():
        inner = _inner(node, element)
        if not below or element == SELF:
            made[element] = below
            continue
        named = element[:2] == "f:" and element[2:] in node.properties
        inside = with_named(inner, below)
        made[element] = _as_member(inside) if named else inside
    return made


def _inner(node: Node, element: str) -> Node:
    if element[:2] == "f:":
        return views.child(node, element[2:])
    return node.items or ANY


def reconciled(node: Node, fields: Fields) -> Fields:
    """Return the set as the schema reads it now: where a part has become atomic, its owners own the whole."""
    made: Fields = {}
    for element, below in fields.items():
        if not below or element == SELF:
            made[element] = below
            continue
        inner = _inner(node, element)
        atomic_list = inner.types == ("array",) and views.list_keys(inner) is None
        atomic = atomic_list or inner.map_type == "atomic"
        made[element] = LEAF if atomic else reconciled(inner, below)
    return made if made != fields else fields
