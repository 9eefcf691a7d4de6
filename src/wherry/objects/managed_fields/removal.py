"""An object without some of its fields and list items.

Source: `typed/remove.go` of structured-merge-diff.
"""

from typing import Any, Final

from wherry.objects.managed_fields import views
from wherry.objects.managed_fields.fields import Fields, is_member
from wherry.objects.requests import Object
from wherry.objects.schemas import ANY, Node

_GONE: Final = object()


def remove(obj: Object, unwanted: Fields, node: Node) -> Object:
    """Return an object without the members of a set and all that they hold.

    Args:
        obj: Not changed; the result shares what stays.
        unwanted: What to leave out.
        node: The root of the object's schema.
    """
    if not unwanted:
        return obj
    left = _remove(node, obj, unwanted)
    return left if type(left) is dict else {}


def _remove(node: Node, value: Any, unwanted: Fields) -> Any:
    left: Any = value
    if type(value) is dict and value and node.map_type != "atomic":
        left = _map(node, value, unwanted)
    elif type(value) is list and value and (keys := views.list_keys(node)) is not None:
        left = _list(node, keys, value, unwanted)
    # As Go prints it, a map or list of a built-in kind in which nothing is left is not there.
    return _GONE if node.native and value and left in ({}, []) else left


def _map(node: Node, value: dict[str, Any], unwanted: Fields) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for name, item in value.items():
        below = unwanted.get("f:" + name)
        if below is None:
            made[name] = item
        elif not is_member(below):
            left = _remove(views.child(node, name), item, below)
            if left is not _GONE:
                made[name] = left
    return made


def _list(node: Node, keys: tuple[str, ...], items: list[Any], unwanted: Fields) -> list[Any]:
    made: list[Any] = []
    inner = node.items or ANY
    for item in items:
        below = unwanted.get(views.element(node, keys, item) or "")
        if below is None:
            made.append(item)
        elif not is_member(below):
            left = _remove(inner, item, below)
            made.append({} if left is _GONE else left)
    return made
