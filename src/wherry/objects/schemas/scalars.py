"""How Go reads the scalars of built-in kinds: integers of a width, times, quantities, bytes."""

import binascii
import datetime
import functools
import re
from typing import Any, Final

from wherry.objects import quantities
from wherry.objects.schemas.node import Mismatch

_TIME: Final = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,18})?([Zz]|[+-][0-9]{2}:[0-9]{2})"
)
_MAX_CACHED: Final = 4096


def admit_string(value: Any) -> str:
    """Take a string.

    Raises:
        Mismatch: it is none.
    """
    if type(value) is not str:
        raise Mismatch
    return value


def admit_boolean(value: Any) -> bool:
    """Take a boolean.

    Raises:
        Mismatch: it is none.
    """
    if type(value) is not bool:
        raise Mismatch
    return value


def admit_int32(value: Any) -> int:
    """Take an integer of 32 bits.

    Raises:
        Mismatch: it is none.
    """
    if type(value) is not int or not -(2**31) <= value < 2**31:
        raise Mismatch
    return value


def admit_int64(value: Any) -> int:
    """Take an integer of 64 bits.

    Raises:
        Mismatch: it is none.
    """
    if type(value) is not int or not -(2**63) <= value < 2**63:
        raise Mismatch
    return value


def admit_number(value: Any) -> float | int:
    """Take a number.

    Raises:
        Mismatch: it is none.
    """
    if type(value) is not float and type(value) is not int:
        raise Mismatch
    return value


def admit_int_or_string(value: Any) -> int | str:
    """Take a string, or an integer of 32 bits.

    Raises:
        Mismatch: it is neither.
    """
    return value if type(value) is str else admit_int32(value)


def admit_bytes(value: Any) -> str:
    """Take a string in standard base64.

    Raises:
        Mismatch: it is none.
    """
    if type(value) is not str:
        raise Mismatch
    try:
        binascii.a2b_base64(value.encode(), strict_mode=True)
    except ValueError as error:
        raise Mismatch(f"illegal base64 data: {error}") from None
    return value


def admit_quantity(value: Any) -> str:
    """Take a quantity, and write it as Kubernetes does.

    Raises:
        Mismatch: it is none.
    """
    if type(value) is str:
        return _canonical(value)
    if type(value) is int or type(value) is float:
        return _canonical(str(value))
    raise Mismatch('quantities must be strings such as "500m" or "1Gi", or numbers')


@functools.lru_cache(maxsize=_MAX_CACHED)
def _canonical(text: str) -> str:
    try:
        return quantities.canonical(text)
    except ValueError as error:
        raise Mismatch(str(error)) from None


def admit_time(value: Any) -> str:
    """Take an RFC 3339 time, and write it in UTC with whole seconds.

    Raises:
        Mismatch: it is none.
    """
    if type(value) is not str:
        raise Mismatch
    return _time(value, "%Y-%m-%dT%H:%M:%SZ")


def admit_micro_time(value: Any) -> str:
    """Take an RFC 3339 time, and write it in UTC with six decimals.

    Raises:
        Mismatch: it is none.
    """
    if type(value) is not str:
        raise Mismatch
    return _time(value, "%Y-%m-%dT%H:%M:%S.%fZ")


@functools.lru_cache(maxsize=_MAX_CACHED)
def _time(text: str, form: str) -> str:
    utc = _parse(text)
    # Python prints years before 1000 with fewer than four digits, Kubernetes' zero time among them.
    return utc.strftime(form.replace("%Y", f"{utc.year:04}"))


def _parse(text: str) -> datetime.datetime:
    try:
        if not _TIME.fullmatch(text):
            raise ValueError
        return datetime.datetime.fromisoformat(text.upper()).astimezone(datetime.UTC)
    except (ValueError, OverflowError):
        raise Mismatch(
            f'parsing time "{text[:64]}": it must be RFC 3339, such as "2006-01-02T15:04:05Z"'
        ) from None
