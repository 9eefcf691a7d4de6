"""Walks against a reference: what becomes of each node, in whatever order, and however often one begins anew."""

import dataclasses
import random
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wherry.metadata.records import Values
from wherry.pipelines.graph import again
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
from wherry.pipelines.graph.walk import Walk

NOW = 1_000_000.0


@dataclass(frozen=True)
class Fate:
    """What happens at each path, by dice that fall the same way each time."""

    seed: int = 0
    bad_percent: int = 0
    skip_percent: int = 0

    def die(self, what: str, path: str, sides: int) -> int:
        return zlib.crc32(f"{self.seed}/{what}/{path}".encode()) % sides

    def failures(self, path: str) -> int:
        """How many attempts of a step fail."""
        return self.die("fails", path, 4) if self.die("bad", path, 100) < self.bad_percent else 0

    def holds(self, path: str) -> bool:
        return self.die("skip", path, 100) >= self.skip_percent

    def turns(self, path: str) -> int:
        return self.die("turns", path, 4)


@dataclass(frozen=True)
class Dice(Language):
    """A language without values, but for the number of each turn."""

    fate: Fate = field(default_factory=Fate)

    def inputs(self, node: Node, scope: Scope) -> Values:
        return Values({"path": f"{scope.path}/{node.name}"})

    def holds(self, node: Node, scope: Scope, inputs: Values) -> bool:
        return self.fate.holds(f"{scope.path}/{node.name}")

    def turns(self, node: Node, scope: Scope, inputs: Values) -> Sequence[Values]:
        count = self.fate.turns(f"{scope.path}/{node.name}")
        return [Values({"turn": turn}) for turn in range(count)]

    def outputs(self, scope: Scope) -> Values:
        return Values({name: scope.state(name).value for name in scope.graph.nodes})

    def gathered(self, node: Node, turns: Sequence[Values]) -> Values:
        return Values({"turns": [dict(turn.parameters) for turn in turns]})


@st.composite
def graphs(draw: st.DrawFn, depth: int = 3) -> Graph:
    nodes: dict[str, Node] = {}
    for index in range(draw(st.integers(0 if depth < 3 else 1, 4))):
        name = f"n{index}"
        needs = draw(st.lists(st.sampled_from(sorted(nodes)), max_size=3)) if nodes else []
        inner = depth > 1 and draw(st.integers(0, 2)) == 0
        nodes[name] = Node(
            name=name,
            component=f"{depth}-{index}",
            needs=tuple(needs),
            trigger=draw(st.sampled_from([Trigger.SUCCEEDED] * 3 + [Trigger.COMPLETED])),
            graph=draw(graphs(depth=depth - 1)) if inner else None,
            loop=draw(st.integers(0, 3)) == 0,
            parallelism=draw(st.integers(0, 2)),
            retry=Retry(draw(st.integers(0, 3)), draw(st.sampled_from([0.0, 10.0]))),
        )
    shuffled = draw(st.permutations(list(nodes)))
    return Graph(f"graph-{draw(st.integers(0, 10**9))}", {name: nodes[name] for name in shuffled})


class Reference:
    """What becomes of everything, by following the graph once in an order that fits."""

    def __init__(self, fate: Fate) -> None:
        self.fate = fate
        self.states: dict[str, State] = {}

    def graph(self, graph: Graph, path: str) -> State:
        done: dict[str, State] = {}
        while len(done) < len(graph.nodes):
            for name, node in graph.nodes.items():
                if name not in done and set(node.needs) <= set(done):
                    states = [done[need] for need in node.needs]
                    done[name] = self.node(node, f"{path}/{name}", states)
        return self.note(path, _sum(done.values()))

    def node(self, node: Node, path: str, before: Sequence[State]) -> State:
        blocked = node.trigger is Trigger.SUCCEEDED and set(before) - {State.SUCCEEDED}
        if blocked or not self.fate.holds(path):
            return self.note(path, State.SKIPPED)
        if not node.loop:
            return self.once(node, path)
        turns = [self.once(node, f"{path}[{turn}]") for turn in range(self.fate.turns(path))]
        return self.note(path, _sum(turns))

    def once(self, node: Node, path: str) -> State:
        if node.graph is not None:
            return self.graph(node.graph, path)
        good = self.fate.failures(path) <= node.retry.limit
        return self.note(path, State.SUCCEEDED if good else State.FAILED)

    def note(self, path: str, state: State) -> State:
        self.states[path] = state
        return state


