"""What nodes are linked to: events, contexts, parents of contexts. Blocking."""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Final

import sqlalchemy
from sqlalchemy import Table

from wherry.metadata import reading, schema
from wherry.metadata.mlmd import nodes
from wherry.metadata.mlmd.kinds import ARTIFACT, CONTEXT, EXECUTION, Kind
from wherry.metadata.mlmd.view import View
from wherry.metadata.records import INPUT, OUTPUT
from wherry.objects import errors
from wherry.objects.requests import Object

EVENTS: Final = schema.EVENTS
MOST_EVENTS: Final = 20_000
"""In one answer."""
_WORDS: Final = {3: INPUT, 4: OUTPUT}
"""Types of events that the platform knows; others are kept by their number."""
_NUMBERS: Final = {word: number for number, word in _WORDS.items()}


def event_word(number: int) -> str:
    """Return how a type of events is kept."""
    return _WORDS.get(number, f"T{number}")


def event_number(word: str) -> int:
    """Return which type of events is kept so."""
    return _NUMBERS.get(word) or int(word[1:])


def events(view: View, kind: Kind, numbers: Collection[int]) -> list[Object]:
    """Return the events of artifacts or executions, both sides of which the caller may see.

    Raises:
        RequestEntityTooLargeError: they are too many for one answer.
    """
    column = EVENTS.c[kind.name]
    found: list[Any] = []
    for some in reading.portions(sorted(set(numbers))):
        wanted = sqlalchemy.select(EVENTS).where(column.in_(some))
        found += view.at.execute(wanted.limit(MOST_EVENTS + 1 - len(found)))
        if len(found) > MOST_EVENTS:
            raise errors.RequestEntityTooLargeError(
                f"the {kind.name}s have more than {MOST_EVENTS} events; ask for fewer at once"
            )
    sides = {
        of.name: nodes.rows(view, of, {getattr(row, of.name) for row in found})
        for of in (ARTIFACT, EXECUTION)
    }
    return [
        _event(row, sides[EXECUTION.name][row.execution])
        for row in sorted(found, key=lambda row: row.id)
        if row.artifact in sides[ARTIFACT.name] and row.execution in sides[EXECUTION.name]
    ]


def _event(row: Any, execution: Any) -> Object:
    made: Object = {
        "artifact_id": row.artifact,
        "execution_id": row.execution,
        "type": event_number(row.type),
    }
    if row.time is not None:
        return {**made, "milliseconds_since_epoch": row.time, **(row.details or {})}
    place = [{"index": row.position}] if row.position else []
    at = (execution.ended if row.type == OUTPUT else execution.started) or execution.created
    return {
        **made,
        "path": {"steps": [{"key": row.name}, *place]},
        "milliseconds_since_epoch": at,
    }


def pairs(view: View, table: Table, column: str, numbers: Collection[int]) -> list[tuple[int, int]]:
    """Return the pairs of a table in which a column is one of some ids, each as the table has them."""
    found = [
        tuple(row)
        for some in reading.portions(sorted(set(numbers)))
        for row in view.at.execute(sqlalchemy.select(table).where(table.c[column].in_(some)))
    ]
    return sorted((int(one), int(other)) for one, other in found)


def groups(view: View, kind: Kind, numbers: Collection[int]) -> dict[int, list[Object]]:
    """Return the contexts that artifacts or executions are in, by the ids of these."""
    assert kind.groups is not None  # contexts are in none
    found = pairs(view, kind.groups, kind.name, numbers)
    return _gathered(view, [(member, group) for group, member in found])


def parents(view: View, numbers: Collection[int]) -> dict[int, list[Object]]:
    """Return the contexts that contexts are part of, by the ids of these."""
    return _gathered(view, pairs(view, schema.PARENTS, "context", numbers))


def children(view: View, numbers: Collection[int]) -> dict[int, list[Object]]:
    """Return the contexts that are part of contexts, by the ids of these."""
    found = pairs(view, schema.PARENTS, "parent", numbers)
    return _gathered(view, [(parent, child) for child, parent in found])


def _gathered(view: View, found: Sequence[tuple[int, int]]) -> dict[int, list[Object]]:
    listed = nodes.by_id(view, CONTEXT, {group for _, group in found})
    known = {each["id"]: each for each in listed}
    made: dict[int, list[Object]] = {}
    for member, group in sorted(found):
        if group in known:
            made.setdefault(member, []).append(known[group])
    return made


def _by_node(view: View, kind: Kind, numbers: Collection[int]) -> dict[int, list[Object]]:
    made: dict[int, list[Object]] = {}
    for event in events(view, kind, numbers):
        made.setdefault(event[f"{kind.name}_id"], []).append(event)
    return made


_SOURCES: Final[Mapping[str, Callable[[View, Kind, Collection[int]], dict[int, list[Object]]]]] = {
    "contexts": groups,
    "events": _by_node,
    "parent_contexts": lambda view, _, numbers: parents(view, numbers),
    "child_contexts": lambda view, _, numbers: children(view, numbers),
}


def of_sources(
    view: View, kind: Kind, sources: Collection[str], numbers: Collection[int]
) -> dict[int, dict[str, list[Object]]]:
    """Return what nodes are linked to, by their ids and by source; see `filter_words.source`."""
    made: dict[int, dict[str, list[Object]]] = {number: {} for number in numbers}
    for source in sources:
        for number, linked in _SOURCES[source](view, kind, numbers).items():
            made[number][source] = linked
    return made
