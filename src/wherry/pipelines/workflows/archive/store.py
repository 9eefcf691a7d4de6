"""The archive, for code on an event loop: one thread does the SQL.

The database is opened with the first call, and SQLAlchemy imported then.
"""

from pathlib import Path
from typing import Any

from wherry.metadata.errors import DuplicateError
from wherry.metadata.turns import Transactions
from wherry.objects.requests import Object
from wherry.pipelines.workflows.archive.records import Found, Wanted


class Archive:
    """Workflows that have ended. For one event loop.

    Every method raises `DatabaseError` where the database cannot be used.
    """

    def __init__(self, where: str | Path) -> None:
        """Prepare; nothing is opened yet.

        Args:
            where: URL of the database, or the SQLite file; see `wherry.metadata.database.Database`.
        """
        self._where = where
        self._turns = Transactions("workflows-database", lambda: _Sql(where))

    def is_there(self) -> bool:
        """Return whether there may be anything in it: without that nobody needs to open it."""
        return not isinstance(self._where, Path) or self._where.exists()

    async def keep(self, workflow: Object) -> None:
        """Keep a workflow as it is, in the place of what was kept of it; nothing is written twice.

        Raises:
            UnstorableError: it is too large.
        """
        if await self._turns.read(lambda sql, at: sql.rows.is_kept(at, workflow)):
            return
        try:
            await self._turns.write(lambda sql, at: sql.rows.keep(at, workflow))
        except DuplicateError:
            # Another process has kept it in between.
            await self._turns.write(lambda sql, at: sql.rows.keep(at, workflow))

    async def get(self, uid: str) -> Object | None:
        """Return a workflow by its uid."""
        return await self._turns.read(lambda sql, at: sql.rows.get(at, uid=uid))

    async def named(self, namespace: str, name: str) -> Object | None:
        """Return the newest workflow of a name."""
        return await self._turns.read(
            lambda sql, at: sql.rows.get(at, namespace=namespace, name=name)
        )

    async def list(self, wanted: Wanted) -> Found:
        """Return a page of workflows."""
        found: Found = await self._turns.read(lambda sql, at: sql.rows.find(at, wanted))
        return found

    async def labels(self, namespace: str) -> dict[str, set[str]]:
        """Return the labels that archived workflows of a namespace (empty: any) have, and their values."""
        found: dict[str, set[str]] = await self._turns.read(
            lambda sql, at: sql.rows.labels(at, namespace)
        )
        return found

    async def delete(self, uid: str) -> bool:
        """Delete what is kept of a workflow; return whether there was anything."""
        return await self._turns.write(lambda sql, at: bool(sql.rows.delete(at, uid)))

    async def limit(self, namespace: str, key: str) -> int | None:
        """Return how many may hold a semaphore; None: there is no such limit."""
        return await self._turns.read(lambda sql, at: sql.limits.get(at, namespace, key))

    async def create_limit(self, namespace: str, key: str, most: int) -> bool:
        """Set a limit; return whether there was none before."""
        try:
            return await self._turns.write(
                lambda sql, at: sql.limits.create(at, namespace, key, most)
            )
        except DuplicateError:
            # Another process has set it in between.
            return False

    async def change_limit(self, namespace: str, key: str, most: int) -> bool:
        """Change a limit; return whether there was one."""
        return await self._turns.write(lambda sql, at: sql.limits.change(at, namespace, key, most))

    async def delete_limit(self, namespace: str, key: str) -> bool:
        """Take a limit away; return whether there was one."""
        return await self._turns.write(lambda sql, at: sql.limits.delete(at, namespace, key))

    async def close(self) -> None:
        """Finish what is being stored, and close the database. Idempotent."""
        await self._turns.close()


class _Sql:
    """The database and what is done in it; imported in the thread, not on the event loop."""

    def __init__(self, where: str | Path) -> None:
        from wherry.metadata import database  # noqa: PLC0415 - see above
        from wherry.pipelines.workflows.archive import limits, rows, tables  # noqa: PLC0415 - see above

        self.limits: Any = limits
        self.rows: Any = rows
        self.database = database.Database(where, tables.SCHEMA)

    def close(self) -> None:
        """Close the database."""
        self.database.close()
