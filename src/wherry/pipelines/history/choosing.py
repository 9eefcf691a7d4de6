"""What is asked of a list, as SQL."""

import sys
from collections.abc import Mapping
from typing import Any, Final

import sqlalchemy
from sqlalchemy import Connection, Table

from wherry.pipelines.history import tables
from wherry.pipelines.history.query import Key, Operation, Order, Predicate, Query

_COMPARED: Final = {
    Operation.EQUALS: "__eq__",
    Operation.NOT_EQUALS: "__ne__",
    Operation.GREATER_THAN: "__gt__",
    Operation.GREATER_THAN_EQUALS: "__ge__",
    Operation.LESS_THAN: "__lt__",
    Operation.LESS_THAN_EQUALS: "__le__",
}
_LOWEST: Final = -sys.float_info.max
"""Stands for a metric that a run does not have: not every database has an infinity."""
_POSITION: Final = {"postgresql": "strpos"}
"""The function that finds a text in a text as it is written; elsewhere it is ``instr``."""


class Choice:
    """Which rows of a table are asked for."""

    def __init__(
        self, connection: Connection, table: Table, keys: Mapping[str, Key], query: Query
    ) -> None:
        """Read what is asked.

        Raises:
            ValueError: there is no such key, or no list is sorted by it, or it is compared with what
                it never is.
        """
        self._connection = connection
        self._table = table
        self._query = query
        key = _sorting(keys, query.order)
        self._sorted = key.field
        self._measured = _measured(key.measured) if key.measured else None
        self._conditions = [
            _condition(connection, table, keys, predicate) for predicate in query.where
        ]
        if query.namespaces is not None:
            self._conditions.append(table.c.namespace.in_(query.namespaces))

    @property
    def sorted_by(self) -> str:
        """The column that the rows are sorted by."""
        return self._sorted

    def count(self) -> int:
        """Return how many rows there are in all pages."""
        counted = sqlalchemy.select(sqlalchemy.func.count()).select_from(self._table)
        return int(self._connection.execute(counted.where(*self._conditions)).scalar_one())

    def select(self) -> Any:
        """Return the statement for the rows of the page, and one more where there are more."""
        number, descending = self._table.c.id, self._query.order.descending
        value, wanted = self._sorted_rows()
        after = self._query.after
        if after is not None:
            compare = "__lt__" if descending else "__gt__"
            beyond = getattr(value, compare)(after.value)
            same = sqlalchemy.and_(value == after.value, getattr(number, compare)(after.row))
            # The first says the same as the second, in a form that every database finds in an index.
            bound = value <= after.value if descending else value >= after.value
            wanted = wanted.where(bound, sqlalchemy.or_(beyond, same))
        sorted_by: tuple[Any, Any] = (
            (value.desc(), number.desc()) if descending else (value, number)
        )
        return wanted.order_by(*sorted_by).limit(self._query.limit + 1)

    def _sorted_rows(self) -> tuple[Any, Any]:
        """Return what the rows are sorted by, and the statement for all of them."""
        if self._measured is None:
            chosen = sqlalchemy.select(self._table).where(*self._conditions)
            return self._table.c[self._sorted], chosen
        of = self._measured.c
        lowest = sqlalchemy.literal(_LOWEST, sqlalchemy.Double)
        value = sqlalchemy.func.coalesce(of.number, lowest)
        joined = self._table.outerjoin(self._measured, of.run_id == self._table.c.run_id)
        rows = sqlalchemy.select(self._table, value.label(self._sorted)).select_from(joined)
        return value, rows.where(*self._conditions)


def _measured(name: str) -> sqlalchemy.Subquery:
    """Return the value of a metric by run; of several nodes' the largest."""
    table = tables.METRICS
    largest = sqlalchemy.func.max(table.c.number).label("number")
    wanted = sqlalchemy.select(table.c.run_id, largest).where(table.c.name == name)
    return wanted.group_by(table.c.run_id).subquery()


def _sorting(keys: Mapping[str, Key], order: Order) -> Key:
    key = _known(keys, order.key)
    if not key.sorts:
        able = ", ".join(sorted(name for name, each in keys.items() if each.sorts))
        raise ValueError(f"{order.key}: lists are not sorted by it; they are by {able}")
    return key


def _known(keys: Mapping[str, Key], name: str) -> Key:
    if name not in keys:
        raise ValueError(f"{name[:80]!r} is no key; there are {', '.join(sorted(keys))}")
    return keys[name]


def _condition(
    connection: Connection, table: Table, keys: Mapping[str, Key], predicate: Predicate
) -> Any:
    key = _known(keys, predicate.key)
    if key.measured:
        raise ValueError(f"{predicate.key}: lists are sorted by metrics, and not filtered")
    column = table.c[key.field]
    several = predicate.value if isinstance(predicate.value, tuple) else (predicate.value,)
    wanted = int if key.is_time else str
    if any(not isinstance(each, wanted) for each in several):
        kind = "times" if key.is_time else "texts"
        raise ValueError(f"{predicate.key} is compared with {kind}, and not with {several!r}")
    if predicate.operation is Operation.IN:
        return column.in_(several)
    if len(several) != 1:
        raise ValueError(f"{predicate.key}: only IN compares with several values")
    if predicate.operation is Operation.IS_SUBSTRING:
        if key.is_time:
            raise ValueError(f"{predicate.key} is a time: IS_SUBSTRING is for texts")
        position = getattr(sqlalchemy.func, _POSITION.get(connection.dialect.name, "instr"))
        return position(column, sqlalchemy.literal(several[0], sqlalchemy.Text)) > 0
    return getattr(column, _COMPARED[predicate.operation])(several[0])
