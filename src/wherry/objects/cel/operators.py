"""What the marks of CEL do: arithmetic, comparison, fields, indexes, membership."""

import datetime
import math
from collections.abc import Iterable
from typing import Any

from wherry.objects.cel.values import (
    NONE,
    CelError,
    Optional,
    UInt,
    checked_int,
    checked_uint,
    equal,
)


def truth(value: Any) -> bool:
    """Return a truth value.

    Raises:
        CelError: It is none.
    """
    if value is True or value is False:
        return bool(value)
    raise CelError("no such overload")


def field(value: Any, name: str, plain: str) -> Any:
    """Return a field of an object or a key of a map.

    Args:
        value: The object.
        name: As written.
        plain: The property that it stands for where there is none of that name.

    Raises:
        CelError: There is no such field.
    """
    if isinstance(value, dict):
        if name in value:
            return value[name]
        if plain in value:
            return value[plain]
        raise CelError(f"no such key: {plain}")
    if isinstance(value, Optional):
        return optional_field(value, name, plain)
    reader = getattr(value, "cel_field", None)
    if reader is not None:
        return reader(plain)
    raise CelError(f"no such overload: field {plain} of {type(value).__name__}")


def optional_field(value: Any, name: str, plain: str) -> Optional:
    """Return a field as an optional, of an object or an optional object."""
    if isinstance(value, Optional):
        if not value.present:
            return NONE
        value = value.value
    if not isinstance(value, dict):
        raise CelError("no such overload")
    for key in (name, plain):
        if key in value:
            return Optional(present=True, value=value[key])
    return NONE


def has(value: Any, name: str, plain: str) -> bool:
    """Return whether a field is there."""
    if isinstance(value, Optional):
        return value.present and has(value.value, name, plain)
    if isinstance(value, dict):
        return name in value or plain in value
    reader = getattr(value, "cel_has", None)
    if reader is not None:
        return bool(reader(plain))
    raise CelError("no such overload")


def as_optional(value: Any) -> Optional:
    """Return a value that has to be an optional.

    Raises:
        CelError: It is none.
    """
    if isinstance(value, Optional):
        return value
    raise CelError("no such overload")


def as_map(value: Any) -> dict[Any, Any]:
    """Return a value that has to be a map.

    Raises:
        CelError: It is none.
    """
    if isinstance(value, dict):
        return value
    raise CelError("no such overload")


def map_key(key: Any) -> Any:
    """Return a key of a map as Python has it.

    Raises:
        CelError: It cannot be a key.
    """
    if isinstance(key, float) and key.is_integer():
        return int(key)
    if isinstance(key, str | int):
        return key
    raise CelError("unsupported key type")


def iterate(value: Any, *, pairs: bool) -> Iterable[tuple[Any, Any]]:
    """Return what a loop runs over: items of lists and keys of maps, or both halves of the entries.

    Raises:
        CelError: It is neither a list nor a map.
    """
    if isinstance(value, list):
        return enumerate(value) if pairs else ((item, None) for item in value)
    if isinstance(value, dict):
        return value.items()
    raise CelError("no such overload")


def index(frame: Any, value: Any, key: Any) -> Any:
    """Return an item of a list or the value of a key.

    Raises:
        CelError: There is none.
    """
    if isinstance(value, Optional):
        return optional_index(frame, value, key)
    if isinstance(value, list):
        if isinstance(key, float) and key.is_integer():
            key = int(key)
        if not isinstance(key, int) or isinstance(key, bool):
            raise CelError("no such overload")
        if 0 <= key < len(value):
            return value[key]
        raise CelError(f"index out of bounds: {key}")
    if isinstance(value, dict):
        place = map_key(key)
        if place in value:
            return value[place]
        raise CelError(f"no such key: {key}")
    raise CelError("no such overload")


def optional_index(frame: Any, value: Any, key: Any) -> Optional:
    """Return an item or value as an optional."""
    if isinstance(value, Optional):
        if not value.present:
            return NONE
        value = value.value
    if isinstance(value, list) and isinstance(key, int) and not 0 <= key < len(value):
        return NONE
    if isinstance(value, dict) and map_key(key) not in value:
        return NONE
    return Optional(present=True, value=index(frame, value, key))


def contains(frame: Any, item: Any, holder: Any) -> bool:
    """Return whether an item is in a list, or a key in a map.

    Raises:
        CelError: It is neither.
    """
    if isinstance(holder, dict):
        return isinstance(item, str | int | float) and map_key(item) in holder
    if isinstance(holder, list):
        frame.spend(len(holder))
        return any(equal(item, each) for each in holder)
    raise CelError("no such overload")


def add(frame: Any, a: Any, b: Any) -> Any:
    """Return ``a + b``."""
    kind = type(a)
    if kind is datetime.datetime or kind is datetime.timedelta:
        return _moment(lambda: a + b, a, b)
    if kind is not type(b):
        raise CelError("no such overload")
    if kind is int:
        return checked_int(a + b)
    if kind is UInt:
        return checked_uint(int(a) + int(b))
    if kind in {str, bytes, list}:
        frame.spend((len(a) + len(b)) // 10)
        return a + b
    if kind is float:
        return a + b
    raise CelError("no such overload")


def subtract(frame: Any, a: Any, b: Any) -> Any:
    """Return ``a - b``."""
    kind = type(a)
    if kind is datetime.datetime or kind is datetime.timedelta:
        return _moment(lambda: a - b, a, b)
    if kind is not type(b):
        raise CelError("no such overload")
    if kind is int:
        return checked_int(a - b)
    if kind is UInt:
        return checked_uint(int(a) - int(b))
    if kind is float:
        return a - b
    raise CelError("no such overload")


def _moment(compute: Any, a: Any, b: Any) -> Any:
    try:
        return compute()
    except TypeError as error:
        raise CelError("no such overload") from error
    except OverflowError as error:
        raise CelError("timestamp overflow") from error


def multiply(frame: Any, a: Any, b: Any) -> Any:
    """Return ``a * b``."""
    kind = type(a)
    if kind is type(b):
        if kind is int:
            return checked_int(a * b)
        if kind is UInt:
            return checked_uint(int(a) * int(b))
        if kind is float:
            return a * b
    raise CelError("no such overload")


def divide(frame: Any, a: Any, b: Any) -> Any:
    """Return ``a / b``; whole numbers are cut towards zero."""
    kind = type(a)
    if kind is not type(b) or kind not in {int, UInt, float}:
        raise CelError("no such overload")
    if kind is float:
        return _divide_floats(a, b)
    if b == 0:
        raise CelError("division by zero")
    quotient = abs(int(a)) // abs(int(b))
    if kind is UInt:
        return UInt(quotient)
    return checked_int(quotient if (a < 0) == (b < 0) else -quotient)


def _divide_floats(a: float, b: float) -> float:
    if b:
        return a / b
    return float("nan") if a == 0 or math.isnan(a) else float("inf") * (1 if a > 0 else -1)


def modulo(frame: Any, a: Any, b: Any) -> Any:
    """Return the rest of ``a / b``, with the sign of ``a``."""
    kind = type(a)
    if kind is not type(b) or kind not in {int, UInt}:
        raise CelError("no such overload")
    if b == 0:
        raise CelError("modulus by zero")
    rest = abs(int(a)) % abs(int(b))
    return UInt(rest) if kind is UInt else (-rest if a < 0 else rest)


def negate(frame: Any, a: Any) -> Any:
    """Return ``-a``."""
    if type(a) is int:
        return checked_int(-a)
    if type(a) is float:
        return -a
    raise CelError("no such overload")
