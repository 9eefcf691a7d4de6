"""What has become of an object: the fields that were removed, modified and added.

Source: `typed/compare.go` of structured-merge-diff.
"""

from typing import Any, NamedTuple

from wherry.objects.managed_fields import elements, fields, reading, views
from wherry.objects.managed_fields.fields import EMPTY, LEAF, Fields
from wherry.objects.requests import Object
from wherry.objects.schemas import ANY, Node


class Comparison(NamedTuple):
    """The difference between two states; no field is in two of the sets."""

    removed: Fields
    modified: Fields
    added: Fields

    @property
    def touched(self) -> Fields:
        """What the new state says anew."""
        return fields.union(self.modified, self.added)

    def without(self, ignored: frozenset[str]) -> "Comparison":
        """Return the comparison without some root elements and all that is below them."""
        if not ignored:
            return self
        return Comparison(*(drop(each, ignored) for each in self))


SAME = Comparison(EMPTY, EMPTY, EMPTY)
_MODIFIED = Comparison(EMPTY, LEAF, EMPTY)


def drop(found: Fields, ignored: frozenset[str]) -> Fields:
    """Return a set without some root elements and all that is below them."""
    if ignored.isdisjoint(found):
        return found
    return {name: below for name, below in found.items() if name not in ignored}


def compare(old: Object, new: Object, node: Node) -> Comparison:
    """Return what changed between two states of an object."""
    if old == new:
        return SAME
    if type(old) is dict and type(new) is dict:
        return _Difference().maps(node, old, new)
    return SAME


class _Difference:
    """The three sets below one element while they are gathered."""

    __slots__ = ("added", "modified", "removed")

    def __init__(self) -> None:
        self.removed: Fields = {}
        self.modified: Fields = {}
        self.added: Fields = {}

    def _done(self) -> Comparison:
        return Comparison(self.removed, self.modified, self.added)

    def maps(self, node: Node, old: dict[str, Any], new: dict[str, Any]) -> Comparison:
        known, additional = node.properties, node.additional or ANY
        for name in sorted(new):
            after, inner = new[name], known.get(name) or additional
            if name not in old:
                self.added["f:" + name] = reading.everything(inner, after)
            elif (before := old[name]) is not after and before != after:
                self._changed("f:" + name, inner, before, after)
        if gone := old.keys() - new.keys():
            for name in gone:
                inner = known.get(name) or additional
                self.removed["f:" + name] = reading.everything(inner, old[name])
            self.removed = fields.ordered_level(self.removed)
        return self._done()

    def lists(
        self, node: Node, keys: tuple[str, ...], old: list[Any], new: list[Any]
    ) -> Comparison:
        before = views.grouped(node, keys, old)
        after = views.grouped(node, keys, new)
        inner = node.items or ANY
        for name in elements.ordered(after):
            items, was = after[name], before.get(name)
            if was is None:
                self.added[name] = _whole(inner, items)
            elif was != items:
                self._replaced(name, inner, was, items)
        if gone := before.keys() - after.keys():
            for name in gone:
                self.removed[name] = _whole(inner, before[name])
            self.removed = fields.ordered_level(self.removed)
        return self._done()

    def _replaced(self, name: str, inner: Node, old: list[Any], new: list[Any]) -> None:
        """Compare what stands under one element, which may stand there several times."""
        if len(old) == 1 and len(new) == 1:
            self._changed(name, inner, old[0], new[0])
        elif len(old) > 1 and len(new) > 1:
            self.modified[name] = LEAF
        elif len(old) > 1:
            self.removed[name] = LEAF
            self.added[name] = _whole(inner, new)
        else:
            self.removed[name] = reading.everything(inner, old[0])
            self.added[name] = LEAF

    def _changed(self, name: str, inner: Node, before: Any, after: Any) -> None:
        found = _between(inner, before, after)
        if found.removed:
            self.removed[name] = found.removed
        if found.modified or found.modified is LEAF:
            self.modified[name] = found.modified
        if found.added:
            self.added[name] = found.added


def _whole(inner: Node, items: list[Any]) -> Fields:
    """Return what stands below an element that has come or gone; several items are one value."""
    return reading.everything(inner, items[0]) if len(items) == 1 else LEAF


def _between(node: Node, before: Any, after: Any) -> Comparison:
    """Compare two values that differ."""
    if not before and not after:
        return _MODIFIED
    if _is(dict, before, after):
        if node.map_type == "atomic":
            return _MODIFIED
        return _Difference().maps(node, before or {}, after or {})
    if _is(list, before, after) and (keys := views.list_keys(node)) is not None:
        return _Difference().lists(node, keys, before or [], after or [])
    return Comparison(_below(node, before), LEAF, _below(node, after))


def _below(node: Node, value: Any) -> Fields:
    """Return the fields inside a value whose place is taken by one of another type."""
    found = reading.everything(node, value)
    return {name: inside for name, inside in found.items() if name != fields.SELF}


def _is(kind: type, before: Any, after: Any) -> bool:
    """Return whether values are of a kind; null is of every kind."""
    return (type(before) is kind or before is None) and (type(after) is kind or after is None)
