"""Steps that wait for somebody, who tells it in the workflow's status, as upstream's clients do. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from wherry.metadata.records import Execution, Values
from wherry.objects.requests import Object
from wherry.pipelines.graph.model import State
from wherry.pipelines.workflows import calls, names, nodes
from wherry.pipelines.workflows.controller.engine import SUPPLIED, WorkflowEngine
from wherry.pipelines.workflows.reading import any_text

_STATES: Final = {
    "Succeeded": State.SUCCEEDED,
    "Failed": State.FAILED,
    "Error": State.ERROR,
    "Skipped": State.SKIPPED,
}


@dataclass(frozen=True, slots=True)
class Told:
    """What a step that waits was told.

    Attributes:
        state: What it has become; None: it goes on waiting.
        message: What is said of that.
        outputs: What it gives then.
        given: What was given for it as far.
    """

    state: State | None
    message: str = ""
    outputs: Values = field(default_factory=Values)
    given: Mapping[str, str] = field(default_factory=dict)


def told(engine: WorkflowEngine, workflow: Object, row: Execution) -> Told:
    """Return what a step was told."""
    name = engine.node_name(engine.spot(row.path), row.attempt)
    node = nodes.stored(workflow).get(names.node_id(engine.name, name)) or {}
    given = dict(row.properties.get(SUPPLIED) or {})
    for each in (node.get("outputs") or {}).get("parameters") or ():
        if isinstance(each, dict) and each.get("value") is not None:
            given[str(each.get("name"))] = any_text(each["value"])
    state = _STATES.get(str(node.get("phase")))
    message = str(node.get("message") or "")
    if state is not State.SUCCEEDED:
        return Told(state, message, given=given)
    try:
        return Told(state, message, supplied(engine, row, given))
    except ValueError as error:
        return Told(State.FAILED, str(error))


def supplied(engine: WorkflowEngine, row: Execution, given: Mapping[str, Any]) -> Values:
    """Return the outputs of a step that waited: what was supplied, else what its template says.

    Raises:
        ValueError: one has no value.
    """
    known = calls.content(engine.spot(row.path))
    parameters = known.template.outputs.parameters if known and known.template else ()
    found: dict[str, Any] = {}
    for each in parameters:
        value = given.get(each.name)
        if value is None and each.value_from is not None:
            value = each.value_from.default
        if value is None:
            raise ValueError(
                f"parameter {each.name!r} has not been set and does not have a default value"
            )
        found[each.name] = any_text(value)
    return Values(found)
