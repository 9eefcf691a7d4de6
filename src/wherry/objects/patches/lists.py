"""Merging the lists of a strategic merge patch: by key, or as sets of scalars, in a wanted order."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from wherry.objects import errors
from wherry.objects.schemas import ANY, Node
from wherry.objects.schemas.checking import canonical
from wherry.objects.schemas.node import show

PATCH: Final = "$patch"
_ACTIONS: Final = ("replace", "delete", "merge")

MergeMap = Callable[[dict[str, Any], dict[str, Any], Node], dict[str, Any]]


@dataclass(slots=True)
class ListPatch:
    """What a patch says of one list field.

    Attributes:
        items: The field itself; None if only directives are there.
        deleted: Scalars to delete.
        order: The wanted order: scalars, or objects with the merge key; None for as it comes.
    """

    items: list[Any] | None = None
    deleted: list[Any] = field(default_factory=list)
    order: list[Any] | None = None


def action(word: Any) -> str:
    """Return the word of a `$patch` directive.

    Raises:
        BadRequestError: it is none.
    """
    if word not in _ACTIONS:
        accepted = ", ".join(_ACTIONS)
        raise errors.BadRequestError(f"{PATCH} is {show(word)}; it must be one of {accepted}")
    return str(word)


def merge(live: list[Any], patch: ListPatch, node: Node, merge_map: MergeMap) -> list[Any]:
    """Return the merge of a list that has the merge strategy.

    Args:
        live: The list before; used up.
        patch: What the patch says of it; used up.
        node: The list's node.
        merge_map: Merges two items of a keyed list.

    Raises:
        BadRequestError: a directive is malformed, or the order does not fit the items.
        InvalidError: an item of a keyed list has no key.
    """
    live = without(live, patch.deleted)
    live_length = len(live)
    if node.merge_key:
        merged, kept = _merge_keyed(live, patch.items or [], node, merge_map)
    else:
        kept = patch.items or []
        # Like Kubernetes, which looks for duplicates only when it adds something.
        merged = list({canonical(item): item for item in (*live, *kept)}.values()) if kept else live
    if patch.order is None:
        return merged
    wanted = [_identity(item, node) for item in patch.order]
    _check_order([_identity(item, node) for item in kept], wanted)
    # Kubernetes looks up places in the list that it has been deleting from and appending to, as far
    # as the old list reached.
    before = [_identity(item, node, live=True) for item in merged[:live_length]]
    return _ordered(merged, wanted, before, node)


def without(live: list[Any], deleted: list[Any]) -> list[Any]:
    """Return a list of scalars less those that are to be deleted."""
    if not deleted:
        return live
    unwanted = {canonical(item) for item in deleted}
    return [item for item in live if canonical(item) not in unwanted]


def _merge_keyed(
    live: list[Any], patch: list[Any], node: Node, merge_map: MergeMap
) -> tuple[list[Any], list[Any]]:
    """Return the merged list, and the items of the patch that were not to be deleted."""
    merged, kept = live, []
    doomed: set[bytes] = set()
    replaced = False
    for item in patch:
        word = action(item.pop(PATCH)) if isinstance(item, dict) and PATCH in item else "merge"
        if word == "replace":
            replaced = True
        elif word == "delete":
            doomed.add(_identity(item, node))
        else:
            kept.append(item)
    if replaced:
        # As they are: two ports of one number and different protocols stay two.
        return list(kept), kept
    merged = [item for item in merged if _identity(item, node, live=True) not in doomed]
    places = {
        _identity(item, node, live=True): place
        for place, item in reversed(list(enumerate(merged)))
        if isinstance(item, dict)
    }
    for item in kept:
        identity = _identity(item, node)
        place = places.get(identity)
        made = merge_map(merged[place] if place is not None else {}, item, node.items or ANY)
        if place is not None:
            merged[place] = made
        else:
            places[identity] = len(merged)
            merged.append(made)
    # Merging has used the items up, but not their keys.
    return merged, kept


def _identity(item: Any, node: Node, *, live: bool = False) -> bytes:
    """Return what tells an item from the others; a live item may lack it.

    Raises:
        InvalidError: an item of a patch lacks it.
    """
    if not node.merge_key:
        return canonical(item)
    if isinstance(item, dict) and item.get(node.merge_key) is not None:
        return canonical(item[node.merge_key])
    if live:
        return b""
    raise errors.InvalidError(
        f"map: {show(item)} does not contain declared merge key: {node.merge_key}"
    )


def _check_order(patched: Sequence[bytes], wanted: Sequence[bytes]) -> None:
    """Check that the items of a patch stand in the order that it asks for.

    Raises:
        BadRequestError: they do not.
    """
    rest = iter(wanted)
    if not all(identity in rest for identity in patched):
        raise errors.BadRequestError(
            f"the items of the patch, {_words(patched)}, are not in the order that "
            f"$setElementOrder gives, {_words(wanted)}"
        )


def _words(identities: Sequence[bytes]) -> str:
    return show([identity.decode() for identity in identities])


def _ordered(
    merged: list[Any], wanted: Sequence[bytes], before: Sequence[bytes], node: Node
) -> list[Any]:
    """Return the items in the wanted order, with those that it does not name where they were.

    An unnamed item goes before the first named one that it stood before.
    """
    rank = {identity: place for place, identity in reversed(list(enumerate(wanted)))}
    place_before = {identity: place for place, identity in reversed(list(enumerate(before)))}
    identified = [(_identity(item, node, live=True), item) for item in merged]
    named = sorted((pair for pair in identified if pair[0] in rank), key=lambda pair: rank[pair[0]])
    unnamed = [pair for pair in identified if pair[0] not in rank]
    ordered: list[Any] = []
    for identity, item in named:
        last = place_before.get(identity, -1)
        while unnamed and place_before.get(unnamed[0][0], last) < last:
            ordered.append(unnamed.pop(0)[1])
        ordered.append(item)
    return ordered + [item for _, item in unnamed]
