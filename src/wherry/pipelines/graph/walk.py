"""A run of a graph: what is to be done next, by what is known of its steps.

A walk is a function of graph, inputs and what was recorded, in whatever order: it may be made anew at any
time from the rows that were kept. So nothing is decided while rows are taken in. `Walk.ready` first follows
what they say as far as it goes, and only then starts steps; graphs and loops are opened even where none of
their steps will be started any more, because some of these may have been started before.
"""

import functools
import heapq
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from wherry.metadata.records import Values
from wherry.pipelines.graph.language import Language, Scope, UnresolvedError
from wherry.pipelines.graph.model import (
    Action,
    Attempt,
    Change,
    Graph,
    Node,
    Retry,
    Start,
    State,
    Stop,
    Trigger,
)
from wherry.pipelines.graph.spots import NOTHING, Place, Spot

MOST_NODES: Final = 100_000
"""How many nodes a run may come to have."""
ROOT: Final = "root"
_LONGEST_ERROR: Final = 1000
_ERROR_HEAD: Final = 200


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of a node of a run.

    Attributes:
        path: Where it is.
        node: What it is; None: the root, or one turn of a loop over graphs.
        state: What has become of it.
        inputs: What it was given, from when it has begun.
        outputs: What it gave, where it has succeeded.
        error: Why it failed, or was not started.
        attempt: Of a step, the number of the latest one; None: it never started.
        turns: Of a loop, how many; None: it is none, or has not begun.
    """

    path: str
    node: Node | None
    state: State
    inputs: Values
    outputs: Values
    error: str
    attempt: int | None
    turns: int | None


class Walk:
    """One run.

    Args:
        graph: What is run.
        language: What it is written in.
        inputs: Of the root, with their defaults.
        parallelism: How many steps may run at once; 0: any number.
        fail_fast: Whether no step is started after a failure, but those that wait for the end of something.
    """

    def __init__(
        self,
        graph: Graph,
        language: Language,
        inputs: Values,
        *,
        parallelism: int = 0,
        fail_fast: bool = False,
    ) -> None:
        self._language = language
        self._parallelism = parallelism
        self._fail_fast = fail_fast
        self._spots: dict[str, Spot] = {}
        self._after: dict[int, Mapping[str, Sequence[str]]] = {}
        self._rows: dict[str, Attempt] = {}
        self._news: deque[str] = deque()
        self._work: deque[Callable[[], None]] = deque()
        self._starts: deque[tuple[Spot, int]] = deque()
        self._later: list[tuple[float, str, int]] = []
        self._running: dict[str, None] = {}
        self._stopped: set[str] = set()
        self._actions: list[Action] = []
        self._failing = False
        self._canceled = False
        self._root = Spot(ROOT, None, None)
        self._root.inputs = inputs
        self._spots[ROOT] = self._root
        self._work.append(functools.partial(self._open, self._root, graph))

    @property
    def state(self) -> State:
        """What has become of the run: PENDING, RUNNING, then SUCCEEDED, FAILED or CANCELED."""
        self._settle()
        return self._root.state

    @property
    def outputs(self) -> Values:
        """What the run gave, where it has succeeded."""
        return self._root.outputs

    @property
    def error(self) -> str:
        """Why it failed."""
        return self._root.error

    @property
    def wake_at(self) -> float | None:
        """When `ready` has something to say though nothing was recorded: the next attempt of a step that failed."""
        return self._later[0][0] if self._later else None

    def record(self, attempt: Attempt) -> None:
        """Take in what is known of a step: the row that was written, whether now or before a restart.

        The same may be recorded again; what is older than what is known changes nothing. Rows may come in
        any order, and before the walk has come to the step.
        """
        known = self._rows.get(attempt.path)
        if known is not None and (known.number, known.state.final) >= (
            attempt.number,
            attempt.state.final,
        ):
            return
        self._rows[attempt.path] = attempt
        self._news.append(attempt.path)

    def cancel(self) -> None:
        """Start nothing more, and stop what runs; the run ends as CANCELED when all has ended."""
        self._canceled = True

    def ready(self, now: float) -> list[Action]:
        """Return what is to be done that was not returned before, in the order of cause and effect.

        A `Start` is answered by `record`: RUNNING, or ended already (from cache).

        Args:
            now: Seconds since the epoch.
        """
        self._settle()
        self._take_due(now)
        while self._start():
            self._settle()
        if self._canceled:
            self._stop()
        actions, self._actions = self._actions, []
        return actions

    def scope(self, path: str) -> Scope:
        """Return the graph around a node, from which its settings are resolved.

        Raises:
            KeyError: There is no such node yet, or it is the root.
        """
        self._settle()
        place = self._spots[path].place
        if place is None:
            raise KeyError(path)
        return place

    def nodes(self) -> Iterator[Known]:
        """Yield all nodes that the walk has come to, parents first."""
        self._settle()
        return map(_known, self._spots.values())

    def known(self, path: str) -> Known:
        """Return what is known of one node.

        Raises:
            KeyError: There is no such node yet.
        """
        self._settle()
        return _known(self._spots[path])

    # Following what is known.

    def _settle(self) -> None:
        while self._work or self._news:
            if self._work:
                self._work.popleft()()
                continue
            spot = self._spots.get(self._news.popleft())
            if spot is not None and spot.begun and not spot.state.final:
                self._apply(spot)

    def _open(self, spot: Spot, graph: Graph) -> None:
        """Begin a graph: its nodes that wait for nothing are next."""
        if len(self._spots) + len(graph.nodes) > MOST_NODES:
            return self._end(spot, State.FAILED, error=f"the run has more than {MOST_NODES} nodes")
        place = Place(spot, graph)
        self._change(spot, State.RUNNING)
        for inner, node in zip(place.spots.values(), graph.nodes.values(), strict=True):
            self._spots[inner.path] = inner
            inner.waiting = len(set(node.needs))
            inner.exiting = spot.exiting or node.trigger is Trigger.COMPLETED
            if not inner.waiting:
                self._work.append(functools.partial(self._begin, inner, node, place))
        if not place.left:
            self._work.append(functools.partial(self._close, place))
        return None

    def _begin(self, spot: Spot, node: Node, place: Place) -> None:
        """Go on with a node that waits for nothing more."""
        refused = self._refused(node, place)
        if refused is not None:
            return self._end(spot, refused[0], error=refused[1])
        try:
            spot.inputs = self._language.inputs(node, place)
            if not self._language.holds(node, place, spot.inputs):
                return self._end(spot, State.SKIPPED, error="its condition does not hold")
            if node.loop:
                return self._open_loop(spot, node, place)
        except UnresolvedError as error:
            return self._end(spot, State.FAILED, error=str(error))
        return self._enter(spot, node)

    def _refused(self, node: Node, place: Place) -> tuple[State, str] | None:
        """Return what becomes of a node because of those before it; None: it may run."""
        if node.trigger is Trigger.COMPLETED:
            return None
        for name in node.needs:
            state = place.state(name)
            if state is not State.SUCCEEDED:
                canceled = state is State.CANCELED
                words = f"{name}, which it needs, {_BECAME[state]}"
                return State.CANCELED if canceled else State.SKIPPED, words
        return None

    def _enter(self, spot: Spot, node: Node) -> None:
        if node.graph is not None:
            return self._open(spot, node.graph)
        spot.begun = True
        if spot.path in self._rows:
            return self._apply(spot)
        self._starts.append((spot, 0))
        return None

    def _open_loop(self, spot: Spot, node: Node, place: Place) -> None:
        spot.items = self._language.turns(node, place, spot.inputs)
        spot.turns, spot.left = [], len(spot.items)
        if len(self._spots) + spot.left > MOST_NODES:
            raise UnresolvedError(
                f"it would go over {spot.left} items; a run has at most {MOST_NODES} nodes"
            )
        self._change(spot, State.RUNNING)
        at_once = min(node.parallelism or spot.left, spot.left)
        for _ in range(at_once):
            self._open_turn(spot, node)
        if not spot.left:
            self._work.append(functools.partial(self._close_loop, spot, node))

    def _open_turn(self, loop: Spot, node: Node) -> None:
        turns = loop.turns = [] if loop.turns is None else loop.turns
        turn = Spot(f"{loop.path}[{len(turns)}]", node, loop.place, loop)
        turn.inputs = loop.items[len(turns)]
        turn.exiting = loop.exiting
        turns.append(turn)
        self._spots[turn.path] = turn
        self._work.append(functools.partial(self._enter, turn, node))

    def _apply(self, spot: Spot) -> None:
        """Follow the row of a step that may run."""
        row = self._rows[spot.path]
        if row is spot.row:
            return
        spot.row = row
        spot.attempt = row.number
        spot.state = State.RUNNING
        if not row.state.final:
            self._running[spot.path] = None
            return
        self._running.pop(spot.path, None)
        retry = spot.node.retry if spot.node is not None else Retry()
        if row.state is State.FAILED and not row.final and row.number < retry.limit:
            at = row.ended_at + retry.delay(row.number)
            heapq.heappush(self._later, (at, spot.path, row.number + 1))
        else:
            self._end(spot, row.state, outputs=row.outputs, error=row.error, told=True)

    # Ending.

    def _end(
        self,
        spot: Spot,
        state: State,
        *,
        outputs: Values = NOTHING,
        error: str = "",
        told: bool = False,
    ) -> None:
        """Note what has become of a node, and go on with what waited for it.

        Args:
            spot: The node.
            state: Final.
            outputs: What it gave.
            error: Why it failed, or was not started.
            told: Whether whoever asks for actions has said so.
        """
        spot.outputs, spot.error = outputs, _cut(error)
        self._running.pop(spot.path, None)
        self._failing = self._failing or state is State.FAILED
        if told:
            spot.state = state
        else:
            self._change(spot, state)
        if spot.loop is not None:
            self._end_turn(spot.loop)
        elif spot.place is not None:
            self._end_node(spot.place, spot.path.rpartition("/")[2])

    def _end_turn(self, loop: Spot) -> None:
        loop.left -= 1
        node = loop.node
        if node is None or loop.turns is None:
            return
        if len(loop.turns) < len(loop.items):
            self._open_turn(loop, node)
        if not loop.left:
            self._work.append(functools.partial(self._close_loop, loop, node))

    def _end_node(self, place: Place, name: str) -> None:
        place.left -= 1
        for after in self._dependents(place.graph).get(name, ()):
            spot = place.spots[after]
            spot.waiting -= 1
            if not spot.waiting:
                node = place.graph.nodes[after]
                self._work.append(functools.partial(self._begin, spot, node, place))
        if not place.left:
            self._work.append(functools.partial(self._close, place))

    def _close(self, place: Place) -> None:
        """End a graph all of whose nodes have ended."""
        state, error = _sum(place.spots)
        if state is not State.SUCCEEDED:
            return self._end(place.spot, state, error=error)
        try:
            outputs = self._language.outputs(place)
        except UnresolvedError as failure:
            return self._end(place.spot, State.FAILED, error=str(failure))
        return self._end(place.spot, State.SUCCEEDED, outputs=outputs)

    def _close_loop(self, loop: Spot, node: Node) -> None:
        turns = loop.turns or []
        state, error = _sum({f"turn {place}": turn for place, turn in enumerate(turns)})
        outputs = NOTHING
        if state is State.SUCCEEDED:
            outputs = self._language.gathered(node, [turn.outputs for turn in turns])
        self._end(loop, state, outputs=outputs, error=error)

    def _change(self, spot: Spot, state: State) -> None:
        spot.state = state
        begun = state is State.RUNNING
        self._actions.append(
            Change(
                path=spot.path,
                node=_told_node(spot),
                state=state,
                inputs=spot.inputs if begun else NOTHING,
                outputs=spot.outputs,
                error=spot.error,
                turns=_turns(spot),
            )
        )

    def _dependents(self, graph: Graph) -> Mapping[str, Sequence[str]]:
        """Return the nodes that need each node of a graph."""
        found = self._after.get(id(graph))
        if found is None:
            lists: dict[str, list[str]] = {}
            for name, node in graph.nodes.items():
                for need in dict.fromkeys(node.needs):
                    lists.setdefault(need, []).append(name)
            found = self._after[id(graph)] = lists
        return found

    # Starting.

    def _take_due(self, now: float) -> None:
        """Queue the attempts whose time has come, and those that will not be made."""
        if self._canceled or self._no_more:
            waiting, self._later = self._later, []
            for at, path, number in waiting:
                if self._is_dropped(self._spots[path]):
                    self._starts.append((self._spots[path], number))
                else:
                    heapq.heappush(self._later, (at, path, number))
        while self._later and self._later[0][0] <= now:
            _, path, number = heapq.heappop(self._later)
            self._starts.append((self._spots[path], number))

    @property
    def _no_more(self) -> bool:
        return self._fail_fast and self._failing

    def _start(self) -> bool:
        """Start what may be started; return whether something else came of it that is to be followed."""
        while self._starts:
            spot, number = self._starts[0]
            if spot.state.final or self._known_number(spot) >= number:
                self._starts.popleft()
            elif self._is_dropped(spot):
                self._starts.popleft()
                self._drop(spot, number)
                return True
            elif self._parallelism and len(self._running) >= self._parallelism:
                return False
            else:
                self._starts.popleft()
                self._issue(spot, number)
        return False

    def _issue(self, spot: Spot, number: int) -> None:
        if spot.node is None:
            return
        self._running[spot.path] = None
        spot.state, spot.attempt = State.RUNNING, number
        self._actions.append(Start(spot.path, spot.node, number, spot.inputs))

    def _drop(self, spot: Spot, number: int) -> None:
        """End a step that is not started, or not tried again."""
        if self._canceled:
            self._end(spot, State.CANCELED, error="the run was canceled")
        elif number:
            self._end(spot, State.FAILED, error=self._rows[spot.path].error)
        else:
            self._end(spot, State.SKIPPED, error="the run starts nothing more after a failure")

    def _is_dropped(self, spot: Spot) -> bool:
        """Tell whether a step is not to be started any more."""
        return self._canceled or (self._no_more and not spot.exiting)

    def _known_number(self, spot: Spot) -> int:
        row = self._rows.get(spot.path)
        return -1 if row is None else row.number

    def _stop(self) -> None:
        for path in self._running:
            if path not in self._stopped:
                self._stopped.add(path)
                self._actions.append(Stop(path))


_BECAME: Final = {
    State.FAILED: "failed",
    State.SKIPPED: "was skipped",
    State.CANCELED: "was canceled",
}


def _sum(spots: Mapping[str, Spot]) -> tuple[State, str]:
    """Return what has become of all of these, and why."""
    canceled = any(spot.state is State.CANCELED for spot in spots.values())
    if canceled:
        return State.CANCELED, "the run was canceled"
    failed = [(name, spot) for name, spot in spots.items() if spot.state is State.FAILED]
    if not failed:
        return State.SUCCEEDED, ""
    name, first = failed[0]
    others = f" (and {len(failed) - 1} more failed)" if len(failed) > 1 else ""
    return State.FAILED, f"{name}: {first.error}{others}"


def _cut(error: str) -> str:
    """Return an error without its middle where it is long: of a traceback the end says what it was."""
    if len(error) <= _LONGEST_ERROR:
        return error
    return f"{error[:_ERROR_HEAD]} … {error[_ERROR_HEAD - _LONGEST_ERROR :]}"


def _told_node(spot: Spot) -> Node | None:
    turn_of_graphs = spot.loop is not None and not spot.is_step
    return None if turn_of_graphs else spot.node


def _turns(spot: Spot) -> int | None:
    return len(spot.items) if spot.turns is not None else None


def _known(spot: Spot) -> Known:
    return Known(
        path=spot.path,
        node=_told_node(spot),
        state=spot.state,
        inputs=spot.inputs,
        outputs=spot.outputs,
        error=spot.error,
        attempt=spot.attempt,
        turns=_turns(spot),
    )
