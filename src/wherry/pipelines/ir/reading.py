"""Dictionaries into messages, strictly: what is not known, or of the wrong type, is named with its place.

The types of a message's fields say what is read. JSON's forms are those of protocol buffers: names in
camelCase (or as in the ``.proto``), null for what is not given, whole numbers also as texts or as 5.0,
durations as ``30s``, enumerations by name or number.

A message may say more of itself: ``ONE_OF``, groups of fields of which at most one may be given; ``NAMES``, the
JSON names of fields whose own in camelCase are others; ``REST``, the field that takes what no other field does;
``WRITTEN``, the field that keeps all of it as it was given.
"""

import dataclasses
import difflib
import enum
import functools
import math
import re
import types
import typing
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final, TypeVar

from wherry.objects.errors import Cause
from wherry.pipelines.ir.messages import Seconds, Value

Message = TypeVar("Message")
UNKNOWN: Final = "FieldValueNotSupported"
WRONG_TYPE: Final = "FieldValueTypeInvalid"
MOST_CAUSES: Final = 100
"""How much is said of one pipeline at once, as of objects that break their schema."""
MOST_DEPTH: Final = 50
"""So many messages may lie in one another."""
Scalars = Mapping[Any, tuple[str, Callable[[Any], Any]]]
"""By the type of a field: what it must be, and what makes it of JSON, None where it is not that."""

_DURATION: Final = re.compile(r"(-?\d{1,12}(?:\.\d{1,9})?)s")
_WORD_START: Final = re.compile(r"_([a-z0-9])")
_SHOWN: Final = 60
_UNIONS: Final = (types.UnionType, typing.Union)
"""All unions here are of something and None."""


def read(
    kind: type[Message], value: Any, path: str = "", *, strict: bool = True
) -> tuple[Message, list[Cause]]:
    """Make a message of a dictionary.

    Args:
        kind: The message.
        value: As JSON.
        path: Where it stands, for what is said of it.
        strict: Whether fields that are not known are wrong; else they are passed over.

    Returns:
        The message, with what could be read, and what is wrong (at most `MOST_CAUSES`).
    """
    reader = Reader(unknown=strict)
    message = reader.message(kind, value, path)
    return message, [*reader.causes, *reader.unknown][:MOST_CAUSES]


@dataclasses.dataclass(frozen=True, slots=True)
class _Field:
    """A field of a message: its name in Python and what reads it."""

    name: str
    hint: Any


@functools.cache
def _fields(kind: Any, *, protocol: bool) -> Mapping[str, _Field]:
    """Return the fields of a message by the names that they may have in JSON, camelCase first."""
    hints = typing.get_type_hints(kind)
    names = _names(kind)
    camel = {name: _Field(field, hints[field]) for field, name in names.items()}
    return camel | {each.name: each for each in camel.values()} if protocol else camel


@functools.cache
def _names(kind: Any) -> Mapping[str, str]:
    """Return the names in JSON of a message's fields."""
    special: Mapping[str, str] = getattr(kind, "NAMES", {})
    apart = {getattr(kind, "REST", ""), getattr(kind, "WRITTEN", "")}
    own = (each.name for each in dataclasses.fields(kind) if each.name not in apart)
    return {name: special.get(name) or json_name(name) for name in own}


@functools.cache
def json_name(name: str) -> str:
    """Return the name that a field has in JSON."""
    return _WORD_START.sub(lambda match: match[1].upper(), name)


def shown(value: Any) -> str:
    """Return a value for a message, cut where it is long."""
    text = repr(value) if isinstance(value, str) else str(value)
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "…"