def _sum(states: Iterable[State]) -> State:
    return State.FAILED if State.FAILED in set(states) else State.SUCCEEDED


class World:
    """Runs steps, one event after another, and begins anew from the rows now and then."""

    def __init__(
        self,
        graph: Graph,
        fate: Fate,
        *,
        seed: int = 0,
        parallelism: int = 0,
        fail_fast: bool = False,
    ) -> None:
        self.graph = graph
        self.fate = fate
        self.random = random.Random(seed)
        self.parallelism = parallelism
        self.fail_fast = fail_fast
        self.rows: dict[str, Attempt] = {}
        self.started: list[tuple[str, int]] = []
        self.ended_at: dict[str, float] = {}
        self.stopped: set[str] = set()
        self.canceled = False
        self.now = NOW
        self.walk = self.made()

    def made(self) -> Walk:
        return Walk(
            self.graph,
            Dice(self.fate),
            Values(),
            parallelism=self.parallelism,
            fail_fast=self.fail_fast,
        )

    def again(self) -> None:
        """Forget all but the rows."""
        self.walk = self.made()
        rows = list(self.rows.values())
        self.random.shuffle(rows)
        for row in rows:
            self.walk.record(row)
        if self.canceled:
            self.walk.cancel()

    def running(self) -> list[str]:
        return [path for path, row in self.rows.items() if row.state is State.RUNNING]

    def react(self) -> list[Action]:
        actions = self.walk.ready(self.now)
        for action in actions:
            if isinstance(action, Start):
                self.start(action)
            elif isinstance(action, Stop):
                assert self.rows[action.path].state is State.RUNNING
                self.stopped.add(action.path)
        if self.parallelism:
            assert len(self.running()) <= self.parallelism
        return actions

    def start(self, action: Start) -> None:
        before = self.rows.get(action.path)
        assert (before is None and action.number == 0) or (
            before is not None
            and before.state is State.FAILED
            and before.number == action.number - 1
        ), "a step is started once for each attempt"
        if before is not None:
            assert self.now >= before.ended_at + action.node.retry.delay(before.number)
        assert not self.canceled
        self.started.append((action.path, action.number))
        self.put(Attempt(action.path, action.number))

    def put(self, row: Attempt) -> None:
        self.rows[row.path] = row
        self.walk.record(row)

    def finish(self, path: str) -> None:
        number = self.rows[path].number
        failed = number < self.fate.failures(path)
        state = State.FAILED if failed else State.SUCCEEDED
        if path in self.stopped:
            state = State.CANCELED
        self.put(
            Attempt(path, number, state, error="it broke" if failed else "", ended_at=self.now)
        )

    def event(self) -> bool:
        """Let something happen; return whether anything is left to happen."""
        running = self.running()
        if running:
            self.finish(self.random.choice(running))
            self.now += self.random.random()
        elif self.walk.wake_at is not None:
            assert self.walk.wake_at > self.now or not self.walk.state.final
            self.now = max(self.now, self.walk.wake_at)
        else:
            return False
        return True

    def run(self, *, restarts: bool = False, cancel_after: int | None = None) -> None:
        self.react()
        events = 0
        while self.event():
            events += 1
            if events == cancel_after:
                self.canceled = True
                self.walk.cancel()
            if restarts and self.random.random() < 0.3:
                self.again()
            if self.random.random() < 0.8:
                self.react()
            assert events < 100_000
        self.react()
        while self.event():
            self.react()

    def states(self) -> Mapping[str, State]:
        return {known.path: known.state for known in self.walk.nodes()}


fates = st.builds(
    Fate, st.integers(0, 10**6), st.sampled_from([0, 20, 60]), st.sampled_from([0, 10, 40])
)


