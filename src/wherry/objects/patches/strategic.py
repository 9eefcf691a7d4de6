"""Strategic merge patch: a merge patch that knows which lists are keyed, and takes directives.

Directives in maps: ``$patch: replace|delete|merge``, ``$retainKeys: […]``, and beside a list field
``f``: ``$deleteFromPrimitiveList/f`` and ``$setElementOrder/f``. An item of a keyed list may hold
``$patch: replace|delete|merge``.

Source: `k8s.io/apimachinery/pkg/util/strategicpatch`. Differs on purpose: ``$patch: merge`` is
taken, and fields that the schema does not know are merged as JSON merge patch would, since unknown
fields are dealt with when the result is decoded.
"""

from typing import Any, Final, NoReturn

from wherry.objects import errors
from wherry.objects.copies import copied
from wherry.objects.patches import lists
from wherry.objects.patches.lists import ListPatch
from wherry.objects.requests import Object
from wherry.objects.schemas import ANY, Node, Schema
from wherry.objects.schemas.node import refuse_deep, show

_PATCH: Final = lists.PATCH
_RETAIN_KEYS: Final = "$retainKeys"
_DELETE_FROM: Final = "$deleteFromPrimitiveList/"
_SET_ORDER: Final = "$setElementOrder/"


def strategic_merge(obj: Object, patch: Any, schema: Schema) -> Object:
    """Return ``obj`` with a strategic merge patch done.

    Args:
        obj: The object; not changed.
        patch: The decoded patch, an object; not changed.
        schema: Of the kind; its merge keys and patch strategies steer the merge.

    Raises:
        BadRequestError: ``patch`` is no object, a directive is unknown or malformed, or something
            nests too deep.
        InvalidError: an item of a keyed list has no key.
    """
    if not isinstance(patch, dict):
        raise errors.BadRequestError("a strategic merge patch must be an object")
    refuse_deep(patch)
    return _merge_map(copied(obj), copied(patch), schema.root)


def _merge_map(original: dict[str, Any], patch: dict[str, Any], node: Node) -> dict[str, Any]:
    """Return the merge of two maps, both the caller's own and used up."""
    if _PATCH in patch:
        action = lists.action(patch.pop(_PATCH))
        if action == "delete":
            return {}
        if action == "replace":
            original = {}
    list_patches = _list_directives(patch, node)
    _retain(original, patch)
    for name, value in patch.items():
        child = node.property(name) or ANY
        if value is None:
            original.pop(name, None)
        elif isinstance(value, dict):
            before = original.get(name)
            if not isinstance(before, dict) or "replace" in child.patch_strategy:
                before = {}
            original[name] = _merge_map(before, value, child)
        elif isinstance(value, list):
            list_patches.setdefault(name, ListPatch()).items = value
        else:
            original[name] = value
    for name, list_patch in list_patches.items():
        _merge_list(original, name, list_patch, node.property(name) or ANY)
    return original


def _merge_list(original: dict[str, Any], name: str, patch: ListPatch, node: Node) -> None:
    before = original.get(name)
    if "merge" not in node.patch_strategy:
        if patch.items is not None:
            original[name] = patch.items
        elif isinstance(before, list):
            original[name] = lists.without(before, patch.deleted)
    elif isinstance(before, list) or patch.items is not None:
        live = before if isinstance(before, list) else []
        original[name] = lists.merge(live, patch, node, _merge_map)


def _list_directives(patch: dict[str, Any], node: Node) -> dict[str, ListPatch]:
    """Take the directives about list fields out of a map.

    Raises:
        BadRequestError: one is unknown or malformed.
    """
    found: dict[str, ListPatch] = {}
    for key in [key for key in patch if key.startswith("$") and key != _RETAIN_KEYS]:
        prefix, slash, field = key.partition("/")
        if prefix + slash not in {_DELETE_FROM, _SET_ORDER} or not field:
            if node.property(key) is None and node is not ANY:
                _refuse_unknown(key)
            continue
        value = patch.pop(key)
        if not isinstance(value, list):
            raise errors.BadRequestError(f"the directive {show(key)} takes a list")
        list_patch = found.setdefault(field, ListPatch())
        if prefix + slash == _DELETE_FROM:
            list_patch.deleted = value
        else:
            list_patch.order = value
    return found


def _refuse_unknown(key: str) -> NoReturn:
    raise errors.BadRequestError(
        f"unknown directive {show(key)} in a strategic merge patch; known are {_PATCH}, "
        f"{_RETAIN_KEYS}, {_DELETE_FROM}FIELD and {_SET_ORDER}FIELD"
    )


def _retain(original: dict[str, Any], patch: dict[str, Any]) -> None:
    """Drop what `$retainKeys` does not list.

    Raises:
        BadRequestError: it is malformed, or the patch sets what it does not list.
    """
    if _RETAIN_KEYS not in patch:
        return
    retained = patch.pop(_RETAIN_KEYS)
    if not isinstance(retained, list) or not all(isinstance(key, str) for key in retained):
        raise errors.BadRequestError(f"the directive {_RETAIN_KEYS} takes a list of field names")
    for name, value in patch.items():
        if value is not None and name not in retained:
            raise errors.BadRequestError(
                f"the patch sets {show(name)}, which {_RETAIN_KEYS} does not list"
            )
    for name in original.keys() - set(retained):
        del original[name]
