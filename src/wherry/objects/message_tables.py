"""Messages of protocol buffers written down as tables: a line a message, nothing generated. Pure.

The fields of a message are text: ``1 string name, 2 Part* parts, 3 map:string labels`` gives number, type
and name of each; ``*`` repeats, ``map:`` is by text, ``@word`` at the end means that of the fields with
this word at most one is set. Enumerations are names in the order of their numbers, from 0; one that is
followed by ``=`` and a number has that one.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

SCALARS: Final = ("string", "bytes", "bool", "int32", "int64", "double")
TIMESTAMP: Final = "Timestamp"
STRUCT: Final = "Struct"
VALUE: Final = "Value"
ANY: Final = "Any"
WELL_KNOWN: Final = (TIMESTAMP, STRUCT, VALUE, ANY)
"""Of ``google.protobuf``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """A field of a message.

    Attributes:
        number: Of it, in protocol buffers.
        name: Of it.
        kind: One of `SCALARS`, one of `WELL_KNOWN`, a message or an enumeration.
        repeated: Whether it is a list.
        mapped: Whether it is a map of texts to that.
        choice: Of the fields of a message with the same word at most one is set.
    """

    number: int
    name: str
    kind: str
    repeated: bool
    mapped: bool
    choice: str

    @property
    def is_many(self) -> bool:
        """Whether it is a list or a map."""
        return self.repeated or self.mapped


def messages(table: Mapping[str, str]) -> dict[str, tuple[Field, ...]]:
    """Return the fields of the messages of a table, by the message's name."""
    return {
        name: tuple(_field(each) for each in text.split(", ") if each)
        for name, text in table.items()
    }


def enumerations(table: Mapping[str, str]) -> dict[str, dict[str, int]]:
    """Return the numbers of the values of a table's enumerations, by their names."""
    return {name: _values(text) for name, text in table.items()}


def _field(text: str) -> Field:
    number, kind, name, *choice = text.split()
    return Field(
        number=int(number),
        name=name,
        kind=kind.removeprefix("map:").removesuffix("*"),
        repeated=kind.endswith("*"),
        mapped=kind.startswith("map:"),
        choice="".join(choice).removeprefix("@"),
    )


def _values(text: str) -> dict[str, int]:
    values: dict[str, int] = {}
    following = 0
    for each in text.split():
        name, _, number = each.partition("=")
        values[name] = int(number or following)
        following = values[name] + 1
    return values