@given(graphs(), fates, st.integers(0, 10**6), st.integers(0, 3))
def test_each_node_becomes_what_the_reference_says(
    graph: Graph, fate: Fate, seed: int, parallelism: int
) -> None:
    reference = Reference(fate)
    expected = reference.graph(graph, "root")
    for restarts in (False, True):
        world = World(graph, fate, seed=seed, parallelism=parallelism)
        world.run(restarts=restarts)
        assert world.walk.state is expected
        states = world.states()
        assert {path: states[path] for path in reference.states} == reference.states
        # What is in graphs that were never opened is not there at all.
        assert set(states) == set(reference.states)


@given(graphs(), fates, st.integers(0, 10**6), st.booleans())
def test_outputs_and_errors_are_the_same_after_a_restart(
    graph: Graph, fate: Fate, seed: int, fail_fast: bool
) -> None:
    world = World(graph, fate, seed=seed, fail_fast=fail_fast)
    world.run()
    before = [(each.path, each) for each in world.walk.nodes()]
    world.again()
    assert not [each for each in world.react() if isinstance(each, Start | Stop)]
    assert sorted(before, key=str) == sorted(
        ((one.path, one) for one in world.walk.nodes()), key=str
    )


@given(graphs(), fates, st.integers(0, 10**6), st.integers(1, 12), st.booleans())
def test_a_canceled_run_ends_without_starting_anything(
    graph: Graph, fate: Fate, seed: int, after: int, restarts: bool
) -> None:
    world = World(graph, fate, seed=seed)
    world.run(restarts=restarts, cancel_after=after)
    states = world.states()
    assert world.walk.state.final
    assert all(state.final for state in states.values())
    assert (State.CANCELED in states.values()) == (world.walk.state is State.CANCELED)


@given(graphs(), fates, st.integers(0, 10**6), st.booleans())
def test_after_a_failure_only_exit_tasks_start_if_that_is_asked_for(
    graph: Graph, fate: Fate, seed: int, restarts: bool
) -> None:
    world = World(graph, fate, seed=seed, parallelism=1, fail_fast=True)
    world.run(restarts=restarts)
    assert all(state.final for state in world.states().values())
    final = [
        path
        for path, row in world.rows.items()
        if row.state is State.FAILED and world.states()[path] is State.FAILED
    ]
    reference = Reference(fate)
    if reference.graph(graph, "root") is State.FAILED:
        assert final
        assert world.walk.state is State.FAILED
    else:
        assert world.walk.state is State.SUCCEEDED


@given(graphs(), fates, st.integers(0, 10**6), st.booleans(), st.data())
def test_a_run_that_is_taken_up_does_what_failed_and_what_depends_on_it(
    graph: Graph, fate: Fate, seed: int, fail_fast: bool, data: st.DataObject
) -> None:
    first = World(graph, fate, seed=seed, parallelism=1, fail_fast=fail_fast)
    first.run(cancel_after=data.draw(st.sampled_from([None, 1, 3])))
    paths = sorted(first.states())
    chosen = data.draw(st.lists(st.sampled_from(paths), max_size=1))
    redone = again.of(graph, Dice(fate), Values(), first.rows.values(), chosen=chosen)
    ended = {path for path, row in first.rows.items() if row.state is State.SUCCEEDED}
    assert first.rows.keys() - redone.steps <= ended
    assert {path for path in first.rows if any(again.is_within(path, each) for each in chosen)} <= (
        redone.steps
    )
    if first.walk.state is State.SUCCEEDED and not chosen:
        assert not redone.steps
    # This time nothing fails, and nothing that succeeded before is started.
    healed = dataclasses.replace(fate, bad_percent=0)
    second = World(graph, healed, seed=seed, fail_fast=fail_fast)
    second.rows = {path: row for path, row in first.rows.items() if path not in redone.steps}
    second.again()
    second.run(restarts=True)
    reference = Reference(healed)
    assert second.walk.state is reference.graph(graph, "root")
    assert second.states() == reference.states


