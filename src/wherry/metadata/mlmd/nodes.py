"""Nodes are read here, as messages of ML Metadata. Blocking."""

import functools
import operator
from collections.abc import Collection, Iterable, Sequence
from typing import Any, Final

import sqlalchemy

from wherry.metadata import reading, schema
from wherry.metadata.mlmd import node_types, own
from wherry.metadata.mlmd.kinds import ARTIFACT, CONTEXT, EXECUTION, Kind
from wherry.metadata.mlmd.view import View
from wherry.objects import errors
from wherry.objects.requests import Object

SAID: Final = schema.NODES
"""What clients say of nodes."""
MOST_TOLD: Final = 32_000_000
"""Characters of JSON in the nodes of one answer."""


def selected(view: View, kind: Kind) -> Any:
    """Return the selection of all nodes that the caller may see, with what clients say of them."""
    table = kind.table
    said = (SAID.c.type, SAID.c.state, SAID.c.updated, SAID.c.body)
    wanted = sqlalchemy.select(table, *(each.label(f"said_{each.name}") for each in said))
    joined = sqlalchemy.and_(SAID.c.kind == kind.name, SAID.c.node == table.c.id)
    return wanted.outerjoin_from(table, SAID, joined).where(view.seen(table.c.namespace))


def by_id(view: View, kind: Kind, numbers: Collection[int]) -> list[Object]:
    """Return nodes by their ids, in the order of these; those that are not seen are left out."""
    return messages(view, kind, rows(view, kind, numbers).values())


def rows(view: View, kind: Kind, numbers: Collection[int]) -> dict[int, Any]:
    """Return rows by id, in the order of these, as far as the caller may see them.

    Raises:
        RequestEntityTooLargeError: together they are too large for one answer.
    """
    found: dict[int, Any] = {}
    own, size = kind.table.c.id, 0
    for some in reading.portions(sorted(set(numbers))):
        chosen = selected(view, kind).where(own.in_(some))
        asked = chosen.with_only_columns(sqlalchemy.func.sum(weight(kind)))
        size += view.at.execute(asked).scalar() or 0
        if size > MOST_TOLD:
            raise errors.RequestEntityTooLargeError(
                f"the {kind.name}s hold more than {MOST_TOLD} characters; ask for fewer at once"
            )
        found |= {row.id: row for row in view.at.execute(chosen.order_by(own))}
    return found


def weight(kind: Kind) -> Any:
    """Return how many characters of JSON a row of `selected` holds."""
    kept = [each for each in (*kind.table.c, SAID.c.body) if isinstance(each.type, schema.Json)]
    lengths = [
        sqlalchemy.func.length(sqlalchemy.type_coerce(each, sqlalchemy.Text)) for each in kept
    ]
    return functools.reduce(operator.add, [sqlalchemy.func.coalesce(each, 0) for each in lengths])


def messages(view: View, kind: Kind, found: Iterable[Any]) -> list[Object]:
    """Return the messages that rows of `selected` are."""
    listed = [*found]
    plain = [row for row in listed if not row.said_type]
    types = node_types.ensure(view, kind, [(row.namespace, row.type) for row in plain])
    parents = _parents(view, plain) if kind is EXECUTION else {}
    return [
        _said(kind, row)
        if row.said_type
        else _own(kind, row, types[row.namespace, row.type], parents.get(row.id, 0))
        for row in listed
    ]


def _said(kind: Kind, row: Any) -> Object:
    """Return a node that a client has stored."""
    made: Object = {
        "id": row.id,
        "type_id": row.said_type,
        "type": row.type,
        "create_time_since_epoch": row.created,
        "last_update_time_since_epoch": row.said_updated,
        **row.said_body,
    }
    if row.name:
        made["name"] = row.name
    if kind is ARTIFACT and row.uri:
        made["uri"] = row.uri
    if kind.state and row.said_state is not None:
        made[kind.state] = row.said_state
    return made


def _own(kind: Kind, row: Any, type_: int, parent: int) -> Object:
    """Return a node of the platform's own, with what clients have added."""
    if kind is EXECUTION:
        told = own.execution(row, parent)
    else:
        told = own.context(row) if kind is CONTEXT else own.artifact(row)
    added = row.said_body or {}
    custom = {**added.get("custom_properties", {}), **told["custom_properties"]}
    return {
        "id": row.id,
        "type_id": type_,
        "type": row.type,
        "create_time_since_epoch": row.created,
        "last_update_time_since_epoch": max(own.updated(row), row.said_updated or 0),
        **added,
        **told,
        "custom_properties": custom,
    }


def _parents(view: View, listed: Sequence[Any]) -> dict[int, int]:
    """Return the ids of the graphs that tasks are part of, by the tasks' ids."""
    slots = {
        row.id: schema.digest(row.run, path)
        for row in listed
        if row.run and (path := own.parent_path(row.path))
    }
    table, found = schema.EXECUTIONS, dict[str, int]()
    wanted = sqlalchemy.select(table.c.slot, table.c.id)
    for some in reading.portions(sorted(set(slots.values()))):
        found |= {row.slot: row.id for row in view.at.execute(wanted.where(table.c.slot.in_(some)))}
    return {number: found[slot] for number, slot in slots.items() if slot in found}
