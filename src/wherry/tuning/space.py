"""The search space: one layer for all algorithms, so that each honours all of what users write.

Scale, step, distribution and lists are `dimension`'s; this module adds what holds between
parameters: those that are there only with certain values of another one, how many points there are,
and which of them have been tried. A point is a dictionary of texts by parameter name.

Models see a space as a cube: a number from 0 to 1 for each dimension (`Space.encode`, `decode`).
Where a parameter is switched off its place in the cube is NaN.
"""

import functools
import itertools
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from random import Random

from wherry.tuning.algorithm import Parameter
from wherry.tuning.dimension import Dimension

Point = dict[str, str]
Key = tuple[int | float | None, ...]

_DRAWS = 64
"""How often a point that is new is drawn before one is looked for in order."""


class Space:
    """Parameters that `space_checks.check` has found right."""

    def __init__(self, parameters: Sequence[Parameter]) -> None:
        self.dimensions = tuple(Dimension(one) for one in _parents_first(parameters))
        self._by_name = {one.name: one for one in self.dimensions}
        self._order = [one.name for one in parameters]
        self._children: dict[str, list[Dimension]] = {}
        for one in self.dimensions:
            self._children.setdefault(one.parameter.parent, []).append(one)

    @property
    def conditional(self) -> bool:
        """Whether some parameters are there only with values of others."""
        return set(self._children) > {""}

    @functools.cached_property
    def switches(self) -> list[tuple[int, int, list[float]]]:
        """Who switches whom, parents first: child, parent, where in the cube a parent wakes it."""
        places = {one.name: at for at, one in enumerate(self.dimensions)}
        found = []
        for child in self.dimensions:
            above = self._by_name.get(child.parameter.parent)
            if above is not None:
                waking = [v for v in child.parameter.parent_values if above.holds(v)]
                spots = [above.position(value) for value in waking]
                found.append((places[child.name], places[above.name], spots))
        return found

    @functools.cached_property
    def size(self) -> int | None:
        """How many points there are; None: a continuum."""
        return self._points("", None)

    def draw(self, uniform: Callable[[], float]) -> Point:
        """Return a point, drawn by the distributions.

        Args:
            uniform: Gives numbers from 0 to 1; asked once for each dimension, switched off or not.
        """
        return self._made(lambda dimension: dimension.quantile(uniform()))

    def decode(self, cube: Sequence[float]) -> Point:
        """Return the point nearest to a place in the cube."""
        places = dict(zip(self._by_name, cube, strict=True))
        return self._made(lambda dimension: dimension.value(_or_middle(places[dimension.name])))

    def encode(self, point: Mapping[str, str]) -> list[float]:
        """Return the place of a point in the cube, by dimension; NaN where it has no value."""
        return [
            one.position(point[one.name]) if one.name in point else math.nan
            for one in self.dimensions
        ]

    def at(self, index: int) -> Point:
        """Return a point of a finite space by its place, from 0; the last parameter varies fastest."""
        found: Point = {}
        self._unfold("", None, index, found)
        return self._sorted(found)

    def key(self, point: Mapping[str, str]) -> Key:
        """Return what two ways of writing a point have in common."""
        return tuple(
            one.key(point[one.name]) if one.name in point else None for one in self.dimensions
        )

    def holds(self, point: Mapping[str, str]) -> bool:
        """Tell whether a point lies in the space: every value right, none too many or missing."""
        for one in self.dimensions:
            if self._there(one, point) != (one.name in point):
                return False
            if one.name in point and not one.holds(point[one.name]):
                return False
        return set(point) <= set(self._by_name)

    def _made(self, value: Callable[[Dimension], str]) -> Point:
        found: Point = {}
        for one in self.dimensions:
            # Asked in any case: what is drawn for the others does not depend on it.
            given = value(one)
            if self._there(one, found):
                found[one.name] = given
        return self._sorted(found)

    def _sorted(self, point: Point) -> Point:
        return {name: point[name] for name in self._order if name in point}

    def _there(self, one: Dimension, point: Mapping[str, str]) -> bool:
        parent = one.parameter.parent
        if not parent:
            return True
        return parent in point and self._wakes(one, point[parent])

    def _wakes(self, one: Dimension, value: str) -> bool:
        above = self._by_name[one.parameter.parent]
        return any(
            above.holds(each) and above.key(each) == above.key(value)
            for each in one.parameter.parent_values
        )

    def _points(self, parent: str, value: str | None) -> int | None:
        """How many ways there are to fill what hangs below a parent that has a value."""
        total = 1
        for child in self._awake(parent, value):
            here = self._below(child)
            if here is None:
                return None
            total *= here
        return total

    def _awake(self, parent: str, value: str | None) -> list[Dimension]:
        children = self._children.get(parent, [])
        return [one for one in children if value is None or self._wakes(one, value)]

    def _below(self, one: Dimension) -> int | None:
        """How many ways there are to fill a dimension and what hangs below it."""
        if one.count is None:
            return None
        total = one.count
        for rank in self._turning(one):
            here = self._points(one.name, one.at(rank))
            if here is None:
                return None
            total += here - 1
        return total

    def _turning(self, one: Dimension) -> list[int]:
        """The ranks of values that switch something on, in order."""
        children = self._children.get(one.name, [])
        named = {value for child in children for value in child.parameter.parent_values}
        return sorted({one.rank(value) for value in named if one.holds(value)})

    def _unfold(self, parent: str, value: str | None, index: int, found: Point) -> None:
        for child in reversed(self._awake(parent, value)):
            index, place = divmod(index, self._below(child) or 1)
            self._unfold_one(child, place, found)

    def _unfold_one(self, one: Dimension, place: int, found: Point) -> None:
        rank, rest = place, 0
        for turning in self._turning(one):
            if rank < turning:
                break
            ways = self._points(one.name, one.at(turning)) or 1
            if rank < turning + ways:
                rank, rest = turning, rank - turning
                break
            rank -= ways - 1
        found[one.name] = one.at(rank)
        if one.name in self._children:
            self._unfold(one.name, one.at(rank), rest, found)


