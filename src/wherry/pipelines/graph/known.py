"""What is told of the nodes of a walk, to those who follow it."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from wherry.metadata.records import Values
from wherry.pipelines.graph.model import Node, State
from wherry.pipelines.graph.spots import Spot

ROOT: Final = "root"
MOST_CHARACTERS: Final = 4000
"""How long the path of a lazy node may be."""
MOST_DEPTH: Final = 240
"""How deep lazy nodes may be in others: what calls itself ends somewhere."""
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
        step: Whether it is a step.
    """

    path: str
    node: Node | None
    state: State
    inputs: Values
    outputs: Values
    error: str
    attempt: int | None
    turns: int | None
    step: bool = False


def too_deep(path: str) -> str:
    """Return why a lazy node is not opened, by its path; empty: it is."""
    if path.count("/") <= MOST_DEPTH and len(path) <= MOST_CHARACTERS:
        return ""
    return f"Maximum recursion depth exceeded: nodes are {MOST_DEPTH} deep in one another"


def around(path: str) -> Iterator[str]:
    """Yield a path, and those of all that it is in, but the root."""
    while path != ROOT and path:
        yield path
        path = path.rpartition("[" if path.endswith("]") else "/")[0]


def cut(error: str) -> str:
    """Return an error without its middle where it is long: of a traceback the end says what it was."""
    if len(error) <= _LONGEST_ERROR:
        return error
    return f"{error[:_ERROR_HEAD]} … {error[_ERROR_HEAD - _LONGEST_ERROR :]}"


def told_node(spot: Spot) -> Node | None:
    """Return what a node is; None: the root, or one turn of a loop over graphs."""
    turn_of_graphs = spot.loop is not None and not spot.is_step
    return None if turn_of_graphs else spot.node


def turns(spot: Spot) -> int | None:
    """Return how many turns a loop has; None: it is none, or has not begun."""
    return len(spot.items) if spot.turns is not None and not spot.retried else None


def is_step(spot: Spot) -> bool:
    """Tell whether a node is a step; a loop over steps counts as one, as long as it is not lazy."""
    node = spot.node
    return node is not None and spot.inner is None and not (node.lazy and spot.is_loop)


def of(spot: Spot) -> Known:
    """Return what is known of a node."""
    return Known(
        path=spot.path,
        node=told_node(spot),
        state=spot.state,
        inputs=spot.inputs,
        outputs=spot.outputs,
        error=spot.error,
        attempt=spot.attempt,
        turns=turns(spot),
        step=is_step(spot),
    )
