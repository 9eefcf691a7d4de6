"""The tables of the metadata, the same in every database.

What is looked up and can be long (URIs, paths in runs) is looked up by its SHA-256: MySQL indexes no
long texts. Texts are what Python can hold: what a database cannot (a zero, half a surrogate pair) is
left out, so that no message of a user's code keeps a task from being stored.
"""

import hashlib
import json
from typing import Any, Final

import sqlalchemy
from sqlalchemy import BigInteger, Column, Index, Integer, MetaData, String, Table, Text
from sqlalchemy.dialects import mysql
from sqlalchemy.types import TypeDecorator

from wherry.metadata.database import Schema

MOST_BYTES: Final = 16_000_000
"""Of one JSON value or text; what MySQL's MEDIUMTEXT takes."""
_LONG: Final = Text().with_variant(mysql.MEDIUMTEXT(), "mysql", "mariadb")
_ID: Final = BigInteger().with_variant(Integer, "sqlite")
_OPTIONS: Final[dict[str, Any]] = {"mysql_charset": "utf8mb4", "mysql_collate": "utf8mb4_bin"}


class Words(TypeDecorator[str]):
    """A text of any length; too much of it is cut off."""

    impl = _LONG
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: object) -> str | None:
        """Return what every database takes."""
        return None if value is None else _plain(value)[: MOST_BYTES // 4]


class Name(TypeDecorator[str]):
    """A text that is compared, and has a bounded length."""

    impl = String
    cache_ok = True

    def __init__(self, most: int) -> None:
        """Make a type.

        Args:
            most: How many characters are kept.
        """
        super().__init__(most)
        self.most = most

    def process_bind_param(self, value: str | None, dialect: object) -> str | None:
        """Return what every database takes.

        Raises:
            ValueError: it is too long.
        """
        if value is None:
            return None
        if len(value) > self.most:
            raise ValueError(
                f"{value[:40]!r}… has {len(value)} characters; at most {self.most} are kept"
            )
        return _plain(value)


class Json(TypeDecorator[Any]):
    """Any JSON value as text: numbers as they are, and NaN too, which databases refuse."""

    impl = _LONG
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: object) -> str:
        """Return the text.

        Raises:
            ValueError: it is too long.
        """
        text = json.dumps(value, separators=(",", ":"), default=dict)
        if len(text) > MOST_BYTES:
            raise ValueError(
                f"a value has {len(text)} bytes of JSON; at most {MOST_BYTES} are kept"
            )
        return text

    def process_result_value(self, value: str | None, dialect: object) -> Any:
        """Return the value."""
        return json.loads(value or "null")


def digest(*parts: str) -> str:
    """Return by what long texts are looked up."""
    return hashlib.sha256("\0".join(map(_plain, parts)).encode()).hexdigest()


def _plain(text: str) -> str:
    if text.isascii() and "\0" not in text:
        return text
    return text.replace("\0", "").encode("utf-8", "replace").decode()


