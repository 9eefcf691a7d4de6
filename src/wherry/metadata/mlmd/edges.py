"""What is between nodes is stored here: events, contexts and what is in them. Blocking."""

from collections.abc import Iterable, Sequence
from typing import Final

import sqlalchemy
from sqlalchemy import Table

from wherry.metadata import schema
from wherry.metadata.mlmd import links, nodes
from wherry.metadata.mlmd.kinds import ARTIFACT, CONTEXT, EXECUTION, Kind
from wherry.metadata.mlmd.view import View
from wherry.objects import errors
from wherry.objects.requests import Object

_INPUTS: Final = (2, 3, 5)
"""Types of events in which an execution reads."""


def put_events(view: View, events: Sequence[Object]) -> None:
    """Store events.

    Raises:
        BadRequestError: one has no type, or no artifact or execution that is there.
        AlreadyExistsError: an execution has such an event with the artifact already.
        ForbiddenError: it is in another namespace than the caller's.
    """
    sides = {
        kind.name: nodes.rows(view, kind, {each.get(f"{kind.name}_id", 0) for each in events})
        for kind in (ARTIFACT, EXECUTION)
    }
    for event in events:
        if not event.get("type"):
            raise errors.BadRequestError("type: an event needs one")
        for kind, known in sides.items():
            number = event.get(f"{kind}_id", 0)
            if number not in known:
                raise errors.BadRequestError(f"{kind}_id: there is no {kind} {number}")
        execution = sides[EXECUTION.name][event["execution_id"]]
        artifact = sides[ARTIFACT.name][event["artifact_id"]]
        view.check_home(f"execution {execution.id}", execution.namespace)
        if event["type"] not in _INPUTS:
            view.check_home(f"artifact {artifact.id}", artifact.namespace)
        if execution.run:
            raise errors.BadRequestError(
                f"execution_id: {execution.id} is a task of a run, which tells its events itself"
            )
        _put_event(view, event)


def _put_event(view: View, event: Object) -> None:
    table, word = schema.EVENTS, links.event_word(event["type"])
    same = sqlalchemy.select(table.c.id).where(
        table.c.execution == event["execution_id"],
        table.c.artifact == event["artifact_id"],
        table.c.type == word,
    )
    if view.at.execute(same).first() is not None:
        raise errors.AlreadyExistsError(
            f"execution {event['execution_id']} has an event of type {event['type']} with artifact "
            f"{event['artifact_id']} already"
        )
    steps = event.get("path", {}).get("steps", ())
    row = {
        "execution": event["execution_id"],
        "artifact": event["artifact_id"],
        "type": word,
        # By which the platform's own lineage calls it.
        "name": next((step["key"] for step in steps if "key" in step), ""),
        "position": 0,
        "time": event.get("milliseconds_since_epoch", view.now),
        "details": {key: event[key] for key in ("path", "system_metadata") if key in event},
    }
    view.at.execute(sqlalchemy.insert(table), row)


def put_members(view: View, kind: Kind, given: Iterable[Object]) -> None:
    """Put artifacts or executions into contexts; what is in one already stays.

    Raises:
        BadRequestError: there is no such node, or no such context.
        ForbiddenError: it is in another namespace than the caller's.
    """
    assert kind.groups is not None  # contexts are in none
    wanted = [(each.get("context_id", 0), each.get(f"{kind.name}_id", 0)) for each in given]
    _check(view, kind, {member for _, member in wanted})
    _check(view, CONTEXT, {group for group, _ in wanted})
    there = set(links.pairs(view, kind.groups, kind.name, {member for _, member in wanted}))
    new = dict.fromkeys(pair for pair in wanted if pair not in there)
    _insert(view, kind.groups, kind.name, new)


def put_parents(view: View, given: Sequence[Object]) -> None:
    """Make contexts part of others.

    Raises:
        BadRequestError: there is no such context, or it would be part of itself.
        AlreadyExistsError: it is part of the other already.
        ForbiddenError: it is in another namespace than the caller's.
    """
    for each in given:
        child, parent = each.get("child_id", 0), each.get("parent_id", 0)
        _check(view, CONTEXT, {child, parent})
        if child == parent or child in _above(view, parent):
            raise errors.BadRequestError(
                f"parent_contexts: context {child} would be part of itself: that is a cycle"
            )
        if (child, parent) in links.pairs(view, schema.PARENTS, "context", [child]):
            raise errors.AlreadyExistsError(f"context {child} is part of context {parent} already")
        _insert(view, schema.PARENTS, "parent", [(child, parent)])


def _above(view: View, number: int) -> set[int]:
    """Return the contexts that one is part of, directly or not."""
    found: set[int] = set()
    fresh = {number}
    while fresh:
        pairs = links.pairs(view, schema.PARENTS, "context", fresh)
        fresh = {parent for _, parent in pairs} - found
        found |= fresh
    return found


def _check(view: View, kind: Kind, numbers: set[int]) -> None:
    known = nodes.rows(view, kind, numbers)
    for number in sorted(numbers):
        if number not in known:
            raise errors.BadRequestError(f"{kind.name}_id: there is no {kind.name} {number}")
        view.check_home(f"{kind.name} {number}", known[number].namespace)


def _insert(view: View, table: Table, other: str, pairs: Iterable[tuple[int, int]]) -> None:
    rows = [{"context": group, other: member} for group, member in pairs]
    if rows:
        view.at.execute(sqlalchemy.insert(table), rows)
