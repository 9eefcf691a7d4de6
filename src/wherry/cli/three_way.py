"""What to change so that an object is as a file says, leaving alone what others have set. Pure.

Three states are compared: what was applied last, what is to be applied, and what is there now. A
field that was applied and is wanted no more goes; one that the file never had stays.

Source: `kubectl apply` (client side): `CreateThreeWayMergePatch` of strategicpatch for built-in
kinds, `CreateThreeWayJSONMergePatch` for others. Differs on purpose: a keyed list whose keys repeat
(ports of one number and two protocols) is replaced whole where kubectl loses an item.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from wherry.objects.requests import Object
from wherry.objects.schemas import ANY, Node

LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"

_ESCAPES = str.maketrans(
    {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"}
)


def annotated(obj: Object) -> Object:
    """Return the object with an annotation that holds it, in kubectl's very words."""
    metadata = dict(obj["metadata"])
    annotations = {
        key: value
        for key, value in (metadata.get("annotations") or {}).items()
        if key != LAST_APPLIED
    }
    bare = {**obj, "metadata": {**metadata, "annotations": annotations}}
    text = json.dumps(bare, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    annotations = {**annotations, LAST_APPLIED: text.translate(_ESCAPES) + "\n"}
    return {**obj, "metadata": {**metadata, "annotations": annotations}}


def last_applied(obj: Object) -> Object:
    """Return what was applied last; empty if nobody applied the object or the note is damaged."""
    text = (obj["metadata"].get("annotations") or {}).get(LAST_APPLIED, "")
    try:
        value = json.loads(text)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def patch(original: Object, modified: Object, current: Object, root: Node | None) -> Object:
    """Return the patch that brings ``current`` to ``modified``; empty if nothing differs.

    Args:
        original: What was applied last, empty if nothing was.
        modified: What is to be, annotated.
        current: What is there.
        root: The kind's schema for a strategic merge patch; None makes a JSON merge patch.
    """
    return _maps(original, modified, current, root or ANY)


def _maps(
    original: Mapping[str, Any], modified: Mapping[str, Any], current: Mapping[str, Any], node: Node
) -> Object:
    made: Object = {}
    for name, wanted in modified.items():
        if wanted is None:
            if name in current:
                made[name] = None
            continue
        if name not in current:
            made[name] = _without_nulls(wanted)
            continue
        child = node.property(name) or ANY
        made |= _field(name, (original.get(name), wanted, current[name]), child)
    for name in original:
        if name not in modified and name in current:
            made[name] = None
    return made


def _field(name: str, states: tuple[Any, Any, Any], node: Node) -> Object:
    """Return what a patch says of a field that is wanted and there."""
    before, wanted, present = states
    if isinstance(wanted, dict) and isinstance(present, dict):
        if "replace" in node.patch_strategy:
            return {name: {"$patch": "replace", **wanted}} if wanted != present else {}
        below = _maps(before if isinstance(before, dict) else {}, wanted, present, node)
        if below and "retainKeys" in node.patch_strategy:
            below["$retainKeys"] = sorted(wanted)
        return {name: below} if below else {}
    if isinstance(wanted, list) and isinstance(present, list) and "merge" in node.patch_strategy:
        old = before if isinstance(before, list) else []
        if node.merge_key:
            return _keyed(name, (old, wanted, present), node)
        return _scalars(name, (old, wanted, present))
    return {name: wanted} if wanted != present else {}


def _keyed(name: str, states: tuple[list[Any], list[Any], list[Any]], node: Node) -> Object:
    key = node.merge_key
    maps = [_by_key(items, key) for items in states]
    before, wanted, present = maps
    if wanted is None or present is None:
        if states[1] == states[2]:
            return {}
        return {name: [{"$patch": "replace"}, *states[1]]}
    items: list[Any] = []
    for identity, item in wanted.items():
        if identity not in present:
            items.append(_without_nulls(item))
            continue
        old = (before or {}).get(identity, {})
        below = _maps(old, item, present[identity], node.items or ANY)
        if below:
            below[key] = identity
            if "retainKeys" in node.patch_strategy:
                below["$retainKeys"] = sorted(item)
            items.append(below)
    gone = [each for each in before or {} if each not in wanted and each in present]
    items += [{"$patch": "delete", key: identity} for identity in gone]
    if not items and _in_order(list(wanted), list(present)):
        return {}
    made: Object = {f"$setElementOrder/{name}": [{key: identity} for identity in wanted]}
    if items:
        made[name] = items
    return made


def _scalars(name: str, states: tuple[list[Any], list[Any], list[Any]]) -> Object:
    before, wanted, present = states
    added = [item for item in wanted if item not in present]
    gone = [item for item in before if item not in wanted and item in present]
    made: Object = {}
    if added:
        made[name] = added
    if gone:
        made[f"$deleteFromPrimitiveList/{name}"] = gone
    if made or not _in_order(wanted, present):
        made[f"$setElementOrder/{name}"] = list(wanted)
    return made


def _by_key(items: Sequence[Any], key: str) -> dict[Any, Object] | None:
    """Return the items by their key; None if one has none or two have the same."""
    found: dict[Any, Object] = {}
    for item in items:
        identity = item.get(key) if isinstance(item, dict) else None
        if not isinstance(identity, str | int) or identity in found:
            return None
        found[identity] = item
    return found


def _in_order(wanted: Sequence[Any], present: Sequence[Any]) -> bool:
    rest = iter(present)
    return all(item in rest for item in wanted)


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_nulls(each) for name, each in value.items() if each is not None}
    if isinstance(value, list):
        return [_without_nulls(item) for item in value]
    return value
