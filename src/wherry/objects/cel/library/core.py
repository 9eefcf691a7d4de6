"""Operators by their names, conversions, sizes, optionals and ``math``."""

import datetime
import math
from collections.abc import Callable
from typing import Any

from wherry.objects.cel import operators
from wherry.objects.cel.library import times
from wherry.objects.cel.library.table import Function, Method, want
from wherry.objects.cel.values import (
    NONE,
    CelError,
    CelType,
    Optional,
    UInt,
    checked_int,
    checked_uint,
    equal,
    order,
    type_of,
)


def _compare(test: Callable[[int], bool]) -> Callable[[Any, Any, Any], bool]:
    return lambda frame, a, b: test(order(a, b))


def _equal(frame: Any, a: Any, b: Any) -> bool:
    if isinstance(a, str | list | dict | bytes):
        frame.spend(len(a) // 10)
    return equal(a, b)


def _size(frame: Any, value: Any) -> int:
    if isinstance(value, str | bytes | list | dict):
        return len(value)
    raise CelError("no such overload")


def _int(frame: Any, value: Any) -> int:
    if isinstance(value, datetime.datetime):
        return times.seconds(value)
    if isinstance(value, str):
        try:
            return checked_int(int(value[:32]))
        except ValueError as error:
            raise CelError(f"cannot convert {value[:40]!r} to int") from error
    if isinstance(value, float) and math.isfinite(value):
        return checked_int(math.trunc(value))
    if isinstance(value, int) and not isinstance(value, bool):
        return checked_int(int(value))
    raise CelError("no such overload")


def _uint(frame: Any, value: Any) -> UInt:
    return checked_uint(int(_int(frame, value) if not isinstance(value, UInt) else value))


def _double(frame: Any, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise CelError("no such overload")
    try:
        return float(value)
    except ValueError as error:
        raise CelError(f"cannot convert {value!r:.40} to double") from error


def _string(frame: Any, value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return value
    if isinstance(value, float):
        return f"{value:g}" if value.is_integer() and abs(value) < 1e15 else repr(value)
    if isinstance(value, int):
        return str(int(value))
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError as error:
            raise CelError("invalid UTF-8 in bytes, cannot convert to string") from error
    text = times.text_of(value)
    if text is None:
        shown = getattr(value, "cel_text", None)
        text = shown() if shown is not None else None
    if text is None:
        raise CelError("no such overload")
    return text


def _bytes(frame: Any, value: Any) -> bytes:
    return value if isinstance(value, bytes) else want(value, str).encode()


def _bool(frame: Any, value: Any) -> bool:
    if isinstance(value, bool):
        return value
    text = want(value, str)
    if text in {"true", "TRUE", "True", "t", "1"}:
        return True
    if text in {"false", "FALSE", "False", "f", "0"}:
        return False
    raise CelError(f"cannot convert {text[:40]!r} to bool")


def _not(frame: Any, value: Any) -> bool:
    return not operators.truth(value)


def _of(frame: Any, value: Any) -> Optional:
    return Optional(present=True, value=value)


def _of_nonzero(frame: Any, value: Any) -> Optional:
    empty = value is None or (
        isinstance(value, str | bytes | list | dict | int | float) and not value
    )
    return NONE if empty else Optional(present=True, value=value)


def _value(frame: Any, optional: Optional) -> Any:
    if optional.present:
        return optional.value
    raise CelError("optional.none() dereference")


def _extreme(sign: int) -> Callable[..., Any]:
    def run(frame: Any, *args: Any) -> Any:
        values = args[0] if len(args) == 1 and isinstance(args[0], list) else list(args)
        frame.spend(len(values))
        if not values:
            raise CelError("math.@min(list) argument must not be empty")
        best = values[0]
        for each in values[1:]:
            if order(each, best) == sign:
                best = each
        order(best, best)
        return best

    return run


def _rounded(how: Callable[[float], float]) -> Callable[[Any, Any], float]:
    def run(frame: Any, value: Any) -> float:
        number = want(value, float)
        return float(how(number)) if math.isfinite(number) else number

    return run


def _absolute(frame: Any, value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise CelError("no such overload")
    return checked_int(abs(value)) if type(value) is int else abs(value)


FUNCTIONS = (
    Function("_==_", 2, _equal),
    Function("_!=_", 2, lambda frame, a, b: not _equal(frame, a, b)),
    Function("_<_", 2, _compare(lambda sign: sign < 0)),
    Function("_<=_", 2, _compare(lambda sign: sign <= 0)),
    Function("_>_", 2, _compare(lambda sign: sign > 0)),
    Function("_>=_", 2, _compare(lambda sign: sign >= 0)),
    Function("_in_", 2, operators.contains),
    Function("_+_", 2, operators.add),
    Function("_-_", 2, operators.subtract),
    Function("_*_", 2, operators.multiply),
    Function("_/_", 2, operators.divide),
    Function("_%_", 2, operators.modulo),
    Function("_[_]", 2, operators.index),
    Function("_[?_]", 2, operators.optional_index),
    Function("!_", 1, _not),
    Function("-_", 1, operators.negate),
    Function("size", 1, _size),
    Function("int", 1, _int),
    Function("uint", 1, _uint),
    Function("double", 1, _double),
    Function("string", 1, _string),
    Function("bytes", 1, _bytes),
    Function("bool", 1, _bool),
    Function("dyn", 1, lambda frame, value: value),
    Function("type", 1, lambda frame, value: CelType(type_of(value))),
    Function("optional.of", 1, _of),
    Function("optional.none", 0, lambda frame: NONE),
    Function("optional.ofNonZeroValue", 1, _of_nonzero),
    *(Function("math.greatest", count, _extreme(1)) for count in range(1, 6)),
    *(Function("math.least", count, _extreme(-1)) for count in range(1, 6)),
    Function("math.ceil", 1, _rounded(math.ceil)),
    Function("math.floor", 1, _rounded(math.floor)),
    Function("math.trunc", 1, _rounded(math.trunc)),
    Function("math.round", 1, _rounded(lambda x: math.copysign(math.floor(abs(x) + 0.5), x))),
    Function("math.abs", 1, _absolute),
    Function("math.isNaN", 1, lambda frame, value: math.isnan(want(value, float))),
    Function("math.isInf", 1, lambda frame, value: math.isinf(want(value, float))),
    Function("math.isFinite", 1, lambda frame, value: math.isfinite(want(value, float))),
)
METHODS = (
    Method("size", (str, bytes, list, dict), 0, _size),
    Method("hasValue", (Optional,), 0, lambda frame, this: this.present),
    Method("value", (Optional,), 0, _value),
)
