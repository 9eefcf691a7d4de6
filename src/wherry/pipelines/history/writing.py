"""Rows of experiments, runs and deletions are written here. Blocking, in a transaction."""

import dataclasses
import json
import uuid
from collections.abc import Sequence
from typing import Any, Final

import sqlalchemy
from sqlalchemy import Connection

from wherry.metadata.schema import digest
from wherry.objects.metadata import NamespacedName
from wherry.pipelines import kinds
from wherry.pipelines.history import reading, tables
from wherry.pipelines.history.records import (
    ARCHIVED,
    Became,
    Deletion,
    Experiment,
    Metric,
    Reported,
    Run,
)

MOST_STATES: Final = 100
"""So many states of a run are kept: the first, and the latest."""
_FIXED: Final = ("run_id", "namespace", "storage_state", "created_at", "experiment_id")
"""What of a known run is not taken from its object again."""
_NO_COLUMN: Final = frozenset({"pipeline_spec", "platform_spec"})
_COLUMNS: Final = tuple(
    field.name for field in dataclasses.fields(Run) if field.name not in _NO_COLUMN
)


def experiment_slot(namespace: str, display_name: str) -> str:
    """Return what there is once of an experiment."""
    return digest(namespace, display_name)


def add_experiment(connection: Connection, wanted: Experiment, now: int) -> Experiment:
    """Store a new experiment."""
    made = dataclasses.replace(
        wanted,
        experiment_id=wanted.experiment_id or str(uuid.uuid4()),
        created_at=wanted.created_at or now,
    )
    slot = experiment_slot(made.namespace, made.display_name)
    connection.execute(
        sqlalchemy.insert(tables.EXPERIMENTS), {**dataclasses.asdict(made), "slot": slot}
    )
    return made


def store_experiment(connection: Connection, experiment_id: str, state: str) -> None:
    """Archive an experiment and its runs; or take it, and it alone, back."""
    experiments, runs = tables.EXPERIMENTS, tables.RUNS
    chosen = experiments.c.experiment_id == experiment_id
    connection.execute(sqlalchemy.update(experiments).where(chosen).values(storage_state=state))
    if state == ARCHIVED:
        members = sqlalchemy.update(runs).where(runs.c.experiment_id == experiment_id)
        connection.execute(members.values(storage_state=state))


def delete_experiment(connection: Connection, experiment_id: str) -> int:
    """Delete an experiment, not its runs; return how many there were."""
    table = tables.EXPERIMENTS
    chosen = table.c.experiment_id == experiment_id
    return connection.execute(sqlalchemy.delete(table).where(chosen)).rowcount


def store_run(connection: Connection, run_id: str, state: str) -> int:
    """Archive a run, or take it back; return how many there were."""
    table = tables.RUNS
    change = sqlalchemy.update(table).where(table.c.run_id == run_id)
    return connection.execute(change.values(storage_state=state)).rowcount


def record(connection: Connection, seen: Run, now: int) -> Run | None:
    """Store what was seen of a run; older than what is known changes nothing.

    Returns:
        The run as it is now; None: it was deleted.
    """
    known = reading.run(connection, seen.run_id, specs=False)
    if known is None:
        return _add(connection, seen, now)
    foreign = known.object_uid != seen.object_uid
    if foreign or known.resource_version >= seen.resource_version:
        return known
    kept = {name: getattr(known, name) for name in _FIXED}
    made = dataclasses.replace(seen, **kept, states=_states(known.states, seen, now))
    table = tables.RUNS
    # Another process may have written in between: what is newer stays, and what is not the object's.
    chosen = (
        table.c.run_id == seen.run_id,
        table.c.object_uid == seen.object_uid,
        table.c.resource_version < seen.resource_version,
    )
    row = {name: value for name, value in _row(made).items() if name not in _FIXED}
    connection.execute(sqlalchemy.update(table).where(*chosen).values(row))
    return made


def _add(connection: Connection, seen: Run, now: int) -> Run | None:
    # One that says it goes on with a run that nobody knows is not believed.
    if seen.run_id != seen.object_uid or reading.is_deleted(connection, seen.run_id):
        return None
    where = NamespacedName(seen.namespace, seen.name)
    lost(connection, where, seen.object_uid, now, kind=seen.resource.kind)
    made = dataclasses.replace(seen, states=_states((), seen, now))
    spec = _spec(connection, seen)
    connection.execute(sqlalchemy.insert(tables.RUNS), {**_row(made), "spec": spec})
    table = tables.EXPERIMENTS
    older = sqlalchemy.and_(
        table.c.experiment_id == made.experiment_id, table.c.last_run_created_at < made.created_at
    )
    newest = sqlalchemy.update(table).where(older)
    connection.execute(newest.values(last_run_created_at=made.created_at))
    return made


def _spec(connection: Connection, seen: Run) -> str:
    """Store the pipeline that a run is of, where no run of it was stored before."""
    told = {"pipeline_spec": dict(seen.pipeline_spec), "platform_spec": dict(seen.platform_spec)}
    found = digest(json.dumps(told, sort_keys=True, default=dict))
    table = tables.SPECS
    known = sqlalchemy.select(table.c.digest).where(table.c.digest == found)
    if connection.execute(known).one_or_none() is None:
        connection.execute(sqlalchemy.insert(table), {"digest": found, **told})
    return found


def _states(known: tuple[Became, ...], seen: Run, now: int) -> tuple[Became, ...]:
    if not seen.state or (known and known[-1].state == seen.state):
        return known
    at = seen.finished_at or now
    error = seen.error if seen.finished_at else ""
    made = (*known, Became(seen.state, at, error))
    return made if len(made) <= MOST_STATES else (made[0], *made[-MOST_STATES + 1 :])


