"""JSON merge patch (RFC 7386): what is there is set, null removes."""

from typing import Any

from wherry.objects import errors
from wherry.objects.copies import copied
from wherry.objects.requests import Object
from wherry.objects.schemas.node import refuse_deep


def merge_patch(obj: Object, patch: Any) -> Object:
    """Return ``obj`` with a merge patch done. What the patch does not touch is shared with ``obj``.

    Args:
        obj: The object; not changed.
        patch: The decoded patch, an object; not changed.

    Raises:
        BadRequestError: ``patch`` is no object, or something nests too deep.
    """
    if not isinstance(patch, dict):
        raise errors.BadRequestError("a merge patch must be an object")
    refuse_deep(patch)
    return _merge(obj, patch)


def _merge(target: Any, patch: dict[str, Any]) -> dict[str, Any]:
    merged: dict[str, Any] = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            merged.pop(name, None)
        elif isinstance(value, dict):
            merged[name] = _merge(merged.get(name), value)
        else:
            merged[name] = copied(value)
    return merged
