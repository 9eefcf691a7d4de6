"""Operators of expressions."""

import datetime
import math
import operator
from collections.abc import Callable, Mapping
from typing import Any, Final

from wherry.pipelines.workflows.expr import patterns, values
from wherry.pipelines.workflows.expr.errors import ExprError
from wherry.pipelines.workflows.expr.values import kind, shown

_Time = datetime.datetime
_Span = datetime.timedelta


def flag(value: Any) -> bool:
    """Return true or false as it is.

    Raises:
        ExprError: It is neither.
    """
    if not isinstance(value, bool):
        raise ExprError(f"{shown(value)} is a {kind(value)}, not a bool")
    return value


def apply(mark: str, left: Any, right: Any) -> Any:
    """Return what an operator makes of two values.

    Raises:
        ExprError: It takes others.
    """
    try:
        return values.bounded(_OPERATORS[mark](left, right))
    except (TypeError, ArithmeticError, ValueError) as error:
        if isinstance(error, ExprError):
            raise
        raise ExprError(f"{shown(left)} {mark} {shown(right)}: {error}") from error


def negative(value: Any) -> Any:
    """Return a number or duration with the other sign.

    Raises:
        ExprError: It is none.
    """
    return -value if isinstance(value, _Span) else -values.number(value)


def member(target: Any, key: Any) -> Any:
    """Return a part of a value; nothing where a map has no such key.

    Raises:
        ExprError: It has no parts, or a list is shorter.
    """
    if isinstance(target, Mapping):
        return target.get(key if isinstance(key, str) else values.written(key))
    if isinstance(target, list | str):
        place = _index(key, len(target))
        return target[place]
    raise ExprError(f"cannot fetch {shown(key)} from {kind(target)}")


def part(target: Any, low: Any, high: Any) -> Any:
    """Return a stretch of a list or text.

    Raises:
        ExprError: It is none.
    """
    if not isinstance(target, list | str):
        raise ExprError(f"cannot slice {kind(target)}")
    start = 0 if low is None else _whole(low)
    end = len(target) if high is None else _whole(high)
    return target[start:end]


def _whole(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise ExprError(f"{shown(value)} is no place in an array")
    return value


def _index(key: Any, length: int) -> int:
    place = int(key) if isinstance(key, float) and key.is_integer() else _whole(key)
    if not -length <= place < length:
        raise ExprError(f"index out of range: {place} (array length is {length})")
    return place


def _plus(left: Any, right: Any) -> Any:
    if isinstance(left, str) and isinstance(right, str):
        return left + right
    moments = sum(isinstance(each, _Time) for each in (left, right))
    spans = sum(isinstance(each, _Span) for each in (left, right))
    if moments + spans == 2 and moments < 2:
        return left + right
    return _calculated(operator.add, "+")(left, right)


def _minus(left: Any, right: Any) -> Any:
    if isinstance(left, _Time) and isinstance(right, _Time | _Span):
        return left - right
    if isinstance(left, _Span) and isinstance(right, _Span):
        return left - right
    return _calculated(operator.sub, "-")(left, right)


def _times(left: Any, right: Any) -> Any:
    if isinstance(left, _Span) or isinstance(right, _Span):
        return left * right
    return _calculated(operator.mul, "*")(left, right)


def _calculated(run: Callable[[Any, Any], Any], mark: str) -> Callable[[Any, Any], Any]:
    def applied(left: Any, right: Any) -> Any:
        if not values.is_number(left) or not values.is_number(right):
            raise ExprError(f"invalid operation: {kind(left)} {mark} {kind(right)}")
        return run(left, right)

    return applied


def _remainder(left: Any, right: Any) -> int:
    if not isinstance(left, int) or not isinstance(right, int):
        raise ExprError(f"invalid operation: {kind(left)} % {kind(right)}")
    return left - right * int(left / right) if abs(left) < 2**53 else int(math.fmod(left, right))


def _ordered(run: Callable[[Any, Any], bool], mark: str) -> Callable[[Any, Any], bool]:
    def applied(left: Any, right: Any) -> bool:
        numbers = values.is_number(left) and values.is_number(right)
        if not numbers and not (kind(left) == kind(right) in {"string", "time", "duration"}):
            raise ExprError(f"invalid operation: {kind(left)} {mark} {kind(right)}")
        return run(left, right)

    return applied


def _in(left: Any, right: Any) -> bool:
    if right is None:
        return False
    if isinstance(right, Mapping):
        return left in right if isinstance(left, str) else values.written(left) in right
    return any(values.equal(left, each) for each in values.items(right))


def matches(left: Any, right: Any) -> bool:
    """Tell whether a regular expression matches some part of a text.

    Raises:
        ExprError: It is none, or the text is too long.
    """
    if left is None or right is None:
        return False
    content = values.text(left)
    return patterns.compiled(values.text(right), content).search(content) is not None


def _range(left: Any, right: Any) -> list[int]:
    low, high = _whole(left), _whole(right)
    if high - low >= values.MOST_ITEMS:
        raise ExprError(f"{high - low + 1} items; at most {values.MOST_ITEMS} may be")
    return list(range(low, high + 1))


def _texts(run: Callable[[str, str], bool]) -> Callable[[Any, Any], bool]:
    def applied(left: Any, right: Any) -> bool:
        return left is not None and right is not None and run(values.text(left), values.text(right))

    return applied


_OPERATORS: Final[Mapping[str, Callable[[Any, Any], Any]]] = {
    "==": values.equal,
    "!=": lambda left, right: not values.equal(left, right),
    "<": _ordered(operator.lt, "<"),
    "<=": _ordered(operator.le, "<="),
    ">": _ordered(operator.gt, ">"),
    ">=": _ordered(operator.ge, ">="),
    "in": _in,
    "matches": matches,
    "contains": _texts(operator.contains),
    "startsWith": _texts(str.startswith),
    "endsWith": _texts(str.endswith),
    "+": _plus,
    "-": _minus,
    "*": _times,
    "/": _calculated(operator.truediv, "/"),
    "%": _remainder,
    "**": _calculated(math.pow, "**"),
    "..": _range,
}
