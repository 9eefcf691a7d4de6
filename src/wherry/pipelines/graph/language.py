"""What a graph's language decides: what values a node has, whether it runs, and over what it loops."""

from collections.abc import Sequence
from typing import Protocol

from wherry.metadata.records import Values
from wherry.pipelines.graph.model import Graph, Node, State


class UnresolvedError(Exception):
    """A value cannot be had; the message says which, for whom, and why."""


class Scope(Protocol):
    """One graph of a run, as far as it has come."""

    @property
    def path(self) -> str:
        """Where it is, e.g. ``root/for-loop-1[3]``."""

    @property
    def graph(self) -> Graph:
        """What it consists of."""

    @property
    def inputs(self) -> Values:
        """What it was given."""

    def state(self, name: str) -> State:
        """Return what has become of one of its nodes."""

    def outputs(self, name: str) -> Values | None:
        """Return what one of its nodes gave; None: it did not succeed."""

    def error(self, name: str) -> str:
        """Return why one of its nodes failed; empty: it did not."""


class Language(Protocol):
    """A front end. Everything is pure: the same arguments give the same answer."""

    def inputs(self, node: Node, scope: Scope) -> Values:
        """Return what a node is given.

        Raises:
            UnresolvedError: It cannot be had; the node fails.
        """

    def holds(self, node: Node, scope: Scope, inputs: Values) -> bool:
        """Tell whether a node's condition holds; if not, it is skipped.

        Raises:
            UnresolvedError: That cannot be said; the node fails.
        """

    def turns(self, node: Node, scope: Scope, inputs: Values) -> Sequence[Values]:
        """Return the inputs of each turn of a loop.

        Raises:
            UnresolvedError: There is no list to go over; the node fails.
        """

    def outputs(self, scope: Scope) -> Values:
        """Return what a graph gives, all of whose nodes have ended, none badly.

        Raises:
            UnresolvedError: It cannot be had; the graph fails.
        """

    def gathered(self, node: Node, turns: Sequence[Values]) -> Values:
        """Return what a loop gives, from what its turns gave, in their order."""