class Tried:
    """The points of a space that have been tried, so that a finite one is never repeated."""

    def __init__(self, space: Space, points: Iterable[Mapping[str, str]] = ()) -> None:
        self._space = space
        # In a continuum nothing is ever drawn twice; there is no need to look.
        self._finite = space.size is not None
        self._keys = {space.key(point) for point in points} if self._finite else set()

    @property
    def all(self) -> bool:
        """Whether there is nothing left."""
        return self._space.size is not None and len(self._keys) >= self._space.size

    def add(self, point: Mapping[str, str]) -> None:
        """Take a point for tried."""
        if self._finite:
            self._keys.add(self._space.key(point))

    def __contains__(self, point: Mapping[str, str]) -> bool:
        return self._finite and self._space.key(point) in self._keys

    def fresh(self, rng: Random, points: Iterable[Point] | None = None) -> Point | None:
        """Return a point that is new, and take it for tried.

        Args:
            rng: Where randomness comes from.
            points: Those that are wanted, the first that is new being taken; where none of them is,
                and in place of them where it is None, points are drawn by the distributions.

        Returns:
            None: there are no more. In a continuum points are always new.
        """
        if self.all:
            return None
        drawn = (self._space.draw(rng.random) for _ in range(_DRAWS))
        for point in itertools.chain(points or (), drawn):
            if point not in self:
                self.add(point)
                return point
        return self._next(rng)

    def _next(self, rng: Random) -> Point:
        """A new point by walking from a random place: as many steps as there are points tried."""
        size = self._space.size
        assert size is not None
        place = rng.randrange(size)
        while (point := self._space.at(place)) in self:
            place = (place + 1) % size
        self.add(point)
        return point


def _parents_first(parameters: Sequence[Parameter]) -> list[Parameter]:
    placed: dict[str, Parameter] = {}
    waiting = list(parameters)
    while waiting:
        ready = [one for one in waiting if not one.parent or one.parent in placed]
        if not ready:
            raise ValueError(f"no way to order {', '.join(one.name for one in waiting)}")
        placed.update((one.name, one) for one in ready)
        waiting = [one for one in waiting if one.name not in placed]
    return list(placed.values())


def _or_middle(place: float) -> float:
    return 0.5 if math.isnan(place) else place
