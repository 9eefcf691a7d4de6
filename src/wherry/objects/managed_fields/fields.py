"""Sets of fields, in the very form that `FieldsV1` has on the wire.

A set is a tree of dicts by path element. An element is a member of the set if its dict is empty or
has the key ``.``. Sets are never changed once they are made, so they share their parts with one
another and with the objects that they were read from; the empty root is the empty set. Elements
stand in the order of upstream's serialisation, which every function here keeps.

Source: `fieldpath.Set` of structured-merge-diff, and its serialisation.
"""

from collections.abc import Iterator
from typing import Final

from wherry.objects.managed_fields import elements

Fields = dict[str, "Fields"]
"""A set of fields, or what is below one element of it."""

LEAF: Final[Fields] = {}
"""A member without anything below. Shared: not to be changed."""
SELF: Final = "."
EMPTY: Final[Fields] = {}


def is_member(below: Fields) -> bool:
    """Return whether an element is in the set, given what stands below it."""
    return not below or SELF in below


def joined(children: Fields, *, member: bool) -> Fields | None:
    """Return what stands below an element; None where neither it nor anything below is in the set.

    Args:
        children: The elements below, without ``.``.
        member: Whether the element is in the set.
    """
    if not children:
        return LEAF if member else None
    return {SELF: LEAF, **children} if member else children


def union(left: Fields, right: Fields) -> Fields:
    """Return what is in either set."""
    if not left:
        return right
    return _union(left, right) if right else left


def ordered_level(fields: Fields) -> Fields:
    """Return a set whose first level may be out of order in its order."""
    return {name: fields[name] for name in elements.ordered(fields)}


def _union(left: Fields, right: Fields) -> Fields:
    made = dict(left)
    for element, below in right.items():
        other = made.get(element)
        if other is None:
            made[element] = below
        elif other is not below and other != below:
            member = is_member(other) or is_member(below)
            both = _union(other, below)
            both.pop(SELF, None)
            made[element] = {SELF: LEAF, **both} if member and both else both
    if len(made) != len(left):
        return ordered_level(made)
    return made


def intersection(left: Fields, right: Fields) -> Fields:
    """Return what is in both sets."""
    if not left or not right:
        return EMPTY
    return _intersection(left, right) or EMPTY


def _intersection(left: Fields, right: Fields) -> Fields | None:
    children: Fields = {}
    for element, below in left.items():
        other = right.get(element)
        if other is None or element == SELF:
            continue
        if (common := _intersection(below, other)) is not None:
            children[element] = common
    return joined(children, member=is_member(left) and is_member(right))


def difference(left: Fields, right: Fields) -> Fields:
    """Return what is in ``left`` and not in ``right``; what lies below a member of ``right`` stays."""
    if not left or not right:
        return left
    return _difference(left, right) or EMPTY


def _difference(left: Fields, right: Fields) -> Fields | None:
    children: Fields = {}
    for element, below in left.items():
        if element == SELF:
            continue
        other = right.get(element)
        rest = below if other is None else _difference(below, other)
        if rest is not None:
            children[element] = rest
    return joined(children, member=is_member(left) and not is_member(right))


def recursive_difference(left: Fields, right: Fields) -> Fields:
    """Return ``left`` without the members of ``right`` and all that lies below them."""
    made: Fields = {}
    for element, below in left.items():
        other = right.get(element)
        if other is None or element == SELF:
            made[element] = below
        elif not is_member(other):
            children = {name: sub for name, sub in below.items() if name != SELF}
            rest = recursive_difference(children, other)
            kept = joined(rest, member=is_member(below))
            if kept is not None:
                made[element] = kept
    return made


def leaves(fields: Fields) -> Fields:
    """Return the members below which there is nothing."""
    return {
        element: leaves(below) if below else LEAF
        for element, below in fields.items()
        if element != SELF
    }


def contains(fields: Fields, path: tuple[str, ...]) -> bool:
    """Return whether a path is a member of the set."""
    for element in path:
        below = fields.get(element)
        if below is None:
            return False
        fields = below
    return bool(path) and is_member(fields)


def paths(fields: Fields, prefix: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Yield the members in upstream's order: those of one level, then those below each."""
    names = [name for name in fields if name != SELF]
    for name in names:
        if is_member(fields[name]):
            yield (*prefix, name)
    for name in names:
        yield from paths(fields[name], (*prefix, name))


def render(path: tuple[str, ...]) -> str:
    """Return a path as messages show it, e.g. ``.spec.containers[name="a"].image``."""
    return "".join(elements.render(element) for element in path)


def ordered(fields: Fields) -> Fields:
    """Return a set that comes from elsewhere with its elements in upstream's order."""
    return {
        name: ordered(below) if (below := fields[name]) else LEAF
        for name in elements.ordered(fields)
    }
