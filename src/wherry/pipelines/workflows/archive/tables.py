"""The tables of the archive, the same in every database; beside those of `wherry.pipelines.history`."""

from typing import Any, Final

from sqlalchemy import BigInteger, Column, Index, Integer, MetaData, Table

from wherry.metadata.database import Schema
from wherry.metadata.schema import Json
from wherry.pipelines.history.tables import Sorted

_ID: Final = BigInteger().with_variant(Integer, "sqlite")
_OPTIONS: Final[dict[str, Any]] = {"mysql_charset": "utf8mb4", "mysql_collate": "utf8mb4_bin"}
_TABLES: Final = MetaData()
WORKFLOWS: Final = Table(
    "workflows_archive",
    _TABLES,
    Column("id", _ID, primary_key=True, autoincrement=True),
    Column("uid", Sorted(64), nullable=False, unique=True),
    Column("namespace", Sorted(253), nullable=False),
    Column("name", Sorted(253), nullable=False),
    Column("phase", Sorted(64), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("finished_at", BigInteger, nullable=False),
    Column("labels", Json, nullable=False),
    # What may be long is last: SQLite reads a row from its beginning.
    Column("workflow", Json, nullable=False),
    Index("workflows_archive_by_age", "namespace", "created_at", "id"),
    Index("workflows_archive_by_name", "namespace", "name"),
    **_OPTIONS,
)
LIMITS: Final = Table(
    "workflows_limits",
    _TABLES,
    Column("namespace", Sorted(253), primary_key=True),
    Column("key", Sorted(253), primary_key=True),
    Column("most", Integer, nullable=False),
    **_OPTIONS,
)
"""How many may hold semaphores. Databases that are older get it when they are opened, as it is new as a whole."""
SCHEMA: Final = Schema("workflows", _TABLES)
