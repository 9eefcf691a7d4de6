"""The history, for code on an event loop: one thread does the SQL.

The database is opened with the first call, and SQLAlchemy imported then. It is that of
`wherry.metadata.store`, with a connection of its own: pages do not wait for tasks that are stored.
"""

import asyncio
import dataclasses
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from wherry.metadata.errors import DuplicateError
from wherry.metadata.turns import Transactions
from wherry.objects.metadata import NamespacedName
from wherry.pipelines import kinds
from wherry.pipelines.history.query import Page, Query
from wherry.pipelines.history.records import (
    ARCHIVED,
    AVAILABLE,
    DEFAULT_EXPERIMENT,
    Deletion,
    Experiment,
    Metric,
    Reported,
    Run,
)
from wherry.pipelines.history.retention import Rule

MOST_METRICS = 1000
"""Of one run."""
_DEFAULT_DESCRIPTION = "Runs that were created without an experiment."


class History:
    """Experiments and runs. For one event loop.

    Every method raises `DatabaseError` where the database cannot be used.
    """

    def __init__(self, where: str | Path) -> None:
        """Prepare; nothing is opened yet.

        Args:
            where: URL of the database, or the SQLite file; see `wherry.metadata.database.Database`.
        """
        self._turns = Transactions("pipelines-database", lambda: _Sql(where))
        self._where = where
        self.deleted = asyncio.Event()
        """Set when a run was deleted: what it has left is to go."""

    def is_there(self) -> bool:
        """Return whether there may be anything in it: without that nobody needs to open it."""
        return not isinstance(self._where, Path) or self._where.exists()

    # Experiments.

    async def create_experiment(self, wanted: Experiment) -> Experiment:
        """Store a new experiment; return it with its id.

        Raises:
            DuplicateError: the namespace has one of this display name.
            UnstorableError: its display name is too long.
        """
        now = _now()
        return await self._turns.write(lambda sql, at: sql.writing.add_experiment(at, wanted, now))

    async def default_experiment(self, namespace: str) -> Experiment:
        """Return the experiment of runs that name none, made where it is missing."""
        wanted = Experiment(
            namespace=namespace, display_name=DEFAULT_EXPERIMENT, description=_DEFAULT_DESCRIPTION
        )
        while True:
            found = await self.experiment_named(namespace, DEFAULT_EXPERIMENT)
            if found is not None:
                return found
            try:
                return await self.create_experiment(wanted)
            except DuplicateError:
                continue  # another process has made it in between

    async def experiment(self, experiment_id: str) -> Experiment | None:
        """Return an experiment by its id."""
        column = "experiment_id"
        return await self._turns.read(
            lambda sql, at: sql.reading.experiment(at, column, experiment_id)
        )

    async def experiment_named(self, namespace: str, display_name: str) -> Experiment | None:
        """Return an experiment by its display name."""

        def look(sql: "_Sql", at: Any) -> Experiment | None:
            slot = sql.writing.experiment_slot(namespace, display_name)
            found: Experiment | None = sql.reading.experiment(at, "slot", slot)
            return found

        return await self._turns.read(look)

    async def experiments(self, query: Query) -> Page[Experiment]:
        """List experiments, by `query.EXPERIMENT_KEYS`.

        Raises:
            ValueError: the query asks for what there is not.
        """
        return await self._turns.read(lambda sql, at: sql.reading.experiments(at, query))

    async def archive_experiment(self, experiment_id: str) -> None:
        """Archive an experiment, and its runs with it."""
        await self._store_experiment(experiment_id, ARCHIVED)

    async def unarchive_experiment(self, experiment_id: str) -> None:
        """Take an experiment back; its runs stay archived."""
        await self._store_experiment(experiment_id, AVAILABLE)

    async def delete_experiment(self, experiment_id: str) -> bool:
        """Delete an experiment, not its runs; return whether there was one."""
        return await self._turns.write(
            lambda sql, at: bool(sql.writing.delete_experiment(at, experiment_id))
        )

    # Runs.

    async def record(self, seen: Run) -> Run | None:
        """Store what was seen of a run's object; what is older than what is known changes nothing.

        Storage state, experiment and earlier states stay as they are known. A new one that names no
        experiment of its namespace is put into the default one.

        Returns:
            The run as it is now; None: it was deleted.
        """
        seen = await self._with_experiment(seen)
        now = _now()

        def record(sql: "_Sql", at: Any) -> Run | None:
            made: Run | None = sql.writing.record(at, seen, now)
            return made

        # What a loss of power undoes is seen again when the controllers start.
        try:
            return await self._turns.write(record, durable=False)
        except DuplicateError:
            # Another process has stored it, or its pipeline, in between.
            return await self._turns.write(record, durable=False)

    async def run(self, run_id: str, *, specs: bool = True) -> Run | None:
        """Return a run by its id.

        Args:
            run_id: Its id.
            specs: Whether with the pipeline.
        """
        return await self._turns.read(lambda sql, at: sql.reading.run(at, run_id, specs=specs))

    async def runs(self, query: Query, *, specs: bool = False) -> Page[Run]:
        """List runs, by `query.RUN_KEYS`.

        Args:
            query: Which.
            specs: Whether with their pipelines; runs of the same one share it. A page is shorter
                where they are large.

        Raises:
            ValueError: the query asks for what there is not.
        """
        return await self._turns.read(lambda sql, at: sql.reading.runs(at, query, specs=specs))

    async def archive_run(self, run_id: str) -> bool:
        """Archive a run; return whether there is one."""
        return await self._turns.write(
            lambda sql, at: bool(sql.writing.store_run(at, run_id, ARCHIVED))
        )

    async def unarchive_run(self, run_id: str) -> bool:
        """Take a run back; return whether there is one."""
        return await self._turns.write(
            lambda sql, at: bool(sql.writing.store_run(at, run_id, AVAILABLE))
        )

    async def adopt(self, run_id: str, where: NamespacedName, uid: str) -> bool:
        """Note which object a run has now, whose own is gone.

        Args:
            run_id: Of the run.
            where: Namespace and name of the object.
            uid: Of the object.

        Returns:
            Whether it may have it: no, where there is no such run in the namespace, or it has another.
        """
        return await self._turns.write(lambda sql, at: sql.writing.adopt(at, run_id, where, uid))

    async def lost(
        self, where: NamespacedName, but: str = "", *, kind: str = kinds.PIPELINE_RUNS.kind
    ) -> int:
        """Note that the object of a name is gone; what ran is CANCELED with it.

        Args:
            where: Namespace and name of the object.
            but: Uid of the object that has the name now.
            kind: Of the object.

        Returns:
            Of how many runs it was the object.
        """
        now = _now()
        return await self._turns.write(
            lambda sql, at: sql.writing.lost(at, where, but, now, kind=kind)
        )

    async def delete_run(self, run_id: str) -> bool:
        """Take a run out of all lists; return whether it was there.

        What it has left (object, tasks, artifacts, logs) is in `deletions` until it is gone too.
        """
        now = _now()
        found: bool = await self._turns.write(
            lambda sql, at: sql.writing.delete_run(at, run_id, now)
        )
        if found:
            self.deleted.set()
        return found

    # Metrics of the first version of the API.

    async def add_metric(self, metric: Metric) -> bool:
        """Store a metric of a run; return whether there is room for it.

        Raises:
            DuplicateError: its node has reported one of this name.
        """
        (told,) = await self.add_metrics([metric])
        if told is Reported.DUPLICATE:
            raise DuplicateError(f"metric {metric.node_id}/{metric.name} has been reported before")
        return told is Reported.KEPT

    async def add_metrics(self, metrics: Sequence[Metric]) -> list[Reported]:
        """Store metrics of one run, in one transaction; return what has become of each."""

        def add(sql: "_Sql", at: Any) -> list[Reported]:
            return list(sql.writing.add_metrics(at, metrics, MOST_METRICS))

        try:
            return await self._turns.write(add)
        except DuplicateError:
            # Another process has stored one of them at the same moment; now it can be seen.
            return await self._turns.write(add)

    async def metrics(self, run_ids: Sequence[str]) -> dict[str, list[Metric]]:
        """Return the metrics of runs, by run, in the order in which they were reported."""
        found: dict[str, list[Metric]] = {}
        listed = [*run_ids]
        for metric in await self._turns.read(lambda sql, at: sql.reading.metrics(at, listed)):
            found.setdefault(metric.run_id, []).append(metric)
        return found

    # What deleted runs have left.

    async def deletions(self, limit: int = 100, *, skip: int = 0) -> list[Deletion]:
        """Return deletions that are not done, the oldest first, without so many of the oldest."""
        return await self._turns.read(lambda sql, at: sql.reading.deletions(at, limit, skip))

    async def plan_deletion(self, plan: Deletion) -> None:
        """Note what of a deleted run's files goes, and what stays."""
        await self._turns.write(lambda sql, at: sql.writing.plan_deletion(at, plan))

    async def end_deletion(self, run_id: str) -> None:
        """Note that nothing is left of a deleted run. Its id is not given free yet."""
        now = _now()
        await self._turns.write(lambda sql, at: sql.writing.end_deletion(at, run_id, now))

    async def forget_deletions(self, before: int) -> int:
        """Forget the ids of runs whose deletion was done before a time; return how many."""
        return await self._turns.write(lambda sql, at: sql.writing.forget_deletions(at, before))

    # What is not kept for ever.

    async def namespaces(self) -> list[str]:
        """Return the namespaces that have runs."""
        return await self._turns.read(lambda sql, at: sql.expiring.namespaces(at))

    async def expired(self, namespace: str, rule: Rule, *, now: int, limit: int = 100) -> list[str]:
        """Return the ids of runs that a rule lets go, the oldest first. All of them have ended.

        Args:
            namespace: Whose.
            rule: Which.
            now: The time, in milliseconds since 1970 UTC.
            limit: How many at most.
        """
        return await self._turns.read(
            lambda sql, at: sql.expiring.expired(at, namespace, rule, now=now, limit=limit)
        )

    async def present(self, after: str = "", limit: int = 500) -> list[tuple[str, str, str]]:
        """Return uid, namespace and name of objects that are thought to be there.

        Args:
            after: The last uid of the part before; empty: the first part is wanted.
            limit: How many at most.
        """
        return await self._turns.read(lambda sql, at: sql.expiring.present(at, after, limit))

    # Logs.

    async def keep_log(self, slot: str, run_id: str, content: bytes) -> None:
        """Keep a log of a run under a name, in the place of an earlier one."""
        await self._turns.write(lambda sql, at: sql.writing.keep_log(at, slot, run_id, content))

    async def log(self, slot: str) -> bytes | None:
        """Return what is kept under a name."""
        return await self._turns.read(lambda sql, at: sql.reading.log(at, slot))

    async def close(self) -> None:
        """Finish what is being stored, and close the database. Idempotent."""
        await self._turns.close()

    async def _with_experiment(self, seen: Run) -> Run:
        """Return a run with an experiment of its namespace: the one that it names, if it is one."""
        known = await self.run(seen.run_id, specs=False)
        if known is not None:
            return seen  # it stays where it is
        named = await self.experiment(seen.experiment_id) if seen.experiment_id else None
        if named is None or named.namespace != seen.namespace:
            named = await self.default_experiment(seen.namespace)
        return dataclasses.replace(seen, experiment_id=named.experiment_id)

    async def _store_experiment(self, experiment_id: str, state: str) -> None:
        await self._turns.write(
            lambda sql, at: sql.writing.store_experiment(at, experiment_id, state)
        )


class _Sql:
    """The database and what is done in it; imported in the thread, not on the event loop."""

    def __init__(self, where: str | Path) -> None:
        from wherry.metadata import database  # noqa: PLC0415 - see above
        from wherry.pipelines.history import (  # noqa: PLC0415 - see above
            expiring,
            reading,
            tables,
            writing,
        )

        self.reading, self.writing, self.expiring = reading, writing, expiring
        self.database = database.Database(where, tables.SCHEMA)

    def close(self) -> None:
        """Close the database."""
        self.database.close()


def _now() -> int:
    return time.time_ns() // 1_000_000