class Reader:
    """Makes messages, and gathers what is wrong with them.

    Attributes:
        causes: What is wrong, at most `MOST_CAUSES`.
        unknown: Fields that no message has, likewise.
    """

    def __init__(
        self, *, unknown: bool = True, protocol: bool = True, scalars: Scalars | None = None
    ) -> None:
        """Make one.

        Args:
            unknown: Whether fields that are not known are gathered; else they are passed over.
            protocol: Whether fields may also have the names of a ``.proto`` (``cache_key``).
            scalars: Types of single values beside those of JSON.
        """
        self.causes: list[Cause] = []
        self.unknown: list[Cause] = []
        self._gathers = unknown
        self._protocol = protocol
        self._scalars: Scalars = _PLAIN if scalars is None else {**_PLAIN, **scalars}
        self._depth = 0

    def message(self, kind: type[Message], value: Any, path: str) -> Message:
        """Make a message of a dictionary, with what can be read of it.

        Args:
            kind: The message.
            value: As JSON.
            path: Where it stands, for what is said of it.
        """
        if not isinstance(value, Mapping):
            self._expected("an object", value, path)
            return kind()
        if self._depth >= MOST_DEPTH:
            self._wrong(path, f"lies deeper than {MOST_DEPTH} objects in one another")
            return kind()
        self._depth += 1
        given = self._given(kind, value, path)
        self._depth -= 1
        self._one_of(kind, given, path)
        return kind(**given)

    def _given(self, kind: type, value: Mapping[Any, Any], path: str) -> dict[str, Any]:
        known = _fields(kind, protocol=self._protocol)
        given: dict[str, Any] = {}
        rest: dict[Any, Any] = {}
        for key, item in value.items():
            here = f"{path}.{key}" if path else str(key)
            one = known.get(key) if isinstance(key, str) else None
            if one is None:
                rest[key] = item
            elif one.name in given:
                self._wrong(here, f"given twice: {json_name(one.name)} and {one.name} are the same")
            elif item is not None or one.hint == Value | None:
                given[one.name] = self._value(one.hint, item, here)
        if (name := getattr(kind, "REST", "")) and rest:
            given[name] = rest
        elif rest and self._gathers:
            self._not_known(_names(kind), rest, path)
        if name := getattr(kind, "WRITTEN", ""):
            given[name] = value
        return given

    def _one_of(self, kind: type, given: Mapping[str, Any], path: str) -> None:
        for group in getattr(kind, "ONE_OF", ()):
            both = [json_name(name) for name in group if given.get(name) is not None]
            if len(both) > 1:
                self._wrong(path, f"only one of {', '.join(both)} may be given")

    def _value(self, hint: Any, value: Any, path: str) -> Any:
        if dataclasses.is_dataclass(hint):
            return (
                Value(value)
                if hint is Value
                else self.message(typing.cast(type, hint), value, path)
            )
        made = typing.get_origin(hint)
        if made in _UNIONS:
            inner = typing.get_args(hint)[0]
            unset = value == "" and isinstance(inner, type) and issubclass(inner, enum.StrEnum)
            return None if unset else self._value(inner, value, path)
        if made is tuple:
            return tuple(self._items(typing.get_args(hint)[0], value, path))
        if made is not None:
            return dict(self._entries(typing.get_args(hint)[1], value, path))
        if isinstance(hint, type) and issubclass(hint, enum.StrEnum):
            return self._member(hint, value, path)
        return value if hint is Any else self._plain(hint, value, path)

    def _items(self, hint: Any, value: Any, path: str) -> Iterator[Any]:
        if not isinstance(value, list):
            return self._expected("a list", value, path)
        for place, item in enumerate(value):
            yield self._value(hint, item, f"{path}[{place}]")

    def _entries(self, hint: Any, value: Any, path: str) -> Iterator[tuple[str, Any]]:
        if not isinstance(value, Mapping):
            return self._expected("an object", value, path)
        for key, item in value.items():
            here = f"{path}.{key}"
            if not isinstance(key, str):
                self._wrong(here, f"the key {shown(key)} must be a text: put it in quotes")
            else:
                yield key, self._value(hint, item, here)

    def _member(self, hint: type[enum.StrEnum], value: Any, path: str) -> enum.StrEnum:
        members = list(hint)
        if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < len(members):
            return members[value]
        try:
            return hint(value)
        except ValueError:
            accepted = ", ".join(members)
            self._wrong(path, f"unsupported value {shown(value)}, use one of {accepted}", UNKNOWN)
            return members[0]

    def _plain(self, hint: Any, value: Any, path: str) -> Any:
        words, convert = self._scalars[hint]
        found = convert(value)
        if found is None:
            self._expected(words, value, path)
        return found

    def _not_known(self, known: Mapping[str, str], keys: Iterable[Any], path: str) -> None:
        names = [*known.values()]
        for key in keys:
            if len(self.unknown) >= MOST_CAUSES:
                return
            near = difflib.get_close_matches(str(key)[:100], names, 1)
            hint = f"; did you mean {near[0]}?" if near else f"; there is {', '.join(names)}"
            here = f"{path}.{key}" if path else str(key)
            self.unknown.append(Cause(here, f"unknown field{hint}", UNKNOWN))

    def _expected(self, words: str, value: Any, path: str) -> None:
        name = type(value).__name__
        self._wrong(
            path, f"must be {words}, not {shown(value)} ({_WORDS.get(name, name)})", WRONG_TYPE
        )

    def _wrong(self, path: str, message: str, reason: str = "FieldValueInvalid") -> None:
        if len(self.causes) < MOST_CAUSES:
            self.causes.append(Cause(path, message, reason))


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _flag(value: Any) -> bool | None:
    return value if isinstance(value, bool) else None


def _whole(value: Any) -> int | None:
    number = _number(value)
    if number is None or not number.is_integer():
        return None
    return value if isinstance(value, int) else int(number)


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _duration(value: Any) -> float | None:
    match = _DURATION.fullmatch(value) if isinstance(value, str) else None
    return float(match[1]) if match else None


_PLAIN: Final[Scalars] = {
    str: ("a text", _text),
    bool: ("true or false", _flag),
    int: ("a whole number", _whole),
    float: ("a number", _number),
    Seconds: ('a duration in seconds such as "30s"', _duration),
}
_WORDS: Final = {
    "dict": "an object",
    "list": "a list",
    "str": "a text",
    "bool": "a boolean",
    "int": "a number",
    "float": "a number",
    "NoneType": "null",
}
