"""An object beside its schema, and how the engine sees a schema's node.

What a schema does not know, and what it leaves open, is read from the values: objects are granular,
lists are one value.
"""

import datetime
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from wherry.objects import metadata
from wherry.objects.managed_fields import elements
from wherry.objects.requests import Object
from wherry.objects.schemas import ANY, Node


class View(NamedTuple):
    """An object as one version of its kind sees it.

    Attributes:
        obj: The object, without `metadata.managedFields`; not to be changed.
        node: The root of the version's schema.
        version: E.g. ``apps/v1``.
    """

    obj: Object
    node: Node
    version: str


Convert = Callable[[Object, str], View | None]
"""Returns an object in another version; None for a version that is not served any more."""


@dataclass(frozen=True, slots=True)
class Write:
    """The circumstances of a write, as far as ownership goes.

    Attributes:
        manager: The name of who writes.
        subresource: Through which subresource; empty for the object itself.
        now: Current time, UTC.
        ignored: Root elements (``f:status``) that this write does not reach.
        convert: Shows objects in other versions.
    """

    manager: str
    subresource: str
    now: datetime.datetime
    ignored: frozenset[str]
    convert: Convert

    @property
    def time(self) -> str:
        """The current time as entries have it."""
        return metadata.format_time(self.now)


# The published document leaves out the only default that list keys of built-in kinds have.
_NATIVE_DEFAULTS: Final = {"protocol": "TCP"}


def child(node: Node, name: str) -> Node:
    """Return the node of an object's field."""
    return node.properties.get(name) or node.additional or ANY


def list_keys(node: Node) -> tuple[str, ...] | None:
    """Return what tells a list's items apart: key fields, nothing but the value, or None if it is atomic."""
    kind = node.list_type
    if kind == "map":
        return node.list_keys
    if kind == "set":
        return ()
    if kind or "merge" not in node.patch_strategy:
        return None
    return (node.merge_key,) if node.merge_key else ()


def element(node: Node, keys: tuple[str, ...], item: Any) -> str | None:
    """Return the path element of a list's item; None where it has none of the keys.

    Args:
        node: The list's node.
        keys: As `list_keys` gives them.
        item: One of its items.
    """
    if not keys:
        return elements.value(item)
    if type(item) is not dict:
        return None
    found: dict[str, Any] = {}
    for name in keys:
        if name in item:
            found[name] = item[name]
        elif (default := _key_default(node.items or ANY, name)) is not None:
            found[name] = default
    return elements.key(found) if found else None


def _key_default(item: Node, name: str) -> Any:
    field = item.properties.get(name)
    if field is None:
        return None
    if field.has_default:
        return field.default
    return _NATIVE_DEFAULTS.get(name) if field.native else None


def grouped(node: Node, keys: tuple[str, ...], items: list[Any]) -> dict[str, list[Any]]:
    """Return a list's items by element; several where it holds what it may not hold twice."""
    found: dict[str, list[Any]] = {}
    for number, item in enumerate(items):
        name = element(node, keys, item)
        # Stored objects may be older than the rule that they break: their items still count.
        found.setdefault(name or elements.index(number), []).append(item)
    return found
