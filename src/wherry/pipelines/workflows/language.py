"""What a workflow's templates decide in the walk: what runs, when, with what, how often, and what comes of it.

It is the language (`graph.language`) of Argo. Pure, but for what it is given to look things up.

Source: argo-workflows after 4.1.2, ``workflow/controller/{operator,steps,dag,hooks}.go``.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from wherry.metadata.records import DAG_EXECUTION, Values
from wherry.pipelines.graph.language import Language, UnresolvedError
from wherry.pipelines.graph.model import Attempt, Entry, Node, State, Sum
from wherry.pipelines.graph.spots import NOTHING, Place, Spot
from wherry.pipelines.ir.documents import PipelineError
from wherry.pipelines.workflows import (
    arguments,
    bodies,
    calls,
    conditions,
    items,
    names,
    retries,
    sums,
    variables,
)
from wherry.pipelines.workflows.bodies import GUARD, MAIN
from wherry.pipelines.workflows.calls import Call, Content, Kind, Role
from wherry.pipelines.workflows.conditions import ConditionError
from wherry.pipelines.workflows.messages import Template, WorkflowSpec
from wherry.pipelines.workflows.scopes import Scope
from wherry.pipelines.workflows.templates import NodeError, Templates

HIT: Final = "@hit"
"""Output of a guard: what it guards is not run, for its result was kept."""
_COMPLETED: Final = frozenset({State.SUCCEEDED, State.FAILED, State.ERROR})
_WAITED: Final = "it is not run"

Facts = Mapping[str, Any]


class WorkflowLanguage(Language):
    """The language of one workflow's run.

    Args:
        name: Of the workflow.
        spec: What it runs.
        templates: Where its templates are found.
        given: The variables of the workflow that do not change.
        looking: Looks up what is outside: rows, and values that ConfigMaps hold.
    """

    def __init__(
        self,
        *,
        name: str,
        spec: WorkflowSpec,
        templates: Templates,
        given: Mapping[str, Any],
        looking: arguments.Looking,
    ) -> None:
        self.name = name
        self.spec = spec
        self.templates = templates
        self.exported: dict[str, Any] = {}
        self.graph = bodies.of_workflow(spec)
        self.root: Spot | None = None
        self._given = given
        self._looking = looking
        self._names: dict[str, str] = {}

    # The run, as scopes ask for it.

    def value(self, key: str) -> Any:
        """Return a variable of the workflow, such as ``workflow.name``.

        Raises:
            KeyError: there is none.
        """
        if key in self._given:
            return self._given[key]
        if key.startswith("workflow.outputs."):
            return self.exported[key]
        if self.root is not None:
            return sums.of_run(self, key, self.root)
        raise KeyError(key)

    def keys(self) -> Iterator[str]:
        """Yield the names of all variables of the workflow."""
        yield from self._given
        yield from self.exported
        if self.root is not None:
            yield from sums.OF_RUN

    def facts(self, path: str) -> Facts:
        """Return what is known of a step besides."""
        return self._looking.facts(path)

    def node_name(self, spot: Spot) -> str:
        """Return the full name of a node, such as ``wf[0].hello(1:b)``."""
        found = self._names.get(spot.path)
        if found is None:
            found = self._names[spot.path] = self._named(spot)
        return found

    def template(self, called: Call, spot: Spot) -> Template | None:
        """Return what a node that was not run would have run; None: that cannot be said."""
        known = calls.content(spot)
        if known is not None:
            return known.template
        try:
            return self.templates.find(called.step, called.where)[0]
        except NodeError:
            return None

    def _named(self, spot: Spot) -> str:
        if spot.loop is not None:
            number = int(spot.path.rpartition("[")[2][:-1])
            outer = self.node_name(spot.loop)
            if spot.is_attempt:
                return names.attempt(outer, number)
            return names.turn(outer, number, spot.loop.items[number].parameters[items.ITEM])
        if spot.place is None or spot.node is None:
            return self.name
        outer = self.node_name(spot.place.spot)
        if calls.kind(spot.place) is Kind.STEPS:
            return names.group(outer, spot.node.name)
        called = calls.call(spot)
        return outer if called is None else f"{outer}{_suffix(called)}"

    # What the walk asks.

    def inputs(self, node: Node, scope: Place) -> Values:
        """Groups of steps take nothing."""
        return NOTHING

    def holds(self, node: Node, scope: Place, inputs: Values) -> bool:
        """Groups of steps have no condition."""
        return True

    def turns(self, node: Node, scope: Place, inputs: Values) -> Sequence[Values]:
        """Return the items that a step goes over."""
        called = _call(node)
        found = _tried(lambda: items.of(called.step, self._scope(scope, {})), "its items")
        return [Values(items.variables(item)) for item in found]

    def outputs(self, scope: Place) -> Values:
        """Return what steps or a DAG give."""
        body = calls.body(scope)
        if body.kind is Kind.WRAP:
            return calls.heart(scope.spot).outputs
        if body.template is None or body.kind is Kind.GROUP:
            return NOTHING
        given = arguments.given(body.template, self._scope(scope, {}))
        self.export(body.template, given)
        return given

    def gathered(self, node: Node, turns: Sequence[Values]) -> Values:
        """Return what a loop gives."""
        return items.gathered(turns)

    def refused(self, node: Node, scope: Place) -> tuple[State, str] | None:
        """Return what becomes of a node because of those before it."""
        kind = calls.kind(scope)
        if kind is Kind.STEPS:
            before = [scope.state(name) for name in node.needs]
            return (State.OMITTED, _WAITED) if set(before) - {State.SUCCEEDED} else None
        called = node if isinstance(node, Call) else None
        if called is None or kind is Kind.GROUP:
            return None
        if kind is Kind.DAG:
            return self._undone(called, scope)
        return self._unneeded(called, scope)

    def enter(self, spot: Spot, node: Node, scope: Place) -> Entry:
        """Return what a call turns out to be."""
        called = _call(node)
        # Names are made of those around: from the outside to the inside they are never far away.
        self.node_name(spot)
        refused = sums.too_late(scope)
        if refused is not None:
            return Entry(spot.inputs, refused=refused)
        if called.role is Role.GUARD:
            return self._entered(spot, called, scope, guard=True)
        if called.role not in {Role.MAIN, Role.BODY}:
            own = self._scope(scope, self._item(spot))
            unfit = self._decided(spot, called, own)
            if unfit is not None:
                return Entry(spot.inputs, refused=unfit)
            if called.step.hooks or called.step.on_exit:
                return Entry(spot.inputs, graph=bodies.wrapped(called))
        return self._entered(spot, called, scope)

    def due(self, spot: Spot, scope: Place) -> bool:
        """Tell whether a hook begins now."""
        called = _call(spot.node)
        return self._is_true(called.component, self._scope(scope, self._item(spot)))

    def closed(self, scope: Place) -> Sum:
        """Return what has become of a graph all of whose nodes have ended."""
        kind = calls.kind(scope)
        if kind is Kind.ROOT:
            return sums.of_root(scope)
        if kind is Kind.WRAP:
            return self._unwrapped(scope)
        row = self._looking.row(scope.path)
        # What was well before a daemon of it was lost stays so.
        losses = row is None or row.state != State.SUCCEEDED
        what = sums.of_dag if kind is Kind.DAG else sums.of_steps
        bad = what(scope, self._child_id, losses=losses)
        return bad or Sum(State.SUCCEEDED, self.outputs(scope))

    def closed_loop(self, loop: Spot, node: Node) -> Sum:
        """Return what has become of a loop all of whose turns have ended."""
        turns = loop.turns or []
        made = items.gathered([turn.outputs for turn in turns if turn.state is State.SUCCEEDED])
        if not turns:
            return Sum(State.SKIPPED, made, "Skipped, empty params")
        return sums.of_turns(turns, made)

    def again(self, spot: Spot, attempt: Attempt) -> float | None:
        """Return when what has failed is tried again; None: it is not."""
        known = calls.content(spot)
        if attempt.final or known is None or known.template is None:
            return None
        scope = self._scope(spot.place, self._own(spot, attempt.number))
        strategy = retries.strategy(known.template, self.spec, scope)
        if strategy is None:
            return None
        last = self._looking.facts(spot.path)
        at: float | None = _tried(
            lambda: retries.again(strategy, attempt, last, scope), "retryStrategy"
        )
        return at

    # For those who make its pods.

    def filled(self, spot: Spot, number: int, pod: str) -> dict[str, Any]:
        """Return the template that a step runs as JSON, all its variables filled in.

        Args:
            spot: Where.
            number: Of the attempt, from 0.
            pod: Name of its pod.

        Raises:
            NodeError: something in it cannot be had.
        """
        known = calls.content(spot)
        assert known is not None, f"{spot.path} was not entered"
        assert known.template is not None, f"{spot.path} runs no template"
        scope = self.own_scope(spot, number).over({"pod.name": pod})
        written = arguments.with_locations(known.template, known.locations)
        made: dict[str, Any] = _tried(
            lambda: variables.fill(written, scope, strict=False), "template"
        )
        return made

    def scope(self) -> Scope:
        """Return the variables that the whole workflow sees."""
        return Scope(self, None, {})

    def own_scope(self, spot: Spot, number: int) -> Scope:
        """Return the variables that the template of a step sees."""
        return Scope(self, None, self._own(spot, number))

    def export(self, template: Template, given: Values) -> None:
        """Have what a node has given be the workflow's, where its template says so."""
        for parameter in template.outputs.parameters:
            if parameter.global_name and parameter.name in given.parameters:
                key = f"workflow.outputs.parameters.{parameter.global_name}"
                self.exported[key] = given.parameters[parameter.name]
        for artifact in template.outputs.artifacts:
            if artifact.global_name and artifact.name in given.artifacts:
                key = f"workflow.outputs.artifacts.{artifact.global_name}"
                self.exported[key] = given.artifacts[artifact.name][0]

    # Entering.

    def _entered(self, spot: Spot, called: Call, place: Place, *, guard: bool = False) -> Entry:
        scope = self._scope(place, self._item(spot))
        step = _tried(lambda: arguments.filled_step(called.step, scope), "its template")
        template, where = self.templates.find(step, called.where)
        spot.content = Content(template, where)
        given = arguments.inputs(template, step, scope, self._looking)
        spot.content = Content(template, where, given.locations)
        if guard:
            return Entry(given.values)
        is_step = template.steps is None and template.dag is None
        held = template.synchronization is not None or template.memoize is not None
        if held and not is_step and called.role is not Role.BODY:
            return Entry(spot.inputs, graph=bodies.guarded(called))
        target = template.dag.target if template.dag else ""
        if target:
            own = self._scope(None, arguments.own(template, given.values))
            target = _tried(lambda: variables.fill(target, own, strict=True), "dag.target")
        graph = bodies.of_template(template, where, target)
        again = template.retry_strategy or self.spec.retry_strategy
        retried = graph is not None and again is not None
        return Entry(given.values, graph, retried)

    def _decided(self, spot: Spot, called: Call, scope: Scope) -> tuple[State, str] | None:
        """Return why a call is not made; what was decided once, before a restart, stays so."""
        row = self._looking.row(spot.path)
        if row is None or row.state == State.PENDING:
            return self._unfit(called, scope)
        if row.started or row.type == DAG_EXECUTION:
            return None
        state = State(row.state)
        left_out = state in {State.SKIPPED, State.OMITTED}
        return (state, row.error) if left_out else self._unfit(called, scope)

    def _unfit(self, called: Call, scope: Scope) -> tuple[State, str] | None:
        """Return why a call is not made, by its condition; None: it is."""
        if called.role is Role.EXIT and called.component:
            held = self._is_true(called.component, scope)
            return None if held else (State.OMITTED, "its expression does not hold")
        if not called.step.when:
            return None
        when = _tried(lambda: variables.fill(called.step.when, scope, strict=True), "when")
        try:
            held = conditions.holds(when)
        except ConditionError as error:
            raise NodeError(str(error)) from error
        return None if held else (State.SKIPPED, f"when '{when}' evaluated false")

    def _is_true(self, expression: str, scope: Scope) -> bool:
        found = _tried(lambda: scope.evaluate(expression), "expression")
        if not isinstance(found, bool):
            raise NodeError(f"expression {expression[:200]!r} is neither true nor false")
        return found

    def _scope(self, place: Place | None, own: Mapping[str, Any]) -> Scope:
        return Scope(self, place, own)

    def _item(self, spot: Spot | None) -> Mapping[str, Any]:
        """Return the variables of the turn that a node is part of."""
        while spot is not None:
            if spot.loop is not None and spot.loop.is_loop:
                number = int(spot.path.rpartition("[")[2][:-1])
                return spot.loop.items[number].parameters
            if spot.loop is not None:
                spot = spot.loop
            elif spot.place is not None and calls.kind(spot.place) is Kind.WRAP:
                spot = spot.place.spot
            else:
                return {}
        return {}

    def _own(self, spot: Spot, number: int) -> dict[str, Any]:
        """Return the variables that only one attempt of a node has."""
        known = calls.content(spot)
        made: dict[str, Any] = {"node.name": self._attempt_name(spot, number)}
        if known is not None and known.template is not None:
            made |= arguments.own(known.template, spot.inputs)
            strategy = known.template.retry_strategy or self.spec.retry_strategy
            if strategy is not None:
                made |= retries.variables_of(number, self._looking.facts(spot.path))
        place = calls.boundary(spot.place)
        if place is not None and spot.node is not None:
            kind = "steps" if calls.kind(place) is Kind.STEPS else "tasks"
            made[f"{kind}.name"] = self.step_name(spot)
        return made

    def step_name(self, spot: Spot) -> str:
        """Return the name of the step or task that a node is, also of what is wrapped in it."""
        called = calls.call(spot)
        while called is not None and called.role in {Role.MAIN, Role.BODY}:
            if spot.place is None or calls.kind(spot.place) is not Kind.WRAP:
                break
            spot = spot.place.spot
            called = calls.call(spot)
        return called.name if called is not None else ""

    def _attempt_name(self, spot: Spot, number: int) -> str:
        name = self.node_name(spot)
        return names.attempt(name, number) if self.is_retried(spot) else name

    def is_retried(self, spot: Spot) -> bool:
        """Tell whether the attempts of a step are nodes of their own."""
        known = calls.content(spot)
        if known is None or known.template is None or not spot.is_step:
            return False
        return (known.template.retry_strategy or self.spec.retry_strategy) is not None

    # What is before a node.

    def _undone(self, called: Call, place: Place) -> tuple[State, str] | None:
        """Return why a task of a DAG is not done, by what it depends on; None: it is."""
        depends = called.depends
        if depends is None or not called.needs:
            return None
        lost = any(sums.is_lost(place.spots[need]) for need in called.needs)
        row = self._looking.row(f"{place.path}/{called.name}") if lost else None
        if row is not None and row.state != State.PENDING:
            # What was decided before a daemon was lost stays so.
            is_done = row.state != State.OMITTED
        else:
            is_done = depends.evaluate(lambda name, result: sums.has(place.spots[name], result))
        return None if is_done else (State.OMITTED, "omitted: depends condition not met")

    def _unneeded(self, called: Call, place: Place) -> tuple[State, str] | None:
        if called.role is Role.EXIT:
            state = place.state(MAIN)
            never = calls.kind(place) is Kind.WRAP and state not in _COMPLETED
            return (State.OMITTED, _WAITED) if never else None
        if called.role is Role.BODY:
            guard = place.spots[GUARD]
            if guard.state is not State.SUCCEEDED:
                return State.OMITTED, guard.error
            if HIT in guard.outputs.parameters:
                return State.OMITTED, "its result was kept"
        return None

    def _unwrapped(self, place: Place) -> Sum:
        main = place.spots.get(MAIN) or place.spots[bodies.BODY]
        guard = place.spots.get(GUARD)
        if guard is not None and main.state is State.OMITTED:
            kept = {key: each for key, each in guard.outputs.parameters.items() if key != HIT}
            return Sum(guard.state, Values(kept, guard.outputs.artifacts), guard.error)
        return Sum(main.state, main.outputs, main.error)

    def _child_id(self, spot: Spot) -> str:
        return names.node_id(self.name, self.node_name(spot))


def _suffix(called: Call) -> str:
    """Return what the name of a call has besides that of what is around it."""
    if called.role in {Role.MAIN, Role.BODY}:
        return ""
    if called.role is Role.EXIT:
        return names.ON_EXIT
    return names.hook("", called.hook) if called.role is Role.HOOK else f".{called.name}"


def _call(node: Node | None) -> Call:
    assert isinstance(node, Call), "not a call of a template"
    return node


def _tried(run: Any, what: str) -> Any:
    """Return what a function returns; what cannot be had is said to be so of the node."""
    try:
        return run()
    except (UnresolvedError, ValueError, PipelineError) as error:
        if isinstance(error, NodeError | retries.NoMoreError):
            raise
        raise NodeError(f"{what}: {error}") from error
