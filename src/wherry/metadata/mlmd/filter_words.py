"""The words of filter queries, and what they may ask for. Pure.

Source: google/ml-metadata 1.17, ``ListOperationOptions.filter_query`` (a subset of ZetaSQL's expressions).
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from wherry.metadata.mlmd.kinds import ARTIFACT, CONTEXT, EXECUTION, Kind
from wherry.objects import errors

ACCEPTED: Final = (
    "want comparisons (=, !=, <, <=, >, >=, LIKE, IN, BETWEEN, IS NULL) of id, type_id, type, name, "
    "external_id, create_time_since_epoch, last_update_time_since_epoch, uri and state of artifacts, "
    "last_known_state of executions, properties.NAME.int_value (double_value, string_value, bool_value), "
    "custom_properties.NAME.…, contexts_X.name, events_X.type, parent_contexts_X.name and "
    "child_contexts_X.name with values, joined by AND, OR, NOT and parentheses"
)
INT: Final = "int"
DOUBLE: Final = "double"
TEXT: Final = "text"
BOOL: Final = "bool"
ENUM: Final = "enum"
_TOKEN: Final = re.compile(
    r"\s*(?:(?P<number>\d+\.?\d*(?:[eE][+-]?\d+)?|\.\d+)"
    r"|(?P<text>'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\")"
    r"|(?P<word>[A-Za-z_]\w*|`[^`]+`)"
    r"|(?P<sign><=|>=|!=|<>|[=<>(),.-]))"
)
_ESCAPED: Final = re.compile(r"\\(.)")
_MOST_CHARACTERS: Final = 4096
_SHOWN: Final = 60
_ARTIFACT_STATES: Final = "UNKNOWN PENDING LIVE MARKED_FOR_DELETION DELETED ABANDONED REFERENCE"
_EXECUTION_STATES: Final = "UNKNOWN NEW RUNNING COMPLETE FAILED CACHED CANCELED"
_EVENTS: Final = "UNKNOWN DECLARED_OUTPUT DECLARED_INPUT INPUT OUTPUT INTERNAL_INPUT INTERNAL_OUTPUT PENDING_OUTPUT"


@dataclass(frozen=True, slots=True)
class Word:
    """A word of a query.

    Attributes:
        kind: ``number``, ``text``, ``word``, ``quoted`` (a name in backquotes), ``sign`` or ``end``.
        value: What it says.
        at: Where it begins.
    """

    kind: str
    value: Any
    at: int

    @property
    def upper(self) -> str:
        """As words that mean something are compared."""
        return str(self.value).upper() if self.kind in ("word", "sign") else ""


@dataclass(frozen=True, slots=True)
class Attribute:
    """What a query asks of a node.

    Attributes:
        alias: Of the context or event that is meant, such as ``contexts_a``; empty: the node itself.
        path: Of the field in its message.
        kind: Of the values: `INT`, `DOUBLE`, `TEXT`, `BOOL` or `ENUM`.
        names: Of an enumeration, its numbers.
    """

    alias: str
    path: tuple[str, ...]
    kind: str
    names: Mapping[str, int]


def words(query: str) -> Iterator[Word]:
    """Give the words of a query; the last says that it ends.

    Raises:
        BadRequestError: it is too long, or holds what is no word.
    """
    if len(query) > _MOST_CHARACTERS:
        raise refused(f"it has {len(query)} characters; at most {_MOST_CHARACTERS} are taken")
    query, at = query.rstrip(), 0
    while at < len(query):
        found = _TOKEN.match(query, at)
        if found is None:
            raise refused(f"{query[at : at + _SHOWN]!r} cannot be read")
        yield _word(found)
        at = found.end()
    yield Word("end", "the end", at)


def refused(why: str) -> errors.BadRequestError:
    """Return what is told of a query that cannot be understood."""
    return errors.BadRequestError(f"filter_query: {why}; {ACCEPTED}")


def _word(found: re.Match[str]) -> Word:
    kind, text = str(found.lastgroup), found[str(found.lastgroup)]
    if kind == "number":
        return Word(kind, int(text) if text.isdecimal() else float(text), found.start(kind))
    if kind == "text":
        return Word(kind, _ESCAPED.sub(r"\1", text[1:-1]), found.start(kind))
    if text.startswith("`"):
        return Word("quoted", text[1:-1], found.start(kind))
    return Word(kind, text, found.start(kind))


def _numbers(names: str) -> dict[str, int]:
    return {name: number for number, name in enumerate(names.split())}


_NONE: Final[Mapping[str, int]] = {}
_TIMES: Final = {"create_time_since_epoch": INT, "last_update_time_since_epoch": INT}
_COMMON: Final = {
    "id": INT,
    "type_id": INT,
    "type": TEXT,
    "name": TEXT,
    "external_id": TEXT,
    **_TIMES,
}
_FIELDS: Final = {
    ARTIFACT.name: {**_COMMON, "uri": TEXT, "state": ENUM},
    EXECUTION.name: {**_COMMON, "last_known_state": ENUM},
    CONTEXT.name: _COMMON,
}
_LINKED: Final = {"id": INT, "name": TEXT, "type": TEXT, **_TIMES}
_EVENT: Final = {
    "artifact_id": INT,
    "execution_id": INT,
    "type": ENUM,
    "milliseconds_since_epoch": INT,
}
_ALIASES: Final = {
    "contexts_": ((ARTIFACT.name, EXECUTION.name), _LINKED),
    "events_": ((ARTIFACT.name, EXECUTION.name), _EVENT),
    "parent_contexts_": ((CONTEXT.name,), _LINKED),
    "child_contexts_": ((CONTEXT.name,), _LINKED),
}
_ENUMS: Final = {
    "state": _numbers(_ARTIFACT_STATES),
    "last_known_state": _numbers(_EXECUTION_STATES),
    "type": _numbers(_EVENTS),
}
_VALUES: Final = {
    "int_value": INT,
    "double_value": DOUBLE,
    "string_value": TEXT,
    "bool_value": BOOL,
}
_PROPERTIES: Final = ("properties", "custom_properties")


def attribute(kind: Kind, names: tuple[str, ...]) -> Attribute:
    """Return what a name in a query means.

    Raises:
        BadRequestError: nothing.
    """
    match names:
        case (field,) if field in _FIELDS[kind.name]:
            return _attribute("", field, _FIELDS[kind.name][field])
        case (map_, name, value) if map_ in _PROPERTIES and value in _VALUES:
            return Attribute("", (map_, name, value), _VALUES[value], _NONE)
        case (alias, field):
            for prefix, (kinds, fields) in _ALIASES.items():
                if alias.startswith(prefix) and kind.name in kinds and field in fields:
                    return _attribute(alias, field, fields[field])
    raise refused(f"{'.'.join(names)[:_SHOWN]!r} is nothing that {kind.name}s have")


def _attribute(alias: str, field: str, kind: str) -> Attribute:
    return Attribute(alias, (field,), kind, _ENUMS[field] if kind == ENUM else _NONE)


def source(alias: str) -> str:
    """Return what an alias is of: ``contexts``, ``events``, ``parent_contexts`` or ``child_contexts``."""
    return next(prefix for prefix in _ALIASES if alias.startswith(prefix)).rstrip("_")
