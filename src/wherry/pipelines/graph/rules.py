"""The usual rules of a graph: what waits, what a whole has become, what is tried again. Pure."""

from collections.abc import Mapping, Sequence

from wherry.pipelines.graph.model import BECAME, Attempt, Graph, Node, State, Trigger
from wherry.pipelines.graph.spots import Place, Spot


def dependents(graph: Graph) -> Mapping[str, Sequence[str]]:
    """Return the nodes that need each node of a graph."""
    found: dict[str, list[str]] = {}
    for name, node in graph.nodes.items():
        for need in dict.fromkeys(node.needs):
            found.setdefault(need, []).append(name)
    return found


def refused(node: Node, place: Place) -> tuple[State, str] | None:
    """Return what becomes of a node because of those before it; None: it may run."""
    if node.trigger is Trigger.COMPLETED:
        return None
    for name in node.needs:
        state = place.state(name)
        if state is not State.SUCCEEDED:
            canceled = state is State.CANCELED
            words = f"{name}, which it needs, {BECAME[state]}"
            return State.CANCELED if canceled else State.SKIPPED, words
    return None


def sum_up(spots: Mapping[str, Spot]) -> tuple[State, str]:
    """Return what has become of all of these, and why."""
    canceled = any(spot.state is State.CANCELED for spot in spots.values())
    if canceled:
        return State.CANCELED, "the run was canceled"
    failed = [(name, spot) for name, spot in spots.items() if spot.state.bad]
    if not failed:
        return State.SUCCEEDED, ""
    name, first = failed[0]
    others = f" (and {len(failed) - 1} more failed)" if len(failed) > 1 else ""
    return State.FAILED, f"{name}: {first.error}{others}"


def again(spot: Spot, attempt: Attempt) -> float | None:
    """Return when a step that failed is tried again, in seconds since the epoch; None: it is not."""
    if spot.node is None or attempt.state is not State.FAILED or attempt.final:
        return None
    retry = spot.node.retry
    return attempt.ended_at + retry.delay(attempt.number) if attempt.number < retry.limit else None
