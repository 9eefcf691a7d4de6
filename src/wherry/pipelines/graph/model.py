"""What is walked: graphs of named nodes, and what is known of them in one run."""

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field

from wherry.metadata.records import Values


class State(enum.StrEnum):
    """What has become of a node."""

    PENDING = "PENDING"
    RUNNING = "RUNNING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    SKIPPED = "SKIPPED"
    CANCELED = "CANCELED"

    @property
    def final(self) -> bool:
        """Whether nothing comes after it."""
        return self not in {State.PENDING, State.RUNNING}


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
    """

    name: str
    component: str
    needs: tuple[str, ...] = ()
    trigger: Trigger = Trigger.SUCCEEDED
    graph: "Graph | None" = None
    loop: bool = False
    parallelism: int = 0
    retry: Retry = field(default_factory=Retry)


@dataclass(frozen=True, slots=True)
class Graph:
    """Nodes, none of which needs itself, over however many others.

    Attributes:
        component: What the language calls it.
        nodes: By name, in the order of the source.
    """

    component: str
    nodes: Mapping[str, Node]


@dataclass(frozen=True, slots=True)
class Attempt:
    """What is known of a step: its latest attempt.

    Attributes:
        path: Of the step, e.g. ``root/for-loop-1[3]/train``.
        number: Of the attempt, from 0.
        state: RUNNING from when it is decided that it is made; then SUCCEEDED, FAILED, SKIPPED or CANCELED.
        outputs: Where it succeeded.
        error: Where it failed, one sentence.
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
    """

    path: str
    node: Node | None
    state: State
    inputs: Values = field(default_factory=Values)
    outputs: Values = field(default_factory=Values)
    error: str = ""
    turns: int | None = None


Action = Start | Stop | Change
