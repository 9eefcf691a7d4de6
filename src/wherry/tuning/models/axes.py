"""The axes of the cube as models need them: what is a continuum, what a ladder, what a choice."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from wherry.tuning.dimension import Dimension

Array = npt.NDArray[np.float64]

_MOST_RUNGS = 400
"""More values than this lie closer than any model sees; rounding serves as well."""


@dataclass(frozen=True, slots=True)
class Axis:
    """One dimension that has more than one value.

    Attributes:
        choices: How many categories; 0: its values have an order.
        rungs: Where its values lie, ascending; empty: a continuum, or as good as one.
        bell: Whether the middle is more likely than the ends, before anything is known.
    """

    choices: int
    rungs: Array
    bell: bool

    @property
    def edges(self) -> Array:
        """Between which bounds each rung is the nearest one; outer ones as far as inner ones."""
        inner = (self.rungs[1:] + self.rungs[:-1]) / 2
        first, last = 2 * self.rungs[0] - inner[0], 2 * self.rungs[-1] - inner[-1]
        return np.concatenate([[first], inner, [last]])

    def snapped(self, places: Array) -> Array:
        """Return the nearest places at which there are values."""
        if self.choices:
            chosen = np.clip((places * self.choices).astype(int), 0, self.choices - 1)
            return np.asarray((chosen + 0.5) / self.choices)
        if not len(self.rungs):
            return np.clip(places, 0.0, 1.0)
        return self.rungs[self.rung(places)]

    def rung(self, places: Array) -> npt.NDArray[np.intp]:
        """Return which rung is nearest."""
        return np.searchsorted(self.edges[1:-1], places)


def of(dimension: Dimension) -> Axis:
    """Return the axis of a dimension."""
    none = np.empty(0)
    if not dimension.ordered:
        return Axis(dimension.count or 0, none, bell=False)
    if dimension.count is None or dimension.count > _MOST_RUNGS:
        return Axis(0, none, bell=dimension.bell)
    places = [dimension.position(dimension.at(rank)) for rank in range(dimension.count)]
    return Axis(0, np.asarray(places), bell=dimension.bell)


def places(dimension: Dimension, points: Sequence[Mapping[str, str]]) -> Array:
    """Return where the values of points lie, ``[points]``; NaN where they have none."""
    name = dimension.name
    if dimension.ranged and dimension.count != 1:
        numbers = np.asarray([float(point.get(name, "nan")) for point in points], float)
        low, high = dimension.edges
        if dimension.logarithmic:
            numbers = np.log(np.maximum(numbers, 5e-324))
        return np.clip((numbers - low) / (high - low), 0.0, 1.0)
    texts = [point.get(name) for point in points]
    known = {text: np.nan if text is None else dimension.position(text) for text in set(texts)}
    return np.asarray([known[text] for text in texts], float)
