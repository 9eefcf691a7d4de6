"""What a graph's language decides: what values a node has, whether it runs, and over what it loops.

Also when a node waits no longer, what a graph has become, and whether something is tried again: of
these the usual rules stand here, and a language may have its own.
"""

from collections.abc import Sequence
from typing import Protocol

from wherry.metadata.records import Values
from wherry.pipelines.graph import rules
from wherry.pipelines.graph.model import Attempt, Entry, Graph, Node, State, Sum
from wherry.pipelines.graph.spots import Place, Spot


class UnresolvedError(Exception):
    """A value cannot be had; the message says which, for whom, and why."""

    state = State.FAILED
    """What becomes of the node."""


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

    def inputs(self, node: Node, scope: Place) -> Values:
        """Return what a node is given.

        Raises:
            UnresolvedError: It cannot be had; the node fails.
        """

    def holds(self, node: Node, scope: Place, inputs: Values) -> bool:
        """Tell whether a node's condition holds; if not, it is skipped.

        Raises:
            UnresolvedError: That cannot be said; the node fails.
        """

    def turns(self, node: Node, scope: Place, inputs: Values) -> Sequence[Values]:
        """Return the inputs of each turn of a loop.

        Raises:
            UnresolvedError: There is no list to go over; the node fails.
        """

    def outputs(self, scope: Place) -> Values:
        """Return what a graph gives, all of whose nodes have ended, none badly.

        Raises:
            UnresolvedError: It cannot be had; the graph fails.
        """

    def gathered(self, node: Node, turns: Sequence[Values]) -> Values:
        """Return what a loop gives, from what its turns gave, in their order."""

    def refused(self, node: Node, scope: Place) -> tuple[State, str] | None:
        """Return what becomes of a node because of those that it needs, all ended; None: it may run.

        Raises:
            UnresolvedError: That cannot be said; the node fails.
        """
        return rules.refused(node, scope)

    def enter(self, spot: Spot, node: Node, scope: Place) -> Entry:
        """Return what a lazy node turns out to be. Its condition and its inputs are part of this.

        Args:
            spot: Where; its inputs are those of its turn.
            node: What it is.
            scope: The graph around it.

        Raises:
            UnresolvedError: That cannot be said; the node fails.
        """
        raise UnresolvedError(f"{spot.path}: {node.name} is not known")

    def due(self, spot: Spot, scope: Place) -> bool:
        """Tell whether a node that watches another one begins now.

        Raises:
            UnresolvedError: That cannot be said; the node fails.
        """
        return scope.spots[spot.node.watches].state.final if spot.node else False

    def closed(self, scope: Place) -> Sum:
        """Return what has become of a graph all of whose nodes have ended.

        Raises:
            UnresolvedError: What it gives cannot be had; the graph fails.
        """
        state, error = rules.sum_up(scope.spots)
        if state is not State.SUCCEEDED:
            return Sum(state, error=error)
        return Sum(state, self.outputs(scope))

    def closed_loop(self, loop: Spot, node: Node) -> Sum:
        """Return what has become of a loop all of whose turns have ended."""
        turns = loop.turns or []
        state, error = rules.sum_up({f"turn {place}": turn for place, turn in enumerate(turns)})
        if state is not State.SUCCEEDED:
            return Sum(state, error=error)
        return Sum(state, self.gathered(node, [turn.outputs for turn in turns]))

    def again(self, spot: Spot, attempt: Attempt) -> float | None:
        """Return when what has failed is tried again, in seconds since the epoch; None: it is not."""
        return rules.again(spot, attempt)
