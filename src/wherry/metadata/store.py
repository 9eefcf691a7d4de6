"""The metadata database, for code on an event loop: one thread does the SQL, writes go together.

The database is opened with the first call, and SQLAlchemy imported then. What is saved at the same
time is committed at once, so that many tasks cost one commit.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, TypeVar

from wherry.metadata.errors import DuplicateError
from wherry.metadata.lineage import Lineage
from wherry.metadata.lists import Filter, Page
from wherry.metadata.records import Artifact, Context, Execution
from wherry.metadata.turns import Transactions

T = TypeVar("T")
_MOST_DIGITS: Final = 18
"""Of an id, so that every database can compare it."""


class _Saving:
    """What one caller wants to have stored."""

    def __init__(self, executions: Sequence[Execution], *, durable: bool) -> None:
        self.executions = executions
        self.durable = durable
        self.done: asyncio.Future[list[Execution]] = asyncio.get_running_loop().create_future()


class Metadata:
    """Artifacts, executions and contexts. For one event loop."""

    def __init__(self, where: str | Path) -> None:
        """Prepare; nothing is opened yet.

        Args:
            where: URL of the database, or the SQLite file; see `database.Database`.
        """
        self._turns = Transactions("metadata-database", lambda: _Sql(where))
        self._waiting: list[_Saving] = []
        self._commit: asyncio.Task[None] | None = None
        """What has not begun yet, and takes more."""
        self._commits: set[asyncio.Task[None]] = set()

    async def save(
        self, executions: Sequence[Execution], *, durable: bool = True
    ) -> list[Execution]:
        """Store executions with their parameters, artifacts and events; all or none of this call.

        Those with an id are written over; where one has no artifacts on a side, the events of that
        side stay. Calls at the same time share a commit.

        Args:
            executions: What to store.
            durable: When this returns, all is on disk. Otherwise a loss of power may undo it (not the
                end of the process), and it takes a tenth of the time: for what can be found out again.

        Returns:
            The same, with the ids and times that the database gave them and their new artifacts.

        Raises:
            DuplicateError: one without an id has run and path of one that is there.
            UnstorableError: a value is too large, or no JSON; nothing is stored.
            DatabaseError: nothing is stored.
        """
        if not executions:
            return []
        saving = _Saving(executions, durable=durable)
        self._waiting.append(saving)
        if self._commit is None:
            self._commit = asyncio.ensure_future(self._commit_all())
            self._commits.add(self._commit)
            self._commit.add_done_callback(self._commits.discard)
        return await saving.done

    async def redo(self, executions: Sequence[Execution]) -> None:
        """Store executions that are to be done again; what they have made is theirs no more.

        Artifacts among that which nothing else has to do with are deleted; their files are not.

        Args:
            executions: As they are to be, each with its id; all or none are stored.

        Raises:
            DatabaseError: nothing is stored.
        """
        if executions:
            now = _now()
            await self._turns.write(lambda sql, at: sql.writing.redo(at, executions, now))

    async def own_artifacts(self, run: str) -> tuple[list[Artifact], list[Artifact]]:
        """Return the artifacts that came out of a run's executions: its own, and those in use elsewhere.

        What an importer has named is not its own.

        Raises:
            DatabaseError: they cannot be read.
        """
        return await self._turns.read(lambda sql, at: sql.reading.own_artifacts(at, run))

    async def of_run(self, run: str) -> list[Execution]:
        """Return all executions of a run, with artifacts, in the order in which they were stored.

        Raises:
            DatabaseError: they cannot be read.
        """
        return await self._turns.read(lambda sql, at: sql.reading.of_run(at, run))

    async def task(self, run: str, path: str) -> Execution | None:
        """Return the execution at a place in a run, with artifacts.

        Raises:
            DatabaseError: it cannot be read.
        """
        return await self._turns.read(lambda sql, at: sql.reading.task(at, run, path))

    async def execution(self, number: int) -> Execution | None:
        """Return an execution by its id, with artifacts.

        Raises:
            DatabaseError: it cannot be read.
        """
        return await self._turns.read(lambda sql, at: sql.reading.execution(at, number))

    async def cached(
        self, namespace: str, pipeline: str, fingerprint: str, *, since: int = 0, limit: int = 5
    ) -> list[Execution]:
        """Return those that succeeded by themselves with a fingerprint, newest first, with artifacts.

        Args:
            namespace: Whose.
            pipeline: Its name.
            fingerprint: Of the task.
            since: Ended at this time or later.
            limit: How many at most.

        Raises:
            DatabaseError: they cannot be read.
        """
        chosen = {"namespace": namespace, "pipeline": pipeline, "fingerprint": fingerprint}
        return await self._turns.read(lambda sql, at: sql.reading.cached(at, chosen, since, limit))

    async def forget_cached(self, chosen: Filter) -> int:
        """Let outputs not be found by fingerprint again; return of how many executions.

        Args:
            chosen: Which: by its namespace, pipeline, name, run, key and before.

        Raises:
            DatabaseError: it could not be stored.
        """
        return await self._turns.write(lambda sql, at: sql.writing.forget_cached(at, chosen))

    async def context(self, context: Context) -> Context:
        """Return the context of this type, namespace and name, made where it is missing.

        Properties and parents that are given are added to those it has.

        Raises:
            DatabaseError: it could not be stored.
        """
        now = _now()
        try:
            return await self._turns.write(lambda sql, at: sql.writing.context(at, context, now))
        except DuplicateError:
            # Another process has made it in between.
            return await self._turns.write(lambda sql, at: sql.writing.context(at, context, now))

    async def add_artifact(self, artifact: Artifact) -> Artifact:
        """Store an artifact that no execution made; with an id, change its name and metadata.

        Raises:
            DatabaseError: it could not be stored.
        """
        now = _now()
        return await self._turns.write(lambda sql, at: sql.writing.add_artifact(at, artifact, now))

    async def artifact(self, number: int) -> Artifact | None:
        """Return an artifact by its id.

        Raises:
            DatabaseError: it cannot be read.
        """
        return await self._turns.read(lambda sql, at: sql.reading.artifact(at, number))

    async def artifacts(
        self, chosen: Filter, *, limit: int = 100, more: str = ""
    ) -> Page[Artifact]:
        """List artifacts, newest first.

        Args:
            chosen: Which.
            limit: How many at most.
            more: What the page before said.

        Raises:
            ValueError: no page has said that.
            DatabaseError: they cannot be read.
        """
        before = _before(more)
        found = await self._turns.read(
            lambda sql, at: sql.reading.artifacts(at, chosen, before, limit + 1)
        )
        return _page(found, limit)

    async def executions(
        self, chosen: Filter, *, limit: int = 100, more: str = ""
    ) -> Page[Execution]:
        """List executions without their artifacts, newest first; see `artifacts`."""
        before = _before(more)
        found = await self._turns.read(
            lambda sql, at: sql.reading.executions(at, chosen, before, limit + 1)
        )
        return _page(found, limit)

    async def contexts(self, chosen: Filter, *, limit: int = 100, more: str = "") -> Page[Context]:
        """List contexts, newest first; see `artifacts`."""
        before = _before(more)
        found = await self._turns.read(
            lambda sql, at: sql.reading.contexts(at, chosen, before, limit + 1)
        )
        return _page(found, limit)

    async def lineage(
        self,
        *,
        artifact: int = 0,
        execution: int = 0,
        run: str = "",
        up: int = 3,
        down: int = 3,
        limit: int = 1000,
    ) -> Lineage:
        """Return what something came from, and what became of it.

        Args:
            artifact: Id of the artifact to start at; or
            execution: id of the execution; or
            run: uid of a run: of all its executions.
            up: How many executions back.
            down: How many executions on.
            limit: How many artifacts and executions at most, together.

        Raises:
            DatabaseError: it cannot be read.
        """

        def follow(sql: "_Sql", at: Any) -> Lineage:
            start = sql.tracing.of_artifact if artifact else sql.tracing.of_execution
            start = sql.tracing.of_run if run else start
            found: Lineage = start(at, run or artifact or execution, up=up, down=down, limit=limit)
            return found

        return await self._turns.read(follow)

    async def transaction(self, work: Callable[[Any], T]) -> T:
        """Do something with a connection, all or nothing; again where another process was quicker.

        Args:
            work: Is given the connection, in the thread of the database.

        Raises:
            DuplicateError: a row is there already that may be there once.
            DatabaseError: nothing is stored.
        """
        try:
            return await self._turns.write(lambda _, at: work(at))
        except DuplicateError:
            return await self._turns.write(lambda _, at: work(at))

    async def delete_run(self, run: str) -> list[Artifact]:
        """Delete a run's executions, its context and the artifacts that nothing else has to do with.

        Returns:
            Those of the deleted artifacts that its steps have made: their files are nobody's now.

        Raises:
            DatabaseError: nothing is deleted.
        """
        return await self._turns.write(lambda sql, at: sql.writing.delete_run(at, run))

    async def close(self) -> None:
        """Finish what is being stored, and close the database. Idempotent."""
        if self._commits:
            await asyncio.wait(self._commits)
        await self._turns.close()

    async def _commit_all(self) -> None:
        # Whatever is ready to run now may have something to save too.
        await asyncio.sleep(0)
        savings, self._waiting = self._waiting, []
        # From here on a later call begins another commit; the thread takes them in turn.
        self._commit = None
        try:
            await self._save_all(savings)
        except Exception as error:  # noqa: BLE001 - whatever it is, those who wait are told
            if len(savings) == 1:
                _fail(savings[0], error)
                return
            # One cannot be stored: it must not keep the others from it.
            for saving in savings:
                await self._commit_one(saving)

    async def _commit_one(self, saving: _Saving) -> None:
        try:
            await self._save_all([saving])
        except Exception as error:  # noqa: BLE001 - as above
            _fail(saving, error)

    async def _save_all(self, savings: Sequence[_Saving]) -> None:
        now = _now()
        together = [each for saving in savings for each in saving.executions]
        durable = any(saving.durable for saving in savings)
        saved = self._turns.write(
            lambda sql, at: sql.writing.save(at, together, now), durable=durable
        )
        stored = iter(await saved)
        for saving in savings:
            result = [next(stored) for _ in saving.executions]
            if not saving.done.done():
                saving.done.set_result(result)


class _Sql:
    """The database and what is done in it; imported in the thread, not on the event loop."""

    def __init__(self, where: str | Path) -> None:
        from wherry.metadata import database, reading, schema, tracing, writing  # noqa: PLC0415 - see above

        self.reading, self.writing, self.tracing = reading, writing, tracing
        self.database = database.Database(where, schema.SCHEMA)

    def close(self) -> None:
        """Close the database."""
        self.database.close()


def _fail(saving: _Saving, error: Exception) -> None:
    if not saving.done.done():
        saving.done.set_exception(error)


def _now() -> int:
    return time.time_ns() // 1_000_000


def _before(more: str) -> int:
    if more and not (more.isascii() and more.isdecimal() and len(more) <= _MOST_DIGITS):
        raise ValueError(
            f"{more[:40]!r} is not what a page has said; leave it out for the first one"
        )
    return int(more or 0)


def _page(found: Sequence[T], limit: int) -> Page[T]:
    items = tuple(found[:limit])
    last: Any = items[-1] if len(found) > limit else None
    return Page(items, str(last.id) if last is not None else "")
