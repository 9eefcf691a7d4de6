"""The table of reported values, in any database that SQLAlchemy speaks to. Blocking: for one thread.

SQLite needs nothing; PostgreSQL and MySQL need a driver, which is the user's choice (``psycopg``,
``pymysql`` …). Nobody but `store` and the processes that serve Katib's database API import this:
SQLAlchemy is large.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final

import sqlalchemy
from sqlalchemy import BigInteger, Column, Index, Integer, MetaData, String, Table, Text

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
_DIALECTS: Final = ("sqlite", "postgresql", "mysql", "mariadb")
_BUSY_SECONDS: Final = 30
_NAMES_AT_ONCE: Final = 500


class DatabaseError(Exception):
    """The database cannot be used; the message says which and why, without any password."""


class Database:
    """Connections to one database."""

    def __init__(self, where: str | Path) -> None:
        """Connect, and make the table where it is missing.

        Args:
            where: A URL such as ``postgresql+psycopg://user@host/name``, or a SQLite file.

        Raises:
            DatabaseError: the URL cannot be read, its driver is not installed, nobody answers …
        """
        url = _file_url(where) if isinstance(where, Path) else where
        try:
            self._engine = _engine(url)
            _TABLES.create_all(self._engine)
        except sqlalchemy.exc.SQLAlchemyError as error:
            raise DatabaseError(f"{shown(url)}: {_reason(error)}") from error
        self._shown = shown(url)

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
        self._engine.dispose()

    def _write(self, statement: Any, values: list[dict[str, Any]] | None) -> None:
        try:
            with self._engine.begin() as connection:
                connection.execute(statement, values)
        except sqlalchemy.exc.SQLAlchemyError as error:
            raise DatabaseError(f"{self._shown}: {_reason(error)}") from error

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
        try:
            with self._engine.connect() as connection:
                rows = connection.execute(chosen.where(condition).order_by(columns.id)).all()
        except sqlalchemy.exc.SQLAlchemyError as error:
            raise DatabaseError(f"{self._shown}: {_reason(error)}") from error
        return [(Owner(*row[:3]), Record(*row[3:])) for row in rows]


def _file_url(path: Path) -> str:
    return sqlalchemy.URL.create("sqlite", database=str(path)).render_as_string()


def shown(url: str) -> str:
    """Return a URL without its password, for messages."""
    try:
        return sqlalchemy.make_url(url).render_as_string(hide_password=True)
    except sqlalchemy.exc.ArgumentError:
        return "tuning database"


def _engine(url: str) -> sqlalchemy.Engine:
    try:
        parsed = sqlalchemy.make_url(url)
    except sqlalchemy.exc.ArgumentError as error:
        raise DatabaseError(
            "tuning database: the URL cannot be read; write it like sqlite:////folder/file.db or "
            "postgresql+psycopg://user:password@host/name"
        ) from error
    dialect = parsed.get_backend_name()
    if dialect not in _DIALECTS:
        raise DatabaseError(
            f"tuning database: {dialect!r}: there are sqlite, postgresql, mysql and mariadb"
        )
    try:
        engine = sqlalchemy.create_engine(parsed, pool_pre_ping=dialect != "sqlite")
    except ImportError as error:
        raise DatabaseError(
            f"{shown(url)}: the driver is not installed: {error}; install it beside Wherry "
            "(psycopg for postgresql+psycopg://, pymysql for mysql+pymysql://)"
        ) from error
    if dialect == "sqlite":
        sqlalchemy.event.listen(engine, "connect", _set_up_sqlite)
    return engine


def _set_up_sqlite(connection: Any, _: object) -> None:
    # Written while others read; what is committed survives the end of the process, which is what
    # counts for values that can be read again.
    for pragma in (
        "journal_mode=WAL",
        "synchronous=NORMAL",
        f"busy_timeout={_BUSY_SECONDS * 1000}",
    ):
        connection.execute(f"PRAGMA {pragma}")


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


def _reason(error: sqlalchemy.exc.SQLAlchemyError) -> str:
    return str(getattr(error, "orig", None) or error).strip().splitlines()[0]
