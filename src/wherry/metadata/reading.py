"""Rows of artifacts, executions, events and contexts are read here. Blocking."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, TypeVar

import sqlalchemy
from sqlalchemy import Connection, Row, Table

from wherry.metadata import schema
from wherry.metadata.lists import Filter
from wherry.metadata.records import (
    CACHE_KEY,
    CONTAINER_EXECUTION,
    INPUT,
    OUTPUT,
    SUCCEEDED,
    Artifact,
    Context,
    Event,
    Execution,
    Values,
)

T = TypeVar("T")
_AT_ONCE: Final = 500
_FINGERPRINT: Final = re.compile("[0-9a-f]{8,64}")
"""The beginning of one, long enough to mean one."""


def portions(numbers: Sequence[T]) -> Iterator[Sequence[T]]:
    """Give ids in parts that fit into one statement."""
    for start in range(0, len(numbers), _AT_ONCE):
        yield numbers[start : start + _AT_ONCE]


def of_run(connection: Connection, run: str) -> list[Execution]:
    """Return a run's executions, with artifacts, as they were stored."""
    return _executions(connection, schema.EXECUTIONS.c.run == run)


def numbers_of_run(connection: Connection, run: str, limit: int) -> list[int]:
    """Return the ids of a run's executions, in the order in which they were stored."""
    own = schema.EXECUTIONS.c
    wanted = sqlalchemy.select(own.id).where(own.run == run).order_by(own.id).limit(limit)
    return list(connection.execute(wanted).scalars())


def task(connection: Connection, run: str, path: str) -> Execution | None:
    """Return the execution at a place in a run, with artifacts."""
    slot = schema.EXECUTIONS.c.slot == schema.digest(run, path)
    return next(iter(_executions(connection, slot)), None)


def own_artifacts(connection: Connection, run: str) -> tuple[list[Artifact], list[Artifact]]:
    """Return what a run's executions have made: what nobody else uses, and the rest."""
    tasks, given = schema.EXECUTIONS, schema.EVENTS
    joined = sqlalchemy.select(given.c.artifact).distinct()
    joined = joined.join(tasks, tasks.c.id == given.c.execution)
    own = joined.where(tasks.c.run == run, given.c.type == OUTPUT)
    made = own.where(tasks.c.type == CONTAINER_EXECUTION)
    numbers = sorted(connection.execute(made).scalars())
    foreign = joined.where(tasks.c.run != run)
    shared = {row.artifact for row in _in_portions(connection, foreign, given.c.artifact, numbers)}
    found = artifacts_by_id(connection, numbers)
    return (
        [each for number, each in found.items() if number not in shared],
        [each for number, each in found.items() if number in shared],
    )


def execution(connection: Connection, number: int) -> Execution | None:
    """Return an execution, with artifacts."""
    return next(iter(_executions(connection, schema.EXECUTIONS.c.id == number)), None)


def executions_by_id(connection: Connection, numbers: Sequence[int]) -> dict[int, Execution]:
    """Return executions without artifacts, by id."""
    table = schema.EXECUTIONS
    found = _in_portions(connection, sqlalchemy.select(table), table.c.id, numbers)
    return {row.id: _execution(row) for row in found}


def cached(
    connection: Connection, chosen: Mapping[str, str], since: int, limit: int
) -> list[Execution]:
    """Return those that succeeded by themselves, newest first, with artifacts."""
    table = schema.EXECUTIONS
    conditions = [table.c[name] == value for name, value in chosen.items()]
    conditions += [table.c.state == SUCCEEDED, table.c.cached_from == 0, table.c.ended >= since]
    wanted = sqlalchemy.select(table.c.id).where(*conditions)
    newest = wanted.order_by(table.c.ended.desc(), table.c.id.desc()).limit(limit)
    numbers = list(connection.execute(newest).scalars())
    found = {each.id: each for each in _executions(connection, table.c.id.in_(numbers))}
    return [found[number] for number in numbers]


def artifact(connection: Connection, number: int) -> Artifact | None:
    """Return an artifact."""
    return artifacts_by_id(connection, [number]).get(number)


def artifacts_by_id(connection: Connection, numbers: Sequence[int]) -> dict[int, Artifact]:
    """Return artifacts by id."""
    table = schema.ARTIFACTS
    found = _in_portions(connection, sqlalchemy.select(table), table.c.id, numbers)
    return {row.id: _artifact(row) for row in found}


