"""What steps, DAGs, loops and a whole workflow have become. Pure.

Source: argo-workflows after 4.1.2, ``executeStepGroup`` in ``workflow/controller/steps.go`` and ``assessDAGPhase`` in
``dag.go``.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final, Protocol

from wherry.metadata.records import Values
from wherry.pipelines.graph.model import State, Sum
from wherry.pipelines.graph.spots import Place, Spot
from wherry.pipelines.workflows import calls, conditions, scopes
from wherry.pipelines.workflows.bodies import EXITING, MAIN
from wherry.pipelines.workflows.calls import Kind

OF_RUN: Final = ("workflow.status", "workflow.failures", "workflow.duration")
_ENDED: Final = frozenset({State.SUCCEEDED, State.FAILED, State.ERROR})
_BAD: Final = frozenset({State.FAILED, State.ERROR, State.CANCELED})
_RESULTS: Final = {
    conditions.SUCCEEDED: State.SUCCEEDED,
    conditions.FAILED: State.FAILED,
    conditions.ERRORED: State.ERROR,
    conditions.SKIPPED: State.SKIPPED,
    conditions.OMITTED: State.OMITTED,
}
_FAIL_FAST: Final = "template has failed or errored children and failFast enabled"

DAEMONED: Final = "@daemoned"
"""Output of a step that goes on until what it is part of has ended: it counts as ended."""
LOST: Final = "@lost"
"""Output of such a step that has ended too early, for good: what has become of it."""

Id = Callable[[Spot], str]


class Named(Protocol):
    """Knows the names of nodes."""

    @property
    def name(self) -> str:
        """The workflow's name."""

    def node_name(self, spot: Spot) -> str:
        """Return the full name of a node."""

    def facts(self, path: str) -> Any:
        """Return what is known of a step besides."""


def of_steps(place: Place, child_id: Id, *, losses: bool) -> Sum | None:
    """Return what has become of steps, or of a group of them, that have not ended well; None: they have.

    Args:
        place: The steps.
        child_id: Returns the id of a node.
        losses: Whether daemons that have ended too early count as what they have become.
    """
    for spot in place.spots.values():
        if calls.kind(place) is Kind.STEPS:
            if spot.state in _BAD:
                return Sum(_as_failed(spot.state), error=spot.error)
            continue
        for each in _turns(spot):
            if each.state is State.CANCELED:
                return Sum(State.FAILED, error=each.error)
            state = state_of(each) if losses else each.state
            if state.bad and not _continues(spot, state):
                return Sum(State.FAILED, error=_words(place, each, child_id))
        if spot.state.bad and spot.turns is None and not _continues(spot, spot.state):
            return Sum(spot.state, error=spot.error)
    return None


def of_dag(place: Place, child_id: Id, *, losses: bool) -> Sum | None:
    """Return what has become of a DAG that has not ended well, as `of_steps`; None: it has."""
    body = calls.body(place)
    for spot in place.spots.values():
        if spot.state is State.CANCELED:
            return Sum(State.FAILED, error=spot.error)
    around = place.spots.items()
    states = {name: state_of(spot) if losses else spot.state for name, spot in around}
    branches: dict[str, State] = {}
    for name in body.targets:
        state = _branch(place, name, states, branches)
        if state.bad and not _continues(place.spots[name], state):
            return Sum(state, error=_told(place, states, child_id))
    return None


def _told(place: Place, states: Mapping[str, State], child_id: Id) -> str:
    bad = [place.spots[name] for name, state in states.items() if state.bad]
    return _words(place, bad[0], child_id) if bad else ""


def _words(place: Place, bad: Spot, child_id: Id) -> str:
    return _FAIL_FAST if too_late(place) is not None else f"child '{child_id(bad)}' failed"


def _branch(place: Place, name: str, states: Mapping[str, State], known: dict[str, State]) -> State:
    """Return what has become of a branch of a DAG; what was left out is as what was before it."""
    waiting = [name]
    while waiting:
        each = waiting[-1]
        state = states[each]
        needs = place.graph.nodes[each].needs
        unknown = [need for need in needs if need not in known] if state not in _ENDED else []
        if unknown:
            waiting.extend(unknown)
            continue
        if state not in _ENDED:
            before = [known[need] for need in needs]
            state = next((each for each in before if each.bad), State.SUCCEEDED)
        known[each] = state
        waiting.pop()
    return known[name]


