"""How an object falls short of what is desired, in the fields that the desired one names. Pure.

Servers add to what was written: defaults, allocated ports, names in other spellings. Comparing
whole objects would find a difference for ever; comparing only what is named finds what matters.
"""

from typing import Any

from wherry.objects import quantities
from wherry.objects.requests import Object

# Below these keys strings are quantities, which a server may spell in another way.
_QUANTITY_MAPS = frozenset({"limits", "requests", "capacity", "hard", "allocatable", "overhead"})
# Not a matter of desire: the server's, or who the object is.
_NOT_COMPARED = frozenset({"apiVersion", "kind", "metadata", "status"})


def merge_patch(desired: Object, actual: Object) -> Object:
    """Return the merge patch that makes ``actual`` agree with what ``desired`` names.

    Lists are taken as wholes: one more or one less element is a difference. Elements keep what
    the server added to them. None, and empty values, agree with absence; in labels and
    annotations only None does.

    Args:
        desired: What should be; neither status nor read-only metadata count.
        actual: What is.

    Returns:
        The patch, empty when there is nothing to do.
    """
    spec = {key: value for key, value in desired.items() if key not in _NOT_COMPARED}
    patch = _map_patch(spec, actual, quantities_here=False)
    fields, present = desired.get("metadata") or {}, actual.get("metadata") or {}
    changes: Object = {}
    for key in ("labels", "annotations"):
        there = present.get(key) or {}
        wanted = fields.get(key) or {}
        if wrong := {name: text for name, text in wanted.items() if there.get(name) != text}:
            changes[key] = wrong
    owners = _owners(fields.get("ownerReferences") or [], present.get("ownerReferences") or [])
    if owners is not None:
        changes["ownerReferences"] = owners
    if changes:
        patch["metadata"] = changes
    return patch


def _map_patch(desired: Object, actual: Object, *, quantities_here: bool) -> Object:
    patch: Object = {}
    for name, value in desired.items():
        there = actual.get(name)
        amounts = quantities_here or name in _QUANTITY_MAPS
        if isinstance(value, dict) and isinstance(there, dict):
            if inner := _map_patch(value, there, quantities_here=amounts):
                patch[name] = inner
        elif not _agree(value, there, quantities_here=amounts):
            patch[name] = _overlay(value, there)
    return patch


def _agree(desired: Any, actual: Any, *, quantities_here: bool = False) -> bool:
    if _is_empty(desired):
        return _is_empty(actual)
    if isinstance(desired, dict):
        return isinstance(actual, dict) and not _map_patch(
            desired, actual, quantities_here=quantities_here
        )
    if isinstance(desired, list):
        return (
            isinstance(actual, list)
            and len(desired) == len(actual)
            and all(map(_agree, desired, actual))
        )
    if desired == actual and isinstance(desired, bool) == isinstance(actual, bool):
        return True
    return quantities_here and _same_quantity(desired, actual)


def _same_quantity(desired: Any, actual: Any) -> bool:
    try:
        return quantities.parse(desired) == quantities.parse(actual)
    except ValueError:
        return False


def _is_empty(value: Any) -> bool:
    return value is None or value in ({}, [], "")


def _overlay(desired: Any, actual: Any) -> Any:
    """Return what is desired with what the server had added to it."""
    if isinstance(desired, dict) and isinstance(actual, dict):
        return {
            **actual,
            **{key: _overlay(value, actual.get(key)) for key, value in desired.items()},
        }
    if isinstance(desired, list) and isinstance(actual, list):
        return [
            _overlay(value, _counterpart(value, index, actual))
            for index, value in enumerate(desired)
        ]
    return desired


def _counterpart(value: Any, index: int, actual: list[Any]) -> Any:
    """Return the element that was meant: of the same name, else at the same place."""
    if not isinstance(value, dict):
        return None
    if "name" in value:
        named = (
            one for one in actual if isinstance(one, dict) and one.get("name") == value["name"]
        )
        return next(named, None)
    return actual[index] if index < len(actual) else None


def _owners(desired: list[Object], actual: list[Object]) -> list[Object] | None:
    """Return the references there should be, or None when those desired are there."""
    present = {reference.get("uid"): reference for reference in actual}
    if all(_agree(reference, present.get(reference["uid"])) for reference in desired):
        return None
    wanted = {reference["uid"]: reference for reference in desired}
    return [*({**present, **wanted}).values()]