def used_artifacts(connection: Connection, numbers: Sequence[int]) -> set[int]:
    """Return which artifacts any execution has to do with."""
    column = schema.EVENTS.c.artifact
    found = _in_portions(connection, sqlalchemy.select(column).distinct(), column, numbers)
    return {row.artifact for row in found}


def attributions(connection: Connection, artifacts: Sequence[int]) -> set[tuple[int, int]]:
    """Return context and artifact of each artifact that is in a context."""
    table = schema.ATTRIBUTIONS
    found = _in_portions(connection, sqlalchemy.select(table), table.c.artifact, artifacts)
    return {(row.context, row.artifact) for row in found}


def events(connection: Connection, column: str, numbers: Sequence[int], type_: str) -> list[Event]:
    """Return the events of executions or artifacts.

    Args:
        connection: To the database.
        column: ``execution`` or ``artifact``.
        numbers: Their ids.
        type_: Of the events; empty: both.
    """
    table = schema.EVENTS
    wanted = sqlalchemy.select(table).order_by(table.c.id)
    if type_:
        wanted = wanted.where(table.c.type == type_)
    return [_event(row) for row in _in_portions(connection, wanted, table.c[column], numbers)]


def context_slot(wanted: Context) -> str:
    """Return what there is once of a context."""
    return schema.digest(wanted.type, wanted.namespace, wanted.name)


def context(connection: Connection, wanted: Context) -> Context | None:
    """Return the context of a type, namespace and name."""
    slot = schema.CONTEXTS.c.slot == context_slot(wanted)
    row = connection.execute(sqlalchemy.select(schema.CONTEXTS).where(slot)).one_or_none()
    return None if row is None else _contexts(connection, [row])[0]


def artifacts(connection: Connection, chosen: Filter, before: int, limit: int) -> list[Artifact]:
    """List artifacts, newest first."""
    wanted = _chosen(schema.ARTIFACTS, chosen, before, limit)
    if chosen.uri:
        wanted = wanted.where(schema.ARTIFACTS.c.uri_digest == schema.digest(chosen.uri))
    if chosen.context:
        wanted = wanted.where(_among(schema.ATTRIBUTIONS, "artifact", chosen.context))
    return [_artifact(row) for row in connection.execute(wanted)]


def executions(connection: Connection, chosen: Filter, before: int, limit: int) -> list[Execution]:
    """List executions without their artifacts, newest first."""
    wanted = _chosen(schema.EXECUTIONS, chosen, before, limit)
    if chosen.context:
        wanted = wanted.where(_among(schema.ASSOCIATIONS, "execution", chosen.context))
    wanted = wanted.where(*conditions_of(chosen))
    return [_execution(row) for row in connection.execute(wanted)]


def conditions_of(chosen: Filter) -> list[Any]:
    """Return what has to hold of executions to be used again, of this key, and of this age."""
    own, wanted = schema.EXECUTIONS.c, []
    if chosen.reusable:
        wanted += [own.fingerprint != "", own.cached_from == 0, own.state == SUCCEEDED]
    if chosen.key:
        wanted.append(_has_key(chosen.key))
    if chosen.before:
        wanted += [own.ended > 0, own.ended < chosen.before]
    return wanted


def _has_key(key: str) -> Any:
    # Within a text of JSON a quotation mark is escaped: what is found so is a member, not part of a text.
    member = json.dumps({CACHE_KEY: key}, separators=(",", ":"))[1:-1]
    kept = sqlalchemy.type_coerce(schema.EXECUTIONS.c.properties, sqlalchemy.Text)
    named = sqlalchemy.func.replace(kept, member, "") != kept
    if not _FINGERPRINT.fullmatch(key):
        return named
    return sqlalchemy.or_(named, schema.EXECUTIONS.c.fingerprint.startswith(key))


def contexts(connection: Connection, chosen: Filter, before: int, limit: int) -> list[Context]:
    """List contexts, newest first."""
    wanted = _chosen(schema.CONTEXTS, chosen, before, limit)
    if chosen.context:
        parents = schema.PARENTS
        children = sqlalchemy.select(parents.c.context).where(parents.c.parent == chosen.context)
        wanted = wanted.where(schema.CONTEXTS.c.id.in_(children))
    return _contexts(connection, connection.execute(wanted).all())


def _among(pairs: Table, column: str, group: int) -> Any:
    target = schema.ARTIFACTS if column == "artifact" else schema.EXECUTIONS
    members = sqlalchemy.select(pairs.c[column]).where(pairs.c.context == group)
    return target.c.id.in_(members)


