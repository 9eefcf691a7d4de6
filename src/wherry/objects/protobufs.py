r"""Decoding `application/vnd.kubernetes.protobuf` bodies into the objects JSON would have brought.

Typed Go clients, kubectl among them, send this form and do not fall back to JSON when it is
refused; so the server must read it. It never has to write it: every client accepts JSON answers.

A body is the four bytes ``k8s\0`` and a `runtime.Unknown` message around the object. What the
numbers in it mean stands in ``data/protobuf_fields.json``, which
``scripts/generate_protobuf_fields.py`` derives from the published definitions::

    {"groups": {API group: folder}, "kinds": {package: [kind]},
     "messages": {package: {message: [[number, JSON name, flag, type]]}}}

A package is ``<folder>/<version>``; a type is a scalar, one of the special types below, ``.Name``
(same package) or ``package.Name``. Flags tell how Go's JSON treats the field: ``[]`` list, ``{}``
map, ``~`` inlined into its parent, ``?`` left out when empty, ``*`` a pointer (a zero is meant),
and nothing for what Go always prints. Nulls, which Go prints for some, are always left out.

Source: `k8s.io/apimachinery/pkg/runtime/serializer/protobuf` (envelope); protobuf's wire format.
"""

import base64
import datetime
import functools
import importlib.resources
import math
import struct
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

import orjson

from wherry.objects.requests import Object

MAGIC: Final = b"k8s\0"
MAX_DEPTH: Final = 100
"""How deep messages may nest; built-in kinds stay far below, only schemas come near."""

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_WIRES: Mapping[str, int] = {"int": _VARINT, "bool": _VARINT, "double": _FIXED64}
_FIRST_SECOND, _LAST_SECOND = -62135596800, 253402300799  # years 1 to 9999
_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)

# A reader takes the number for a varint, else (data, start, stop, depth).
_Read = Callable[..., Any]
_Store = Callable[[dict[str, Any], str, Any], None]


def decode(body: bytes) -> Object:
    """Return the object in an envelope, ``kind`` and ``apiVersion`` included.

    Zeroes that Go would not print as JSON are left out, and so are nulls. Fields that the table
    does not know are skipped, as protobuf wants it.

    Raises:
        ValueError: the body is no such envelope, is cut off, malformed or nested too deep, or
            holds a kind that has no protobuf form.
    """
    try:
        return _read_envelope(body, 0, len(body), 0)
    except UnicodeDecodeError as error:
        raise ValueError("malformed protobuf: a string is not UTF-8") from error


def _read_envelope(data: bytes, start: int, stop: int, depth: int) -> Object:
    if data[start : start + len(MAGIC)] != MAGIC:
        raise ValueError(r"not a Kubernetes protobuf body: it must start with the bytes k8s\0")
    parts = dict(_slices(data, start + len(MAGIC), stop))
    encoding_start, encoding_stop = parts.get(3, (0, 0))
    if encoding_start != encoding_stop:
        raise ValueError("a Kubernetes protobuf body with a content encoding is not accepted")
    names = {
        number: data[slice(*where)].decode()
        for number, where in _slices(data, *parts.get(1, (0, 0)))
    }
    api_version, kind = names.get(1, ""), names.get(2, "")
    message = _table().kind(api_version, kind)
    found: Object = {"kind": kind, "apiVersion": api_version}
    found.update(message.decode(data, *parts.get(2, (0, 0)), depth + 1))
    return found


# --- the wire ---------------------------------------------------------------------------------


def _varint(data: bytes, position: int, end: int) -> tuple[int, int]:
    # Returns the number at this position and the position after it.
    number = shift = 0
    while position < end:
        byte = data[position]
        position += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            break
        shift += 7
        if shift > 63:
            raise ValueError("malformed protobuf: a number has more than 10 bytes")
    else:
        raise ValueError("malformed protobuf: it ends within a number")
    return number & 0xFFFF_FFFF_FFFF_FFFF, position


def _end_of_value(wire: int, data: bytes, position: int, end: int) -> tuple[int, int]:
    # Returns where the value that begins here has its content, and where that stops.
    if wire == _VARINT:
        stop = _varint(data, position, end)[1]
    elif wire == _BYTES:
        length, position = _varint(data, position, end)
        stop = position + length
    elif wire in {_FIXED64, _FIXED32}:
        stop = position + (8 if wire == _FIXED64 else 4)
    else:
        raise ValueError(f"malformed protobuf: wire type {wire} is not used by Kubernetes")
    if stop > end:
        raise ValueError("malformed protobuf: a field is longer than what holds it")
    return position, stop