def of_turns(turns: Sequence[Spot], made: Values) -> Sum:
    """Return what has become of a loop."""
    for turn in turns:
        if turn.state in _BAD:
            return Sum(_as_failed(turn.state), made, turn.error)
    return Sum(State.SUCCEEDED, made)


def of_root(place: Place) -> Sum:
    """Return what has become of a workflow: as its entrypoint, unless the exit handler failed."""
    main, leaving = place.spots[MAIN], place.spots.get(EXITING)
    if leaving is not None and leaving.state.bad:
        return Sum(leaving.state, main.outputs, leaving.error)
    return Sum(_as_failed(main.state), main.outputs, main.error)


def of_run(run: Named, key: str, root: Spot) -> Any:
    """Return a variable of a workflow that tells how it goes.

    Raises:
        KeyError: there is none.
    """
    main = root.inside.spots[MAIN] if root.inside is not None else root
    if key == "workflow.status":
        state = _as_failed(main.state) if main.state.final else State.RUNNING
        return scopes.phase(state)
    if key == "workflow.duration":
        return f"{max(0.0, root_span(main)):.6f}"
    if key == "workflow.failures":
        return json.dumps([_failure(run, spot) for spot in _failures(main)])
    raise KeyError(key)


def root_span(spot: Spot) -> float:
    """Return how long the steps in a node took, as far as they have ended, in seconds."""
    began, ended = spot.span()
    return ended - began if began else 0.0


def _failures(spot: Spot) -> Iterator[Spot]:
    left = [spot]
    while left:
        each = left.pop()
        if each.state.bad and each.node is not None:
            yield each
        left.extend(each.turns or ())
        if each.inside is not None:
            left.extend(each.inside.spots.values())


def _failure(run: Named, spot: Spot) -> dict[str, Any]:
    name = run.node_name(spot)
    known = calls.content(spot)
    facts = run.facts(spot.path)
    return {
        "displayName": name.rpartition(".")[2],
        "message": spot.error,
        "templateName": known.template.name if known and known.template else "",
        "phase": scopes.phase(spot.state),
        "podName": facts.get("pod", ""),
        "finishedAt": facts.get("finishedAt"),
    }


def is_lost(spot: Spot) -> bool:
    """Tell whether a node is a daemon that has ended too early."""
    return LOST in calls.core(spot).outputs.parameters


def state_of(spot: Spot) -> State:
    """Return what has become of a node, also of a daemon that has ended too early."""
    lost = calls.core(spot).outputs.parameters.get(LOST)
    return spot.state if lost is None else State(lost)


def has(spot: Spot, result: str) -> bool:
    """Tell whether a task has a result, such as ``Succeeded``, that others depend on."""
    state = state_of(spot)
    if result == conditions.DAEMONED:
        return DAEMONED in spot.outputs.parameters and not state.bad
    turns = spot.turns if spot.turns and not spot.retried else []
    if result == conditions.ANY_SUCCEEDED:
        return any(turn.state is State.SUCCEEDED for turn in turns)
    if result == conditions.ALL_FAILED:
        return bool(turns) and all(turn.state is State.FAILED for turn in turns)
    return _as_failed(state) is _RESULTS[result]


def too_late(place: Place) -> tuple[State, str] | None:
    """Return what becomes of a node that had to wait for its turn in a template that fails fast."""
    body = calls.body(place)
    if not body.limit or body.template is None or not body.template.fail_fast:
        return None
    around = place.spots.values()
    failed = any(each.state.bad for spot in around for each in (spot, *(spot.turns or ())))
    return (State.CANCELED, _FAIL_FAST) if failed else None


def _turns(spot: Spot) -> list[Spot]:
    if spot.retried or spot.turns is None:
        return [spot]
    return spot.turns


def _continues(spot: Spot, state: State) -> bool:
    called = calls.call(spot)
    if called is None:
        return False
    after = called.step.continue_on
    return after.failed if state is State.FAILED else after.error


def _as_failed(state: State) -> State:
    return State.FAILED if state is State.CANCELED else state
