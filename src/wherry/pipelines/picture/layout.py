"""Where everything is drawn: nodes in layers from top to bottom, graphs as boxes around what is in them. Pure.

Layers by longest path, order within a layer by the middle of the neighbours (Sugiyama's way), lines over several layers
led between the nodes there.
"""

import graphlib
import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from wherry.pipelines.graph.model import Graph, Node, Trigger

GAP_X: Final = 28.0
GAP_Y: Final = 44.0
PADDING: Final = 18.0
HEADER: Final = 34.0
STEP_HEIGHT: Final = 46.0
_LETTER: Final = 7.3
_NARROWEST, _WIDEST = 112.0, 320.0
_BEND: Final = 10.0
"""How wide the place of a line between nodes is."""
_SWEEPS: Final = 6
_MOST_IN_ROW: Final = 12
_LONGEST_LED: Final = 30
"""Lines over more layers are drawn straight: there would be too many bends."""

Describe = Callable[[Graph, Node], str]


@dataclass(frozen=True, slots=True)
class Box:
    """A node where it is drawn.

    Attributes:
        path: Of the node, turns left out: ``root/for-loop-1/train``.
        node: What it is.
        about: A second line.
        x: Left, from the drawing around it.
        y: Top.
        width: Of all.
        height: Of all.
        inside: What it consists of; None: it is a step.
    """

    path: str
    node: Node
    about: str
    x: float
    y: float
    width: float
    height: float
    inside: "Drawing | None" = None


@dataclass(frozen=True, slots=True)
class Line:
    """From one node to one that needs it.

    Attributes:
        points: Where it goes, top to bottom.
        loose: Whether the lower node runs whatever becomes of the upper one.
    """

    points: tuple[tuple[float, float], ...]
    loose: bool


@dataclass(frozen=True, slots=True)
class Drawing:
    """A graph, laid out."""

    width: float
    height: float
    boxes: tuple[Box, ...]
    lines: tuple[Line, ...]


def lay_out(graph: Graph, describe: Describe, path: str = "root") -> Drawing:
    """Return where a graph's nodes are drawn.

    Args:
        graph: The graph.
        describe: Gives the second line of a node.
        path: Where the graph is.
    """
    boxes = {
        name: _box(node, describe(graph, node), f"{path}/{name}", describe)
        for name, node in graph.nodes.items()
    }
    layers = _Layers(graph, boxes)
    layers.sort()
    return layers.placed()


def _box(node: Node, about: str, path: str, describe: Describe) -> Box:
    letters = max(len(node.name) + 3, len(about) * 0.86)
    width = min(max(letters * _LETTER + 24, _NARROWEST), _WIDEST)
    if node.graph is None:
        return Box(path, node, about, 0, 0, width, STEP_HEIGHT)
    inside = lay_out(node.graph, describe, path)
    height = HEADER + inside.height + 2 * PADDING
    return Box(path, node, about, 0, 0, max(width, inside.width + 2 * PADDING), height, inside)


@dataclass(slots=True)
class _Cell:
    """A place in a layer: of a node, or of a line that passes."""

    key: str
    layer: int
    width: float
    height: float
    above: list["_Cell"] = field(default_factory=list)
    below: list["_Cell"] = field(default_factory=list)
    center: float = 0
    top: float = 0


