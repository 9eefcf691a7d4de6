"""An applied configuration laid over the live object. Nothing is removed here.

Source: `typed/merge.go` of structured-merge-diff.
"""

from typing import Any, Final

from wherry.objects.managed_fields import views
from wherry.objects.requests import Object
from wherry.objects.schemas import ANY, Node

_ABSENT: Final = object()


def merge(live: Object, config: Object, node: Node) -> Object:
    """Return ``live`` with what ``config`` says; neither is changed, parts may be shared.

    Lists that are merged keep the order of ``live``, unless ``config`` orders its items otherwise.
    """
    merged: Object = _merge(node, live, config)
    return merged


def _merge(node: Node, live: Any, config: Any) -> Any:
    if type(live) is dict and type(config) is dict and node.map_type != "atomic":
        merged = dict(live)
        for name, value in config.items():
            before = live.get(name, _ABSENT)
            inner = views.child(node, name)
            merged[name] = value if before is _ABSENT else _merge(inner, before, value)
        return merged
    if type(live) is list and type(config) is list:
        keys = views.list_keys(node)
        if keys is not None and live:
            return _merge_lists(node, keys, live, config)
        return config
    if config is None and live and _granular(node, live):
        return live
    return config


def _granular(node: Node, value: Any) -> bool:
    if type(value) is dict:
        return node.map_type != "atomic"
    return type(value) is list and views.list_keys(node) is not None


def _merge_lists(
    node: Node, keys: tuple[str, ...], live: list[Any], config: list[Any]
) -> list[Any]:
    old = [(views.element(node, keys, item), item) for item in live]
    new = {str(views.element(node, keys, item)): item for item in config}
    counts: dict[str | None, int] = {}
    for name, _ in old:
        counts[name] = counts.get(name, 0) + 1
    # What the live list has twice cannot be merged with: the configuration's item takes its place.
    single = {name: item for name, item in old if name is not None and counts[name] == 1}
    inner = node.items or ANY
    merged = {
        name: _merge(inner, single[name], item) if name in single else item
        for name, item in new.items()
    }
    return _in_order(old, list(new), merged)


def _in_order(
    old: list[tuple[str | None, Any]], names: list[str], merged: dict[str, Any]
) -> list[Any]:
    """Return the items of both lists: each one's order is kept, the configuration's first of all.

    Items that only the live list has stay behind the item that they stood behind.
    """
    present = {name for name, _ in old}
    shared = [name for name in names if name in present]
    made: list[Any] = []
    done: set[str] = set()
    left, right, following = 0, 0, 0
    while left < len(old) or right < len(names):
        while following < len(shared) and shared[following] in done:
            following += 1
        next_shared = shared[following] if following < len(shared) else None
        if left < len(old):
            name, item = old[left]
            if name is None or name not in merged:
                made.append(item)
                left += 1
                continue
            if name in done or (right < len(names) and name not in (names[right], next_shared)):
                left += 1
                continue
        if right < len(names):
            made.append(merged[names[right]])
            done.add(names[right])
            right += 1
    return made
