"""What the variables of a node are: those of the workflow, of the template around it, and of its turn. Pure.

Nothing is worked out before it is asked for: a graph of a thousand tasks has many thousands of variables.

Source: argo-workflows after 4.1.2, ``docs/variables.md``.
"""

import datetime
import json
from collections.abc import Iterator, Mapping
from typing import Any, Final, Protocol

from wherry.objects import metadata
from wherry.objects.requests import Object
from wherry.pipelines.graph.model import State
from wherry.pipelines.graph.spots import Place, Spot
from wherry.pipelines.workflows import calls, names, variables
from wherry.pipelines.workflows.calls import Call, Kind
from wherry.pipelines.workflows.expr import program
from wherry.pipelines.workflows.messages import Template, WorkflowSpec

RESULT: Final = "@result"
"""Output of a node, beside its parameters: what its main container has said. No parameter is called so."""
EXIT_CODE: Final = "@exitCode"
PARAMETERS: Final = "@parameters"
"""Output of a loop: a list of what its turns gave."""

_PHASES: Final = {
    State.PENDING: "Pending",
    State.RUNNING: "Running",
    State.SUCCEEDED: "Succeeded",
    State.FAILED: "Failed",
    State.ERROR: "Error",
    State.SKIPPED: "Skipped",
    State.OMITTED: "Omitted",
    State.CANCELED: "Failed",
}
_NODES: Final = frozenset({"steps", "tasks"})
_OF_CALLER: Final = frozenset({"node.name", "steps.name", "tasks.name"})
_OF_NODE: Final = ("id", "status", "startedAt", "finishedAt", "ip", "hostNodeName", "exitCode")
_STRFTIME: Final = "aAbBcdeFgGhHIjklmMnpRrsSTuUVwyYZz"


def phase(state: State) -> str:
    """Return a state in upstream's words."""
    return _PHASES[state]


class Run(Protocol):
    """A run, as far as its nodes ask for it."""

    @property
    def name(self) -> str:
        """The workflow's name."""

    def value(self, key: str) -> Any:
        """Return a variable such as ``workflow.name``.

        Raises:
            KeyError: There is none.
        """

    def keys(self) -> Iterator[str]:
        """Yield the names of all variables of the workflow."""

    def facts(self, path: str) -> Mapping[str, Any]:
        """Return what is known of a step besides: ``ip``, ``hostNodeName``, ``startedAt``, ``finishedAt``."""

    def node_name(self, spot: Spot) -> str:
        """Return the full name of a node."""

    def step_name(self, spot: Spot) -> str:
        """Return the name of the step or task that a node is."""

    def template(self, called: Call, spot: Spot) -> Template | None:
        """Return what a node that was not run would have run; None: that cannot be said."""


class Scope(Mapping[str, Any]):
    """The variables of one node, by their whole names.

    Args:
        run: What it is a node of.
        place: The graph around it; None: it has none.
        own: What only it has: of its turn, its pod, its inputs.
    """

    def __init__(self, run: Run, place: Place | None, own: Mapping[str, Any]) -> None:
        self._run = run
        self._place = calls.boundary(place)
        self._own = own

    def over(self, own: Mapping[str, Any]) -> "Scope":
        """Return these variables with others of the node's own before them."""
        made = Scope(self._run, None, {**self._own, **own})
        made._place = self._place
        return made

    def evaluate(self, source: str) -> Any:
        """Return the value of an expression over these variables.

        Raises:
            ExprError: it has none.
        """
        if "{{" in source:
            source = variables.fill(source, self, strict=False)
        return program.evaluate(source, variables.environment(source, self))

    def __getitem__(self, key: str) -> Any:
        if key in self._own:
            return self._own[key]
        head, _, rest = key.partition(".")
        if head == "workflow":
            return self._run.value(key)
        place = self._place
        if place is not None and head == "inputs":
            return _input(place, rest)
        if place is not None and key in _OF_CALLER:
            return self._of_caller(place, key)
        if place is not None and head in _NODES and rest:
            name, _, what = rest.partition(".")
            spot = member(place, name)
            if spot is not None and what:
                return self._of_node(spot, what)
        raise KeyError(key)

    def __iter__(self) -> Iterator[str]:
        yield from self._own
        yield from self._run.keys()
        if self._place is None:
            return
        for name in self._place.inputs.parameters:
            yield f"inputs.parameters.{name}"
        head = "steps" if calls.kind(self._place) is Kind.STEPS else "tasks"
        for name in members(self._place):
            spot = member(self._place, name)
            if spot is not None:
                yield from (f"{head}.{name}.{what}" for what in self._known(spot))

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def _of_caller(self, place: Place, key: str) -> str:
        """Return the name of what called the template around: of the node, or of the step or task."""
        if key == "node.name":
            return self._run.node_name(place.spot)
        outer = calls.boundary(place.spot.place)
        if outer is None:
            # The entrypoint counts as a step, which has no name.
            return {"steps.name": ""}[key]
        kind = "steps" if calls.kind(outer) is Kind.STEPS else "tasks"
        return {f"{kind}.name": self._run.step_name(place.spot)}[key]

    def _known(self, outer: Spot) -> Iterator[str]:
        for what in _OF_NODE:
            if self._has(outer, what):
                yield what
        spot = calls.heart(outer)
        given = spot.outputs.parameters
        if RESULT in given:
            yield "outputs.result"
        declared = self._declared(spot) if spot.state in {State.SKIPPED, State.OMITTED} else given
        yield from (f"outputs.parameters.{name}" for name in declared if not name.startswith("@"))
        yield from (f"outputs.artifacts.{name}" for name in spot.outputs.artifacts)

    def _has(self, spot: Spot, what: str) -> bool:
        try:
            self._of_node(spot, what)
        except KeyError:
            return False
        return True

    def _of_node(self, outer: Spot, what: str) -> Any:
        spot = calls.heart(outer)
        if what == "status":
            if spot.state is State.PENDING:
                raise KeyError(what)
            return phase(spot.state)
        if what == "id":
            return names.node_id(self._run.name, self._run.node_name(outer))
        if what == "exitCode":
            return spot.outputs.parameters[EXIT_CODE]
        if not what.startswith("outputs."):
            return self._run.facts(calls.core(outer).path)[what]
        return self._of_outputs(spot, what.removeprefix("outputs."))

    def _of_outputs(self, spot: Spot, what: str) -> Any:
        kind, _, name = what.partition(".")
        if kind == "result" and not name:
            return self._output(spot, RESULT)
        if kind == "parameters":
            return self._output(spot, name or PARAMETERS)
        if kind == "artifacts" and name:
            return spot.outputs.artifacts[name][0]
        raise KeyError(what)

    def _output(self, spot: Spot, name: str) -> Any:
        if name in spot.outputs.parameters or spot.state not in {State.SKIPPED, State.OMITTED}:
            return spot.outputs.parameters[name]
        return self._declared(spot)[name]

    def _declared(self, spot: Spot) -> Mapping[str, Any]:
        """Return what a node that was not run stands for: the defaults of its outputs."""
        called = calls.call(spot)
        template = self._run.template(called, spot) if called is not None else None
        if template is None:
            return {}
        return {
            each.name: each.value_from.default if each.value_from is not None else None
            for each in template.outputs.parameters
        }


