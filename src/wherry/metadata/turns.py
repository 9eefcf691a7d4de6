"""One thread for everything that is done with a database, for code on an event loop."""

import asyncio
import concurrent.futures
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, Generic, Protocol, TypeVar

T = TypeVar("T")


class Closable(Protocol):
    """What can be closed."""

    def close(self) -> None:
        """Let go of everything."""


class Transactional(Protocol):
    """A database that is read and written in transactions, as `wherry.metadata.database.Database`."""

    def read(self) -> AbstractContextManager[Any]:
        """Return a connection for reading."""

    def write(self, *, durable: bool = True) -> AbstractContextManager[Any]:
        """Return a connection for writing; what was written is committed at its end."""


class Sql(Closable, Protocol):
    """A database, and what is done in it."""

    @property
    def database(self) -> Transactional:
        """The database."""


D = TypeVar("D", bound=Closable)
S = TypeVar("S", bound=Sql)


class Turns(Generic[D]):
    """Does one thing after the other, each in the same thread. For one event loop."""

    def __init__(self, name: str, opened: Callable[[], D]) -> None:
        """Prepare; nothing is opened yet.

        Args:
            name: Of the thread.
            opened: Opens the database, in the thread, with the first thing that is done; again with
                the next where it fails.
        """
        self._name = name
        self._opened = opened
        self._database: D | None = None
        self._thread: concurrent.futures.ThreadPoolExecutor | None = None

    async def do(self, work: Callable[[D], T]) -> T:
        """Do something with the database, after what was asked for before."""
        if self._thread is None:
            self._thread = concurrent.futures.ThreadPoolExecutor(1, self._name)
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._blocking, work)

    async def close(self) -> None:
        """Finish what was asked for, and close the database. Idempotent."""
        thread, self._thread = self._thread, None
        if thread is None:
            return
        await asyncio.get_running_loop().run_in_executor(thread, self._close)
        thread.shutdown(wait=False)

    def _blocking(self, work: Callable[[D], T]) -> T:
        if self._database is None:
            self._database = self._opened()
        return work(self._database)

    def _close(self) -> None:
        database, self._database = self._database, None
        if database is not None:
            database.close()


class Transactions(Turns[S]):
    """Does one transaction after the other."""

    async def read(self, work: Callable[[S, Any], T]) -> T:
        """Do something with a connection for reading."""

        def reading(sql: S) -> T:
            with sql.database.read() as connection:
                return work(sql, connection)

        return await self.do(reading)

    async def write(self, work: Callable[[S, Any], T], *, durable: bool = True) -> T:
        """Do something in a transaction; `durable` is as in `Transactional.write`."""

        def writing(sql: S) -> T:
            with sql.database.write(durable=durable) as connection:
                return work(sql, connection)

        return await self.do(writing)
