"""Lists of things that are objects: filtered, sorted and cut into pages here. Pure.

What a list is asked for is the same as of those that databases answer (`history.query`).
"""

import hashlib
import operator
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from wherry.objects.requests import Object
from wherry.pipelines.history.query import Cursor, Key, Operation, Page, Predicate, Query, Value

TAGS: Final = "tags."
"""What the key of a tag begins with."""
_NUMBER_BYTES: Final = 7
_COMPARED: Final[Mapping[Operation, Callable[[Any, Any], bool]]] = {
    Operation.EQUALS: operator.eq,
    Operation.NOT_EQUALS: operator.ne,
    Operation.GREATER_THAN: operator.gt,
    Operation.GREATER_THAN_EQUALS: operator.ge,
    Operation.LESS_THAN: operator.lt,
    Operation.LESS_THAN_EQUALS: operator.le,
    Operation.IN: lambda value, wanted: value in wanted,
    Operation.IS_SUBSTRING: lambda value, wanted: wanted in value,
}


def tagged(name: str) -> Key | None:
    """Return the key of a tag, ``tags.team``; None: the name is of something else."""
    if name.startswith(TAGS) and len(name) > len(TAGS):
        return Key(name, sorts=False, is_exact=True)
    return None


@dataclass(frozen=True, slots=True)
class Row:
    """A thing in a list.

    Attributes:
        object: As it is stored.
        uid: Its id.
        values: By the fields of keys; a tag that it does not have is not there.
    """

    object: Object
    uid: str
    values: Mapping[str, Value]

    @property
    def number(self) -> int:
        """A number for the cursor, which tells things of the same value apart."""
        digest = hashlib.sha256(self.uid.encode()).digest()
        return int.from_bytes(digest[:_NUMBER_BYTES])


def page(rows: Iterable[Row], query: Query, keys: Mapping[str, Key]) -> Page[Row]:
    """Return the part of a list that a query asks for."""
    field, descending = keys[query.order.key].field, query.order.descending

    def place(row: Row) -> tuple[Any, int]:
        return row.values[field], row.number

    chosen = [row for row in rows if all(_holds(row, each, keys) for each in query.where)]
    chosen.sort(key=place, reverse=descending)
    after = query.after
    if after is None:
        rest = chosen
    else:
        beyond = operator.lt if descending else operator.gt
        rest = [row for row in chosen if beyond(place(row), (after.value, after.row))]
    items = tuple(rest[: query.limit])
    more = Cursor(*place(items[-1])) if len(rest) > len(items) else None
    return Page(items=items, after=more, total=len(chosen))


def _holds(row: Row, predicate: Predicate, keys: Mapping[str, Key]) -> bool:
    value = row.values.get(keys[predicate.key].field)
    return value is not None and _COMPARED[predicate.operation](value, predicate.value)