def members(place: Place) -> Iterator[str]:
    """Yield the names of the steps or tasks of a template."""
    body = calls.body(place)
    yield from body.groups if body.kind is Kind.STEPS else body.nodes


def member(place: Place, name: str) -> Spot | None:
    """Return a step or task of a template by its name; None: there is none (yet)."""
    body = calls.body(place)
    if body.kind is not Kind.STEPS:
        return place.spots.get(name)
    group = place.spots.get(body.groups.get(name, ""))
    return group.inside.spots.get(name) if group is not None and group.inside is not None else None


def _input(place: Place, rest: str) -> Any:
    """Return an input of a template by what comes after ``inputs.`` in its name.

    Of an artifact that no step has made this is its location.

    Raises:
        KeyError: there is none.
    """
    kind, _, name = rest.partition(".")
    parameters, artifacts = place.inputs.parameters, place.inputs.artifacts
    if kind == "parameters" and not name:
        return json.dumps([{"name": key, "value": each} for key, each in parameters.items()])
    if kind == "parameters":
        return parameters[name]
    if kind != "artifacts" or not name:
        raise KeyError(f"inputs.{rest}")
    known = calls.content(place.spot)
    located = known.locations if known is not None else {}
    return artifacts[name][0] if name in artifacts else located[name]


def of_workflow(
    workflow: Object, spec: WorkflowSpec, parameters: Mapping[str, str]
) -> dict[str, Any]:
    """Return the variables of a workflow that do not change.

    Args:
        workflow: As it is stored.
        spec: What it runs.
        parameters: Its own, by name.
    """
    meta = workflow["metadata"]
    created = metadata.parse_time(meta["creationTimestamp"])
    given = [{"name": name, "value": value} for name, value in parameters.items()]
    found: dict[str, Any] = {
        "workflow.name": metadata.name(workflow),
        "workflow.namespace": metadata.namespace(workflow),
        "workflow.uid": metadata.uid(workflow),
        "workflow.mainEntrypoint": spec.entrypoint,
        "workflow.serviceAccountName": spec.service_account_name,
        "workflow.parameters": json.dumps(given),
        "workflow.parameters.json": json.dumps(given),
        "workflow.creationTimestamp": _rfc3339(created),
        "workflow.creationTimestamp.RFC3339": _rfc3339(created),
        "workflow.creationTimestamp.s": str(int(created.timestamp())),
    }
    for letter in _STRFTIME:
        found.setdefault(f"workflow.creationTimestamp.{letter}", created.strftime(f"%{letter}"))
    if spec.priority is not None:
        found["workflow.priority"] = str(spec.priority)
    for name, value in parameters.items():
        found[f"workflow.parameters.{name}"] = value
    return found | _written_on(workflow, spec)


def _written_on(workflow: Object, spec: WorkflowSpec) -> dict[str, Any]:
    more = spec.workflow_metadata
    found: dict[str, Any] = {}
    for kind, own, added in (
        ("labels", metadata.labels(workflow), more.labels if more else {}),
        ("annotations", metadata.annotations(workflow), more.annotations if more else {}),
    ):
        every = {**own, **added}
        found[f"workflow.{kind}"] = found[f"workflow.{kind}.json"] = json.dumps(every)
        found |= {f"workflow.{kind}.{key}": value for key, value in every.items()}
    scheduled = metadata.annotations(workflow).get("workflows.argoproj.io/scheduled-time")
    return found | ({"workflow.scheduledTime": scheduled} if scheduled else {})


def _rfc3339(when: datetime.datetime) -> str:
    return when.astimezone(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
