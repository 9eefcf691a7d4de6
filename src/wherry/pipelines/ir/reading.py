"""Dictionaries into messages, strictly: what is not known, or of the wrong type, is named with its place.

The types of a message's fields say what is read. JSON's forms are those of protocol buffers: names in
camelCase (or as in the ``.proto``), null for what is not given, whole numbers also as texts or as 5.0,
durations as ``30s``, enumerations by name or number.
"""

import dataclasses
import difflib
import enum
import functools
import math
import re
import types
import typing
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, TypeVar

from wherry.objects.errors import Cause
from wherry.pipelines.ir.messages import Seconds, Value

Message = TypeVar("Message")
UNKNOWN: Final = "FieldValueNotSupported"
WRONG_TYPE: Final = "FieldValueTypeInvalid"

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
        The message, with what could be read, and what is wrong.
    """
    reader = _Reader(strict=strict)
    message = reader.message(kind, value, path)
    return message, reader.causes


@dataclasses.dataclass(frozen=True, slots=True)
class _Field:
    """A field of a message: its name in Python and what reads it."""

    name: str
    hint: Any


@functools.cache
def _fields(kind: Any) -> Mapping[str, _Field]:
    """Return the fields of a message by the names that they may have in JSON, camelCase first."""
    hints = typing.get_type_hints(kind)
    own = [_Field(each.name, hints[each.name]) for each in dataclasses.fields(kind)]
    camel = {json_name(each.name): each for each in own}
    return camel | {each.name: each for each in own}


@functools.cache
def json_name(name: str) -> str:
    """Return the name that a field has in JSON."""
    return _WORD_START.sub(lambda match: match[1].upper(), name)


def shown(value: Any) -> str:
    """Return a value for a message, cut where it is long."""
    text = repr(value) if isinstance(value, str) else str(value)
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "…"


class _Reader:
    def __init__(self, *, strict: bool) -> None:
        self.causes: list[Cause] = []
        self._strict = strict

    def message(self, kind: type[Message], value: Any, path: str) -> Message:
        if not isinstance(value, Mapping):
            self._expected("an object", value, path)
            return kind()
        known, given = _fields(kind), {}  # type: ignore[arg-type]  # a class is hashable
        for key, item in value.items():
            here = f"{path}.{key}" if path else str(key)
            one = known.get(key) if isinstance(key, str) else None
            if one is None:
                self._unknown(kind, key, here)
            elif one.name in given:
                self._wrong(here, f"given twice: {json_name(one.name)} and {one.name} are the same")
            elif item is not None or one.hint == Value | None:
                given[one.name] = self._value(one.hint, item, here)
        self._one_of(kind, given, path)
        return kind(**given)

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
            return self._value(typing.get_args(hint)[0], value, path)
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
        words, convert = _PLAIN[hint]
        found = convert(value)
        if found is None:
            self._expected(words, value, path)
        return found

    def _unknown(self, kind: type, key: Any, path: str) -> None:
        if not self._strict:
            return
        names = [json_name(each.name) for each in dataclasses.fields(kind)]
        near = difflib.get_close_matches(str(key)[:100], names, 1)
        hint = f"; did you mean {near[0]}?" if near else f"; there is {', '.join(names)}"
        self._wrong(path, f"unknown field{hint}", UNKNOWN)

    def _expected(self, words: str, value: Any, path: str) -> None:
        name = type(value).__name__
        self._wrong(
            path, f"must be {words}, not {shown(value)} ({_WORDS.get(name, name)})", WRONG_TYPE
        )

    def _wrong(self, path: str, message: str, reason: str = "FieldValueInvalid") -> None:
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


_PLAIN: Final[Mapping[Any, tuple[str, Callable[[Any], Any]]]] = {
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
