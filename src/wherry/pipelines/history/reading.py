"""Rows of experiments, runs and deletions are read here. Blocking."""

import dataclasses
import itertools
from collections.abc import Mapping, Sequence
from typing import Any, Final

import sqlalchemy
from sqlalchemy import Connection, Row, Text

from wherry.pipelines.history import tables
from wherry.pipelines.history.choosing import Choice
from wherry.pipelines.history.query import EXPERIMENT_KEYS, RUN_KEYS, Cursor, Page, Query
from wherry.pipelines.history.records import Became, Deletion, Experiment, Metric, Run

MOST_SPECS_BYTES: Final = 4 * 1024**2
"""Of the pipelines on a page of runs: they are put into one answer, and each may have megabytes."""
_DOCUMENTS: Final = ("pipeline_spec", "platform_spec")
_EXPERIMENT_FIELDS = tuple(field.name for field in dataclasses.fields(Experiment))
_RUN_FIELDS = tuple(
    field.name
    for field in dataclasses.fields(Run)
    if field.name not in {"states", "pipeline_spec", "platform_spec"}
)


def experiment(connection: Connection, column: str, value: str) -> Experiment | None:
    """Return the experiment that has a value in a unique column."""
    table = tables.EXPERIMENTS
    chosen = sqlalchemy.select(table).where(table.c[column] == value)
    row = connection.execute(chosen).one_or_none()
    return None if row is None else _experiment(row)


def experiments(connection: Connection, query: Query) -> Page[Experiment]:
    """List experiments."""
    choice = Choice(connection, tables.EXPERIMENTS, EXPERIMENT_KEYS, query)
    rows = connection.execute(choice.select()).all()
    items = tuple(_experiment(row) for row in rows[: query.limit])
    return Page(items, _after(rows, query.limit, choice.sorted_by), choice.count())


def run(connection: Connection, run_id: str, *, specs: bool) -> Run | None:
    """Return a run."""
    table = tables.RUNS
    chosen = sqlalchemy.select(table).where(table.c.run_id == run_id)
    return next(iter(_runs(connection, connection.execute(chosen).all(), specs=specs)), None)


def runs(connection: Connection, query: Query, *, specs: bool) -> Page[Run]:
    """List runs; with their pipelines a page is shorter where these are large."""
    choice = Choice(connection, tables.RUNS, RUN_KEYS, query)
    rows = connection.execute(choice.select()).all()
    limit = min(query.limit, _fitting(connection, rows)) if specs and rows else query.limit
    items = tuple(_runs(connection, rows[:limit], specs=specs))
    return Page(items, _after(rows, limit, choice.sorted_by), choice.count())


def deletions(connection: Connection, limit: int, skip: int) -> list[Deletion]:
    """Return deletions that are not done, the oldest first, without so many of the oldest."""
    table = tables.DELETIONS
    chosen = sqlalchemy.select(table).where(table.c.done == 0)
    ordered = chosen.order_by(table.c.at, table.c.run_id)
    rows = connection.execute(ordered.limit(limit).offset(skip))
    return [_deletion(row) for row in rows]


def is_deleted(connection: Connection, run_id: str) -> bool:
    """Return whether a run was deleted."""
    table = tables.DELETIONS
    chosen = sqlalchemy.select(table.c.run_id).where(table.c.run_id == run_id)
    return connection.execute(chosen).one_or_none() is not None


def log(connection: Connection, slot: str) -> bytes | None:
    """Return a log as it is kept."""
    table = tables.LOGS
    chosen = sqlalchemy.select(table.c.content).where(table.c.slot == slot)
    found: bytes | None = connection.execute(chosen).scalar_one_or_none()
    return found


def metrics(connection: Connection, run_ids: Sequence[str]) -> list[Metric]:
    """Return the metrics of runs, in the order in which they were reported."""
    table = tables.METRICS
    chosen = sqlalchemy.select(table).where(table.c.run_id.in_(run_ids)).order_by(table.c.id)
    names = [field.name for field in dataclasses.fields(Metric)]
    return [
        Metric(**{name: getattr(row, name) for name in names}) for row in connection.execute(chosen)
    ]


def _after(rows: Sequence[Row[Any]], limit: int, column: str) -> Cursor | None:
    if len(rows) <= limit:
        return None
    last = rows[limit - 1]
    return Cursor(getattr(last, column), last.id)


def _experiment(row: Row[Any]) -> Experiment:
    return Experiment(**{name: getattr(row, name) for name in _EXPERIMENT_FIELDS})


def _runs(connection: Connection, rows: Sequence[Row[Any]], *, specs: bool) -> list[Run]:
    known: Mapping[str, Mapping[str, Any]] = {}
    if specs:
        known = _specs(connection, {row.spec for row in rows})
    return [
        Run(
            **{name: getattr(row, name) for name in _RUN_FIELDS},
            states=tuple(Became(*each) for each in row.states),
            **known.get(row.spec, {}),
        )
        for row in rows
    ]


def _fitting(connection: Connection, rows: Sequence[Row[Any]]) -> int:
    """Return of how many runs, one at least, the pipelines may be on one page."""
    table = tables.SPECS
    texts = (sqlalchemy.type_coerce(table.c[name], Text) for name in _DOCUMENTS)
    length = sum(map(sqlalchemy.func.length, texts), sqlalchemy.literal(0))
    chosen = sqlalchemy.select(table.c.digest, length)
    chosen = chosen.where(table.c.digest.in_({row.spec for row in rows}))
    sizes: dict[str, int] = dict(iter(connection.execute(chosen)))
    so_far = itertools.accumulate(sizes.get(row.spec, 0) for row in rows)
    return max(1, sum(size <= MOST_SPECS_BYTES for size in so_far))


def _specs(connection: Connection, digests: set[str]) -> dict[str, Mapping[str, Any]]:
    table = tables.SPECS
    chosen = sqlalchemy.select(table).where(table.c.digest.in_(digests))
    return {
        row.digest: {"pipeline_spec": row.pipeline_spec, "platform_spec": row.platform_spec}
        for row in connection.execute(chosen)
    }


def _deletion(row: Row[Any]) -> Deletion:
    told = {field.name: getattr(row, field.name) for field in dataclasses.fields(Deletion)}
    return Deletion(**{**told, "remove": tuple(row.remove), "keep": tuple(row.keep)})