def _row(run: Run) -> dict[str, Any]:
    row = {name: getattr(run, name) for name in _COLUMNS}
    row["states"] = [[each.state, each.at, each.error] for each in run.states]
    return row


def adopt(connection: Connection, run_id: str, where: NamespacedName, uid: str) -> bool:
    """Note which object a run has now, whose own is gone; return whether it may have it."""
    table = tables.RUNS
    free = sqlalchemy.or_(table.c.gone == sqlalchemy.true(), table.c.object_uid == uid)
    chosen = (table.c.run_id == run_id, table.c.namespace == where.namespace, free)
    change = sqlalchemy.update(table).where(*chosen)
    row = {"name": where.name, "object_uid": uid, "gone": False, "resource_version": 0}
    return bool(connection.execute(change.values(row)).rowcount)


def lost(connection: Connection, where: NamespacedName, but: str, now: int, *, kind: str) -> int:
    """Note that the object of a kind and name is gone, unless it has this uid; return of how many runs."""
    table = tables.RUNS
    chosen = [table.c.namespace == where.namespace, table.c.name == where.name]
    chosen += [table.c.object_uid != but, table.c.gone == sqlalchemy.false()]
    found = connection.execute(sqlalchemy.select(table.c.run_id).where(*chosen)).scalars().all()
    return sum(_lose(connection, run_id, now, kind) for run_id in found)


def _lose(connection: Connection, run_id: str, now: int, kind: str) -> bool:
    known = reading.run(connection, run_id, specs=False)
    if known is None or known.resource.kind != kind:
        return False
    row: dict[str, Any] = {"gone": True}
    if not known.finished_at:
        end: dict[str, Any] = {"state": kinds.CANCELED, "finished_at": now}
        end["error"] = "the run was deleted"
        left = dataclasses.replace(known, **end)
        left = dataclasses.replace(left, states=_states(known.states, left, now))
        row |= {**end, "states": _row(left)["states"]}
    table = tables.RUNS
    same = (table.c.run_id == run_id, table.c.object_uid == known.object_uid)
    return bool(connection.execute(sqlalchemy.update(table).where(*same).values(row)).rowcount)


def delete_run(connection: Connection, run_id: str, now: int) -> bool:
    """Take a run out of all lists, and note that what it has left is to go; return whether it was there."""
    known = reading.run(connection, run_id, specs=False)
    if known is None:
        return False
    table = tables.RUNS
    chosen = table.c.run_id == known.run_id
    spec = connection.execute(sqlalchemy.select(table.c.spec).where(chosen)).scalar_one()
    connection.execute(sqlalchemy.delete(table).where(chosen))
    others = sqlalchemy.select(table.c.id).where(table.c.spec == spec).limit(1)
    if connection.execute(others).one_or_none() is None:
        specs = tables.SPECS
        connection.execute(sqlalchemy.delete(specs).where(specs.c.digest == spec))
    metrics = tables.METRICS
    connection.execute(sqlalchemy.delete(metrics).where(metrics.c.run_id == known.run_id))
    told = (
        *("run_id", "namespace", "name", "object_uid"),
        *("pipeline_name", "pipeline_root", "service_account"),
    )
    row = {name: getattr(known, name) for name in told}
    noted = {"at": now, "done": 0, "planned": False, "remove": [], "keep": []}
    connection.execute(sqlalchemy.insert(tables.DELETIONS), {**row, **noted})
    return True


def plan_deletion(connection: Connection, plan: Deletion) -> None:
    """Note what of a deleted run's files goes, and what stays."""
    table = tables.DELETIONS
    change = sqlalchemy.update(table).where(table.c.run_id == plan.run_id)
    row = {
        "planned": True,
        "pipeline_root": plan.pipeline_root,
        "remove": [*plan.remove],
        "keep": [*plan.keep],
    }
    connection.execute(change.values(row))


def end_deletion(connection: Connection, run_id: str, now: int) -> None:
    """Note that nothing is left of a deleted run but its id; its logs go with it."""
    table, logs = tables.DELETIONS, tables.LOGS
    connection.execute(sqlalchemy.delete(logs).where(logs.c.run_id == run_id))
    change = sqlalchemy.update(table).where(table.c.run_id == run_id)
    connection.execute(change.values(done=now, remove=[], keep=[]))


def forget_deletions(connection: Connection, before: int) -> int:
    """Forget deletions that were done before a time; return how many."""
    table = tables.DELETIONS
    old = sqlalchemy.and_(table.c.done > 0, table.c.done < before)
    return connection.execute(sqlalchemy.delete(table).where(old)).rowcount


def add_metrics(connection: Connection, metrics: Sequence[Metric], most: int) -> list[Reported]:
    """Store metrics of one run, of which it has no more than so many; return what became of each."""
    table = tables.METRICS
    of_run = table.c.run_id.in_({each.run_id for each in metrics})
    known = set(connection.execute(sqlalchemy.select(table.c.slot).where(of_run)).scalars())
    rows, told = [], []
    for metric in metrics:
        slot = digest(metric.run_id, metric.node_id, metric.name)
        if slot in known:
            told.append(Reported.DUPLICATE)
        elif len(known) >= most:
            told.append(Reported.NO_ROOM)
        else:
            known.add(slot)
            rows.append({**dataclasses.asdict(metric), "slot": slot})
            told.append(Reported.KEPT)
    if rows:
        connection.execute(sqlalchemy.insert(table), rows)
    return told


def keep_log(connection: Connection, slot: str, run_id: str, content: bytes) -> None:
    """Keep a log in the place of an earlier one."""
    table = tables.LOGS
    connection.execute(sqlalchemy.delete(table).where(table.c.slot == slot))
    connection.execute(
        sqlalchemy.insert(table), {"slot": slot, "run_id": run_id, "content": content}
    )
