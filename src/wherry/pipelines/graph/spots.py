"""The parts of a walk: a spot for each node of a run, a place for each graph that is open."""

from collections import deque
from collections.abc import Mapping, Sequence
from typing import Final

from wherry.metadata.records import Values
from wherry.pipelines.graph.model import Attempt, Graph, Node, State

NOTHING: Final = Values()
_NO_PATHS: Final[set[str]] = set()
"""Of graphs without a limit; nobody adds to it."""


class Spot:
    """One node of a run: a step, a graph, a loop, or one turn of a loop.

    Attributes:
        path: Where it is.
        node: What it is; None: the root.
        place: The graph around it; None: it is the root.
        loop: Of a turn, what it is a turn of; None: it is none.
        state: What has become of it.
        inputs: What it was given.
        outputs: What it gave.
        error: Why it failed, or was not started.
        attempt: Of a step: number of the latest attempt that is known of; None: none.
        row: Of a step: what was last followed of what was recorded; None: nothing yet.
        begun: Of a step: whether all before it has ended, so that it may be started, or was.
        waiting: On how many nodes before it it still waits.
        exiting: Whether it, or what it is part of, runs whatever has become of what was before.
        turns: Of a loop: those that were opened, in their order; None: it is none, or has not begun.
        items: Of a loop: the inputs of its turns.
        left: Of a loop: how many turns have not ended.
        inner: What it consists of, as far as that is known; None: it is a step, or was not entered.
        inside: The graph that is open in it; None: none is.
        retried: Whether its turns are attempts, each made when the one before has failed.
        content: What the language keeps of it.
    """

    __slots__ = (
        "attempt", "begun", "content", "error", "exiting", "inner", "inputs", "inside", "items", "left", "loop",
        "node", "outputs", "path", "place", "retried", "row", "state", "turns", "waiting",
    )  # fmt: skip

    def __init__(
        self, path: str, node: Node | None, place: "Place | None", loop: "Spot | None" = None
    ) -> None:
        self.path = path
        self.node = node
        self.place = place
        self.loop = loop
        self.state = State.PENDING
        self.inputs = NOTHING
        self.outputs = NOTHING
        self.error = ""
        self.attempt: int | None = None
        self.begun = False
        self.row: Attempt | None = None
        self.waiting = 0
        self.exiting = False
        self.turns: list[Spot] | None = None
        self.items: Sequence[Values] = ()
        self.left = 0
        self.inner: Graph | None = node.graph if node is not None else None
        self.inside: Place | None = None
        self.retried = False
        self.content: object = None

    @property
    def is_step(self) -> bool:
        """Whether it is started by somebody else, and recorded."""
        return self.node is not None and self.inner is None and not self.is_loop

    @property
    def is_loop(self) -> bool:
        """Whether it consists of turns, one for each item."""
        return self.node is not None and self.node.loop and self.loop is None

    @property
    def is_attempt(self) -> bool:
        """Whether it is one attempt of a graph that is tried again."""
        return self.loop is not None and self.loop.retried

    def span(self) -> tuple[float, float]:
        """Return when the first of its steps began and the last one ended, in seconds since the epoch; 0: none has."""
        began, ended = [], [0.0]
        left: list[Spot] = [self]
        while left:
            spot = left.pop()
            if spot.row is not None and spot.row.state.final:
                began.append(spot.row.began_at)
                ended.append(spot.row.ended_at)
            left.extend(spot.turns or ())
            if spot.inside is not None:
                left.extend(spot.inside.spots.values())
        return min(began, default=0.0), max(ended)


class Place:
    """An open graph: a `language.Scope`.

    Attributes:
        path: Where it is.
        graph: What it consists of.
        inputs: What it was given.
        spot: What it is the inside of.
        spots: Its nodes by name.
        left: How many of them have not ended.
        active: Where the graph has a limit: paths of those that have been entered and have not ended.
        queue: Those that may be entered when others have ended.
        hooks: Nodes that watch others, by the name of what they watch.
    """

    __slots__ = ("active", "graph", "hooks", "inputs", "left", "path", "queue", "spot", "spots")

    def __init__(self, spot: Spot, graph: Graph) -> None:
        self.path = spot.path
        self.graph = graph
        self.inputs = spot.inputs
        self.spot = spot
        self.spots: Mapping[str, Spot] = {
            name: Spot(f"{spot.path}/{name}", node, self) for name, node in graph.nodes.items()
        }
        self.left = len(self.spots)
        self.active: set[str] = _NO_PATHS if not graph.limit else set()
        self.queue: deque[Spot] | None = None
        self.hooks: dict[str, list[Spot]] | None = None

    def state(self, name: str) -> State:
        """Return what has become of one of its nodes."""
        return self.spots[name].state

    def outputs(self, name: str) -> Values | None:
        """Return what one of its nodes gave; None: it did not succeed."""
        spot = self.spots[name]
        return spot.outputs if spot.state is State.SUCCEEDED else None

    def error(self, name: str) -> str:
        """Return why one of its nodes failed; empty: it did not."""
        return self.spots[name].error
