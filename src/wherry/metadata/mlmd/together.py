"""An execution, or a whole graph, is stored with its artifacts, events and contexts at once. Blocking."""

from collections.abc import Sequence
from typing import Final

from wherry.metadata.mlmd import edges, storing
from wherry.metadata.mlmd.asking import MOST_STORED, named
from wherry.metadata.mlmd.kinds import ARTIFACT, CONTEXT, EXECUTION
from wherry.metadata.mlmd.storing import Options
from wherry.metadata.mlmd.view import View
from wherry.objects import errors
from wherry.objects.requests import Object

_MOST_CONTEXTS: Final = 100
"""Each gets all that is stored with it."""


def put_execution(view: View, request: Object) -> Object:
    """Store an execution with its artifacts, their events and its contexts.

    Raises:
        ApiError: one of them cannot be stored; then none is.
    """
    if "execution" not in request:
        raise errors.BadRequestError("execution: is missing")
    options = request.get("options", {})
    touch = Options(touch=options.get("force_update_time", False))
    execution = storing.put(view, EXECUTION, request["execution"], touch)
    artifacts, events = [], []
    for pair in named(request, "artifact_event_pairs", MOST_STORED):
        number = _artifact(view, pair, options)
        if "event" in pair:
            events.append(_event(pair["event"], execution, number))
        artifacts.append(number)
    edges.put_events(view, events)
    contexts = [
        _context(view, each, options) for each in named(request, "contexts", _MOST_CONTEXTS)
    ]
    _group(view, contexts, [execution], artifacts)
    return {"execution_id": execution, "artifact_ids": artifacts, "context_ids": contexts}


def put_lineage_subgraph(view: View, request: Object) -> Object:
    """Store executions, artifacts, contexts and events; each context gets all of them.

    Raises:
        ApiError: one of them cannot be stored; then none is.
    """
    options = request.get("options", {})
    contexts = [
        _context(view, each, options) for each in named(request, "contexts", _MOST_CONTEXTS)
    ]
    artifacts = [
        _kept_artifact(view, each, options) for each in named(request, "artifacts", MOST_STORED)
    ]
    executions = [
        storing.put(view, EXECUTION, each) for each in named(request, "executions", MOST_STORED)
    ]
    events = []
    for edge in named(request, "event_edges", MOST_STORED):
        if "event" not in edge:
            raise errors.BadRequestError("event_edges: one has no event")
        event = dict(edge["event"])
        for kind, numbers in ((EXECUTION, executions), (ARTIFACT, artifacts)):
            _point(event, edge, kind.name, numbers)
        events.append(event)
    edges.put_events(view, events)
    _group(view, contexts, executions, artifacts)
    return {"execution_ids": executions, "artifact_ids": artifacts, "context_ids": contexts}


def _point(event: Object, edge: Object, kind: str, numbers: Sequence[int]) -> None:
    """Have an event lead to a node that the request has, where it says which."""
    index, field = edge.get(f"{kind}_index"), f"{kind}_id"
    if index is None:
        return
    if not 0 <= index < len(numbers):
        raise errors.BadRequestError(
            f"event_edges.{kind}_index: {index}: the request has {len(numbers)} {kind}s"
        )
    if event.setdefault(field, numbers[index]) != numbers[index]:
        raise errors.BadRequestError(
            f"event_edges.event.{field}: {event[field]} is not the {kind} that {kind}_index names"
        )


def _artifact(view: View, pair: Object, options: Object) -> int:
    """Return the artifact of a pair, stored where the pair has it."""
    told = pair.get("event", {}).get("artifact_id")
    if "artifact" not in pair:
        if told is None:
            raise errors.BadRequestError(
                "artifact_event_pairs: an event without an artifact needs an artifact_id"
            )
        return int(told)
    if told is not None and told != pair["artifact"].get("id"):
        raise errors.BadRequestError(
            f"artifact_event_pairs.event.artifact_id: {told} is not the artifact beside it"
        )
    return _kept_artifact(view, pair["artifact"], options)


def _kept_artifact(view: View, given: Object, options: Object) -> int:
    if options.get("reuse_artifact_if_already_exist_by_external_id") and "id" not in given:
        known = storing.with_external_id(view, ARTIFACT, given)
        if known is not None:
            given = {**given, "id": known}
    return storing.put(view, ARTIFACT, given)


def _event(event: Object, execution: int, artifact: int) -> Object:
    if event.get("execution_id", execution) != execution:
        raise errors.BadRequestError(
            f"artifact_event_pairs.event.execution_id: {event['execution_id']} is not the execution"
        )
    return {**event, "execution_id": execution, "artifact_id": artifact}


def _context(view: View, given: Object, options: Object) -> int:
    if "id" in given and options.get("force_reuse_context"):
        return int(given["id"])
    if "id" not in given and options.get("reuse_context_if_already_exist"):
        known = storing.same_context(view, given)
        if known is not None:
            return known
    return storing.put(view, CONTEXT, given)


def _group(
    view: View, contexts: Sequence[int], executions: Sequence[int], artifacts: Sequence[int]
) -> None:
    for kind, members in ((EXECUTION, executions), (ARTIFACT, artifacts)):
        field = f"{kind.name}_id"
        edges.put_members(
            view,
            kind,
            [{"context_id": group, field: member} for group in contexts for member in members],
        )
