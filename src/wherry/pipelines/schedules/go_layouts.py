"""Times written by Go's layouts, such as ``2006-01-02`` for a date. Pure.

A layout is how Go's reference time, Monday 2 January 2006 at 15:04:05 in MST, would be written. Source:
the documentation of Go's package ``time``.
"""

import datetime
import re
from collections.abc import Callable, Mapping
from typing import Final

_When = datetime.datetime

_MONTHS: Final = [
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
]
_DAYS: Final = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]

_OFFSETS: Final = [
    sign + form for sign in "-Z" for form in ("07:00:00", "070000", "07:00", "0700", "07")
]


def _offset(word: str) -> Callable[[_When], str]:
    """Return what writes how far a zone is from UTC; a word with ``Z`` writes UTC so."""
    mark, count = ":" if ":" in word else "", len(word.replace(":", "")) // 2

    def written(when: _When) -> str:
        total = round((when.utcoffset() or datetime.timedelta()).total_seconds())
        if not total and word.startswith("Z"):
            return "Z"
        minutes, seconds = divmod(abs(total), 60)
        parts = (f"{each:02}" for each in (*divmod(minutes, 60), seconds))
        return ("-" if total < 0 else "+") + mark.join([*parts][:count])

    return written


_WORDS: Final[Mapping[str, Callable[[_When], str]]] = {
    "January": lambda when: _MONTHS[when.month - 1],
    "Jan": lambda when: _MONTHS[when.month - 1][:3],
    "Monday": lambda when: _DAYS[when.weekday()],
    "Mon": lambda when: _DAYS[when.weekday()][:3],
    "MST": lambda when: when.tzname() or "",
    "2006": lambda when: f"{when.year:04}",
    "__2": lambda when: f"{_day_of_year(when):3}",
    "002": lambda when: f"{_day_of_year(when):03}",
    "06": lambda when: f"{when.year % 100:02}",
    "01": lambda when: f"{when.month:02}",
    "02": lambda when: f"{when.day:02}",
    "03": lambda when: f"{_hour_of_twelve(when):02}",
    "04": lambda when: f"{when.minute:02}",
    "05": lambda when: f"{when.second:02}",
    "15": lambda when: f"{when.hour:02}",
    "_2": lambda when: f"{when.day:2}",
    "PM": lambda when: "AM" if when.hour < 12 else "PM",
    "pm": lambda when: "am" if when.hour < 12 else "pm",
    **{word: _offset(word) for word in _OFFSETS},
    "1": lambda when: str(when.month),
    "2": lambda when: str(when.day),
    "3": lambda when: str(_hour_of_twelve(when)),
    "4": lambda when: str(when.minute),
    "5": lambda when: str(when.second),
}
_SHORT: Final = frozenset({"Jan", "Mon"})
"""Not when small letters follow: ``Janet`` is a name."""


def _pattern() -> re.Pattern[str]:
    words = (
        re.escape(word) + ("(?![a-z])" if word in _SHORT else "")
        # `_2006` is an underscore and a year.
        if word != "_2"
        else "_2(?!006)"
        for word in sorted(_WORDS, key=len, reverse=True)
    )
    fraction = r"(?P<fraction>[.,](?:0+|9+)(?![0-9]))"
    return re.compile(f"{fraction}|(?P<word>{'|'.join(words)})")


_PATTERN: Final = _pattern()


def write(when: datetime.datetime, layout: str) -> str:
    """Return a time as a layout says.

    Args:
        when: Aware; written in its own zone.
        layout: What is no part of the reference time is written as it is.
    """

    def written(match: re.Match[str]) -> str:
        fraction = match["fraction"]
        return _fraction(when, fraction) if fraction else _WORDS[match["word"]](when)

    return _PATTERN.sub(written, layout)


def _fraction(when: datetime.datetime, layout: str) -> str:
    digits = f"{when.microsecond:06}000"[: len(layout) - 1].ljust(len(layout) - 1, "0")
    if layout[1] == "0":
        return layout[0] + digits
    kept = digits.rstrip("0")
    return layout[0] + kept if kept else ""


def _day_of_year(when: datetime.datetime) -> int:
    return when.timetuple().tm_yday


def _hour_of_twelve(when: datetime.datetime) -> int:
    return when.hour % 12 or 12
