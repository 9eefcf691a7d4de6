"""The reported values, for code on an event loop: one thread does the SQL, writes go together.

The database is opened with the first call, and SQLAlchemy imported then: most processes that could
never have a trial. What is added at the same time is committed at once, so that many trials cost
one commit.
"""

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from wherry.metadata.errors import DatabaseError
from wherry.metadata.turns import Turns
from wherry.tuning.observations.record import Owner, Record

T = TypeVar("T")


class ObservationsError(Exception):
    """The database cannot be used; the message says which and why. It may be better later."""


class Observations:
    """What trials have reported. For one event loop."""

    def __init__(self, where: str | Path) -> None:
        """Prepare; nothing is opened yet.

        Args:
            where: URL of the database, or the SQLite file; see `database.Database`.
        """
        self._turns = Turns("tuning-database", lambda: _opened(where))
        self._waiting: list[tuple[Owner, Record]] = []
        self._commit: asyncio.Task[None] | None = None

    async def add(self, owner: Owner, records: Sequence[Record]) -> None:
        """Store values; when this returns, they are.

        Raises:
            ObservationsError: none of them is stored.
        """
        if not records:
            return
        self._waiting += [(owner, record) for record in records]
        if self._commit is None:
            self._commit = asyncio.ensure_future(self._commit_all())
        # Whoever gives up waiting must not take the others' values along.
        await asyncio.shield(self._commit)

    async def of(self, owner: Owner) -> list[Record]:
        """Return a trial's values in the order in which they were stored.

        Raises:
            ObservationsError: they cannot be read.
        """
        return await self._do(lambda database: database.of(owner))

    async def named(self, names: Sequence[str], metric: str) -> list[tuple[Owner, Record]]:
        """Return the values of a metric of several trials, each with whose it is, as stored.

        Raises:
            ObservationsError: they cannot be read.
        """
        return await self._do(lambda database: database.named(names, metric))

    async def delete(self, owner: Owner) -> None:
        """Delete a trial's values.

        Raises:
            ObservationsError: they could not be deleted.
        """
        await self._do(lambda database: database.delete(owner))

    async def close(self) -> None:
        """Finish what is being stored, and close the database. Idempotent."""
        if self._commit is not None:
            await asyncio.wait({self._commit})
        await self._turns.close()

    async def _commit_all(self) -> None:
        # Whatever is ready to run now may have something to add too.
        await asyncio.sleep(0)
        rows, self._waiting = self._waiting, []
        # From here on a later call begins another commit; the thread takes them in turn.
        self._commit = None
        await self._do(lambda database: database.add(rows))

    async def _do(self, work: Callable[[Any], T]) -> T:
        try:
            return await self._turns.do(work)
        except DatabaseError as error:
            raise ObservationsError(str(error)) from error


def _opened(where: str | Path) -> Any:
    from wherry.tuning.observations import database  # noqa: PLC0415 - large; see above

    return database.Database(where)
