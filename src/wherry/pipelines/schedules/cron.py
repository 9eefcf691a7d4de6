"""Cron as upstream writes it: seconds first, six fields or five, descriptors. Pure.

Source: robfig/cron 1.2 (fields, names, ``?``, steps, which of the two kinds of days count). One thing
is better here: where a clock is put forward, a time of day that is left out comes at the end of the
gap; where it is put back, a time of day that comes twice is taken once, the first time. Schedules
whose hour is ``*`` follow real hours and notice neither.

croniter, which finds the times of CronJobs, does not find these: given a time zone, it runs
``0 30 1 * * *`` a second time where New York puts its clocks back, and it tries a gap second by second
(``13 * * * * 5`` takes it seconds at the day that Samoa left out). Without a zone it would only count
days and times of day: the dialect, gaps and repeated hours would stay here, in nearly as many lines.
"""

import datetime
import re
import zoneinfo
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

_BOUNDS: Final = (
    ("second", 0, 59),
    ("minute", 0, 59),
    ("hour", 0, 23),
    ("day of month", 1, 31),
    ("month", 1, 12),
    ("day of week", 0, 6),
)
_MONTHS: Final = {
    "jan": 1,
    "feb": 2,
    "mar": 3,
    "apr": 4,
    "may": 5,
    "jun": 6,
    "jul": 7,
    "aug": 8,
    "sep": 9,
    "oct": 10,
    "nov": 11,
    "dec": 12,
}
_DAYS: Final = {"sun": 0, "mon": 1, "tue": 2, "wed": 3, "thu": 4, "fri": 5, "sat": 6}
_NAMES: Final[Mapping[str, Mapping[str, int]]] = {"month": _MONTHS, "day of week": _DAYS}
_DESCRIPTORS: Final = {
    "@yearly": "0 0 0 1 1 *",
    "@annually": "0 0 0 1 1 *",
    "@monthly": "0 0 0 1 * *",
    "@weekly": "0 0 0 * * 0",
    "@daily": "0 0 0 * * *",
    "@midnight": "0 0 0 * * *",
    "@hourly": "0 0 * * * *",
}
_ZONE: Final = re.compile(r"(?:CRON_)?TZ=(\S+)\s+")
_STARS: Final = ("*", "?")
_LONGEST: Final = 256
_DAYS_AHEAD: Final = 366 * 41
"""From one 29 February of a weekday to the next there are forty years at most, over the turn of a century."""
_DAY: Final = datetime.timedelta(days=1)
_SECOND: Final = datetime.timedelta(seconds=1)
_NOTHING: Final = datetime.timedelta(0)
_MIDNIGHT: Final = (0, 0, 0)

_Time = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class _Field:
    """One field: what it lets through, ascending, and whether it was a star (maybe with a step)."""

    values: tuple[int, ...]
    star: bool


