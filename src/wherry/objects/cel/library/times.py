"""Timestamps and durations."""

import datetime
import re
import zoneinfo
from collections.abc import Callable
from typing import Any, Final

from wherry.objects.cel.library.table import Function, Method, want
from wherry.objects.cel.values import CelError, CelType

TYPES: Final = {
    name: CelType(name) for name in ("google.protobuf.Timestamp", "google.protobuf.Duration")
}
_EPOCH: Final = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
_PART: Final = re.compile(r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)(ns|us|\u00b5s|ms|s|m|h)")
_SECONDS: Final = {
    "ns": 1e-9,
    "us": 1e-6,
    "\u00b5s": 1e-6,
    "ms": 1e-3,
    "s": 1.0,
    "m": 60.0,
    "h": 3600.0,
}
_OFFSET: Final = re.compile(r"([+-]?)(\d{2}):(\d{2})")


def parse_timestamp(text: str) -> datetime.datetime:
    """Read RFC 3339.

    Raises:
        CelError: It is not.
    """
    try:
        moment = datetime.datetime.fromisoformat(text)
    except ValueError as error:
        raise CelError(f"cannot parse {text[:40]!r} as timestamp") from error
    if moment.tzinfo is None or "T" not in text.upper():
        raise CelError(f"cannot parse {text[:40]!r} as timestamp")
    return moment.astimezone(datetime.UTC)


def parse_duration(text: str) -> datetime.timedelta:
    """Read a duration as Go prints it, e.g. ``1h30m``.

    Raises:
        CelError: It is none.
    """
    sign, rest = (-1, text[1:]) if text.startswith("-") else (1, text.removeprefix("+"))
    total, at = 0.0, 0
    for match in _PART.finditer(rest[:100]):
        if match.start() != at:
            break
        total += float(match[1]) * _SECONDS[match[2]]
        at = match.end()
    if (at != len(rest) or not rest) and rest != "0":
        raise CelError(f"cannot parse {text[:40]!r} as duration")
    try:
        return datetime.timedelta(seconds=sign * total)
    except OverflowError as error:
        raise CelError("duration out of range") from error


def seconds(moment: datetime.datetime) -> int:
    """Return the seconds since 1970."""
    return (moment - _EPOCH) // datetime.timedelta(seconds=1)


def text_of(value: Any) -> str | None:
    """Return a timestamp or duration as text; None for everything else."""
    if isinstance(value, datetime.datetime):
        fraction = f".{value.microsecond:06d}".rstrip("0") if value.microsecond else ""
        return f"{value:%Y-%m-%dT%H:%M:%S}{fraction}Z"
    if isinstance(value, datetime.timedelta):
        total = value.total_seconds()
        return f"{int(total)}s" if total.is_integer() else f"{total}s"
    return None


def _timestamp(frame: Any, value: Any) -> datetime.datetime:
    if isinstance(value, datetime.datetime):
        return value
    if type(value) is int:
        try:
            return _EPOCH + datetime.timedelta(seconds=value)
        except OverflowError as error:
            raise CelError("timestamp overflow") from error
    return parse_timestamp(want(value, str))


def _duration(frame: Any, value: Any) -> datetime.timedelta:
    return value if isinstance(value, datetime.timedelta) else parse_duration(want(value, str))


def _zone(name: str) -> datetime.tzinfo:
    if match := _OFFSET.fullmatch(name):
        shift = datetime.timedelta(hours=int(match[2]), minutes=int(match[3]))
        return datetime.timezone(-shift if match[1] == "-" else shift)
    try:
        return zoneinfo.ZoneInfo(name)
    except (ValueError, zoneinfo.ZoneInfoNotFoundError) as error:
        raise CelError(f"unknown time zone {name[:40]}") from error


def _part(read: Callable[[datetime.datetime], int]) -> Callable[..., int]:
    def run(frame: Any, this: datetime.datetime, zone: Any = None) -> int:
        return read(this if zone is None else this.astimezone(_zone(want(zone, str))))

    return run


def _whole(unit: float) -> Callable[[Any, datetime.timedelta], int]:
    return lambda frame, this: int(this.total_seconds() / unit)


_PARTS: Final[dict[str, Callable[[datetime.datetime], int]]] = {
    "getFullYear": lambda at: at.year,
    "getMonth": lambda at: at.month - 1,
    "getDate": lambda at: at.day,
    "getDayOfMonth": lambda at: at.day - 1,
    "getDayOfWeek": lambda at: at.isoweekday() % 7,
    "getDayOfYear": lambda at: at.timetuple().tm_yday - 1,
    "getHours": lambda at: at.hour,
    "getMinutes": lambda at: at.minute,
    "getSeconds": lambda at: at.second,
    "getMilliseconds": lambda at: at.microsecond // 1000,
}
_SPAN, _MOMENT = (datetime.timedelta,), (datetime.datetime,)

FUNCTIONS = (Function("timestamp", 1, _timestamp), Function("duration", 1, _duration))
METHODS = (
    *(
        Method(name, _MOMENT, count, _part(read))
        for name, read in _PARTS.items()
        for count in (0, 1)
    ),
    Method("getHours", _SPAN, 0, _whole(3600)),
    Method("getMinutes", _SPAN, 0, _whole(60)),
    Method("getSeconds", _SPAN, 0, _whole(1)),
    Method("getMilliseconds", _SPAN, 0, lambda frame, this: this.microseconds // 1000),
)
