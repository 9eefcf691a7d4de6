"""Proposals by a model of the objective."""

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from wherry.tuning import history
from wherry.tuning.algorithm import Question
from wherry.tuning.models import acquisition, bayesian, design, forest, observed, warping
from wherry.tuning.models.acquisition import Acquisition
from wherry.tuning.models.axes import Array, Axis
from wherry.tuning.models.gaussian_process import GaussianProcess
from wherry.tuning.models.observed import Observed
from wherry.tuning.space import Point, Space

_MOST_POINTS = 200
"""A model of more points takes longer than it is worth; the best and the latest ones count."""


@dataclass(frozen=True, slots=True, kw_only=True)
class How:
    """Settings, as `algorithms/bayesianoptimization.py` explains them."""

    estimator: str
    startup: int
    function: str
    climbs: bool


def points(space: Space, question: Question, how: How) -> tuple[list[Point], bool]:
    """Return points to try, as many as are wanted, and whether there are no more."""
    known = observed.of(space, question)
    tried = history.tried(space, question)
    first = history.next_index(question)
    found: list[Point] = []
    looking = _Looking.begun(space, known, how) if known.measured >= max(how.startup, 2) else None
    for index in range(first, first + question.wanted):
        rng = history.rng(question.search, index)
        if looking is None:
            even = design.points(space, question.search, index)
            point = tried.fresh(rng, (next(even) for _ in range(1)))
        else:
            point = tried.fresh(rng, looking.good(history.number(question.search, index)))
        if point is not None:
            found.append(point)
            looking = looking and looking.believing(space.encode(point))
    return found, tried.all


@dataclass(frozen=True, slots=True)
class _Looking:
    """A model and where it looks."""

    space: Space
    how: How
    axes: Sequence[Axis]
    at: list[int]
    model: GaussianProcess | forest.Forest
    good_places: Array
    best: float

    @classmethod
    def begun(cls, space: Space, known: Observed, how: How) -> "_Looking":
        at = [place for group in observed.groups(space) for place in group]
        axes = [known.axes[place] for place in at]
        chosen = _most_telling(known)
        places, values = known.places[chosen][:, at], warping.warped(known.losses[chosen])
        model = _fitted(how, axes, places, values)
        order = np.argsort(values, kind="stable")
        looking = cls(space, how, axes, at, model, places[order], float(values[order[0]]))
        for place in known.places[known.running]:
            looking = looking.believing(list(place))
        return looking

    def believing(self, place: Sequence[float]) -> "_Looking":
        """Believe of a place that is being tried what the model expects: it is no news."""
        if not self.at:
            return self
        here = np.asarray(place)[self.at]
        value = float(self.model.predict(here[None, :])[0][0])
        return dataclasses.replace(self, model=self.model.with_point(here, value))

    def good(self, seed: int) -> Iterator[Point]:
        """Yield points to try, the best first."""
        if not self.at:
            return
        rng = np.random.default_rng(seed)
        drawn = self._active(bayesian.candidates(self.axes, self.good_places, rng))
        functions = acquisition.FUNCTIONS[self.how.function]
        expected = self.model.predict(drawn)
        tops = [
            bayesian.ranked(drawn, expected, acquisition=function, best=self.best)
            for function in functions
        ]
        chosen = self._choice(tops, rng)
        for place in self._climbed(tops[chosen], functions[chosen]):
            yield self._point(place)

    def _climbed(self, places: Array, function: Acquisition) -> Array:
        if not self.how.climbs or not isinstance(self.model, bayesian.Smooth):
            return places
        tops = bayesian.climbed(self.model, self.axes, places, acquisition=function, best=self.best)
        tops = self._active(tops)
        best = bayesian.ranked(tops, self.model.predict(tops), acquisition=function, best=self.best)
        return np.vstack([best, places])

    def _choice(self, tops: Sequence[Array], rng: np.random.Generator) -> int:
        """Which function's proposal is taken: likelier one that is expected to cost less."""
        expected, _ = self.model.predict(np.asarray([top[0] for top in tops]))
        weights = np.exp(expected.min() - expected)
        return int(rng.choice(len(tops), p=weights / weights.sum()))

    def _active(self, places: Array) -> Array:
        """The same places, NaN where their own values switch something off."""
        if not self.space.conditional:
            return places
        cubes = np.full((len(places), len(self.space.dimensions)), 0.5)
        cubes[:, self.at] = places
        for child, parent, waking in self.space.switches:
            awake = np.isclose(cubes[:, parent][:, None], waking, atol=1e-9).any(axis=1)
            cubes[~awake, child] = np.nan
        return cubes[:, self.at]

    def _point(self, place: Array) -> Point:
        cube = np.full(len(self.space.dimensions), 0.5)
        cube[self.at] = place
        return self.space.decode(list(cube))


def _most_telling(known: Observed) -> npt.NDArray[np.intp]:
    """Which trials the model learns from: all, or the best ones and the latest of the others."""
    measured = np.flatnonzero(np.isfinite(known.losses))
    if len(measured) <= _MOST_POINTS:
        return measured
    order = measured[np.argsort(known.losses[measured], kind="stable")]
    best, rest = order[: _MOST_POINTS // 2], np.sort(order[_MOST_POINTS // 2 :])
    return np.sort(np.concatenate([best, rest[-(_MOST_POINTS - len(best)) :]]))


def _fitted(
    how: How, axes: Sequence[Axis], places: Array, values: Array
) -> GaussianProcess | forest.Forest:
    if how.estimator == "GP":
        return GaussianProcess.fitted(axes, places, values)
    return forest.grown(how.estimator, axes, places, values)
