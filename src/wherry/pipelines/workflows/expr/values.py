"""Values of expressions: JSON, times and durations, functions; what they are called, and how they are written."""

import datetime
import decimal
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson

from wherry.objects.cel.library import times
from wherry.pipelines.schedules import go_layouts
from wherry.pipelines.workflows.expr.errors import ExprError

MOST_ITEMS: Final = 100_000
"""Of a list, or keys of a map, that an expression makes."""
MOST_CHARACTERS: Final = 1024 * 1024
"""Of a text that an expression makes."""
MAX_INT: Final = 2**63
RFC3339: Final = "2006-01-02T15:04:05.999999999Z07:00"
_MOST_SHOWN: Final = 60
_NANOSECONDS: Final = datetime.timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Function:
    """Something that can be called.

    Attributes:
        name: For messages.
        least: So many arguments it takes at least.
        most: So many at most; -1: any number.
        run: Called with them.
    """

    name: str
    least: int
    most: int
    run: Callable[..., Any]

    def call(self, args: list[Any]) -> Any:
        """Call it.

        Raises:
            ExprError: It does not take these.
        """
        if len(args) < self.least or 0 <= self.most < len(args):
            count = str(self.least) if self.least == self.most else f"at least {self.least}"
            raise ExprError(f"{self.name} takes {count} arguments, not {len(args)}")
        try:
            return bounded(self.run(*args))
        except (TypeError, ValueError, ArithmeticError, LookupError, AttributeError) as error:
            if isinstance(error, ExprError):
                raise
            raise ExprError(f"{self.name}: {error}") from error


def bounded(value: Any) -> Any:
    """Return a value that is not too large.

    Raises:
        ExprError: It is.
    """
    if isinstance(value, str):
        _check_length(len(value))
    if isinstance(value, list | dict) and len(value) > MOST_ITEMS:
        raise ExprError(f"{len(value)} items; at most {MOST_ITEMS} may be")
    if isinstance(value, int) and not -MAX_INT <= value < MAX_INT:
        raise ExprError("a whole number has at most 64 bits")
    return value


def joined(mark: str, parts: Sequence[str]) -> str:
    """Return texts one after the other, with a mark between.

    Raises:
        ExprError: That would be too long.
    """
    _check_length(sum(map(len, parts)) + len(mark) * max(len(parts) - 1, 0))
    return mark.join(parts)


def replaced(content: str, old: str, new: str) -> str:
    """Return a text with a part of it replaced wherever it stands.

    Raises:
        ExprError: That would be too long.
    """
    _check_length(len(content) + content.count(old) * (len(new) - len(old)))
    return content.replace(old, new)


def _check_length(length: int) -> None:
    if length > MOST_CHARACTERS:
        raise ExprError(f"a text of {length} characters; at most {MOST_CHARACTERS} may be")


def kind(value: Any) -> str:
    """Return what a value is called."""
    for types, name in _KINDS:
        if isinstance(value, types):
            return name
    return "func"


_KINDS: Final[tuple[tuple[Any, str], ...]] = (
    (type(None), "nil"),
    (bool, "bool"),
    (int, "int"),
    (float, "float"),
    (str, "string"),
    (list, "array"),
    (Mapping, "map"),
    (datetime.datetime, "time"),
    (datetime.timedelta, "duration"),
)


def is_number(value: Any) -> bool:
    """Tell whether a value is a number."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def number(value: Any) -> Any:
    """Return a number as it is.

    Raises:
        ExprError: It is none.
    """
    if not is_number(value):
        raise ExprError(f"{shown(value)} is a {kind(value)}, not a number")
    return value


def text(value: Any) -> str:
    """Return a text as it is.

    Raises:
        ExprError: It is none.
    """
    if not isinstance(value, str):
        raise ExprError(f"{shown(value)} is a {kind(value)}, not a string")
    return value


def items(value: Any) -> list[Any]:
    """Return a list as it is.

    Raises:
        ExprError: It is none.
    """
    if not isinstance(value, list):
        raise ExprError(f"{shown(value)} is a {kind(value)}, not an array")
    return value


def entries(value: Any) -> Mapping[str, Any]:
    """Return a map as it is.

    Raises:
        ExprError: It is none.
    """
    if not isinstance(value, Mapping):
        raise ExprError(f"{shown(value)} is a {kind(value)}, not a map")
    return value


def equal(left: Any, right: Any) -> bool:
    """Tell whether two values are the same; 1 and 1.0 are, 1 and true are not."""
    if is_number(left) and is_number(right):
        return bool(left == right)
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(equal, left, right))
    if isinstance(left, Mapping) and isinstance(right, Mapping):
        return left.keys() == right.keys() and all(equal(left[key], right[key]) for key in left)
    return kind(left) == kind(right) and bool(left == right)


def plain_number(value: float) -> str:
    """Return a number without an exponent or needless zeros."""
    if isinstance(value, int) or not math.isfinite(value):
        return str(value)
    return format(decimal.Decimal(repr(value)), "f").removesuffix(".0")


def written(value: Any) -> str:
    """Return any value as a text, as Go's ``%v`` does."""
    return "".join(_pieces(value))


