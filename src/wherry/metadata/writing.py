"""Rows of artifacts, executions, events and contexts are written here. Blocking, in a transaction."""

import dataclasses
from collections.abc import Iterable, Sequence
from typing import Any

import sqlalchemy
from sqlalchemy import Connection, Table

from wherry.metadata import reading, schema
from wherry.metadata.lists import Filter
from wherry.metadata.records import (
    CONTAINER_EXECUTION,
    INPUT,
    OUTPUT,
    PIPELINE_RUN,
    Artifact,
    Context,
    Execution,
    Values,
)

Row = dict[str, Any]


def save(connection: Connection, executions: Sequence[Execution], now: int) -> list[Execution]:
    """Store executions with artifacts and events; return them as they are now."""
    made = _with_artifacts(connection, executions, now)
    stored = _rows(connection, made, now)
    known = {each.id for each in executions if each.id}
    for type_ in (INPUT, OUTPUT):
        _events(connection, stored, type_, known)
    _groups(connection, stored, known)
    return stored


def redo(connection: Connection, executions: Sequence[Execution], now: int) -> None:
    """Store executions that are to be done again, and forget what they have made."""
    table = schema.EVENTS
    made: set[int] = set()
    for some in reading.portions([each.id for each in executions]):
        own = sqlalchemy.and_(table.c.execution.in_(some), table.c.type == OUTPUT)
        made.update(connection.execute(sqlalchemy.select(table.c.artifact).where(own)).scalars())
        connection.execute(sqlalchemy.delete(table).where(own))
    _rows(connection, executions, now)
    _delete_artifacts(connection, made - reading.used_artifacts(connection, sorted(made)))


def add_artifact(connection: Connection, artifact: Artifact, now: int) -> Artifact:
    """Store an artifact; of one that is there already, its name and metadata."""
    table = schema.ARTIFACTS
    if artifact.id:
        change = sqlalchemy.update(table).where(table.c.id == artifact.id)
        connection.execute(change.values(name=artifact.name, metadata=dict(artifact.metadata)))
        return artifact
    return _inserted_artifacts(connection, [artifact], now)[0]


def context(connection: Connection, wanted: Context, now: int) -> Context:
    """Return the context of a type, namespace and name; made where it is missing, else added to."""
    known = reading.context(connection, wanted)
    if known is None:
        row: Row = {
            "slot": reading.context_slot(wanted),
            "namespace": wanted.namespace,
            "type": wanted.type,
            "name": wanted.name,
            "properties": dict(wanted.properties),
            "created": wanted.created or now,
        }
        (number,) = _insert(connection, schema.CONTEXTS, [row])
        known = dataclasses.replace(wanted, id=number, created=row["created"], parents=())
    properties = {**known.properties, **wanted.properties}
    if properties != known.properties:
        table = schema.CONTEXTS
        change = sqlalchemy.update(table).where(table.c.id == known.id)
        connection.execute(change.values(properties=properties))
    new = [each for each in wanted.parents if each not in known.parents]
    _put(connection, schema.PARENTS, [{"context": known.id, "parent": each} for each in new])
    return dataclasses.replace(known, properties=properties, parents=(*known.parents, *new))


def forget_cached(connection: Connection, chosen: Filter) -> int:
    """Take the fingerprints of executions away; return of how many."""
    table = schema.EXECUTIONS
    exact = {name: getattr(chosen, name) for name in ("namespace", "pipeline", "name", "run")}
    conditions = [table.c[name] == value for name, value in exact.items() if value]
    conditions += reading.conditions_of(dataclasses.replace(chosen, reusable=True))
    return connection.execute(
        sqlalchemy.update(table).where(*conditions).values(fingerprint="")
    ).rowcount


