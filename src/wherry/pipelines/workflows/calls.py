"""What is walked of a workflow: calls of templates, and graphs of them. Pure."""

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from wherry.pipelines.graph.model import Graph, Node
from wherry.pipelines.graph.spots import Place, Spot
from wherry.pipelines.workflows.conditions import Depends
from wherry.pipelines.workflows.messages import Step, Template
from wherry.pipelines.workflows.templates import Where


class Role(enum.Enum):
    """What a call is there for."""

    STEP = enum.auto()
    MAIN = enum.auto()
    """What a wrapped call is about: its condition was looked at before."""
    BODY = enum.auto()
    """The same, once it has its locks, or there is no kept result for it."""
    GUARD = enum.auto()
    HOOK = enum.auto()
    EXIT = enum.auto()


@dataclass(frozen=True, slots=True)
class Call(Node):
    """A node that stands for a template.

    Attributes:
        step: What is called, with what.
        where: Where names of templates are looked up.
        role: What it is there for.
        hook: Name of the hook.
        depends: Of a task: what it waits for; None: nothing.
    """

    step: Step = field(default_factory=Step)
    where: Where = field(default_factory=Where)
    role: Role = Role.STEP
    hook: str = ""
    depends: Depends | None = None


class Kind(enum.Enum):
    """What a graph is."""

    ROOT = enum.auto()
    STEPS = enum.auto()
    GROUP = enum.auto()
    DAG = enum.auto()
    WRAP = enum.auto()
    """A call with its hooks, its locks, or a result that may have been kept."""


@dataclass(frozen=True, slots=True)
class Body(Graph):
    """The graph of a template, or a part of one.

    Attributes:
        kind: What it is.
        template: Of steps and DAGs.
        groups: Of steps: the group that each is in.
        targets: Of a DAG: the tasks that decide what becomes of it.
    """

    kind: Kind = Kind.ROOT
    template: Template | None = None
    groups: Mapping[str, str] = field(default_factory=dict)
    targets: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Content:
    """What is known of a node once it was entered; the walk keeps it in `Spot.content`.

    Attributes:
        template: What it runs, as found, with all its tags; None: it was never found.
        where: Where names in this template are looked up.
        locations: Input artifacts that no step made: their locations, by name.
    """

    template: Template | None
    where: Where
    locations: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


def kind(place: Place) -> Kind:
    """Return what the graph of a place is."""
    assert isinstance(place.graph, Body), f"{place.path} is no graph of a workflow"
    return place.graph.kind


def body(place: Place) -> Body:
    """Return the graph of a place."""
    assert isinstance(place.graph, Body), f"{place.path} is no graph of a workflow"
    return place.graph


def call(spot: Spot) -> Call | None:
    """Return the call that a node stands for; None: it is the root, or a group of steps."""
    return spot.node if isinstance(spot.node, Call) else None


def content(spot: Spot) -> Content | None:
    """Return what is known of a node; None: it was not entered."""
    return spot.content if isinstance(spot.content, Content) else None


def boundary(place: Place | None) -> Place | None:
    """Return the steps or the DAG around; None: what is called is the entrypoint, or an exit handler."""
    while place is not None and kind(place) not in {Kind.STEPS, Kind.DAG}:
        place = place.spot.place
    return place


def heart(spot: Spot) -> Spot:
    """Return what a wrapped call is about, as far as that was reached; of others the node itself."""
    while not spot.state.final and (inner := _within(spot)) is not None:
        spot = inner
    return spot


def core(spot: Spot) -> Spot:
    """Return what runs in a wrapped call; of others the node itself."""
    while (inner := _within(spot)) is not None:
        spot = inner
    return spot


def _within(spot: Spot) -> Spot | None:
    if spot.inside is None or kind(spot.inside) is not Kind.WRAP:
        return None
    spots = spot.inside.spots
    return spots.get(Role.MAIN.name) or spots[Role.BODY.name]
