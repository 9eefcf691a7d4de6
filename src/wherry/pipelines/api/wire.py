"""Messages as JSON: what comes in is checked and put into one form, what goes out as upstream writes it. Pure.

In: fields by either spelling (``run_id``, ``runId``), nothing that the message does not have; whole
numbers also as texts, enumerations also as numbers. Out: names as in `messages`, what is not set left
out, whole numbers of 64 bits as texts.

Source: the JSON mapping of proto3 (https://protobuf.dev/programming-guides/json/).
"""

import datetime
import json
import math
import sys
from collections.abc import Iterable, Mapping
from typing import Any, Final

from wherry.objects import errors, message_tables
from wherry.objects.message_tables import Field
from wherry.objects.requests import Object
from wherry.pipelines.api import messages

MOST_DEEP: Final = 100
"""How many messages, lists and maps may be within one another: as protocol buffers have it."""
_EPOCH: Final = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
_MILLISECOND: Final = datetime.timedelta(milliseconds=1)
_BITS: Final = {"int32": 31, "int64": 63}
_SHOWN: Final = 80
_TRUTHS: Final = {"true": True, "false": False, "1": True, "0": False, "t": True, "f": False}


def parse(body: bytes) -> Any:
    """Return JSON that was sent; nothing is the empty object.

    Raises:
        BadRequestError: it is none, or holds what no database takes.
    """
    try:
        value = json.loads(body or b"{}", parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise errors.BadRequestError(f"the body is not JSON: {str(error)[:_SHOWN]}") from error
    check_plain(value)
    return value


def read(message: str, value: Any, path: str = "") -> Object:
    """Return a message in the form of `call.Handler`.

    Args:
        message: Its name.
        value: As it was sent.
        path: Where it is, for errors.

    Raises:
        BadRequestError: it is not of that message; the error names the field.
    """
    if not isinstance(value, dict):
        raise _refused(path, value, f"a {message} (an object)")
    known = _SPELLINGS[message]
    made: Object = {}
    for name, each in value.items():
        field = known.get(name)
        if field is None:
            told = ", ".join(field.name for field in messages.MESSAGES[message]) or "none"
            raise errors.BadRequestError(
                f"{_below(path, name)}: unknown field; {message} has {told}"
            )
        if each is not None or (field.kind == message_tables.VALUE and not field.is_many):
            _put(made, field, _value(field, each, _below(path, field.name)), path)
    _check_choices(message, made, path)
    return made


def read_query(message: str, items: Iterable[tuple[str, str]]) -> Object:
    """Return what the query of a URL says of a message: ``page_size=5``, ``pipeline.name=x``.

    What the message does not have is left alone, as upstream does.

    Raises:
        BadRequestError: a value is not of its field's type, or a name leads into what has no fields.
    """
    made: Object = {}
    for name, text in items:
        target, kind, field = made, message, None
        for part in name.split("."):
            if field is not None:
                if field.is_many or field.kind not in messages.MESSAGES:
                    raise errors.BadRequestError(
                        f"{name[:_SHOWN]}: {field.name} has no fields that a URL's query could name"
                    )
                target, kind = target.setdefault(field.name, {}), field.kind
            field = _SPELLINGS[kind].get(part)
            if field is None:
                break
        if field is not None:
            check_plain(text)
            _put_text(target, field, text, name)
    return made


def write(message: str, value: Object) -> Object:
    """Return an answer as JSON."""
    return {
        field.name: _written(field, value[field.name])
        for field in messages.MESSAGES[message]
        if _is_set(field, value.get(field.name))
    }


def instant(text: str, path: str) -> str:
    """Return a time in the one form in which handlers have it: in UTC, to the millisecond.

    Raises:
        BadRequestError: it is none.
    """
    return format_instant(milliseconds(text, path))


def milliseconds(text: str, path: str) -> int:
    """Return a time in milliseconds since 1970 UTC.

    Args:
        text: As it was sent.
        path: Where it is, for errors.

    Raises:
        BadRequestError: it is none.
    """
    try:
        at = datetime.datetime.fromisoformat(text)
        if "T" not in text.upper() or at.tzinfo is None:
            raise ValueError("incomplete")
        return (at - _EPOCH) // _MILLISECOND
    except (ValueError, OverflowError) as error:
        raise _refused(path, text, "a time such as 2026-01-31T12:00:00Z") from error


def format_instant(milliseconds: int) -> str:
    """Return a time in milliseconds since 1970 UTC in the form in which handlers have it."""
    at = _EPOCH + milliseconds * _MILLISECOND
    text = at.isoformat(timespec="milliseconds" if at.microsecond else "seconds")
    return text.replace("+00:00", "Z")


def _camel(name: str) -> str:
    first, *further = name.split("_")
    return first + "".join(part.capitalize() for part in further)


_SPELLINGS: Final = {
    message: {spelling: field for field in fields for spelling in (_camel(field.name), field.name)}
    for message, fields in messages.MESSAGES.items()
}


def _is_set(field: Field, value: Any) -> bool:
    if value is None or (field.is_many and not value):
        return False
    if field.choice or field.kind == message_tables.VALUE or not isinstance(value, str | int):
        return True
    if field.kind in messages.ENUMS:
        return bool(messages.ENUMS[field.kind][str(value)])
    return bool(value)


def _put(made: Object, field: Field, value: Any, path: str) -> None:
    if field.name in made:
        raise errors.BadRequestError(f"{_below(path, field.name)}: is there twice")
    made[field.name] = value


def _put_text(made: Object, field: Field, text: str, path: str) -> None:
    if field.mapped or field.kind in messages.MESSAGES:
        raise errors.BadRequestError(f"{path}: is no part of a URL's query; send it as JSON")
    if field.kind == "bool":
        value: Any = _TRUTHS.get(text.lower(), text)
    elif field.kind in messages.ENUMS:
        value = int(text) if text.isascii() and text.isdecimal() else text
    else:
        value = text
    read_value = _one(field, value, path)
    if field.repeated:
        made.setdefault(field.name, []).append(read_value)
    else:
        made[field.name] = read_value


def _value(field: Field, value: Any, path: str) -> Any:
    if field.mapped:
        if not isinstance(value, dict):
            raise _refused(path, value, "an object")
        return {name: _one(field, each, f"{path}[{name}]") for name, each in value.items()}
    if field.repeated:
        if not isinstance(value, list):
            raise _refused(path, value, "a list")
        return [_one(field, each, f"{path}[{index}]") for index, each in enumerate(value)]
    return _one(field, value, path)


def _one(field: Field, value: Any, path: str) -> Any:
    kind = field.kind
    if kind in messages.MESSAGES:
        return read(kind, value, path)
    if kind in messages.ENUMS:
        return _enum(kind, value, path)
    if kind in _BITS:
        return _whole(kind, value, path)
    if kind == "double":
        return _number(value, path)
    if kind == message_tables.VALUE:
        return value
    wanted, told = _PLAIN[kind]
    if not isinstance(value, wanted):
        raise _refused(path, value, told)
    return instant(str(value), path) if kind == message_tables.TIMESTAMP else value


_PLAIN: Final[Mapping[str, tuple[type, str]]] = {
    "string": (str, "a text"),
    "bool": (bool, "true or false"),
    message_tables.TIMESTAMP: (str, "a time such as 2026-01-31T12:00:00Z"),
    message_tables.STRUCT: (dict, "an object"),
    message_tables.ANY: (dict, "an object"),
}


def _enum(kind: str, value: Any, path: str) -> str:
    numbers = messages.ENUMS[kind]
    if isinstance(value, str) and value in numbers:
        return value
    for name, number in numbers.items():
        if value == number and type(value) is int:
            return name
    raise _refused(path, value, f"one of {', '.join(numbers)}")


def _whole(kind: str, value: Any, path: str) -> int:
    most = 1 << _BITS[kind]
    try:
        number = int(value) if not isinstance(value, bool) else None
    except (TypeError, ValueError, OverflowError):
        number = None
    exact = number is not None and (isinstance(value, str) or number == value)
    if number is None or not exact or not -most <= number < most:
        raise _refused(path, value, f"a whole number from {-most} to {most - 1}")
    return number


def _number(value: Any, path: str) -> float:
    try:
        number = float(value) if isinstance(value, str | int | float) else math.nan
    except (ValueError, OverflowError):
        number = math.nan
    if isinstance(value, bool) or not math.isfinite(number):
        raise _refused(path, value, "a number")
    return number


def _check_choices(message: str, made: Object, path: str) -> None:
    chosen: dict[str, str] = {}
    for field in messages.MESSAGES[message]:
        if field.choice and field.name in made:
            other = chosen.setdefault(field.choice, field.name)
            if other != field.name:
                raise errors.BadRequestError(
                    f"{_below(path, field.name)}: cannot be given beside {other}; give one of them"
                )


def _written(field: Field, value: Any) -> Any:
    if field.mapped:
        return {name: _written_one(field, each) for name, each in value.items()}
    if field.repeated:
        return [_written_one(field, each) for each in value]
    return _written_one(field, value)


def _written_one(field: Field, value: Any) -> Any:
    if field.kind in messages.MESSAGES:
        return write(field.kind, value)
    return str(value) if field.kind == "int64" else value


def check_plain(value: Any, depth: int = 0) -> None:
    """Refuse texts that are no Unicode or hold a NUL, and what is too deep."""
    if depth > MOST_DEEP:
        raise errors.BadRequestError(f"the body is nested more than {MOST_DEEP} deep")
    if isinstance(value, str):
        if "\0" in value or not _is_unicode(value):
            raise errors.BadRequestError(
                f"a text holds a character that cannot be kept: {ascii(value)[:_SHOWN]}"
            )
    elif isinstance(value, float) and not math.isfinite(value):
        raise errors.BadRequestError(
            f"a number is too large; up to {sys.float_info.max} can be kept"
        )
    elif isinstance(value, dict):
        for name, each in value.items():
            check_plain(name, depth)
            check_plain(each, depth + 1)
    elif isinstance(value, list):
        for each in value:
            check_plain(each, depth + 1)


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is no number of JSON")


def _below(path: str, name: str) -> str:
    return f"{path}.{name[:_SHOWN]}" if path else name[:_SHOWN]


def _refused(path: str, value: Any, wanted: str) -> errors.BadRequestError:
    shown = json.dumps(value, default=str)[:_SHOWN]
    return errors.BadRequestError(f"{path or 'the body'}: {shown}: want {wanted}")
