"""The part of the graph around some nodes, as many events away as is asked for. Blocking."""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from wherry.metadata.mlmd import filters, links, listing, node_types, nodes
from wherry.metadata.mlmd.filters import Query
from wherry.metadata.mlmd.kinds import ARTIFACT, CONTEXT, EXECUTION, KINDS, Kind
from wherry.metadata.mlmd.view import View
from wherry.objects import errors
from wherry.objects.requests import Object

_UPSTREAM: Final = 1
_DOWNSTREAM: Final = 2
_MOST_HOPS: Final = 100
_MOST_STARTS: Final = 100
MOST_NODES: Final = 5000
"""Artifacts and executions of one answer."""
_OUTPUTS: Final = frozenset((1, 4, 6, 7))
"""Types of events in which an execution makes; of all others that have one, it reads."""
_STARTS: Final[Mapping[str, Kind]] = {
    "starting_artifacts": ARTIFACT,
    "starting_executions": EXECUTION,
}
_PARTS: Final = (
    *("artifact_types", "execution_types", "context_types", "artifacts", "executions", "contexts"),
    *("events", "attributions", "associations", "parent_contexts"),
)


class _Walk:
    """What has been found so far, of the part that is asked for."""

    def __init__(self, view: View, options: Object) -> None:
        self._view = view
        self._direction = options.get("direction", 0)
        self._ends = {
            kind.name: _end(kind, options.get(f"ending_{kind.name}s"))
            for kind in (ARTIFACT, EXECUTION)
        }
        self.found: dict[str, dict[int, None]] = {ARTIFACT.name: {}, EXECUTION.name: {}}
        # By all that they say: a task may read an artifact by two names.
        self.events: dict[str, Object] = {}
        self._left_out: dict[str, set[int]] = {ARTIFACT.name: set(), EXECUTION.name: set()}

    def go(self, kind: Kind, starts: Sequence[int], hops: int) -> None:
        """Begin at nodes, and go on as many events as are asked for.

        Raises:
            RequestEntityTooLargeError: it is more than is told at once.
        """
        fresh = self._taken(kind, starts)
        for _ in range(hops):
            if not fresh:
                return
            self._view.check_time()
            other = EXECUTION if kind is ARTIFACT else ARTIFACT
            events = [
                event
                for event in links.events(self._view, kind, fresh)
                if self._is_followed(kind, event["type"])
            ]
            numbers = [event[f"{other.name}_id"] for event in events]
            new = [each for each in dict.fromkeys(numbers) if each not in self.found[other.name]]
            fresh = self._taken(other, [n for n in new if n not in self._left_out[other.name]])
            for event in events:
                if event[f"{other.name}_id"] in self.found[other.name]:
                    self.events[json.dumps(event)] = event
            kind = other

    def _taken(self, kind: Kind, numbers: Sequence[int]) -> list[int]:
        """Take nodes in; return those from which to go on."""
        end = self._ends[kind.name]
        ending = end(self._view, numbers) if end else {}
        found = self.found[kind.name]
        found.update(dict.fromkeys(n for n in numbers if ending.get(n, True)))
        self._left_out[kind.name].update(n for n in numbers if not ending.get(n, True))
        if sum(map(len, self.found.values())) > MOST_NODES:
            raise errors.RequestEntityTooLargeError(
                f"the subgraph has more than {MOST_NODES} artifacts and executions; ask for fewer by "
                "max_num_hops, ending_artifacts or ending_executions"
            )
        return [number for number in numbers if number not in ending]

    def _is_followed(self, kind: Kind, type_: int) -> bool:
        if self._direction not in (_UPSTREAM, _DOWNSTREAM):
            return True
        made = type_ in _OUTPUTS
        # Up from an artifact is what made it, up from an execution is what it read.
        up = made if kind is ARTIFACT else not made
        return up is (self._direction == _UPSTREAM)


_End = Callable[[View, Sequence[int]], dict[int, bool]]
"""Says of nodes at which the way ends whether they are part of it; of others, nothing."""


def _end(kind: Kind, told: Object | None) -> _End | None:
    if not told or not told.get("filter_query"):
        return None
    query: Query = filters.read(kind, told["filter_query"])
    included = bool(told.get("include_ending_nodes", False))

    def ending(view: View, numbers: Sequence[int]) -> dict[int, bool]:
        found = nodes.by_id(view, kind, numbers)
        linked = links.of_sources(view, kind, query.sources(), numbers)
        return {
            each["id"]: included
            for each in found
            if query.holds(each, linked[each["id"]], view.check_time)
        }

    return ending


def subgraph(view: View, options: Object, parts: Sequence[str]) -> Object:
    """Return the part of the graph around nodes.

    Args:
        view: Whose.
        options: ``LineageSubgraphQueryOptions``.
        parts: The fields of the answer that are wanted; empty: all.

    Raises:
        BadRequestError: the options are not what they should be.
        NotFoundError: there is no node to start at.
        RequestEntityTooLargeError: it is more than is told at once.
    """
    given = [(kind, options[name]) for name, kind in _STARTS.items() if name in options]
    if not given:
        raise errors.BadRequestError(f"want one of {', '.join(_STARTS)}")
    ((kind, start),) = given
    if not start.get("filter_query"):
        raise errors.BadRequestError("filter_query: is missing: it says at which nodes to start")
    hops = options.get("max_num_hops", _MOST_HOPS)
    if hops < 0:
        raise errors.BadRequestError(f"max_num_hops: {hops}: want 0 to {_MOST_HOPS}")
    starts = listing.matching(view, kind, start["filter_query"], _MOST_STARTS)
    if not starts:
        raise errors.NotFoundError(f"filter_query: no {kind.name} is meant by it")
    walk = _Walk(view, options)
    walk.go(kind, starts, min(hops, _MOST_HOPS))
    return _told(view, walk, frozenset(parts) & frozenset(_PARTS) or frozenset(_PARTS))


def _told(view: View, walk: _Walk, parts: frozenset[str]) -> Object:
    pairs = {
        "attributions": _pairs(view, ARTIFACT, walk.found),
        "associations": _pairs(view, EXECUTION, walk.found),
    }
    groups = {pair["context_id"] for some in pairs.values() for pair in some}
    wanted = {**walk.found, CONTEXT.name: groups}
    above = links.parents(view, groups)
    made: dict[str, Any] = {
        "events": [*walk.events.values()],
        **pairs,
        "parent_contexts": [
            {"child_id": child, "parent_id": parent["id"]}
            for child, found in above.items()
            for parent in found
        ],
    }
    for kind in KINDS:
        listed = nodes.by_id(view, kind, [*wanted[kind.name]])
        made[f"{kind.name}s"] = listed
        used = node_types.by_id(view, kind, {each["type_id"] for each in listed})
        made[f"{kind.name}_types"] = [used[number] for number in sorted(used)]
    return {name: made[name] for name in _PARTS if name in parts}


def _pairs(view: View, kind: Kind, found: Mapping[str, Mapping[int, None]]) -> list[Object]:
    groups = links.groups(view, kind, [*found[kind.name]])
    return [
        {"context_id": group["id"], f"{kind.name}_id": member}
        for member, listed in groups.items()
        for group in listed
    ]