def _chosen(table: Table, chosen: Filter, before: int, limit: int) -> Any:
    names = ("namespace", "type", "name", "run", "pipeline", "state")
    wanted = {name: getattr(chosen, name) for name in names if name in table.c}
    conditions = [table.c[name] == value for name, value in wanted.items() if value]
    if before:
        conditions.append(table.c.id < before)
    return sqlalchemy.select(table).where(*conditions).order_by(table.c.id.desc()).limit(limit)


def _in_portions(
    connection: Connection, wanted: Any, column: Any, numbers: Sequence[int]
) -> Iterator[Row[Any]]:
    for some in portions(list(numbers)):
        yield from connection.execute(wanted.where(column.in_(some)))


def _executions(connection: Connection, condition: Any) -> list[Execution]:
    """Return executions with their artifacts and contexts."""
    table = schema.EXECUTIONS
    rows = connection.execute(sqlalchemy.select(table).where(condition).order_by(table.c.id)).all()
    own = sqlalchemy.select(table.c.id).where(condition) if len(rows) > _AT_ONCE else None
    chosen: Any = own if own is not None else [row.id for row in rows]
    sides = _sides(connection, schema.EVENTS.c.execution.in_(chosen))
    groups = _groups(connection, schema.ASSOCIATIONS.c.execution.in_(chosen))
    return [_execution(row, sides.get(row.id), groups.get(row.id, ())) for row in rows]


def _sides(connection: Connection, condition: Any) -> dict[int, dict[str, Any]]:
    """Return the artifacts of executions by side and name.

    Not joined: without statistics, which a database has only after a while, planners read all artifacts.
    """
    table = schema.EVENTS
    # Clients of ML Metadata tell of events of other types, too.
    wanted = sqlalchemy.select(table).where(table.c.type.in_((INPUT, OUTPUT)), condition)
    events = connection.execute(wanted.order_by(table.c.id)).all()
    known = artifacts_by_id(connection, sorted({event.artifact for event in events}))
    found: dict[int, dict[str, Any]] = {}
    for event in events:
        artifact = known.get(event.artifact)
        if artifact is not None:
            side = found.setdefault(event.execution, {INPUT: {}, OUTPUT: {}})[event.type]
            side[event.name] = (*side.get(event.name, ()), artifact)
    return found


def _groups(connection: Connection, condition: Any) -> dict[int, tuple[int, ...]]:
    found: dict[int, tuple[int, ...]] = {}
    wanted = sqlalchemy.select(schema.ASSOCIATIONS).where(condition)
    for row in connection.execute(wanted.order_by(schema.ASSOCIATIONS.c.context)):
        found[row.execution] = (*found.get(row.execution, ()), row.context)
    return found


def _execution(
    row: Row[Any],
    sides: Mapping[str, Mapping[str, tuple[Artifact, ...]]] | None = None,
    groups: tuple[int, ...] = (),
) -> Execution:
    plain = {
        name: value
        for name, value in row._mapping.items()  # noqa: SLF001 - SQLAlchemy's public name for it
        if name not in ("slot", "inputs", "outputs")
    }
    known = sides or {INPUT: {}, OUTPUT: {}}
    return Execution(
        **plain,
        inputs=Values(row.inputs, known[INPUT]),
        outputs=Values(row.outputs, known[OUTPUT]),
        contexts=groups,
    )


def _artifact(row: Row[Any]) -> Artifact:
    return Artifact(
        id=row.id,
        namespace=row.namespace,
        type=row.type,
        name=row.name,
        uri=row.uri,
        metadata=row.metadata,
        created=row.created,
    )


def _event(row: Row[Any]) -> Event:
    return Event(row.execution, row.artifact, row.type, row.name, row.position)


def _contexts(connection: Connection, rows: Sequence[Row[Any]]) -> list[Context]:
    table = schema.PARENTS
    numbers = [row.id for row in rows]
    parents: dict[int, tuple[int, ...]] = {}
    for pair in _in_portions(connection, sqlalchemy.select(table), table.c.context, numbers):
        parents[pair.context] = (*parents.get(pair.context, ()), pair.parent)
    return [
        Context(
            id=row.id,
            namespace=row.namespace,
            type=row.type,
            name=row.name,
            properties=row.properties,
            parents=parents.get(row.id, ()),
            created=row.created,
        )
        for row in rows
    ]
