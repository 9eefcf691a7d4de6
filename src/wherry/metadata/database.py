"""A database that SQLAlchemy speaks to, opened by URL and brought to the newest schema. Blocking: for one thread.

SQLite needs nothing; PostgreSQL and MySQL need a driver, which is the user's choice (``psycopg``,
``pymysql`` …). SQLAlchemy is large: what runs all the time imports this only once it is needed.
"""

import contextlib
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import sqlalchemy
from sqlalchemy import Column, Integer, MetaData, String, Table

from wherry.metadata.errors import DatabaseError, DuplicateError, UnstorableError

_DIALECTS: Final = ("sqlite", "postgresql", "mysql", "mariadb")
_BUSY_SECONDS: Final = 30
_AGAIN_SECONDS: Final = 0.02
_LOCKS: Final = {
    "sqlite": "BEGIN IMMEDIATE",
    "postgresql": "SELECT pg_advisory_xact_lock(7735927)",
    "mysql": f"SELECT GET_LOCK('wherry_schemas', {_BUSY_SECONDS})",
    "mariadb": f"SELECT GET_LOCK('wherry_schemas', {_BUSY_SECONDS})",
}
"""How one process at a time changes tables, by dialect. Of PostgreSQL any number that is ours."""
_UNLOCKS: Final = dict.fromkeys(("mysql", "mariadb"), "SELECT RELEASE_LOCK('wherry_schemas')")
_SYNCHRONOUS: Final = {True: "PRAGMA synchronous=FULL", False: "PRAGMA synchronous=NORMAL"}
_VERSIONS: Final = Table(
    "wherry_schemas",
    MetaData(),
    Column("name", String(64), primary_key=True),
    Column("version", Integer, nullable=False),
)


@dataclass(frozen=True, slots=True)
class Schema:
    """Tables, and how those of older versions become these.

    Attributes:
        name: Of the part of Wherry that they belong to; the database keeps its version under it.
        tables: As they are now.
        steps: The first makes version 2 of version 1, and so on. Each may be done again where it was
            broken off: MySQL does not take changes of tables back.
    """

    name: str
    tables: MetaData
    steps: Sequence[Callable[[sqlalchemy.Connection], None]] = ()

    @property
    def version(self) -> int:
        """Of the tables as they are now."""
        return 1 + len(self.steps)


