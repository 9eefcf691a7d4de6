"""Trees of expressions."""

import dataclasses
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Literal:
    """A value written out."""

    value: Any


@dataclass(frozen=True, slots=True)
class Name:
    """A variable, or a function."""

    name: str


@dataclass(frozen=True, slots=True)
class Pointer:
    """``#``, ``#index`` or ``#acc``: what a closure is called with."""

    name: str


@dataclass(frozen=True, slots=True)
class Member:
    """``target.key`` or ``target[key]``; with ``?.`` optional: of nothing it is nothing."""

    target: "Node"
    key: "Node"
    optional: bool


@dataclass(frozen=True, slots=True)
class Slice:
    """``target[low:high]``."""

    target: "Node"
    low: "Node | None"
    high: "Node | None"


@dataclass(frozen=True, slots=True)
class Chain:
    """Members of which one is optional: where that is nothing all is."""

    node: "Node"


@dataclass(frozen=True, slots=True)
class Unary:
    """``!a``, ``-a``."""

    mark: str
    operand: "Node"


@dataclass(frozen=True, slots=True)
class Binary:
    """``a + b``."""

    mark: str
    left: "Node"
    right: "Node"


@dataclass(frozen=True, slots=True)
class Conditional:
    """``a ? b : c``."""

    test: "Node"
    then: "Node"
    otherwise: "Node"


@dataclass(frozen=True, slots=True)
class Call:
    """A function or a method."""

    function: "Node"
    args: "tuple[Node, ...]"


@dataclass(frozen=True, slots=True)
class Closure:
    """``{ # > 1 }``."""

    body: "Node"


@dataclass(frozen=True, slots=True)
class ListOf:
    """``[a, b]``."""

    items: "tuple[Node, ...]"


@dataclass(frozen=True, slots=True)
class MapOf:
    """``{a: b}``."""

    items: "tuple[tuple[Node, Node], ...]"


@dataclass(frozen=True, slots=True)
class Let:
    """``let a = b; c``."""

    name: str
    value: "Node"
    body: "Node"


@dataclass(frozen=True, slots=True)
class Block:
    """``a; b``: the last one counts."""

    nodes: "tuple[Node, ...]"


Node = (
    Literal
    | Name
    | Pointer
    | Member
    | Slice
    | Chain
    | Unary
    | Binary
    | Conditional
    | Call
    | Closure
    | ListOf
    | MapOf
    | Let
    | Block
)


def children(node: Node) -> tuple[Node, ...]:
    """Return the nodes that a node consists of."""
    return tuple(_nodes(getattr(node, field.name) for field in dataclasses.fields(node)))


def _nodes(values: Iterable[Any]) -> Iterator[Node]:
    for value in values:
        if isinstance(value, tuple):
            yield from _nodes(value)
        elif isinstance(value, Node):
            yield value