def _parts(data: bytes, position: int, end: int) -> Iterator[tuple[int, int, int, int]]:
    """Yield number, wire type, start and stop of each field of a small message."""
    while position < end:
        tag, position = _varint(data, position, end)
        start, position = _end_of_value(tag & 7, data, position, end)
        yield tag >> 3, tag & 7, start, position


def _slices(data: bytes, position: int, end: int) -> Iterator[tuple[int, tuple[int, int]]]:
    for number, wire, start, stop in _parts(data, position, end):
        if wire == _BYTES:
            yield number, (start, stop)


def _numbers(data: bytes, position: int, end: int) -> dict[int, int]:
    return {
        number: _read_int(_varint(data, start, stop)[0])
        for number, wire, start, stop in _parts(data, position, end)
        if wire == _VARINT
    }


# --- values -----------------------------------------------------------------------------------


def _read_int(number: int) -> int:
    return number if number < 1 << 63 else number - (1 << 64)


def _read_bool(number: int) -> bool:
    return number != 0


def _read_double(data: bytes, start: int, _stop: int, _depth: int) -> float:
    (number,) = struct.unpack_from("<d", data, start)
    if not math.isfinite(number):
        raise ValueError(f"malformed protobuf: {number} is no number of JSON")
    return float(number)


def _read_string(data: bytes, start: int, stop: int, _depth: int) -> str:
    return data[start:stop].decode()


def _read_bytes(data: bytes, start: int, stop: int, _depth: int) -> str:
    return base64.b64encode(data[start:stop]).decode()


def _read_strings(data: bytes, start: int, stop: int, _depth: int) -> list[str]:
    # Go's named `[]string` types travel as a message of one repeated field.
    return [
        data[slice(*where)].decode() for number, where in _slices(data, start, stop) if number == 1
    ]


def _read_quantity(data: bytes, start: int, stop: int, _depth: int) -> str:
    return "".join(_read_strings(data, start, stop, 0)[-1:]) or "0"


def _read_int_or_string(data: bytes, start: int, stop: int, _depth: int) -> int | str:
    numbers = _numbers(data, start, stop)
    if not numbers.get(1):
        return numbers.get(2, 0)
    texts = dict(_slices(data, start, stop))
    return data[slice(*texts.get(3, (0, 0)))].decode()


def _read_time(data: bytes, start: int, stop: int, _depth: int) -> str | None:
    when = _moment(_numbers(data, start, stop)) if stop > start else None
    return when.strftime("%Y-%m-%dT%H:%M:%SZ").zfill(20) if when else None


def _read_micro_time(data: bytes, start: int, stop: int, _depth: int) -> str | None:
    when = _moment(_numbers(data, start, stop)) if stop > start else None
    return when.strftime("%Y-%m-%dT%H:%M:%S.%fZ").zfill(27) if when else None