class _Layers:
    def __init__(self, graph: Graph, boxes: Mapping[str, Box]) -> None:
        self._graph = graph
        self._boxes = boxes
        depth = _depths(graph)
        self._cells = {
            name: _Cell(name, depth[name], box.width, box.height) for name, box in boxes.items()
        }
        self._chains: list[tuple[list[_Cell], bool]] = []
        self._layers: list[list[_Cell]] = [[] for _ in range(max(depth.values(), default=-1) + 1)]
        for cell in self._cells.values():
            self._layers[cell.layer].append(cell)
        for name, node in graph.nodes.items():
            loose = node.trigger is Trigger.COMPLETED
            for need in dict.fromkeys(node.needs):
                self._chains.append((self._chain(self._cells[need], self._cells[name]), loose))

    def _chain(self, upper: _Cell, lower: _Cell) -> list[_Cell]:
        """Link two nodes, by a place in each layer between."""
        cells = [upper]
        between = range(upper.layer + 1, lower.layer)
        if len(between) <= _LONGEST_LED:
            for layer in between:
                bend = _Cell(f"{upper.key}>{lower.key}", layer, _BEND, 0)
                self._layers[layer].append(bend)
                cells.append(bend)
        cells.append(lower)
        for one, other in itertools.pairwise(cells):
            one.below.append(other)
            other.above.append(one)
        return cells

    def sort(self) -> None:
        """Order each layer so that lines cross little."""
        for _ in range(_SWEEPS):
            for layer in self._layers[1:]:
                _sort(layer, above=True)
            for layer in reversed(self._layers[:-1]):
                _sort(layer, above=False)

    def placed(self) -> Drawing:
        """Give each node its place."""
        self._layers = [row for layer in self._layers for row in _rows(layer)]
        self._stack()
        for layer in self._layers:
            _pack(layer)
        for turn in range(_SWEEPS):
            layers = self._layers if turn % 2 == 0 else self._layers[::-1]
            for layer in layers:
                _align(layer, above=turn % 2 == 0)
        cells = [cell for layer in self._layers for cell in layer]
        left = min((cell.center - cell.width / 2 for cell in cells), default=0)
        for cell in cells:
            cell.center -= left
        width = max((cell.center + cell.width / 2 for cell in cells), default=0)
        bottom = max((cell.top + cell.height for cell in cells), default=0)
        boxes = tuple(self._at(cell) for cell in self._cells.values())
        lines = tuple(Line(_points(chain), loose) for chain, loose in self._chains)
        return Drawing(width, bottom, boxes, lines)

    def _stack(self) -> None:
        top = 0.0
        for layer in self._layers:
            height = max(cell.height for cell in layer)
            for cell in layer:
                cell.top = top
                if not cell.height:
                    cell.height = height
            top += height + GAP_Y

    def _at(self, cell: _Cell) -> Box:
        box = self._boxes[cell.key]
        return Box(
            path=box.path,
            node=box.node,
            about=box.about,
            x=cell.center - cell.width / 2,
            y=cell.top,
            width=box.width,
            height=box.height,
            inside=box.inside,
        )


def _depths(graph: Graph) -> dict[str, int]:
    """Return the layer of each node: below all that it needs."""
    needs = {name: node.needs for name, node in graph.nodes.items()}
    found: dict[str, int] = {}
    for name in graphlib.TopologicalSorter(needs).static_order():
        found[name] = 1 + max((found[need] for need in needs[name]), default=-1)
    return found


def _sort(layer: list[_Cell], *, above: bool) -> None:
    order = {id(cell): place for place, cell in enumerate(layer)}

    def middle(cell: _Cell) -> float:
        near = cell.above if above else cell.below
        return sum(_rank(each) for each in near) / len(near) if near else order[id(cell)]

    layer.sort(key=middle)
    for place, cell in enumerate(layer):
        cell.center = float(place)


def _rank(cell: _Cell) -> float:
    return cell.center


def _rows(layer: list[_Cell]) -> list[list[_Cell]]:
    """Return a layer as rows that a reader can take in; lines that pass stay in the first."""
    nodes = [cell for cell in layer if cell.height]
    rows = [nodes[at : at + _MOST_IN_ROW] for at in range(0, len(nodes), _MOST_IN_ROW)]
    if len(rows) < 2:
        return [layer]
    last = {id(cell) for row in rows[1:] for cell in row}
    return [[cell for cell in layer if id(cell) not in last], *rows[1:]]


def _pack(layer: Sequence[_Cell]) -> None:
    x = 0.0
    for cell in layer:
        cell.center = x + cell.width / 2
        x += cell.width + GAP_X
    middle = (x - GAP_X) / 2
    for cell in layer:
        cell.center -= middle


def _align(layer: Sequence[_Cell], *, above: bool) -> None:
    """Move nodes to the middle of their neighbours, as far as those beside them let them."""
    wished = [_wish(cell, above=above) for cell in layer]
    right = _pushed(layer, wished)
    flipped = [-each for each in reversed(wished)]
    left = [-each for each in reversed(_pushed(list(reversed(layer)), flipped))]
    for cell, one, other in zip(layer, right, left, strict=True):
        cell.center = (one + other) / 2


def _wish(cell: _Cell, *, above: bool) -> float:
    near = (cell.above if above else cell.below) or cell.above or cell.below
    return sum(each.center for each in near) / len(near) if near else cell.center


def _pushed(layer: Sequence[_Cell], wished: Sequence[float]) -> list[float]:
    found: list[float] = []
    edge = float("-inf")
    for cell, wish in zip(layer, wished, strict=True):
        center = max(wish, edge + cell.width / 2)
        found.append(center)
        edge = center + cell.width / 2 + GAP_X
    return found


def _points(chain: Sequence[_Cell]) -> tuple[tuple[float, float], ...]:
    first, *between, last = chain
    points = [(first.center, first.top + first.height)]
    for cell in between:
        points += [(cell.center, cell.top), (cell.center, cell.top + cell.height)]
    return (*points, (last.center, last.top))
