"""The tables of the history, the same in every database; beside those of `wherry.metadata.schema`.

What pages are sorted by comes first in the indexes, and the row's number after it: a page is read from
where the one before has ended, whatever the number of rows. The compiled pipeline is kept once, however
many runs of it there are.
"""

from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Dialect,
    Double,
    Index,
    Integer,
    MetaData,
    String,
    Table,
)
from sqlalchemy.types import LargeBinary, TypeEngine

from wherry.metadata.database import Schema
from wherry.metadata.schema import Json, Name, Words

_ID: Final = BigInteger().with_variant(Integer, "sqlite")
_OPTIONS: Final[dict[str, Any]] = {"mysql_charset": "utf8mb4", "mysql_collate": "utf8mb4_bin"}
_UID: Final = 64
_NAMESPACE: Final = 253
_DISPLAY_NAME: Final = 256


class Sorted(Name):
    """A text that is sorted by its characters' numbers, whatever the server's language."""

    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Return the type that a database has for it."""
        collation = "C" if dialect.name == "postgresql" else None
        return dialect.type_descriptor(String(self.most, collation=collation))


_TABLES: Final = MetaData()


def _text(name: str, most: int = _UID) -> Column[Any]:
    return Column(name, Sorted(most), nullable=False)


def _number(name: str) -> Column[Any]:
    return Column(name, BigInteger, nullable=False)


EXPERIMENTS: Final = Table(
    "pipelines_experiments",
    _TABLES,
    Column("id", _ID, primary_key=True, autoincrement=True),
    Column("experiment_id", Sorted(_UID), nullable=False, unique=True),
    # Of namespace and display name.
    Column("slot", String(64), nullable=False, unique=True),
    _text("namespace", _NAMESPACE),
    _text("display_name", _DISPLAY_NAME),
    Column("description", Words, nullable=False),
    _text("storage_state"),
    _number("created_at"),
    _number("last_run_created_at"),
    Index("pipelines_experiments_by_age", "namespace", "created_at", "id", "storage_state"),
    **_OPTIONS,
)
RUNS: Final = Table(
    "pipelines_runs",
    _TABLES,
    Column("id", _ID, primary_key=True, autoincrement=True),
    Column("run_id", Sorted(_UID), nullable=False, unique=True),
    _text("namespace", _NAMESPACE),
    _text("name", _NAMESPACE),
    _text("display_name", _DISPLAY_NAME),
    _text("storage_state"),
    _text("state"),
    _text("experiment_id"),
    _text("recurring_run_id"),
    _text("pipeline_id"),
    _text("pipeline_version_id"),
    _text("pipeline_name", 255),
    _text("service_account", _NAMESPACE),
    _number("created_at"),
    _number("scheduled_at"),
    _number("finished_at"),
    _text("object_uid"),
    _number("resource_version"),
    _number("retries"),
    Column("gone", Boolean, nullable=False),
    Column("spec", String(64), nullable=False),
    # What may be long is last: SQLite reads a row from its beginning.
    Column("pipeline_root", Words, nullable=False),
    Column("error", Words, nullable=False),
    Column("description", Words, nullable=False),
    Column("states", Json, nullable=False),
    Column("runtime_config", Json, nullable=False),
    Column("outputs", Json, nullable=False),
    Column("settings", Json, nullable=False),
    Column("labels", Json, nullable=False),
    Column("annotations", Json, nullable=False),
    Index("pipelines_runs_by_age", "created_at", "id"),
    # With the storage state, that the rows of a usual list are counted without a look at them.
    Index("pipelines_runs_by_namespace", "namespace", "created_at", "id", "storage_state"),
    Index("pipelines_runs_by_experiment", "experiment_id", "created_at", "id", "storage_state"),
    Index("pipelines_runs_by_display_name", "namespace", "display_name"),
    Index("pipelines_runs_by_object", "namespace", "name"),
    Index("pipelines_runs_by_schedule", "recurring_run_id", "created_at", "id"),
    Index("pipelines_runs_by_version", "pipeline_version_id", "created_at", "id"),
    Index("pipelines_runs_by_spec", "spec"),
    **_OPTIONS,
)
SPECS: Final = Table(
    "pipelines_specs",
    _TABLES,
    Column("digest", String(64), primary_key=True),
    Column("pipeline_spec", Json, nullable=False),
    Column("platform_spec", Json, nullable=False),
    **_OPTIONS,
)
DELETIONS: Final = Table(
    "pipelines_deletions",
    _TABLES,
    Column("run_id", Sorted(_UID), primary_key=True),
    _text("namespace", _NAMESPACE),
    _text("name", _NAMESPACE),
    _text("object_uid"),
    _text("pipeline_name", 255),
    _text("service_account", _NAMESPACE),
    _number("at"),
    # When all was done; its id is kept for a while, that nothing old brings the run back.
    _number("done"),
    Column("pipeline_root", Words, nullable=False),
    Column("planned", Boolean, nullable=False),
    Column("remove", Json, nullable=False),
    Column("keep", Json, nullable=False),
    Index("pipelines_deletions_by_end", "done"),
    **_OPTIONS,
)
LOGS: Final = Table(
    "pipelines_logs",
    _TABLES,
    Column("id", _ID, primary_key=True, autoincrement=True),
    # Of run, path and attempt.
    Column("slot", String(64), nullable=False, unique=True),
    _text("run_id"),
    Column(
        "content",
        LargeBinary().with_variant(LargeBinary(2**24 - 1), "mysql", "mariadb"),
        nullable=False,
    ),
    Index("pipelines_logs_by_run", "run_id"),
    **_OPTIONS,
)
METRICS: Final = Table(
    "pipelines_metrics",
    _TABLES,
    Column("id", _ID, primary_key=True, autoincrement=True),
    # Of run, node and name.
    Column("slot", String(64), nullable=False, unique=True),
    _text("run_id"),
    _text("node_id", 128),
    _text("name", 128),
    Column("number", Double, nullable=False),
    _text("format", 32),
    Index("pipelines_metrics_by_run", "run_id"),
    Index("pipelines_metrics_by_name", "name", "run_id", "number"),
    **_OPTIONS,
)

SCHEMA: Final = Schema("pipelines", _TABLES)