_TABLES: Final = MetaData()
ARTIFACTS: Final = Table(
    "metadata_artifacts",
    _TABLES,
    Column("id", _ID, primary_key=True, autoincrement=True),
    Column("namespace", Name(253), nullable=False),
    Column("type", Name(255), nullable=False),
    Column("name", Words, nullable=False),
    Column("uri", Words, nullable=False),
    Column("uri_digest", String(64), nullable=False),
    Column("metadata", Json, nullable=False),
    Column("created", BigInteger, nullable=False),
    Index("metadata_artifacts_by_uri", "uri_digest"),
    Index("metadata_artifacts_by_type", "namespace", "type"),
    Index("metadata_artifacts_by_time", "created", "id"),
    **_OPTIONS,
)
EXECUTIONS: Final = Table(
    "metadata_executions",
    _TABLES,
    Column("id", _ID, primary_key=True, autoincrement=True),
    # Of run and path; null of what is no task of a run.
    Column("slot", String(64), unique=True),
    Column("namespace", Name(253), nullable=False),
    Column("type", Name(255), nullable=False),
    Column("name", Words, nullable=False),
    Column("pipeline", Name(255), nullable=False),
    Column("run", Name(64), nullable=False),
    Column("path", Words, nullable=False),
    Column("state", Name(32), nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("pod", Name(253), nullable=False),
    Column("inputs", Json, nullable=False),
    Column("outputs", Json, nullable=False),
    Column("created", BigInteger, nullable=False),
    Column("started", BigInteger, nullable=False),
    Column("ended", BigInteger, nullable=False),
    Column("error", Words, nullable=False),
    Column("fingerprint", Name(64), nullable=False),
    Column("cached_from", BigInteger, nullable=False),
    Column("cache_reason", Words, nullable=False),
    Column("properties", Json, nullable=False),
    Index("metadata_executions_by_run", "run"),
    Index("metadata_executions_by_fingerprint", "namespace", "pipeline", "fingerprint"),
    Index("metadata_executions_by_time", "created", "id"),
    **_OPTIONS,
)
EVENTS: Final = Table(
    "metadata_events",
    _TABLES,
    Column("id", _ID, primary_key=True, autoincrement=True),
    Column("execution", BigInteger, nullable=False),
    Column("artifact", BigInteger, nullable=False),
    Column("type", String(8), nullable=False),
    Column("name", Words, nullable=False),
    Column("position", Integer, nullable=False),
    # Of events that clients of ML Metadata have told.
    Column("time", BigInteger),
    Column("details", Json),
    Index("metadata_events_by_execution", "execution"),
    Index("metadata_events_by_artifact", "artifact"),
    **_OPTIONS,
)
CONTEXTS: Final = Table(
    "metadata_contexts",
    _TABLES,
    Column("id", _ID, primary_key=True, autoincrement=True),
    # Of type, namespace and name.
    Column("slot", String(64), unique=True, nullable=False),
    Column("namespace", Name(253), nullable=False),
    Column("type", Name(255), nullable=False),
    Column("name", Name(255), nullable=False),
    Column("properties", Json, nullable=False),
    Column("created", BigInteger, nullable=False),
    **_OPTIONS,
)


def _pairs(name: str, one: str, other: str) -> Table:
    return Table(
        name,
        _TABLES,
        Column(one, BigInteger, primary_key=True, autoincrement=False),
        Column(other, BigInteger, primary_key=True, autoincrement=False),
        Index(f"{name}_by_{other}", other),
        **_OPTIONS,
    )


PARENTS: Final = _pairs("metadata_context_parents", "context", "parent")
ASSOCIATIONS: Final = _pairs("metadata_associations", "context", "execution")
ATTRIBUTIONS: Final = _pairs("metadata_attributions", "context", "artifact")
# What only ML Metadata knows: the types of its clients, and what these say of artifacts, executions and
# contexts beyond the columns above. See `wherry.metadata.mlmd`.
TYPES: Final = Table(
    "metadata_types",
    _TABLES,
    Column("id", _ID, primary_key=True, autoincrement=True),
    # Of namespace, kind, name and version.
    Column("slot", String(64), unique=True, nullable=False),
    # Of namespace, kind and external id.
    Column("external", String(64), unique=True),
    Column("namespace", Name(253), nullable=False),
    Column("kind", String(9), nullable=False),
    Column("name", Name(255), nullable=False),
    Column("version", Name(255), nullable=False),
    Column("body", Json, nullable=False),
    Index("metadata_types_by_namespace", "namespace", "kind"),
    **_OPTIONS,
)
NODES: Final = Table(
    "metadata_nodes",
    _TABLES,
    Column("kind", String(9), primary_key=True),
    Column("node", BigInteger, primary_key=True, autoincrement=False),
    # 0: a node of the platform's own, to which clients have added something.
    Column("type", BigInteger, nullable=False),
    # Of namespace, kind, type and name; null of what has no name.
    Column("slot", String(64), unique=True),
    # Of namespace, kind and external id.
    Column("external", String(64), unique=True),
    Column("state", Integer),
    Column("updated", BigInteger, nullable=False),
    Column("body", Json, nullable=False),
    **_OPTIONS,
)


def _add_event_columns(connection: sqlalchemy.Connection) -> None:
    there = {each["name"] for each in sqlalchemy.inspect(connection).get_columns(EVENTS.name)}
    quote = connection.dialect.identifier_preparer.quote
    for column in (EVENTS.c.time, EVENTS.c.details):
        if column.name not in there:
            kind = column.type.compile(connection.dialect)
            connection.exec_driver_sql(
                f"ALTER TABLE {EVENTS.name} ADD COLUMN {quote(column.name)} {kind}"
            )


def _add_indexes_by_time(connection: sqlalchemy.Connection) -> None:
    for table in (ARTIFACTS, EXECUTIONS):
        (by_time,) = (each for each in table.indexes if each.name == f"{table.name}_by_time")
        by_time.create(connection, checkfirst=True)


SCHEMA: Final = Schema("metadata", _TABLES, (_add_event_columns, _add_indexes_by_time))