def test_only_what_depends_on_a_failure_is_done_again() -> None:
    graph = graph_of(
        step("a"),
        step("b", "a"),
        step("beside"),
        step("exit", "b", trigger=Trigger.COMPLETED),
        step("loop", "a", loop=True, parallelism=1),
        step("last", "exit"),
    )
    rows = [
        Attempt("root/a", 0, State.SUCCEEDED),
        Attempt("root/b", 0, State.FAILED),
        Attempt("root/beside", 0, State.SUCCEEDED),
        Attempt("root/exit", 0, State.SUCCEEDED),
        Attempt("root/last", 0, State.SUCCEEDED),
        *(Attempt(f"root/loop[{turn}]", 0, State.SUCCEEDED) for turn in range(3)),
    ]
    fate = next(fate for fate in map(Fate, range(100)) if fate.turns("root/loop") == 3)
    found = again.of(graph, Dice(fate), Values(), rows)
    assert found.steps == {"root/b", "root/exit", "root/last"}
    assert found.states["root/loop"] is State.SUCCEEDED
    one = again.of(graph, Dice(fate), Values(), rows, chosen=["root/loop[1]"])
    assert one.steps == {*found.steps, "root/loop[1]"}
    assert one.states["root/loop"] is State.RUNNING
    assert again.of(graph, Dice(fate), Values(), rows, chosen=["root"]).steps == {
        row.path for row in rows
    }


def step(name: str, *needs: str, **more: object) -> Node:
    return Node(name=name, component=name, needs=needs, **more)  # type: ignore[arg-type]  # a test's shorthand


def graph_of(*nodes: Node, component: str = "root") -> Graph:
    return Graph(component, {node.name: node for node in nodes})


def test_a_step_waits_for_all_that_it_needs() -> None:
    walk = Walk(graph_of(step("a"), step("b"), step("c", "a", "b")), Dice(), Values())
    assert [each.path for each in walk.ready(0) if isinstance(each, Start)] == ["root/a", "root/b"]
    walk.record(Attempt("root/a", state=State.SUCCEEDED))
    assert not walk.ready(0)
    walk.record(Attempt("root/b", state=State.SUCCEEDED))
    assert [each.path for each in walk.ready(0) if isinstance(each, Start)] == ["root/c"]


def test_an_exit_task_runs_after_a_failure_and_the_run_has_failed() -> None:
    body = graph_of(step("a"), step("b", "a"), component="body")
    walk = Walk(
        graph_of(step("body", graph=body), step("exit", "body", trigger=Trigger.COMPLETED)),
        Dice(),
        Values(),
        fail_fast=True,
    )
    walk.ready(0)
    walk.record(Attempt("root/body/a", state=State.FAILED, error="exit code 1"))
    told = walk.ready(0)
    assert [each.path for each in told if isinstance(each, Start)] == ["root/exit"]
    assert [(each.path, each.error) for each in told if isinstance(each, Change)] == [
        ("root/body/b", "a, which it needs, failed"),
        ("root/body", "a: exit code 1"),
    ]
    walk.record(Attempt("root/exit", state=State.SUCCEEDED))
    walk.ready(0)
    assert (walk.state, walk.error) == (State.FAILED, "body: a: exit code 1")


def test_a_step_is_tried_again_after_its_backoff() -> None:
    retry = Retry(limit=2, backoff_seconds=10, factor=3, most_seconds=20)
    walk = Walk(graph_of(step("a", retry=retry)), Dice(), Values())
    walk.ready(NOW)
    walk.record(Attempt("root/a", 0, State.FAILED, ended_at=NOW))
    assert not walk.ready(NOW + 9.9)
    assert walk.wake_at == NOW + 10
    (again,) = walk.ready(NOW + 10)
    assert isinstance(again, Start)
    assert again.number == 1
    walk.record(Attempt("root/a", 1, State.FAILED, ended_at=NOW + 11))
    walk.ready(NOW + 11)
    assert walk.wake_at == NOW + 31
    (last,) = walk.ready(NOW + 40)
    assert isinstance(last, Start)
    walk.record(Attempt("root/a", 2, State.FAILED, ended_at=NOW + 41, error="no luck"))
    walk.ready(NOW + 41)
    assert (walk.state, walk.error) == (State.FAILED, "a: no luck")
    assert walk.wake_at is None