class Database:
    """Connections to one database."""

    def __init__(self, where: str | Path, schema: Schema) -> None:
        """Connect, and bring the tables to the newest version.

        Args:
            where: A URL such as ``postgresql+psycopg://user@host/name``, or a SQLite file.
            schema: The tables.

        Raises:
            DatabaseError: the URL cannot be read, its driver is not installed, nobody answers …
        """
        url = _file_url(where) if isinstance(where, Path) else where
        self._what = f"{schema.name} database"
        self._shown = shown(url, self._what)
        with self._told():
            self._engine = self._opened(url)
            try:
                self._prepare(schema)
            except BaseException:
                self._engine.dispose()
                raise

    @contextlib.contextmanager
    def write(self, *, durable: bool = True) -> Iterator[sqlalchemy.Connection]:
        """Give a transaction, which is committed at the end and taken back when something is raised.

        Args:
            durable: Of SQLite: it is on disk at the end. Otherwise it is from the next on that is
                durable; a loss of power before that undoes it, the end of the process does not.

        Raises:
            DuplicateError: a row is there already.
            DatabaseError: what was done with it, or the commit, has failed.
        """
        with self._told(), self._engine.begin() as connection:
            if connection.dialect.name == "sqlite":
                connection.exec_driver_sql(_SYNCHRONOUS[durable])
            yield connection

    @contextlib.contextmanager
    def read(self) -> Iterator[sqlalchemy.Connection]:
        """Give a connection to read with.

        Raises:
            DatabaseError: what was done with it has failed.
        """
        with self._told(), self._engine.connect() as connection:
            yield connection

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except sqlalchemy.exc.IntegrityError as error:
            raise DuplicateError(f"{self._shown}: {_reason(error)}") from error
        except sqlalchemy.exc.StatementError as error:
            # What the columns' own types say of a value, before any database has seen it.
            refused = isinstance(error.orig, ValueError | TypeError | RecursionError)
            kind = UnstorableError if refused else DatabaseError
            raise kind(f"{self._shown}: {_reason(error)}") from error
        except sqlalchemy.exc.SQLAlchemyError as error:
            raise DatabaseError(f"{self._shown}: {_reason(error)}") from error

    def _opened(self, url: str) -> sqlalchemy.Engine:
        try:
            parsed = sqlalchemy.make_url(url)
        except sqlalchemy.exc.ArgumentError as error:
            raise DatabaseError(
                f"{self._what}: the URL cannot be read; write it like sqlite:////folder/file.db or "
                "postgresql+psycopg://user:password@host/name"
            ) from error
        dialect = parsed.get_backend_name()
        if dialect not in _DIALECTS:
            raise DatabaseError(
                f"{self._what}: {dialect!r}: there are sqlite, postgresql, mysql and mariadb"
            )
        try:
            engine = sqlalchemy.create_engine(parsed, pool_pre_ping=dialect != "sqlite")
        except ImportError as error:
            raise DatabaseError(
                f"{self._shown}: the driver is not installed: {error}; install it beside Wherry "
                "(psycopg for postgresql+psycopg://, pymysql for mysql+pymysql://)"
            ) from error
        if dialect == "sqlite":
            sqlalchemy.event.listen(engine, "connect", _set_up_sqlite)
        return engine

    def _prepare(self, schema: Schema) -> None:
        with self._engine.begin() as connection:
            self._lock(connection)
            fresh = not _has_any(connection, schema.tables)
            _VERSIONS.metadata.create_all(connection)
            schema.tables.create_all(connection)
            self._migrate(connection, schema, fresh=fresh)
            unlock = _UNLOCKS.get(connection.dialect.name)
            if unlock:
                connection.exec_driver_sql(unlock)

    def _lock(self, connection: sqlalchemy.Connection) -> None:
        """Keep out other processes, which open the same database at this moment."""
        dialect = connection.dialect.name
        got = connection.exec_driver_sql(_LOCKS[dialect])
        # Others say by an error that they have not got it.
        if dialect in _UNLOCKS and got.scalar() != 1:
            raise DatabaseError(
                f"{self._shown}: another process has been changing its tables for {_BUSY_SECONDS} s; "
                "try again when it is done"
            )

    def _migrate(self, connection: sqlalchemy.Connection, schema: Schema, *, fresh: bool) -> None:
        wanted = _VERSIONS.c.name == schema.name
        known = connection.execute(sqlalchemy.select(_VERSIONS.c.version).where(wanted))
        # Tables from before there were versions are of the first.
        found = known.scalar_one_or_none() or (schema.version if fresh else 1)
        if found > schema.version:
            raise DatabaseError(
                f"{self._shown}: its tables are of version {found} and this Wherry knows those up "
                f"to {schema.version}: it was used by a newer one"
            )
        for step in schema.steps[found - 1 :]:
            step(connection)
        connection.execute(sqlalchemy.delete(_VERSIONS).where(wanted))
        row = {"name": schema.name, "version": schema.version}
        connection.execute(sqlalchemy.insert(_VERSIONS), row)


def shown(url: str, what: str = "database") -> str:
    """Return a URL without its password, for messages.

    Args:
        url: The URL.
        what: What to call a database whose URL cannot be read.
    """
    try:
        return sqlalchemy.make_url(url).render_as_string(hide_password=True)
    except sqlalchemy.exc.ArgumentError:
        return what


def _file_url(path: Path) -> str:
    return sqlalchemy.URL.create("sqlite", database=str(path)).render_as_string()


def _has_any(connection: sqlalchemy.Connection, tables: MetaData) -> bool:
    names = set(sqlalchemy.inspect(connection).get_table_names())
    return any(table.name in names for table in tables.sorted_tables)


def _set_up_sqlite(connection: Any, _: object) -> None:
    connection.execute(f"PRAGMA busy_timeout={_BUSY_SECONDS * 1000}")
    # Written while others read. Who changes the mode beside another does not wait, whatever the timeout.
    until = time.monotonic() + _BUSY_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError:
            if time.monotonic() > until:
                raise
            time.sleep(_AGAIN_SECONDS)  # in a thread of its own, as all of a database


def _reason(error: sqlalchemy.exc.SQLAlchemyError) -> str:
    return str(getattr(error, "orig", None) or error).strip().splitlines()[0]
