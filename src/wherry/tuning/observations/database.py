"""The table of reported values. Blocking: for one thread.

Nobody but `store` and the processes that serve Katib's database API import this: SQLAlchemy is large.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final

import sqlalchemy
from sqlalchemy import BigInteger, Column, Index, Integer, MetaData, String, Table, Text

from wherry.metadata import database
from wherry.tuning.observations.record import Owner, Record

_ID: Final = BigInteger().with_variant(Integer, "sqlite")
_TABLES: Final = MetaData()
_LOGS: Final = Table(
    "observation_logs",
    _TABLES,
    Column("id", _ID, primary_key=True, autoincrement=True),
    Column("namespace", String(253), nullable=False),
    Column("trial_name", String(253), nullable=False),
    Column("trial_uid", String(64), nullable=False),
    Column("nanoseconds", BigInteger, nullable=False),
    Column("step", BigInteger),
    Column("metric_name", Text, nullable=False),
    Column("value", Text, nullable=False),
    Column("source", String(128), nullable=False),
    Column("mark", String(128), nullable=False),
    Index("observation_logs_by_trial", "trial_name"),
)
_SCHEMA: Final = database.Schema("tuning", _TABLES)
_NAMES_AT_ONCE: Final = 500


class Database:
    """Connections to one database."""

    def __init__(self, where: str | Path) -> None:
        """Connect, and make the table where it is missing.

        Args:
            where: A URL such as ``postgresql+psycopg://user@host/name``, or a SQLite file.

        Raises:
            DatabaseError: the URL cannot be read, its driver is not installed, nobody answers …
        """
        self._database = database.Database(where, _SCHEMA)

    def add(self, rows: Iterable[tuple[Owner, Record]]) -> None:
        """Store values, all or none.

        Raises:
            DatabaseError: they could not be stored.
        """
        values = [_row(owner, record) for owner, record in rows]
        if values:
            self._write(sqlalchemy.insert(_LOGS), values)

    def of(self, owner: Owner) -> list[Record]:
        """Return a trial's values in the order in which they were stored.

        Raises:
            DatabaseError: they cannot be read.
        """
        return [record for _, record in self._read(_is(owner))]

    def named(self, names: Sequence[str], metric: str) -> list[tuple[Owner, Record]]:
        """Return the values of a metric of several trials, each with whose it is, as stored.

        Raises:
            DatabaseError: they cannot be read.
        """
        found: list[tuple[Owner, Record]] = []
        for start in range(0, len(names), _NAMES_AT_ONCE):
            some = _LOGS.c.trial_name.in_(names[start : start + _NAMES_AT_ONCE])
            found += self._read(sqlalchemy.and_(some, _LOGS.c.metric_name == metric))
        return found

    def delete(self, owner: Owner) -> None:
        """Delete a trial's values.

        Raises:
            DatabaseError: they could not be deleted.
        """
        self._write(sqlalchemy.delete(_LOGS).where(_is(owner)), None)

    def close(self) -> None:
        """Close all connections."""
        self._database.close()

    def _write(self, statement: Any, values: list[dict[str, Any]] | None) -> None:
        # Values can be read again after a loss of power: it need not wait for the disk.
        with self._database.write(durable=False) as connection:
            connection.execute(statement, values)

    def _read(self, condition: Any) -> list[tuple[Owner, Record]]:
        columns = _LOGS.c
        chosen = sqlalchemy.select(
            columns.namespace,
            columns.trial_name,
            columns.trial_uid,
            columns.metric_name,
            columns.value,
            columns.nanoseconds,
            columns.step,
            columns.source,
            columns.mark,
        )
        with self._database.read() as connection:
            rows = connection.execute(chosen.where(condition).order_by(columns.id)).all()
        return [(Owner(*row[:3]), Record(*row[3:])) for row in rows]


def _is(owner: Owner) -> Any:
    """Return the condition for a trial's values; of what was sent nobody knows the uid."""
    columns = _LOGS.c
    named = columns.trial_name == owner.trial
    if not owner.uid:
        return named
    return sqlalchemy.and_(named, columns.trial_uid.in_((owner.uid, "")))


def _row(owner: Owner, record: Record) -> dict[str, Any]:
    return {
        "namespace": owner.namespace,
        "trial_name": owner.trial,
        "trial_uid": owner.uid,
        "nanoseconds": record.nanoseconds,
        "step": record.step,
        "metric_name": record.metric,
        "value": record.value,
        "source": record.source,
        "mark": record.mark,
    }
