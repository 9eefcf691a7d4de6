"""Databases of every kind, each a test's own; servers are started where they are installed."""

from pathlib import Path

import pytest

from wherry.metadata.store import Metadata
from wherry.testing.databases import mariadb, mariadb_server, postgresql, postgresql_server

__all__ = ["mariadb", "mariadb_server", "postgresql", "postgresql_server"]


@pytest.fixture(
    params=["sqlite", "postgresql", pytest.param("mariadb", marks=pytest.mark.slow)],
)
def where(request: pytest.FixtureRequest, tmp_path: Path) -> str | Path:
    """Give a database of each kind."""
    if request.param == "sqlite":
        return tmp_path / "metadata.db"
    return str(request.getfixturevalue(request.param))


@pytest.fixture
async def metadata(where):
    store = Metadata(where)
    yield store
    await store.close()