def _pieces(value: Any) -> Iterator[str]:
    """Yield what stands for a value, piece by piece: who wants its beginning need not write all of it."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        yield "["
        for place, each in enumerate(value):
            yield " " if place else ""
            yield from _pieces(each)
        yield "]"
    elif isinstance(value, Mapping):
        yield "map["
        for place, key in enumerate(sorted(value)):
            yield f"{' ' if place else ''}{key}:"
            yield from _pieces(value[key])
        yield "]"
    else:
        write = _WRITTEN.get(kind(value))
        yield write(value) if write else kind(value)


def json_text(value: Any, *, indent: bool = False) -> str:
    """Return a value as JSON.

    Raises:
        ExprError: It has none: it is a function, or nests too deep.
    """
    option = orjson.OPT_SORT_KEYS | (orjson.OPT_INDENT_2 if indent else 0)
    try:
        return orjson.dumps(_whole(value), default=_json_value, option=option).decode()
    except (TypeError, ValueError) as error:
        raise ExprError(f"{shown(value)} has no JSON: {error}") from error


def parsed(value: Any) -> Any:
    """Return what a JSON text says.

    Raises:
        ExprError: It is none.
    """
    try:
        return orjson.loads(text(value))
    except orjson.JSONDecodeError as error:
        raise ExprError(f"{shown(value)} is no JSON: {error}") from error


def unique(given: Any) -> list[Any]:
    """Return the items of a list, each once."""
    found: dict[str, Any] = {}
    for each in items(given):
        found.setdefault(json_text(each), each)
    return [*found.values()]


def _whole(value: Any) -> Any:
    """Return a value whose numbers are written as Go writes them: 2.0 is 2."""
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e21:
        return int(value) if abs(value) < MAX_INT else value
    if isinstance(value, list):
        return [_whole(each) for each in value]
    if isinstance(value, Mapping):
        return {key: _whole(each) for key, each in value.items()}
    if isinstance(value, datetime.datetime):
        return go_layouts.write(value, RFC3339)
    return value


def _json_value(value: Any) -> Any:
    if isinstance(value, datetime.timedelta):
        return (value // _NANOSECONDS) * 1000
    raise TypeError(f"a {kind(value)}")


def shown(value: Any) -> str:
    """Return a value for a message."""
    if isinstance(value, str):
        found = repr(value)
    else:
        found = ""
        for piece in _pieces(value):
            found += piece
            if len(found) > _MOST_SHOWN:
                break
    return found if len(found) <= _MOST_SHOWN else found[:_MOST_SHOWN] + "…"


def duration_text(value: datetime.timedelta) -> str:
    """Return a duration as Go writes it: ``1h30m0s``, ``1.5s``, ``20ms``."""
    total = value // _NANOSECONDS
    if not total:
        return "0s"
    sign, total = ("-", -total) if total < 0 else ("", total)
    if total < 1_000_000:
        return f"{sign}{plain_number(total / 1000)}ms" if total >= 1000 else f"{sign}{total}\u00b5s"
    minutes, rest = divmod(total, 60_000_000)
    seconds = f"{plain_number(rest / 1_000_000)}s"
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{sign}{hours}h{minutes}m{seconds}"
    return f"{sign}{minutes}m{seconds}" if minutes else f"{sign}{seconds}"


def duration(value: Any) -> datetime.timedelta:
    """Return a duration, written or as it is.

    Raises:
        ExprError: It is none.
    """
    return value if isinstance(value, datetime.timedelta) else times.parse_duration(text(value))


_WRITTEN: Final[Mapping[str, Callable[[Any], str]]] = {
    "nil": lambda value: "<nil>",
    "bool": lambda value: str(value).lower(),
    "int": str,
    "float": plain_number,
    "duration": duration_text,
    "time": lambda value: go_layouts.write(value, "2006-01-02 15:04:05.999999999 -0700 MST"),
}
