"""Times and durations: their functions and methods, as Go's package ``time`` has them."""

import datetime
import zoneinfo
from collections.abc import Callable, Mapping
from typing import Any, Final

from wherry.pipelines.schedules import go_layouts
from wherry.pipelines.workflows.expr import values
from wherry.pipelines.workflows.expr.errors import ExprError
from wherry.pipelines.workflows.expr.values import Function

_Time = datetime.datetime
_Span = datetime.timedelta
_FORMS: Final = (
    *("%Y-%m-%d", "%H:%M:%S", "%Y-%m-%d %H:%M:%S", "%B %d, %Y"),
    *("%a, %d %b %Y %H:%M:%S %Z", "%a, %d %b %Y %H:%M:%S %z"),
)
_LAYOUTS: Final = {
    "2006": "%Y",
    "01": "%m",
    "02": "%d",
    "15": "%H",
    "04": "%M",
    "05": "%S",
    "January": "%B",
    "Jan": "%b",
    "Monday": "%A",
    "Mon": "%a",
    "03": "%I",
    "PM": "%p",
    "Z07:00": "%z",
    "-0700": "%z",
    "MST": "%Z",
}


def now() -> datetime.datetime:
    """Return the present time."""
    return datetime.datetime.now(datetime.UTC)


def zone(name: Any) -> datetime.tzinfo:
    """Return a time zone by its name.

    Raises:
        ExprError: There is none.
    """
    try:
        return zoneinfo.ZoneInfo(values.text(name))
    except (OSError, ValueError, zoneinfo.ZoneInfoNotFoundError) as error:
        raise ExprError(f"unknown time zone {values.shown(name)}") from error


def read(value: Any, layout: Any = None, place: Any = None) -> datetime.datetime:
    """Return a time that is written down.

    Args:
        value: RFC 3339, or another common form; or as ``layout`` says.
        layout: Go's; None: any common form.
        place: Time zone of what says none; UTC by default.

    Raises:
        ExprError: It is none.
    """
    if isinstance(value, _Time):
        return value
    content = values.text(value)
    home = datetime.UTC if place is None else zone(place)
    forms = _FORMS if layout is None else (_form(values.text(layout)),)
    found = None if layout is not None else _iso(content)
    for form in forms:
        if found is not None:
            break
        found = _parsed(content, form)
    if found is None:
        raise ExprError(f"invalid date {values.shown(content)}")
    return found if found.tzinfo is not None else found.replace(tzinfo=home)


def _iso(content: str) -> datetime.datetime | None:
    try:
        return datetime.datetime.fromisoformat(content)
    except ValueError:
        return None


def _parsed(content: str, form: str) -> datetime.datetime | None:
    try:
        return datetime.datetime.strptime(content, form)  # noqa: DTZ007 - the zone is set above
    except ValueError:
        return None


def _form(layout: str) -> str:
    for word, form in _LAYOUTS.items():
        layout = layout.replace(word, form)
    return layout


def method(target: Any, name: Any) -> Function | None:
    """Return a method of a time or duration; None: it has none of that name, or is neither."""
    table = _METHODS.get(type(target))
    run = table.get(name) if table is not None and isinstance(name, str) else None
    if run is None:
        return None
    count = _ARGUMENTS.get(str(name), 0)
    return Function(str(name), count, count, lambda *args: run(target, *args))


def _add_date(when: datetime.datetime, years: Any, months: Any, days: Any) -> datetime.datetime:
    month = when.month - 1 + values.number(months)
    first = when.replace(
        year=when.year + values.number(years) + month // 12, month=month % 12 + 1, day=1
    )
    return first + datetime.timedelta(days=when.day - 1 + values.number(days))


def _seconds(when: datetime.datetime) -> float:
    return when.timestamp()


_ARGUMENTS: Final = dict.fromkeys(
    ("Format", "Add", "Sub", "Before", "After", "Equal", "In", "Round", "Truncate"), 1
) | {"AddDate": 3}
_OF_TIMES: Final[Mapping[str, Callable[..., Any]]] = {
    "Unix": lambda when: int(_seconds(when) // 1),
    "UnixMilli": lambda when: int(_seconds(when) * 1000 // 1),
    "Year": lambda when: when.year,
    "Month": lambda when: when.month,
    "Day": lambda when: when.day,
    "Hour": lambda when: when.hour,
    "Minute": lambda when: when.minute,
    "Second": lambda when: when.second,
    "Nanosecond": lambda when: when.microsecond * 1000,
    "YearDay": lambda when: when.timetuple().tm_yday,
    "Weekday": lambda when: when.isoweekday() % 7,
    "Format": lambda when, layout: go_layouts.write(when, values.text(layout)),
    "String": values.written,
    "UTC": lambda when: when.astimezone(datetime.UTC),
    "In": lambda when, place: when.astimezone(
        place if isinstance(place, datetime.tzinfo) else zone(place)
    ),
    "Add": lambda when, span: when + values.duration(span),
    "Sub": lambda when, other: when - read(other),
    "Before": lambda when, other: when < read(other),
    "After": lambda when, other: when > read(other),
    "Equal": lambda when, other: when == read(other),
    "AddDate": _add_date,
}
_OF_SPANS: Final[Mapping[str, Callable[..., Any]]] = {
    "Hours": lambda span: span.total_seconds() / 3600,
    "Minutes": lambda span: span.total_seconds() / 60,
    "Seconds": lambda span: span.total_seconds(),
    "Milliseconds": lambda span: span // datetime.timedelta(milliseconds=1),
    "Microseconds": lambda span: span // datetime.timedelta(microseconds=1),
    "Nanoseconds": lambda span: span // datetime.timedelta(microseconds=1) * 1000,
    "String": values.duration_text,
    "Abs": abs,
    "Truncate": lambda span, unit: span - span % values.duration(unit),
    "Round": lambda span, unit: round(span / values.duration(unit)) * values.duration(unit),
}
_METHODS: Final[Mapping[type, Mapping[str, Callable[..., Any]]]] = {
    _Time: _OF_TIMES,
    _Span: _OF_SPANS,
}
