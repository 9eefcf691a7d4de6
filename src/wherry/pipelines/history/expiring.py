"""Runs that the rules of retention let go, as SQL. Blocking."""

from typing import Any, Final

import sqlalchemy
from sqlalchemy import Connection

from wherry.pipelines.history import tables
from wherry.pipelines.history.retention import Rule

_RUNS: Final = tables.RUNS


def namespaces(connection: Connection) -> list[str]:
    """Return the namespaces that have runs."""
    return list(connection.execute(sqlalchemy.select(_RUNS.c.namespace).distinct()).scalars())


def expired(
    connection: Connection, namespace: str, rule: Rule, *, now: int, limit: int
) -> list[str]:
    """Return the ids of runs that a rule lets go, the oldest first. All of them have ended."""
    of_rule = [_RUNS.c.namespace == namespace, *_chosen(rule, namespace)]
    ranked = sqlalchemy.select(
        _RUNS.c.run_id,
        _RUNS.c.created_at,
        _RUNS.c.finished_at,
        sqlalchemy.func.row_number()
        .over(
            partition_by=_RUNS.c.experiment_id,
            order_by=(_RUNS.c.created_at.desc(), _RUNS.c.id.desc()),
        )
        .label("place"),
    )
    rows = ranked.where(*of_rule).subquery()
    over: list[Any] = [sqlalchemy.false()]
    if rule.max_age is not None:
        over.append(rows.c.finished_at < now - rule.max_age * 1000)
    if rule.max_runs is not None:
        over.append(rows.c.place > rule.max_runs)
    wanted = sqlalchemy.select(rows.c.run_id).where(rows.c.finished_at > 0, sqlalchemy.or_(*over))
    oldest = wanted.order_by(rows.c.created_at, rows.c.run_id).limit(limit)
    return list(connection.execute(oldest).scalars())


def _chosen(rule: Rule, namespace: str) -> list[Any]:
    chosen: list[Any] = []
    if rule.states:
        # Of runs that go on nobody knows how they will end: they do not count.
        chosen.append(_RUNS.c.state.in_(rule.states))
    if rule.experiment:
        table = tables.EXPERIMENTS
        named = sqlalchemy.and_(
            table.c.namespace == namespace, table.c.display_name == rule.experiment
        )
        chosen.append(
            _RUNS.c.experiment_id.in_(sqlalchemy.select(table.c.experiment_id).where(named))
        )
    return chosen


def present(connection: Connection, after: str, limit: int) -> list[tuple[str, str, str]]:
    """Return uid, namespace and name of objects that are thought to be there, by uid."""
    chosen = sqlalchemy.select(_RUNS.c.object_uid, _RUNS.c.namespace, _RUNS.c.name)
    there = chosen.where(_RUNS.c.gone == sqlalchemy.false(), _RUNS.c.object_uid > after)
    found = connection.execute(there.order_by(_RUNS.c.object_uid).limit(limit))
    return [(row.object_uid, row.namespace, row.name) for row in found]
