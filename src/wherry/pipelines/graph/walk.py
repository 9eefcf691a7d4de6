"""A run of a graph: what is to be done next, by what is known of its steps.

A walk is a function of graph, inputs and what was recorded, in whatever order: it may be made anew at any
time from the rows that were kept. So nothing is decided while rows are taken in. `Walk.ready` first follows
what they say as far as it goes, and only then starts steps; graphs and loops are opened even where none of
their steps will be started any more, because some of these may have been started before.

What a lazy node consists of the language says when it is entered. That follows from what was recorded
before, so it is the same whenever the walk is made anew.
"""

import functools
import heapq
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

from wherry.metadata.records import Values
from wherry.pipelines.graph import known, rules
from wherry.pipelines.graph.known import ROOT, Known
from wherry.pipelines.graph.language import Language, Scope, UnresolvedError
from wherry.pipelines.graph.model import (
    Action,
    Attempt,
    Ban,
    Change,
    Graph,
    Node,
    Start,
    State,
    Stop,
    Trigger,
)
from wherry.pipelines.graph.spots import NOTHING, Place, Spot

MOST_NODES: Final = 100_000
"""How many nodes a run may come to have."""


class Walk:
    """One run.

    Args:
        graph: What is run.
        language: What it is written in.
        inputs: Of the root, with their defaults.
        parallelism: How many steps may run at once; 0: any number.
        fail_fast: Whether no step is started after a failure, but those that wait for the end of something.
        unlimited: Whether limits within the graph do not count: nothing is started by this walk.
        most_nodes: How many nodes there may come to be; 0: `MOST_NODES`.
    """

    def __init__(
        self,
        graph: Graph,
        language: Language,
        inputs: Values,
        *,
        parallelism: int = 0,
        fail_fast: bool = False,
        unlimited: bool = False,
        most_nodes: int = 0,
    ) -> None:
        self._language = language
        self._unlimited = unlimited
        self._most_nodes = most_nodes or MOST_NODES
        self._parallelism = parallelism
        self._fail_fast = fail_fast
        self._spots: dict[str, Spot] = {}
        self._after: dict[int, Mapping[str, Sequence[str]]] = {}
        self._rows: dict[str, Attempt] = {}
        self._news: deque[str] = deque()
        self._work: deque[Callable[[], None]] = deque()
        self._starts: deque[tuple[Spot, int]] = deque()
        self._later: list[tuple[float, str, int]] = []
        self._queues: list[Place] = []
        self._touched: set[str] | None = None
        self._running: dict[str, None] = {}
        self._stopped: set[str] = set()
        self._actions: list[Action] = []
        self._failing = False
        self._ban: Ban | None = None
        self._root = self.bare_root = Spot(ROOT, None, None)
        self._root.inputs = inputs
        self._spots[ROOT] = self._root
        self._work.append(functools.partial(self._open, self._root, graph))

    @property
    def state(self) -> State:
        """What has become of the run: PENDING, RUNNING, then SUCCEEDED, FAILED or CANCELED."""
        self._settle()
        return self._root.state

    @property
    def root(self) -> Spot:
        """The run as a node, and what is in it as far as the walk has come; nobody changes it."""
        self._settle()
        return self._root

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
        old = self._rows.get(attempt.path)
        if old is not None and (old.number, old.state.final) >= (
            attempt.number,
            attempt.state.final,
        ):
            return
        self._rows[attempt.path] = attempt
        self._news.append(attempt.path)
        if self._touched is not None:
            self._touched.update(known.around(attempt.path))

    def cancel(
        self,
        state: State = State.CANCELED,
        words: str = "the run was canceled",
        *,
        exits: bool = False,
    ) -> None:
        """Start nothing more, and stop what runs; the run ends when all has ended.

        Args:
            state: What becomes of what ran.
            words: Why.
            exits: Whether what runs whatever has become of what was before still does.
        """
        self._ban = Ban(state, words, exits)
        for place in self._queues:
            self._admit(place, every=True)
        self._queues.clear()

    def ready(self, now: float) -> list[Action]:
        """Return what is to be done that was not returned before, in the order of cause and effect.

        A `Start` is answered by `record`: RUNNING, or ended already (from cache).

        Args:
            now: Seconds since the epoch.
        """
        self._settle()
        self._take_due(now)
        self._settle()
        while self._start():
            self._settle()
        if self._ban is not None:
            self._stop(self._ban)
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

    def spot(self, path: str) -> Spot | None:
        """Return a node as the walk has it; None: there is no such node yet."""
        self._settle()
        return self._spots.get(path)

    def nodes(self) -> Iterator[Known]:
        """Yield all nodes that the walk has come to, parents first."""
        self._settle()
        return map(known.of, self._spots.values())

    def known(self, path: str) -> Known:
        """Return what is known of one node.

        Raises:
            KeyError: There is no such node yet.
        """
        self._settle()
        return known.of(self._spots[path])

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
        if len(self._spots) + len(graph.nodes) > self._most_nodes:
            error = f"the run has more than {self._most_nodes} nodes"
            return self._end(spot, State.FAILED, error=error)
        place = spot.inside = Place(spot, graph)
        self._change(spot, State.RUNNING)
        for inner, node in zip(place.spots.values(), graph.nodes.values(), strict=True):
            self._spots[inner.path] = inner
            inner.waiting = len(set(node.needs))
            inner.exiting = spot.exiting or node.trigger is Trigger.COMPLETED
            if node.watches:
                self._hang(inner, node, place)
            elif not inner.waiting:
                self._work.append(functools.partial(self._begin, inner, node, place))
        if not place.left:
            self._work.append(functools.partial(self._close, place))
        return None

    def _begin(self, spot: Spot, node: Node, place: Place) -> None:
        """Go on with a node that waits for nothing more."""
        try:
            refused = self._language.refused(node, place)
            if refused is not None:
                return self._end(spot, refused[0], error=refused[1])
            if not node.lazy:
                spot.inputs = self._language.inputs(node, place)
                if not self._language.holds(node, place, spot.inputs):
                    return self._end(spot, State.SKIPPED, error="its condition does not hold")
            if node.loop:
                return self._open_loop(spot, node, place)
        except UnresolvedError as error:
            return self._end(spot, error.state, error=str(error))
        return self._enter(spot, node)

    def _enter(self, spot: Spot, node: Node) -> None:
        place = spot.place
        if place is not None and place.graph.limit and not self._has_room(spot, place):
            return None
        if node.lazy and place is not None and not spot.is_attempt:
            return self._unfold(spot, node, place)
        if spot.inner is not None:
            return self._open(spot, spot.inner)
        return self._await(spot)

    def _unfold(self, spot: Spot, node: Node, place: Place) -> None:
        """Go on with a lazy node, of which nothing is known but its inputs as a turn."""
        try:
            entry = self._language.enter(spot, node, place)
        except UnresolvedError as error:
            return self._end(spot, error.state, error=str(error))
        spot.inputs, spot.inner = entry.inputs, entry.graph
        if entry.refused is not None:
            return self._end(spot, entry.refused[0], error=entry.refused[1])
        if entry.graph is None:
            return self._await(spot)
        if words := known.too_deep(spot.path):
            return self._end(spot, State.ERROR, error=words)
        if not entry.retried:
            return self._open(spot, entry.graph)
        spot.retried, spot.turns = True, []
        self._change(spot, State.RUNNING)
        return self._open_attempt(spot, node)

    def _await(self, spot: Spot) -> None:
        """Have a step be started, or follow what is known of it."""
        spot.begun = True
        if spot.path in self._rows:
            self._apply(spot)
        else:
            self._starts.append((spot, 0))

    def _has_room(self, spot: Spot, place: Place) -> bool:
        """Take one of the places in a limited graph; False: there is none left, and the node waits for one."""
        if spot.path in place.active or spot.is_attempt or self._unlimited:
            return True
        if len(place.active) < place.graph.limit or self._was_entered(spot.path):
            place.active.add(spot.path)
            return True
        if self._ban is not None:
            return True
        if place.queue is None:
            place.queue = deque()
            self._queues.append(place)
        place.queue.append(spot)
        return False

    def _was_entered(self, path: str) -> bool:
        """Tell whether something in a node was started before, in whatever order that was."""
        if self._touched is None:
            self._touched = {each for row in self._rows for each in known.around(row)}
        return path in self._touched

    def _admit(self, place: Place, *, every: bool = False) -> None:
        """Have the next node that waits for room in a graph be entered, or all of them."""
        while place.queue:
            spot = place.queue.popleft()
            if spot.node is not None:
                self._work.append(functools.partial(self._enter, spot, spot.node))
            if not every:
                return

    def _hang(self, spot: Spot, node: Node, place: Place) -> None:
        """Have a node begin when another one that it watches says so."""
        place.hooks = place.hooks or {}
        place.hooks.setdefault(node.watches, []).append(spot)
        if self._was_entered(spot.path):
            self._pull(spot, place)

    def _look(self, place: Place, watched: Spot) -> None:
        """Begin the nodes that watch this one, where it is time."""
        for spot in (place.hooks or {}).get(watched.node.name if watched.node else "", ()):
            if spot.waiting < 0 or spot.state.final:
                continue
            try:
                if self._language.due(spot, place):
                    self._pull(spot, place)
                elif watched.state.final:
                    self._end(spot, State.OMITTED, error="its expression did not hold")
            except UnresolvedError as error:
                self._end(spot, error.state, error=str(error))

    def _pull(self, spot: Spot, place: Place) -> None:
        spot.waiting = -1
        if spot.node is not None:
            self._work.append(functools.partial(self._begin, spot, spot.node, place))

    def _open_loop(self, spot: Spot, node: Node, place: Place) -> None:
        spot.items = self._language.turns(node, place, spot.inputs)
        spot.turns, spot.left = [], len(spot.items)
        if len(self._spots) + spot.left > self._most_nodes:
            raise UnresolvedError(
                f"it would go over {spot.left} items; a run has at most {self._most_nodes} nodes"
            )
        self._change(spot, State.RUNNING)
        limit = 0 if self._unlimited else node.parallelism
        at_once = min(limit or spot.left, spot.left)
        for _ in range(at_once):
            self._open_turn(spot, node)
        if not spot.left:
            self._work.append(functools.partial(self._close_loop, spot, node))

    def _open_turn(self, loop: Spot, node: Node) -> None:
        turns = loop.turns = [] if loop.turns is None else loop.turns
        turn = Spot(f"{loop.path}[{len(turns)}]", node, loop.place, loop)
        turn.inputs = loop.items[len(turns)]
        turns.append(turn)
        self._add_turn(turn, loop, node)

    def _open_attempt(self, spot: Spot, node: Node) -> None:
        """Begin the next attempt of a graph that is tried again."""
        turns = spot.turns = [] if spot.turns is None else spot.turns
        turn = Spot(f"{spot.path}[{len(turns)}]", node, spot.place, spot)
        turn.inputs, turn.inner, turn.content = spot.inputs, spot.inner, spot.content
        spot.left += 1
        turns.append(turn)
        self._add_turn(turn, spot, node)

    def _add_turn(self, turn: Spot, loop: Spot, node: Node) -> None:
        turn.exiting = loop.exiting
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
            if spot.place is not None and spot.place.hooks is not None:
                self._look(spot.place, spot)
            return
        self._running.pop(spot.path, None)
        at = self._ended_for_now(spot, row, told=True)
        if at is not None:
            heapq.heappush(self._later, (at, spot.path, row.number + 1))

    # Ending.

    def _ended_for_now(self, spot: Spot, made: Attempt, *, told: bool) -> float | None:
        """End a node as its attempt has, unless it is tried again; return when that is."""
        try:
            at = self._language.again(spot, made) if made.state.bad else None
        except UnresolvedError as error:
            told = told and error.state is made.state
            self._end(spot, error.state, outputs=made.outputs, error=str(error), told=told)
            return None
        if at is None:
            self._end(spot, made.state, outputs=made.outputs, error=made.error, told=told)
        return at

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
        spot.outputs, spot.error = outputs, known.cut(error)
        self._running.pop(spot.path, None)
        self._failing = self._failing or state.bad
        if told:
            spot.state = state
        else:
            self._change(spot, state)
        place = spot.place
        if place is not None and place.active and spot.path in place.active:
            place.active.remove(spot.path)
            self._admit(place)
        if spot.loop is not None:
            self._end_turn(spot.loop, spot)
        elif place is not None:
            self._end_node(place, spot)

    def _end_turn(self, loop: Spot, turn: Spot) -> None:
        loop.left -= 1
        node = loop.node
        if node is None or loop.turns is None:
            return None
        if loop.retried:
            return self._end_attempt(loop, turn)
        if len(loop.turns) < len(loop.items):
            self._open_turn(loop, node)
        if not loop.left:
            self._work.append(functools.partial(self._close_loop, loop, node))
        return None

    def _end_attempt(self, spot: Spot, turn: Spot) -> None:
        """Go on after an attempt of a graph: with the next one, if it failed and is tried again."""
        number = len(spot.turns or ()) - 1
        made = Attempt(
            path=spot.path,
            number=number,
            state=turn.state,
            outputs=turn.outputs,
            error=turn.error,
            began_at=spot.span()[0],
            ended_at=turn.span()[1],
        )
        at = self._ended_for_now(spot, made, told=False)
        if at is None:
            return
        if self._was_entered(f"{spot.path}[{number + 1}]"):
            self._next_attempt(spot)
        else:
            heapq.heappush(self._later, (at, spot.path, number + 1))

    def _next_attempt(self, spot: Spot) -> None:
        if spot.node is not None:
            self._open_attempt(spot, spot.node)

    def _end_node(self, place: Place, ended: Spot) -> None:
        if place.hooks is not None:
            self._look(place, ended)
        name = ended.path.rpartition("/")[2]
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
        try:
            made = self._language.closed(place)
        except UnresolvedError as failure:
            return self._end(place.spot, failure.state, error=str(failure))
        return self._end(place.spot, made.state, outputs=made.outputs, error=made.error)

    def _close_loop(self, loop: Spot, node: Node) -> None:
        made = self._language.closed_loop(loop, node)
        self._end(loop, made.state, outputs=made.outputs, error=made.error)

    def _change(self, spot: Spot, state: State) -> None:
        spot.state = state
        begun = state is State.RUNNING
        self._actions.append(
            Change(
                path=spot.path,
                node=known.told_node(spot),
                state=state,
                inputs=spot.inputs if begun else NOTHING,
                outputs=spot.outputs,
                error=spot.error,
                turns=known.turns(spot),
                step=known.is_step(spot),
            )
        )
        if begun and spot.place is not None and spot.place.hooks is not None:
            self._look(spot.place, spot)

    def _dependents(self, graph: Graph) -> Mapping[str, Sequence[str]]:
        found = self._after.get(id(graph))
        if found is None:
            found = self._after[id(graph)] = rules.dependents(graph)
        return found

    # Starting.

    def _take_due(self, now: float) -> None:
        """Queue the attempts whose time has come, and those that will not be made."""
        if self._ban is not None or self._no_more:
            waiting, self._later = self._later, []
            for at, path, number in waiting:
                if self._is_dropped(self._spots[path]):
                    self._starts.append((self._spots[path], number))
                else:
                    heapq.heappush(self._later, (at, path, number))
        while self._later and self._later[0][0] <= now:
            _, path, number = heapq.heappop(self._later)
            spot = self._spots[path]
            if spot.retried:
                self._work.append(functools.partial(self._next_attempt, spot))
            else:
                self._starts.append((spot, number))

    @property
    def _no_more(self) -> bool:
        return self._fail_fast and self._failing

    def _start(self) -> bool:
        """Start what may be started; return whether something else came of it that is to be followed."""
        while self._starts:
            spot, number = self._starts[0]
            if spot.state.final or (not spot.retried and self._known_number(spot) >= number):
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
        turns = spot.turns or ()
        before = turns[-1].error if turns else self._rows[spot.path].error if number else ""
        if self._ban is not None:
            never = State.CANCELED if not number else self._ban.state
            self._end(spot, never, error=self._ban.words)
        elif number:
            self._end(spot, State.FAILED, error=before)
        else:
            self._end(spot, State.SKIPPED, error="the run starts nothing more after a failure")

    def _is_dropped(self, spot: Spot) -> bool:
        """Tell whether a step is not to be started any more."""
        if self._ban is not None and not (self._ban.exits and spot.exiting):
            return True
        return self._no_more and not spot.exiting

    def _known_number(self, spot: Spot) -> int:
        row = self._rows.get(spot.path)
        return -1 if row is None else row.number

    def _stop(self, ban: Ban) -> None:
        for path in self._running:
            if path not in self._stopped and not (ban.exits and self._spots[path].exiting):
                self._stopped.add(path)
                self._actions.append(Stop(path))
