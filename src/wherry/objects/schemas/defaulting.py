"""Setting what a custom resource's schema gives where the object says nothing."""

import copy
from typing import Any

from wherry.objects.schemas.node import Node


def apply(node: Node, value: Any) -> None:
    """Set missing fields that have defaults, in place, and the defaults within these.

    Null counts as missing where it is no value. Lists get no items. The object must have been
    decoded, which bounds how deep it nests.
    """
    if type(value) is dict:
        _object(node, value)
    elif type(value) is list and node.items is not None and node.items.needs_default:
        for item in value:
            apply(node.items, item)


def _object(node: Node, value: dict[str, Any]) -> None:
    known = node.properties
    for name, child in known.items():
        if child.has_default and value.get(name) is None and not (child.nullable and name in value):
            value[name] = copy.deepcopy(child.default)
        if child.needs_default and name in value:
            apply(child, value[name])
    additional = node.additional
    if additional is not None and additional.needs_default:
        for name, item in value.items():
            if name not in known:
                apply(additional, item)
