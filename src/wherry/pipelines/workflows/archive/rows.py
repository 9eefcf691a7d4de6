"""Rows of the archive are written and read here. Blocking, in a transaction."""

from collections.abc import Iterator
from typing import Any, Final

import sqlalchemy
from sqlalchemy import Connection, tuple_

from wherry.objects import metadata
from wherry.objects.requests import Object
from wherry.pipelines.workflows.archive.records import (
    Found,
    Head,
    Wanted,
    kept,
    milliseconds,
)
from wherry.pipelines.workflows.archive.tables import WORKFLOWS

_AT_ONCE: Final = 500


def keep(connection: Connection, workflow: Object) -> None:
    """Keep a workflow in the place of what was kept of it."""
    uid, status = metadata.uid(workflow), workflow.get("status") or {}
    row = {
        "namespace": metadata.namespace(workflow),
        "name": metadata.name(workflow),
        "phase": str(status.get("phase") or "")[:64],
        "created_at": milliseconds(workflow["metadata"].get("creationTimestamp")),
        "finished_at": milliseconds(status.get("finishedAt")),
        "labels": metadata.labels(workflow),
        "workflow": kept(workflow),
    }
    change = sqlalchemy.update(WORKFLOWS).where(WORKFLOWS.c.uid == uid).values(row)
    if not connection.execute(change).rowcount:
        connection.execute(sqlalchemy.insert(WORKFLOWS), {**row, "uid": uid})


def is_kept(connection: Connection, workflow: Object) -> bool:
    """Return whether a workflow is kept as it is."""
    found = get(connection, uid=metadata.uid(workflow))
    return found is not None and _versionless(found) == _versionless(kept(workflow))


def _versionless(workflow: Object) -> Object:
    """Return a workflow without its version, which changes when it only says that it is kept."""
    head = {k: v for k, v in workflow["metadata"].items() if k != "resourceVersion"}
    return {**workflow, "metadata": head}


def get(connection: Connection, **named: str) -> Object | None:
    """Return the newest workflow of which columns have these values."""
    chosen = [WORKFLOWS.c[column] == value for column, value in named.items()]
    query = sqlalchemy.select(WORKFLOWS.c.workflow).where(*chosen)
    found = connection.execute(query.order_by(WORKFLOWS.c.id.desc()).limit(1)).one_or_none()
    return None if found is None else found.workflow


def find(connection: Connection, wanted: Wanted) -> Found:
    """Return a page of workflows, the newest first."""
    places: list[tuple[int, int]] = []
    for row in _looked_at(connection, wanted):
        if _fits(row, wanted):
            places.append((row.created_at, row.id))
        if len(places) > wanted.limit:
            break
    page = places[: wanted.limit]
    found = [_workflow(connection, number) for _, number in page]
    return Found(found, page[-1] if len(places) > wanted.limit and page else None)


def labels(connection: Connection, namespace: str) -> dict[str, set[str]]:
    """Return the labels that workflows have, and their values."""
    found: dict[str, set[str]] = {}
    for row in _looked_at(connection, Wanted(namespace=namespace)):
        for key, value in row.labels.items():
            found.setdefault(key, set()).add(value)
    return found


def delete(connection: Connection, uid: str) -> int:
    """Delete a workflow; return how many there were."""
    return connection.execute(sqlalchemy.delete(WORKFLOWS).where(WORKFLOWS.c.uid == uid)).rowcount


def _looked_at(connection: Connection, wanted: Wanted) -> Iterator[Any]:
    """Yield rows, without the workflows themselves, the newest first."""
    table, before, seen = WORKFLOWS, wanted.before, 0
    columns = sqlalchemy.select(
        table.c.id, table.c.created_at, table.c.namespace, table.c.name, table.c.labels
    )
    if wanted.namespace:
        columns = columns.where(table.c.namespace == wanted.namespace)
    columns = columns.order_by(table.c.created_at.desc(), table.c.id.desc()).limit(_AT_ONCE)
    while seen < wanted.most:
        place = tuple_(table.c.created_at, table.c.id)
        part = columns if before is None else columns.where(place < before)
        rows = connection.execute(part).all()
        yield from rows
        if len(rows) < _AT_ONCE:
            return
        seen += len(rows)
        before = (rows[-1].created_at, rows[-1].id)


def _fits(row: Any, wanted: Wanted) -> bool:
    head = Head(row.namespace, row.name, row.created_at)
    if wanted.fits is not None and not wanted.fits(head):
        return False
    return wanted.labels is None or wanted.labels.matches(row.labels)


def _workflow(connection: Connection, number: int) -> Object:
    query = sqlalchemy.select(WORKFLOWS.c.workflow).where(WORKFLOWS.c.id == number)
    found: Object = connection.execute(query).scalar_one()
    return found
