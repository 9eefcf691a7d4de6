"""The calls of ML Metadata's service on a database, without a service."""

import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from wherry.metadata import schema
from wherry.metadata.database import Database
from wherry.metadata.mlmd import calls
from wherry.metadata.mlmd.view import View
from wherry.objects.requests import Object


class Service:
    """Calls, as a caller who stores in one namespace and sees some."""

    def __init__(self, database: Database, home: str, seen: frozenset[str] | None) -> None:
        self.database = database
        self.home = home
        self.seen = seen
        self.now = 1000

    def of(self, home: str) -> "Service":
        """Return calls by who sees one namespace only."""
        return Service(self.database, home, frozenset((home,)))

    def __call__(self, name: str, **request: Any) -> Object:
        self.now += 1
        with self.database.write() as at:
            view = View(at=at, namespaces=self.seen, home=self.home, now=self.now)
            return calls.CALLS[name](view, request)

    def type(self, kind: str, name: str, **properties: int) -> int:
        """Store a type; return its id."""
        given = {"name": name, "properties": properties}
        return int(self(f"Put{kind}Type", **{f"{kind.lower()}_type": given})["type_id"])

    def put(self, kind: str, *given: Object) -> list[int]:
        """Store nodes; return their ids."""
        one = kind.lower()
        return list(self(f"Put{kind}s", **{f"{one}s": [*given]})[f"{one}_ids"])

    def get(self, kind: str, *numbers: int) -> list[Object]:
        """Return nodes by their ids."""
        one = kind.lower()
        return list(self(f"Get{kind}sByID", **{f"{one}_ids": [*numbers]})[f"{one}s"])


@pytest.fixture
def service(tmp_path) -> Iterator[Service]:
    """Give calls by somebody of namespace ``team`` who sees all."""
    database = Database(tmp_path / "metadata.db", schema.SCHEMA)
    yield Service(database, "team", None)
    database.close()


@pytest.fixture
def anywhere(where) -> Iterator[Service]:
    """Likewise, on a database of each kind, which tests share: each has a namespace of its own."""
    database = Database(where, schema.SCHEMA)
    yield Service(database, "", None).of(f"team-{uuid.uuid4()}")
    database.close()