def test_an_attempt_that_is_final_is_not_tried_again() -> None:
    walk = Walk(graph_of(step("a", retry=Retry(5))), Dice(), Values())
    walk.ready(0)
    walk.record(Attempt("root/a", 0, State.FAILED, final=True, error="no such image"))
    walk.ready(0)
    assert walk.state is State.FAILED


def test_old_rows_change_nothing() -> None:
    walk = Walk(graph_of(step("a", retry=Retry(5)), step("b")), Dice(), Values())
    walk.ready(0)
    walk.record(Attempt("root/a", 0, State.FAILED))
    walk.ready(0)
    walk.record(Attempt("root/a", 1, State.SUCCEEDED))
    walk.record(Attempt("root/a", 0, State.FAILED))
    walk.record(Attempt("root/a", 1))
    walk.ready(0)
    assert walk.known("root/a").state is State.SUCCEEDED


def test_a_walk_made_from_rows_knows_their_steps_before_it_is_asked_what_to_do() -> None:
    body = graph_of(step("a"), step("b", "a"), component="body")
    walk = Walk(graph_of(step("body", graph=body)), Dice(), Values())
    walk.record(Attempt("root/body/a", state=State.SUCCEEDED))
    walk.record(Attempt("root/body/b"))
    assert walk.known("root/body/b").state is State.RUNNING
    assert walk.scope("root/body/b").path == "root/body"
    assert [each.path for each in walk.ready(0)] == ["root", "root/body"]


def test_only_so_many_turns_are_open_at_once() -> None:
    body = graph_of(step("a"), step("b", "a"), component="body")
    loop = step("loop", graph=body, loop=True, parallelism=2)
    fate = Fate(seed=next(seed for seed in range(99) if Fate(seed).turns("root/loop") == 3))
    walk = Walk(graph_of(loop), Dice(fate), Values())

    def started() -> list[str]:
        return [each.path for each in walk.ready(0) if isinstance(each, Start)]

    assert started() == ["root/loop[0]/a", "root/loop[1]/a"]
    walk.record(Attempt("root/loop[1]/a", state=State.SUCCEEDED))
    assert started() == ["root/loop[1]/b"]
    walk.record(Attempt("root/loop[1]/b", state=State.SUCCEEDED))
    assert started() == ["root/loop[2]/a"]
    assert walk.known("root/loop").turns == 3
    assert walk.scope("root/loop[1]/a").path == "root/loop[1]"
    with pytest.raises(KeyError):
        walk.scope("root")


def test_what_cannot_be_resolved_fails_the_node_and_nothing_else() -> None:
    class Broken(Dice):
        def inputs(self, node: Node, scope: Scope) -> Values:
            if node.name == "a":
                raise UnresolvedError("input x: there is none")
            return Values()

    walk = Walk(graph_of(step("a"), step("b", "a"), step("c")), Broken(), Values())
    walk.ready(0)
    assert walk.known("root/a").error == "input x: there is none"
    assert walk.known("root/b").state is State.SKIPPED
    assert walk.known("root/c").state is State.RUNNING


def test_a_run_has_at_most_so_many_nodes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wherry.pipelines.graph.walk.MOST_NODES", 3)
    body = graph_of(step("a"), step("b"), component="body")
    walk = Walk(graph_of(step("c"), step("body", graph=body)), Dice(), Values())
    walk.ready(0)
    assert walk.known("root/body").error == "the run has more than 3 nodes"


def test_a_thousand_steps_cost_little_each() -> None:
    """Events, not seconds, are counted: each may touch only what waits for it."""
    asked = 0

    class Counting(Dice):
        def inputs(self, node: Node, scope: Scope) -> Values:
            nonlocal asked
            asked += 1
            return Values()

    names = [f"s{index}" for index in range(1000)]
    nodes = [step(name, *names[max(0, index - 2) : index]) for index, name in enumerate(names)]
    walk = Walk(graph_of(*nodes), Counting(), Values())
    for name in names:
        (started,) = [each for each in walk.ready(0) if isinstance(each, Start)]
        assert started.path == f"root/{name}"
        walk.record(Attempt(started.path, state=State.SUCCEEDED))
    walk.ready(0)
    assert walk.state is State.SUCCEEDED
    assert asked == 1000
