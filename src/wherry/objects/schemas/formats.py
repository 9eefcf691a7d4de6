"""The string and number formats that custom resource schemas may ask for.

Unknown formats are no rule, as in Kubernetes. A format passes values of types it says nothing of.
"""

import binascii
import datetime
import ipaddress
import re
import urllib.parse
import uuid
from collections.abc import Callable, Mapping
from typing import Any, Final

_DATE_TIME: Final = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?([Zz]|[+-][0-9]{2}:[0-9]{2})"
)
_DURATION: Final = re.compile(
    "0|[+-]?([0-9]+([.][0-9]*)?(ns|us|\u00b5s|ms|s|m|h))+"
    "|[0-9]+ ?(ns|us|\u00b5s|ms|s|sec|second|m|min|minute|h|hr|hour|d|day|w|week)s?"
)
_HOSTNAME: Final = re.compile(
    r"(?=.{1,253}$)[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*\.?"
)
_EMAIL: Final = re.compile(r"[^@\s]{1,64}@[^@\s.]{1,63}(\.[^@\s.]{1,63}){0,8}")
_MAC: Final = re.compile(r"[0-9A-Fa-f]{2}([:-])([0-9A-Fa-f]{2}\1){4}[0-9A-Fa-f]{2}")
_MAX_LENGTH: Final = 4096


def _holds(read: Callable[[str], object]) -> Callable[[Any], bool]:
    """Return whether ``read`` accepts a text; raising ValueError or returning False refuses it."""

    def accepts(value: Any) -> bool:
        if type(value) is not str:
            return True
        try:
            return len(value) <= _MAX_LENGTH and read(value) is not False
        except ValueError:
            return False

    return accepts


def _matches(pattern: re.Pattern[str]) -> Callable[[Any], bool]:
    return _holds(lambda text: pattern.fullmatch(text) is not None)


def _byte(value: Any) -> bool:
    if type(value) is not str:
        return True
    try:
        binascii.a2b_base64(value.encode(), strict_mode=True)
    except ValueError:
        return False
    return True


def _date_time(text: str) -> object:
    return bool(_DATE_TIME.fullmatch(text)) and datetime.datetime.fromisoformat(text.upper())


def _date(text: str) -> object:
    return len(text) == 10 and datetime.date.fromisoformat(text)


def _uri(text: str) -> bool:
    return bool(urllib.parse.urlsplit(text).scheme) or text.startswith("/")


def _cidr(text: str) -> object:
    return "/" in text and ipaddress.ip_network(text, strict=False)


def _integer(bits: int) -> Callable[[Any], bool]:
    limit = 2 ** (bits - 1)
    return lambda value: type(value) is not int or -limit <= value < limit


FORMATS: Final[Mapping[str, Callable[[Any], bool]]] = {
    "byte": _byte,
    "cidr": _holds(_cidr),
    "date": _holds(_date),
    "date-time": _holds(_date_time),
    "datetime": _holds(_date_time),
    "duration": _matches(_DURATION),
    "email": _matches(_EMAIL),
    "hostname": _matches(_HOSTNAME),
    "int32": _integer(32),
    "int64": _integer(64),
    "ipv4": _holds(ipaddress.IPv4Address),
    "ipv6": _holds(ipaddress.IPv6Address),
    "mac": _matches(_MAC),
    "uri": _holds(_uri),
    "uuid": _holds(uuid.UUID),
}
"""Format name → whether it accepts a value."""
