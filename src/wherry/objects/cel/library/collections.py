"""Lists and sets: Kubernetes' ``isSorted``, ``sum``, ``indexOf`` …, and the sets extension."""

import functools
import itertools
from typing import Any

from wherry.objects.cel import operators
from wherry.objects.cel.library.table import Function, Method, want
from wherry.objects.cel.values import NONE, CelError, Optional, equal, order


def _is_sorted(frame: Any, this: list[Any]) -> bool:
    frame.spend(len(this))
    return all(order(a, b) <= 0 for a, b in itertools.pairwise(this))


def _sum(frame: Any, this: list[Any]) -> Any:
    if not this:
        return 0
    total = this[0]
    frame.spend(len(this))
    for each in this[1:]:
        total = operators.add(frame, total, each)
    return total


def _best(sign: int) -> Any:
    def run(frame: Any, this: list[Any]) -> Any:
        if not this:
            raise CelError("min or max called on empty list")
        frame.spend(len(this))
        return functools.reduce(lambda a, b: b if order(b, a) == sign else a, this)

    return run


def _index_of(frame: Any, this: list[Any], item: Any) -> int:
    frame.spend(len(this))
    return next((at for at, each in enumerate(this) if equal(each, item)), -1)


def _last_index_of(frame: Any, this: list[Any], item: Any) -> int:
    frame.spend(len(this))
    found = (at for at in range(len(this) - 1, -1, -1) if equal(this[at], item))
    return next(found, -1)


def _slice(frame: Any, this: list[Any], start: Any, end: Any) -> list[Any]:
    if 0 <= want(start, int) <= want(end, int) <= len(this):
        return this[start:end]
    raise CelError(f"cannot slice({start}, {end}), list is length {len(this)}")


def _distinct(frame: Any, this: list[Any]) -> list[Any]:
    found: list[Any] = []
    for each in this:
        frame.spend(len(found) + 1)
        if not any(equal(each, other) for other in found):
            found.append(each)
    return found


def _flatten(frame: Any, this: list[Any], depth: Any = 1) -> list[Any]:
    frame.spend(len(this))
    found: list[Any] = []
    for each in this:
        found += (
            _flatten(frame, each, depth - 1) if isinstance(each, list) and depth > 0 else [each]
        )
    return found


def _sort(frame: Any, this: list[Any]) -> list[Any]:
    frame.spend(len(this) * 4)
    return sorted(this, key=functools.cmp_to_key(order))


def _first(at: int) -> Any:
    def run(frame: Any, this: list[Any]) -> Optional:
        return Optional(present=True, value=this[at]) if this else NONE

    return run


def _contains_all(frame: Any, a: Any, b: Any) -> bool:
    holder = want(a, list)
    return all(operators.contains(frame, each, holder) for each in want(b, list))


def _equivalent(frame: Any, a: Any, b: Any) -> bool:
    return _contains_all(frame, a, b) and _contains_all(frame, b, a)


def _intersects(frame: Any, a: Any, b: Any) -> bool:
    holder = want(a, list)
    return any(operators.contains(frame, each, holder) for each in want(b, list))


FUNCTIONS = (
    Function("sets.contains", 2, _contains_all),
    Function("sets.equivalent", 2, _equivalent),
    Function("sets.intersects", 2, _intersects),
    Function("lists.range", 1, lambda frame, count: _range(frame, want(count, int))),
)


def _range(frame: Any, count: int) -> list[int]:
    frame.spend(max(count, 0))
    return list(range(count))


METHODS = (
    Method("isSorted", (list,), 0, _is_sorted),
    Method("sum", (list,), 0, _sum),
    Method("min", (list,), 0, _best(-1)),
    Method("max", (list,), 0, _best(1)),
    Method("indexOf", (list,), 1, _index_of),
    Method("lastIndexOf", (list,), 1, _last_index_of),
    Method("slice", (list,), 2, _slice),
    Method("distinct", (list,), 0, _distinct),
    Method("flatten", (list,), 0, _flatten),
    Method("flatten", (list,), 1, _flatten),
    Method("sort", (list,), 0, _sort),
    Method("reverse", (list,), 0, lambda frame, this: this[::-1]),
    Method("first", (list,), 0, _first(0)),
    Method("last", (list,), 0, _first(-1)),
    Method("includes", (list,), 1, lambda frame, this, item: operators.contains(frame, item, this)),
)
