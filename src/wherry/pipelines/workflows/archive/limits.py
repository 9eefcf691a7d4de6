"""How many may hold a semaphore whose limit is kept in the database. Blocking, in a transaction."""

from typing import Any

import sqlalchemy
from sqlalchemy import Connection

from wherry.pipelines.workflows.archive.tables import LIMITS


def get(connection: Connection, namespace: str, key: str) -> int | None:
    """Return a limit; None: there is none."""
    query = sqlalchemy.select(LIMITS.c.most).where(*_named(namespace, key))
    found: int | None = connection.execute(query).scalar_one_or_none()
    return found


def create(connection: Connection, namespace: str, key: str, most: int) -> bool:
    """Set a limit; return whether there was none before."""
    if get(connection, namespace, key) is not None:
        return False
    row = {"namespace": namespace, "key": key, "most": most}
    connection.execute(sqlalchemy.insert(LIMITS), row)
    return True


def change(connection: Connection, namespace: str, key: str, most: int) -> bool:
    """Change a limit; return whether there was one."""
    known = get(connection, namespace, key) is not None
    statement = sqlalchemy.update(LIMITS).where(*_named(namespace, key)).values(most=most)
    connection.execute(statement)
    return known


def delete(connection: Connection, namespace: str, key: str) -> bool:
    """Take a limit away; return whether there was one."""
    statement = sqlalchemy.delete(LIMITS).where(*_named(namespace, key))
    return bool(connection.execute(statement).rowcount)


def _named(namespace: str, key: str) -> tuple[Any, ...]:
    return LIMITS.c.namespace == namespace, LIMITS.c.key == key