@dataclass(frozen=True, slots=True)
class Cron:
    """A parsed cron text.

    Attributes:
        zone: Where its fields are read.
    """

    zone: zoneinfo.ZoneInfo
    _second: _Field
    _minute: _Field
    _hour: _Field
    _day: _Field
    _month: _Field
    _weekday: _Field

    @classmethod
    def parse(cls, text: str, zone: str = "") -> "Cron":
        """Read a cron text.

        Args:
            text: Six fields: second, minute, hour, day of month, month, day of week; the last may be
                left out. Or a descriptor such as ``@daily``. ``CRON_TZ=Europe/Berlin`` may stand first.
            zone: Where its fields are read if the text does not say; empty: UTC.

        Raises:
            ValueError: it is none, or the zone is unknown; the message says what is accepted.
        """
        if len(text) > _LONGEST:
            raise ValueError(f"longer than {_LONGEST} characters")
        given = _ZONE.match(text.strip())
        rest = text.strip()[given.end() :] if given else text.strip()
        return cls(zone_of(given[1] if given else zone), *_fields(rest))

    def next(self, after: datetime.datetime) -> datetime.datetime | None:
        """Return the first time later than a given one, in UTC; None: it never comes."""
        shown = after.astimezone(self.zone).replace(tzinfo=None)
        found = self._first(shown, after)
        if found is None or not self._hour.star:
            return found
        back = self._offset(after) - self._offset(min(found, after + _DAY))
        # A clock that is put back meanwhile shows once more what it has shown.
        return found if back <= _NOTHING else self._first(shown - back, after)

    def last(self, known: datetime.datetime, until: datetime.datetime) -> datetime.datetime:
        """Return the last time that is no later than a given one.

        Args:
            known: A time of it that is no later.
            until: The given one.
        """
        # Halving: one of seconds that stood still for a year has thirty million times.
        last, beyond = known, until
        while beyond - last >= _SECOND:
            middle = last + (beyond - last) / 2
            found = self.next(middle.replace(microsecond=0))
            if found is None or found > until:
                beyond = middle
            else:
                last = found
        return last

    def _first(
        self, shown: datetime.datetime, after: datetime.datetime
    ) -> datetime.datetime | None:
        passes = (0, 1) if self._hour.star else (0,)
        found = [self._in_pass(shown, after, fold) for fold in passes]
        return min((time for time in found if time is not None), default=None)

    def _in_pass(
        self, shown: datetime.datetime, after: datetime.datetime, fold: int
    ) -> datetime.datetime | None:
        for wall in self._shown_after(shown):
            time = self._time(wall, fold)
            if time is not None and time > after:
                return time
        return None

    def _offset(self, time: datetime.datetime) -> datetime.timedelta:
        return time.astimezone(self.zone).utcoffset() or _NOTHING

    def _time(self, wall: datetime.datetime, fold: int) -> datetime.datetime | None:
        """Return when a clock shows a time of day; None where it never does and need not."""
        time = wall.replace(tzinfo=self.zone, fold=fold).astimezone(datetime.UTC)
        if time.astimezone(self.zone).replace(tzinfo=None) == wall:
            return time
        return None if self._hour.star else self._end_of_gap(wall)

    def _end_of_gap(self, wall: datetime.datetime) -> datetime.datetime:
        # Of the two ways to read a time in a gap, one is before the gap and one after it.
        after = wall.replace(tzinfo=self.zone, fold=0).astimezone(datetime.UTC)
        before = wall.replace(tzinfo=self.zone, fold=1).astimezone(datetime.UTC)
        offset = self._offset(before)
        while after - before > _SECOND:
            middle = (before + (after - before) / 2).replace(microsecond=0)
            if self._offset(middle) == offset:
                before = middle
            else:
                after = middle
        return after

    def _shown_after(self, wall: datetime.datetime) -> Iterator[datetime.datetime]:
        """Yield what clocks show when this is due, after a time of day and without regard to zones."""
        day, start = wall.date(), (wall.hour, wall.minute, wall.second)
        for _ in range(_DAYS_AHEAD):
            if day.month in self._month.values and self._is_day(day):
                for hour, minute, second in self._times(start):
                    found = datetime.datetime.combine(day, datetime.time(hour, minute, second))
                    if found > wall:
                        yield found
            if day == datetime.date.max:
                return
            day, start = day + _DAY, _MIDNIGHT

    def _times(self, start: _Time) -> Iterator[_Time]:
        """Yield times of day from a given one on."""
        for hour in _from(self._hour, start[0]):
            first = start[1] if hour == start[0] else 0
            for minute in _from(self._minute, first):
                same = (hour, minute) == start[:2]
                for second in _from(self._second, start[2] if same else 0):
                    yield hour, minute, second

    def _is_day(self, day: datetime.date) -> bool:
        month, week = (
            day.day in self._day.values,
            day.isoweekday() % 7 in self._weekday.values,
        )
        either = not (self._day.star or self._weekday.star)
        return month or week if either else month and week


def zone_of(name: str) -> zoneinfo.ZoneInfo:
    """Return a time zone.

    Args:
        name: Such as ``Europe/Berlin``; empty: UTC.

    Raises:
        ValueError: there is none of that name.
    """
    try:
        return zoneinfo.ZoneInfo(name or "UTC")
    except (OSError, ValueError, zoneinfo.ZoneInfoNotFoundError) as error:
        raise ValueError(f"unknown time zone {name!r}; say it as in 'Europe/Berlin'") from error


def _from(field: _Field, least: int) -> Sequence[int]:
    return field.values if least == 0 else [value for value in field.values if value >= least]


def _fields(text: str) -> tuple[_Field, ...]:
    if text.startswith("@") and text not in _DESCRIPTORS:
        known = ", ".join(sorted(_DESCRIPTORS))
        raise ValueError(
            f"{text!r} is not known; there are {known}; intervals are periodic schedules"
        )
    words = _DESCRIPTORS.get(text, text).split()
    if len(words) == len(_BOUNDS) - 1:
        words.append("*")
    if len(words) != len(_BOUNDS):
        raise ValueError(
            f"{text!r} has {len(words)} fields; want second, minute, hour, day of month, month and day "
            "of week, of which the last may be left out"
        )
    return tuple(_field(word, *bounds) for word, bounds in zip(words, _BOUNDS, strict=True))


def _field(text: str, name: str, least: int, most: int) -> _Field:
    values: set[int] = set()
    star = False
    for part in filter(None, text.split(",")):
        span, *steps = part.split("/")
        first, *lasts = span.split("-")
        if len(steps) > 1 or len(lasts) > 1 or (lasts and first in _STARS):
            raise ValueError(f"{name} {part!r}: want a number, a range 1-5, or a step such as */5")
        is_star = first in _STARS
        star |= is_star
        low = least if is_star else _number(first, name)
        high = most if is_star else _number(lasts[0], name) if lasts else most if steps else low
        step = _number(steps[0], name) if steps else 1
        if not (least <= low <= high <= most) or step < 1:
            raise ValueError(
                f"{name} {part!r}: want {least} to {most}, ascending, in steps of 1 or more"
            )
        values |= {*range(low, high + 1, step)}
    if not values:
        raise ValueError(f"{name} {text!r}: want a number from {least} to {most}, or *")
    return _Field(tuple(sorted(values)), star)


def _number(text: str, name: str) -> int:
    named = _NAMES.get(name, {}).get(text.lower())
    if named is not None:
        return named
    if not (text.isascii() and text.isdigit() and len(text) < 4):
        raise ValueError(f"{name} {text!r} is no number")
    return int(text)
