"""The values of CEL in Python, and what they have in common: type, equality, order.

JSON's values are themselves. Timestamps and durations are `datetime`'s, finer than a microsecond
they are cut. Everything else that Kubernetes adds has its class in `library`.
"""

import datetime
from dataclasses import dataclass
from typing import Any, Final

from wherry.objects.cel.syntax import UInt

__all__ = ["CelError", "CelType", "CostError", "Optional", "UInt", "equal", "order", "type_of"]

_MIN_INT, _MAX_INT, _MAX_UINT = -(2**63), 2**63 - 1, 2**64 - 1


class CelError(Exception):
    """An expression has no value for this input."""


class CostError(CelError):
    """An expression looks at too much."""


@dataclass(frozen=True, slots=True)
class CelType:
    """What ``type(x)`` returns."""

    name: str


@dataclass(frozen=True, slots=True)
class Optional:
    """A value that may be missing."""

    present: bool
    value: Any = None


NONE: Final = Optional(present=False)

_TYPES: Final[dict[type, str]] = {
    bool: "bool",
    UInt: "uint",
    int: "int",
    float: "double",
    str: "string",
    bytes: "bytes",
    list: "list",
    dict: "map",
    type(None): "null_type",
    datetime.datetime: "google.protobuf.Timestamp",
    datetime.timedelta: "google.protobuf.Duration",
    CelType: "type",
    Optional: "optional_type",
}
_NUMBERS: Final = frozenset({int, UInt, float})


def type_of(value: Any) -> str:
    """Return the CEL name of a value's type."""
    return _TYPES.get(type(value)) or type(value).__name__


def checked_int(value: int) -> int:
    """Return the value where it fits into 64 bits.

    Raises:
        CelError: It does not.
    """
    if _MIN_INT <= value <= _MAX_INT:
        return value
    raise CelError("integer overflow")


def checked_uint(value: int) -> UInt:
    """Return the value where it fits into 64 bits without a sign.

    Raises:
        CelError: It does not.
    """
    if 0 <= value <= _MAX_UINT:
        return UInt(value)
    raise CelError("unsigned integer overflow")


def equal(a: Any, b: Any) -> bool:
    """Return whether two values are equal; values of different types are not, but for numbers."""
    kind, other = type(a), type(b)
    if kind in _NUMBERS and other in _NUMBERS:
        return bool(a == b)
    if kind is not other:
        return False
    if kind is list:
        return len(a) == len(b) and all(map(equal, a, b))
    if kind is dict:
        return a.keys() == b.keys() and all(equal(item, b[key]) for key, item in a.items())
    if kind is Optional:
        return a.present == b.present and equal(a.value, b.value)
    return bool(a == b)


def order(a: Any, b: Any) -> int:
    """Return -1, 0 or 1 as the first is less than, equal to or greater than the second.

    Raises:
        CelError: They have no order.
    """
    kind, other = type(a), type(b)
    comparable = kind is other and kind in _ORDERED
    if not comparable and not (kind in _NUMBERS and other in _NUMBERS):
        raise CelError("no such overload")
    return int(a > b) - int(a < b)


_ORDERED: Final = frozenset({bool, str, bytes, datetime.datetime, datetime.timedelta})
