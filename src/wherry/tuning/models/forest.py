"""Trees over the cube: many, each a little different; how they differ says how sure they are.

They take any function, however broken, but know no slopes. Trees are grown with thresholds drawn at
random, of which the best split is kept.

Source: Geurts et al. 2006, "Extremely randomized trees"; the spread of a forest after Hutter et al.
2011, "Sequential model-based optimization for general algorithm configuration"; boosting after
Friedman 2001, here several small boosted ensembles on resampled points.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from wherry.tuning.models.axes import Array, Axis

_TREES = 30
_ENSEMBLES, _STAGES, _RATE, _STAGE_DEPTH = 6, 12, 0.3, 3
_DEPTH = 12
_SMALLEST_LEAF = 2
_THRESHOLDS = 4
_ABSENT = -1.0
"""Where a switched-off parameter lies: apart from all others."""
_LEAST_DEVIATION = 0.05

Rows = npt.NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class _Tree:
    """Nodes as arrays; a leaf's axis is -1."""

    axes: list[int]
    thresholds: list[float]
    children: list[tuple[int, int]]
    values: list[float]

    def predict(self, places: Array) -> Array:
        found = np.empty(len(places))
        waiting = [(0, np.arange(len(places)))]
        while waiting:
            node, rows = waiting.pop()
            if self.axes[node] < 0:
                found[rows] = self.values[node]
                continue
            left = places[rows, self.axes[node]] <= self.thresholds[node]
            first, second = self.children[node]
            waiting += [(first, rows[left]), (second, rows[~left])]
        return found


@dataclass(frozen=True, slots=True)
class Forest:
    """Ensembles of trees: each is a sum, their mean is the prediction."""

    kind: str
    axes: Sequence[Axis]
    places: Array
    values: Array
    ensembles: list[list[tuple[float, _Tree]]]

    def predict(self, places: Array) -> tuple[Array, Array]:
        """Return expected values and standard deviations at places, ``[places]`` each."""
        filled = np.nan_to_num(places, nan=_ABSENT)
        said = np.asarray(
            [sum(rate * tree.predict(filled) for rate, tree in one) for one in self.ensembles]
        )
        return said.mean(axis=0), np.maximum(said.std(axis=0), _LEAST_DEVIATION)

    def with_point(self, place: Array, value: float) -> "Forest":
        """Return a forest that knows a further point."""
        places, values = np.vstack([self.places, place]), np.append(self.values, value)
        return grown(self.kind, self.axes, places, values)


def grown(kind: str, axes: Sequence[Axis], places: Array, values: Array) -> Forest:
    """Return a forest.

    Args:
        kind: ``ET``: every tree sees all points; ``RF``: each sees points drawn with replacement, and
            looks harder for splits; ``GBRT``: trees that mend one another's errors.
        axes: Of the cube.
        places: ``[points, axes]``; NaN where switched off.
        values: ``[points]``.
    """
    # The same points grow the same forest.
    rng = np.random.default_rng(len(places))
    filled = np.nan_to_num(places, nan=_ABSENT)
    ensembles = []
    for _ in range(_ENSEMBLES if kind == "GBRT" else _TREES):
        rows = np.arange(len(places))
        if kind != "ET":
            rows = rng.integers(len(places), size=len(places))
        if kind == "GBRT":
            ensembles.append(_boosted(filled[rows], values[rows], rng))
        else:
            looks = _THRESHOLDS if kind == "RF" else 1
            ensembles.append([(1.0, _tree(filled[rows], values[rows], rng, looks=looks))])
    return Forest(kind, axes, places, values, ensembles)


def _boosted(places: Array, values: Array, rng: np.random.Generator) -> list[tuple[float, _Tree]]:
    middle = float(values.mean())
    found = [(1.0, _Tree([-1], [0.0], [(0, 0)], [middle]))]
    left = values - middle
    for _ in range(_STAGES):
        tree = _tree(places, left, rng, looks=_THRESHOLDS, depth=_STAGE_DEPTH)
        left = left - _RATE * tree.predict(places)
        found.append((_RATE, tree))
    return found


def _tree(
    places: Array, values: Array, rng: np.random.Generator, *, looks: int, depth: int = _DEPTH
) -> _Tree:
    tree = _Tree([-1], [0.0], [(0, 0)], [float(values.mean())])
    waiting = [(0, np.arange(len(places)), 0)]
    while waiting:
        node, rows, deep = waiting.pop()
        split = None if deep == depth else _split(places[rows], values[rows], rng, looks)
        if split is None:
            continue
        axis, threshold = split
        left = places[rows, axis] <= threshold
        tree.axes[node], tree.thresholds[node] = axis, threshold
        tree.children[node] = (len(tree.axes), len(tree.axes) + 1)
        for part in (rows[left], rows[~left]):
            waiting.append((len(tree.axes), part, deep + 1))
            tree.axes.append(-1)
            tree.thresholds.append(0.0)
            tree.children.append((0, 0))
            tree.values.append(float(values[part].mean()))
    return tree


def _split(
    places: Array, values: Array, rng: np.random.Generator, looks: int
) -> tuple[int, float] | None:
    """The best of some random thresholds along every axis; None: there is nothing to divide."""
    low, high = places.min(axis=0), places.max(axis=0)
    able = np.flatnonzero(high > low)
    if len(values) < 2 * _SMALLEST_LEAF or not len(able) or np.ptp(values) < 1e-12:
        return None
    axes = np.repeat(able, looks)
    thresholds = low[axes] + rng.random(len(axes)) * (high - low)[axes]
    left = places[:, axes] <= thresholds
    count = left.sum(axis=0)
    fits = (count >= _SMALLEST_LEAF) & (len(values) - count >= _SMALLEST_LEAF)
    if not fits.any():
        return None
    total = values.sum()
    first = values @ left
    gain = first**2 / np.maximum(count, 1)
    gain += (total - first) ** 2 / np.maximum(len(values) - count, 1)
    best = int(np.argmax(np.where(fits, gain, -np.inf)))
    return int(axes[best]), float(thresholds[best])