def delete_run(connection: Connection, run: str) -> list[Artifact]:
    """Delete a run's executions and context; return its artifacts that were deleted with them."""
    tasks, events = schema.EXECUTIONS, schema.EVENTS
    own = sqlalchemy.select(tasks.c.id).where(tasks.c.run == run)
    touched = connection.execute(
        sqlalchemy.select(events.c.artifact, events.c.type, tasks.c.type)
        .join(tasks, tasks.c.id == events.c.execution)
        .where(tasks.c.run == run)
    ).all()
    numbers = {artifact for artifact, _, _ in touched}
    # What an importer has named is its user's, not the run's.
    made = {at for at, event, type_ in touched if event == OUTPUT and type_ == CONTAINER_EXECUTION}
    connection.execute(sqlalchemy.delete(events).where(events.c.execution.in_(own)))
    _ungroup(connection, own, run)
    _forget_nodes(connection, "execution", own)
    connection.execute(sqlalchemy.delete(tasks).where(tasks.c.run == run))
    used = reading.used_artifacts(connection, sorted(numbers))
    deleted = reading.artifacts_by_id(connection, sorted(numbers - used))
    _delete_artifacts(connection, numbers - used)
    return [artifact for number, artifact in deleted.items() if number in made]


def _delete_artifacts(connection: Connection, numbers: set[int]) -> None:
    for some in reading.portions(sorted(numbers)):
        _forget_nodes(connection, "artifact", some)
        for table, column in ((schema.ATTRIBUTIONS, "artifact"), (schema.ARTIFACTS, "id")):
            connection.execute(sqlalchemy.delete(table).where(table.c[column].in_(some)))


def _ungroup(connection: Connection, executions: Any, run: str) -> None:
    """Delete what groups a run's executions, and its own context."""
    pairs, contexts = schema.ASSOCIATIONS, schema.CONTEXTS
    connection.execute(sqlalchemy.delete(pairs).where(pairs.c.execution.in_(executions)))
    own = sqlalchemy.and_(contexts.c.name == run, contexts.c.type == PIPELINE_RUN)
    found = connection.execute(sqlalchemy.select(contexts.c.id).where(own))
    numbers = [number for (number,) in found if run]
    for table in (schema.PARENTS, schema.ASSOCIATIONS, schema.ATTRIBUTIONS):
        connection.execute(sqlalchemy.delete(table).where(table.c.context.in_(numbers)))
    _forget_nodes(connection, "context", numbers)
    connection.execute(sqlalchemy.delete(contexts).where(contexts.c.id.in_(numbers)))


def _forget_nodes(connection: Connection, kind: str, numbers: Any) -> None:
    """Delete what clients of ML Metadata have said of artifacts, executions or contexts."""
    table = schema.NODES
    chosen = sqlalchemy.and_(table.c.kind == kind, table.c.node.in_(numbers))
    connection.execute(sqlalchemy.delete(table).where(chosen))


def _with_artifacts(
    connection: Connection, executions: Sequence[Execution], now: int
) -> list[Execution]:
    """Store the artifacts that are new among the outputs; return executions that have them."""
    fresh = [
        artifact if artifact.namespace else dataclasses.replace(artifact, namespace=each.namespace)
        for each in executions
        for artifact in _listed(each.outputs)
        if not artifact.id
    ]
    stored = iter(_inserted_artifacts(connection, fresh, now))
    return [
        dataclasses.replace(each, outputs=_replaced(each.outputs, stored)) for each in executions
    ]


def _replaced(values: Values, stored: Iterable[Artifact]) -> Values:
    taken = iter(stored)
    return Values(
        values.parameters,
        {
            name: tuple(each if each.id else next(taken) for each in artifacts)
            for name, artifacts in values.artifacts.items()
        },
    )


def _listed(values: Values) -> list[Artifact]:
    return [each for artifacts in values.artifacts.values() for each in artifacts]


def _inserted_artifacts(
    connection: Connection, artifacts: Sequence[Artifact], now: int
) -> list[Artifact]:
    rows: list[Row] = [
        {
            "namespace": each.namespace,
            "type": each.type,
            "name": each.name,
            "uri": each.uri,
            "uri_digest": schema.digest(each.uri),
            "metadata": dict(each.metadata),
            "created": each.created or now,
        }
        for each in artifacts
    ]
    numbers = _insert(connection, schema.ARTIFACTS, rows)
    return [
        dataclasses.replace(each, id=number, created=row["created"])
        for each, number, row in zip(artifacts, numbers, rows, strict=True)
    ]


