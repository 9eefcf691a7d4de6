"""What is walked: graphs of named nodes, and what is known of them in one run."""

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from wherry.metadata.records import Values


class State(enum.StrEnum):
    """What has become of a node.

    ERROR and OMITTED are those of languages that tell them from FAILED (by something else than the step
    itself) and SKIPPED (for what came before it, not by its own condition).
    """

    PENDING = "PENDING"
    RUNNING = "RUNNING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    ERROR = "ERROR"
    SKIPPED = "SKIPPED"
    OMITTED = "OMITTED"
    CANCELED = "CANCELED"

    @property
    def final(self) -> bool:
        """Whether nothing comes after it."""
        return self not in {State.PENDING, State.RUNNING}

    @property
    def bad(self) -> bool:
        """Whether it has ended, and not well."""
        return self in {State.FAILED, State.ERROR}


BECAME: Final = {
    State.FAILED: "failed",
    State.ERROR: "failed",
    State.SKIPPED: "was skipped",
    State.OMITTED: "was skipped",
    State.CANCELED: "was canceled",
}
"""What is said of a node that others need, by its final state."""


class Trigger(enum.Enum):
    """What must have become of the nodes before."""

    SUCCEEDED = enum.auto()
    COMPLETED = enum.auto()


@dataclass(frozen=True, slots=True)
class Retry:
    """How often a step that failed is tried again, and after how long.

    Attributes:
        limit: How often, beside the first time.
        backoff_seconds: Before the first.
        factor: By what it grows.
        most_seconds: How far.
    """

    limit: int = 0
    backoff_seconds: float = 0
    factor: float = 2
    most_seconds: float = 3600

    def delay(self, attempt: int) -> float:
        """Return the seconds between the end of an attempt (0: the first) and the next one."""
        try:
            grown = self.backoff_seconds * self.factor**attempt
        except OverflowError:
            grown = self.most_seconds
        return min(grown, self.most_seconds)


@dataclass(frozen=True, slots=True)
class Node:
    """A node of a graph.

    Attributes:
        name: Among the nodes of its graph; without ``/``, ``[`` and ``]``.
        component: What it runs, as the language calls it.
        needs: The nodes before it.
        trigger: What must have become of them.
        graph: What it consists of; None: it is a step.
        loop: Whether it is done for each of a list of items.
        parallelism: How many of these at once; 0: all.
        retry: What happens when it fails. (A graph is not tried again; its steps are.)
        lazy: Whether the language says only when it is entered what it consists of (`Entry`).
        watches: The node that it hangs on: it begins when the language says so, as soon as that one has
            begun or has ended, and is omitted if it never does; empty: it begins after what it needs.
    """

    name: str
    component: str
    needs: tuple[str, ...] = ()
    trigger: Trigger = Trigger.SUCCEEDED
    graph: "Graph | None" = None
    loop: bool = False
    parallelism: int = 0
    retry: Retry = field(default_factory=Retry)
    lazy: bool = False
    watches: str = ""


@dataclass(frozen=True, slots=True)
class Graph:
    """Nodes, none of which needs itself, over however many others.

    Attributes:
        component: What the language calls it.
        nodes: By name, in the order of the source.
        limit: How many of them (of a loop: of its turns) at once, whether steps or graphs; 0: any number.
    """

    component: str
    nodes: Mapping[str, Node]
    limit: int = 0


@dataclass(frozen=True, slots=True)
class Entry:
    """What a lazy node, or one turn of it, turns out to be when it is entered.

    Attributes:
        inputs: What it is given.
        graph: What it consists of; None: it is a step.
        retried: Of a graph: whether it is tried again, and each attempt is a turn.
        refused: What has become of it, and why, where it is not run at all.
    """

    inputs: Values
    graph: Graph | None = None
    retried: bool = False
    refused: tuple[State, str] | None = None


@dataclass(frozen=True, slots=True)
class Sum:
    """What has become of a graph or a loop whose parts have ended."""

    state: State
    outputs: Values = field(default_factory=Values)
    error: str = ""


@dataclass(frozen=True, slots=True)
class Attempt:
    """What is known of a step: its latest attempt.

    Attributes:
        path: Of the step, e.g. ``root/for-loop-1[3]/train``.
        number: Of the attempt, from 0.
        state: RUNNING from when it is decided that it is made; then SUCCEEDED, FAILED, SKIPPED or CANCELED.
        outputs: What it gave.
        error: Where it failed, one sentence.
        began_at: When its first attempt began, seconds since the epoch.
        ended_at: Where it has ended, seconds since the epoch.
        final: Whether it is not tried again whatever the policy says.
        cached: Whether an earlier result was taken.
    """

    path: str
    number: int = 0
    state: State = State.RUNNING
    outputs: Values = field(default_factory=Values)
    error: str = ""
    ended_at: float = 0
    final: bool = False
    cached: bool = False
    began_at: float = 0


@dataclass(frozen=True, slots=True)
class Ban:
    """Why nothing more is started.

    Attributes:
        state: What becomes of what ran, or was to be tried again.
        words: Why.
        exits: Whether nodes that run whatever has become of what was before still do.
    """

    state: State
    words: str
    exits: bool


@dataclass(frozen=True, slots=True)
class Start:
    """A step is to be started.

    Attributes:
        path: Of the step.
        node: What it is.
        number: Of the attempt, from 0.
        inputs: Resolved.
    """

    path: str
    node: Node
    number: int
    inputs: Values


@dataclass(frozen=True, slots=True)
class Stop:
    """A step that runs is to be stopped, because the run is canceled."""

    path: str


@dataclass(frozen=True, slots=True)
class Change:
    """The state of a node has changed that no step reports: of a graph, a loop, or one that was never started.

    Attributes:
        path: Of the node.
        node: What it is; None: one turn of a loop, or the root.
        state: The new one.
        inputs: Where it has begun.
        outputs: Where it has succeeded.
        error: Where it failed, or why it was skipped.
        turns: Of a loop: how many.
        step: Whether it is a step.
    """

    path: str
    node: Node | None
    state: State
    inputs: Values = field(default_factory=Values)
    outputs: Values = field(default_factory=Values)
    error: str = ""
    turns: int | None = None
    step: bool = False


Action = Start | Stop | Change