def _moment(numbers: dict[int, int]) -> datetime.datetime:
    seconds, nanos = numbers.get(1, 0), numbers.get(2, 0)
    if not (_FIRST_SECOND <= seconds <= _LAST_SECOND and 0 <= nanos < 1_000_000_000):
        raise ValueError("malformed protobuf: a time is not within the years 1 to 9999")
    return _EPOCH + datetime.timedelta(seconds=seconds, microseconds=nanos // 1000)


def _read_duration(data: bytes, start: int, stop: int, _depth: int) -> str:
    nanos = _numbers(data, start, stop).get(1, 0)
    sign, nanos = ("-" if nanos < 0 else ""), abs(nanos)
    if nanos == 0:
        return "0s"
    for unit, size in (("ns", 1), ("\N{MICRO SIGN}s", 1000), ("ms", 1_000_000)):
        if nanos < min(size * 1000, 1_000_000_000):
            return f"{sign}{_fraction(nanos, size)}{unit}"
    minutes, rest = divmod(nanos, 60_000_000_000)
    hours, minutes = divmod(minutes, 60)
    text = f"{hours}h{minutes}m" if hours else f"{minutes}m" if minutes else ""
    return f"{sign}{text}{_fraction(rest, 1_000_000_000)}s"


def _fraction(value: int, size: int) -> str:
    whole, rest = divmod(value, size)
    digits = str(rest).zfill(len(str(size)) - 1).rstrip("0")
    return f"{whole}.{digits}" if rest else str(whole)


def _read_raw(data: bytes, start: int, stop: int, depth: int) -> Any:
    # Embedded JSON; Go puts a whole envelope here when the embedded object is a typed one.
    contents = dict(_slices(data, start, stop))
    start, stop = contents.get(1, (0, 0))
    if start == stop:
        return None
    if data.startswith(MAGIC, start, stop):
        return _read_envelope(data, start, stop, depth)
    try:
        return orjson.loads(data[start:stop])
    except orjson.JSONDecodeError as error:
        raise ValueError(f"malformed protobuf: embedded JSON cannot be read: {error}") from error


_READERS: Mapping[str, _Read] = {
    "int": _read_int,
    "bool": _read_bool,
    "double": _read_double,
    "string": _read_string,
    "bytes": _read_bytes,
    "Strings": _read_strings,
    "Quantity": _read_quantity,
    "IntOrString": _read_int_or_string,
    "Time": _read_time,
    "MicroTime": _read_micro_time,
    "Duration": _read_duration,
    "Raw": _read_raw,
}


def _schema_reader(kind: str, schema: "_Message") -> _Read:
    """Return the reader of a part of a CRD's schema that has two or three shapes in JSON."""

    def read(data: bytes, start: int, stop: int, depth: int) -> Any:
        found: list[tuple[int, Any]] = []
        for number, wire, begin, end in _parts(data, start, stop):
            if number > 2:
                continue
            if wire == _VARINT and number == 1 and kind == "JSONSchemaPropsOrBool":
                found.append((number, _read_bool(_varint(data, begin, end)[0])))
            elif wire != _BYTES:
                raise ValueError(f"malformed protobuf: {kind} has the wrong wire type {wire}")
            elif number == 2 and kind == "JSONSchemaPropsOrStringArray":
                found.append((number, _read_string(data, begin, end, depth)))
            else:
                found.append((number, schema.decode(data, begin, end, depth)))
        return _choose_shape(kind, found)

    return read


def _choose_shape(kind: str, found: list[tuple[int, Any]]) -> Any:
    many = [value for number, value in found if number == 2]
    one = [value for number, value in found if number == 1]
    if kind == "JSONSchemaPropsOrBool":
        return many[-1] if many else bool(one and one[-1])
    return many or (one[-1] if one else None)


# --- storing ----------------------------------------------------------------------------------


def _keep(found: dict[str, Any], name: str, value: Any) -> None:
    if value is not None:
        found[name] = value


def _keep_unless_empty(found: dict[str, Any], name: str, value: Any) -> None:
    if value:
        found[name] = value


def _append(found: dict[str, Any], name: str, value: Any) -> None:
    items = found.get(name)
    if items is None:
        found[name] = [value]
    else:
        items.append(value)


def _put(found: dict[str, Any], name: str, value: tuple[str, Any]) -> None:
    found.setdefault(name, {})[value[0]] = value[1]


def _inline(found: dict[str, Any], _name: str, value: dict[str, Any]) -> None:
    found.update(value)


_STORES: Mapping[str, _Store] = {
    "": _keep,
    "*": _keep,
    "?": _keep_unless_empty,
    "[]": _append,
    "{}": _put,
    "~": _inline,
}


# --- messages ---------------------------------------------------------------------------------


class _Message:
    """One message type; its readers are made when the first one is decoded."""

    __slots__ = ("_fields", "_package", "_rows", "_table", "name")

    def __init__(self, table: "_Table", package: str, name: str, rows: list[list[Any]]) -> None:
        self.name = name
        self._table = table
        self._package = package
        self._rows = rows
        self._fields: dict[int, tuple[str, _Store, _Read]] | None = None

    def decode(self, data: bytes, position: int, end: int, depth: int) -> dict[str, Any]:
        """Return the fields of the message between two positions.

        Raises:
            ValueError: the bytes are no such message, or ``depth`` is above `MAX_DEPTH`.
        """
        if depth > MAX_DEPTH:
            raise ValueError(f"malformed protobuf: nested deeper than {MAX_DEPTH} levels")
        fields = self._fields if self._fields is not None else self._compile()
        found: dict[str, Any] = {}
        while position < end:
            # Most tags and lengths are one byte; the calls are kept for the others.
            tag = data[position]
            position += 1
            if tag > 0x7F:
                tag, position = _varint(data, position - 1, end)
            field = fields.get(tag)
            if field is None:
                position = self._skip(tag, data, position, end)
                continue
            name, store, read = field
            if tag & 7 == _VARINT:
                number, position = _varint(data, position, end)
                store(found, name, read(number))
                continue
            if tag & 7 == _BYTES and position < end and data[position] <= 0x7F:
                stop = position + 1 + data[position]
                position += 1
            else:
                position, stop = _end_of_value(tag & 7, data, position, end)
            if stop > end:
                raise ValueError("malformed protobuf: a field is longer than what holds it")
            store(found, name, read(data, position, stop, depth + 1))
            position = stop
        return found

    def _skip(self, tag: int, data: bytes, position: int, end: int) -> int:
        number = tag >> 3
        known = next((row[1] for row in self._rows if row[0] == number), None)
        if known is not None or number == 0:
            raise ValueError(
                f"malformed protobuf: field {number} ({known or 'none'}) of {self.name}"
                f" has the wrong wire type {tag & 7}"
            )
        return _end_of_value(tag & 7, data, position, end)[1]

    def _compile(self) -> dict[int, tuple[str, _Store, _Read]]:
        fields = {}
        for number, name, flag, kind in self._rows:
            read = self._table.reader(self._package, kind)
            wire = _WIRES.get(kind, _BYTES)
            if flag == "{}":
                read, wire = _map_reader(read), _BYTES
            fields[number << 3 | wire] = (name, _STORES[flag], read)
        self._fields = fields
        return fields


def _map_reader(read_value: _Read) -> _Read:
    """Return the reader of one entry of a map: field 1 is the key, field 2 the value."""

    def read(data: bytes, start: int, stop: int, depth: int) -> tuple[str, Any]:
        key, value = "", read_value(b"", 0, 0, depth)
        for number, wire, begin, end in _parts(data, start, stop):
            # No map of the table has numbers for values.
            if number in {1, 2} and wire != _BYTES:
                raise ValueError(
                    f"malformed protobuf: a map's entry has the wrong wire type {wire}"
                )
            if number == 1:
                key = data[begin:end].decode()
            elif number == 2:
                value = read_value(data, begin, end, depth)
        return key, value

    return read


class _Table:
    """The messages by name, and which kind is which message."""

    def __init__(self, table: dict[str, Any]) -> None:
        self._groups: dict[str, str] = table["groups"]
        self._kinds = {package: frozenset(kinds) for package, kinds in table["kinds"].items()}
        self._rows: dict[str, dict[str, list[list[Any]]]] = table["messages"]
        self._messages: dict[tuple[str, str], _Message] = {}

    def kind(self, api_version: str, kind: str) -> _Message:
        """Return the message of a kind.

        Raises:
            ValueError: the table has no such kind.
        """
        group, _, version = api_version.rpartition("/")
        package = f"{self._groups.get(group)}/{version}"
        if kind in self._kinds.get(package, ()):
            return self.message(package, kind)
        # DeleteOptions and their like come under the version of what they are about.
        if kind in self._kinds["meta/v1"]:
            return self.message("meta/v1", kind)
        raise ValueError(
            f"no protobuf form of kind {kind[:100]!r} in version {api_version[:100]!r} is known;"
            " send application/json"
        )

    def message(self, package: str, name: str) -> _Message:
        """Return a message, the same one each time."""
        key = (package, name)
        if key not in self._messages:
            self._messages[key] = _Message(self, package, name, self._rows[package][name])
        return self._messages[key]

    def reader(self, package: str, kind: str) -> _Read:
        """Return the reader of a type as the table names it, seen from a package."""
        if kind in _READERS:
            return _READERS[kind]
        owner, dot, name = kind.rpartition(".")
        if not dot:
            return _schema_reader(kind, self.message(package, "JSONSchemaProps"))
        return self.message(owner or package, name).decode


@functools.cache
def _table() -> _Table:
    data = importlib.resources.files("wherry.objects").joinpath("data", "protobuf_fields.json")
    return _Table(orjson.loads(data.read_bytes()))