def _rows(connection: Connection, executions: Sequence[Execution], now: int) -> list[Execution]:
    """Store the rows of executions themselves."""
    table = schema.EXECUTIONS
    fresh = [_row(each, now) for each in executions if not each.id]
    numbers = iter(_insert(connection, table, fresh))
    changed = [{**_row(each, now), "row": each.id} for each in executions if each.id]
    if changed:
        change = sqlalchemy.update(table).where(table.c.id == sqlalchemy.bindparam("row"))
        connection.execute(change, changed)
    return [
        each
        if each.id
        else dataclasses.replace(each, id=next(numbers), created=each.created or now)
        for each in executions
    ]


def _row(execution: Execution, now: int) -> Row:
    names = (
        *("namespace", "type", "name", "pipeline", "run", "path", "state", "attempt", "pod"),
        *("started", "ended", "error", "fingerprint", "cached_from", "cache_reason"),
    )
    slot = schema.digest(execution.run, execution.path) if execution.run else None
    return {
        **{name: getattr(execution, name) for name in names},
        "slot": slot,
        "created": execution.created or now,
        "inputs": dict(execution.inputs.parameters),
        "outputs": dict(execution.outputs.parameters),
        "properties": dict(execution.properties),
    }


def _events(
    connection: Connection, executions: Sequence[Execution], type_: str, known: set[int]
) -> None:
    """Write the events of one side; those that were there before go."""
    table = schema.EVENTS
    sides = {each.id: each.inputs if type_ == INPUT else each.outputs for each in executions}
    told = {number: values for number, values in sides.items() if values.artifacts}
    for some in reading.portions(sorted(known & told.keys())):
        old = sqlalchemy.and_(table.c.execution.in_(some), table.c.type == type_)
        connection.execute(sqlalchemy.delete(table).where(old))
    rows = [
        {
            "execution": number,
            "artifact": artifact.id,
            "type": type_,
            "name": name,
            "position": position,
        }
        for number, values in told.items()
        for name, artifacts in values.artifacts.items()
        for position, artifact in enumerate(artifacts)
    ]
    if rows:
        connection.execute(sqlalchemy.insert(table), rows)


def _groups(connection: Connection, executions: Sequence[Execution], known: set[int]) -> None:
    """Put new executions, and what came out of any, into their contexts."""
    members = [
        {"context": group, "execution": each.id}
        for each in executions
        if each.id not in known
        for group in each.contexts
    ]
    _put(connection, schema.ASSOCIATIONS, members)
    results = {
        (group, artifact.id)
        for each in executions
        for group in each.contexts
        for artifact in _listed(each.outputs)
    }
    there = reading.attributions(connection, sorted({artifact for _, artifact in results}))
    rows = [{"context": group, "artifact": at} for group, at in sorted(results - there)]
    _put(connection, schema.ATTRIBUTIONS, rows)


def _put(connection: Connection, table: Table, rows: Sequence[Row]) -> None:
    if rows:
        connection.execute(sqlalchemy.insert(table), list(rows))


def _insert(connection: Connection, table: Table, rows: Sequence[Row]) -> list[int]:
    """Store rows; return the ids that they were given, in their order."""
    if not rows:
        return []
    if connection.dialect.insert_executemany_returning_sort_by_parameter_order:
        told = sqlalchemy.insert(table).returning(table.c.id, sort_by_parameter_order=True)
        return list(connection.execute(told, list(rows)).scalars())
    return [_inserted(connection, table, row) for row in rows]


def _inserted(connection: Connection, table: Table, row: Row) -> int:
    key = connection.execute(sqlalchemy.insert(table), row).inserted_primary_key
    assert key is not None  # the tables have one
    return int(key[0])
