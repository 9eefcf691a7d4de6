"""Tree-structured Parzen estimation: where are good trials denser than the others?

Two densities are laid over the cube, one around the best trials and one around all others; of points
drawn from the first, that one is proposed at which the first is largest against the second.

Each density is a mixture of one product of kernels for each trial, and of a wide one that stands for
what was known before. Kernels are normal distributions cut off at the bounds; on a ladder their mass
in each rung's cell counts, and a category has its own weight.

Source: Bergstra et al. 2011, "Algorithms for hyper-parameter optimization", section 4; widths and
weights as Watanabe 2023, "Tree-structured Parzen estimator", describes them.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import special

from wherry.tuning.models.axes import Array, Axis

Chosen = npt.NDArray[np.intp]

_RECENT = 25
"""Of that many latest trials each counts fully; older ones count less and less."""
_NARROWEST, _CLOSE_NARROWEST = 100.0, 1000.0
"""The narrowest kernel is this part of the range."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimation:
    """How the densities are made.

    Attributes:
        best_part: Which part of the trials counts as good.
        most_best: How many at most.
        prior_weight: How much what was known before counts, in trials.
        candidates: Of how many draws the best is taken.
        close: Whether kernels may be narrow early: good points are followed closely, and what is
            not near one is forgotten sooner.
    """

    best_part: float = 0.1
    most_best: int = 25
    prior_weight: float = 1.0
    candidates: int = 128
    close: bool = False


def ranked(
    axes: Sequence[Axis],
    places: Array,
    losses: Array,
    *,
    how: Estimation,
    rng: np.random.Generator,
) -> Array:
    """Return places to try, the best first.

    Args:
        axes: Of the cube.
        places: Of past trials in their order, ``[trials, axes]``, float64, without NaN.
        losses: ``[trials]``, float64, less being better; infinity: it is known only that it is
            being tried, or that it went wrong.
        how: Settings.
        rng: Where randomness comes from.

    Returns:
        ``[candidates, axes]``, float64.
    """
    measured = int(np.isfinite(losses).sum())
    good = min(int(np.ceil(how.best_part * measured)), how.most_best)
    # Stable: of equal trials the earlier is the better one.
    order = np.argsort(losses, kind="stable")
    best, rest = np.sort(order[:good]), np.sort(order[good:])
    below, above = (Mixture(axes, places[part], how) for part in (best, rest))
    drawn = below.draw(rng, how.candidates)
    gain = below.log_density(drawn) - above.log_density(drawn)
    return np.asarray(drawn[np.argsort(-gain, kind="stable")])


class Mixture:
    """A density over the cube: a kernel for each place, the last one for all of it."""

    def __init__(self, axes: Sequence[Axis], places: Array, how: Estimation) -> None:
        """Lay the kernels.

        Args:
            axes: Of the cube.
            places: ``[kernels, axes]``, in the order of time.
            how: Settings.
        """
        weights = np.append(_ages(len(places)), how.prior_weight if len(places) else 1.0)
        self._weights = weights / weights.sum()
        self._kernels = [
            Choices(axis, places[:, at], how.prior_weight)
            if axis.choices
            else Bells(axis, places[:, at], close=how.close)
            for at, axis in enumerate(axes)
        ]

    def draw(self, rng: np.random.Generator, count: int) -> Array:
        """Return places, ``[count, axes]``."""
        chosen = rng.choice(len(self._weights), count, p=self._weights)
        return np.stack([one.draw(rng, chosen) for one in self._kernels], axis=1)

    def log_density(self, places: Array) -> Array:
        """Return the logarithm of the density at places, ``[count]``."""
        total = np.log(self._weights)[:, None]
        for at, kernels in enumerate(self._kernels):
            total = total + kernels.log_density(places[:, at])
        most = total.max(axis=0)
        return np.asarray(most + np.log(np.exp(total - most).sum(axis=0)))


class Bells:
    """Normal kernels of one axis that has an order, cut off at its ends."""

    def __init__(self, axis: Axis, places: Array, *, close: bool) -> None:
        self._axis = axis
        ends = axis.edges if len(axis.rungs) else np.array([0.0, 1.0])
        self._low, self._high = float(ends[0]), float(ends[-1])
        range_ = self._high - self._low
        self._middle = np.append(places, (self._low + self._high) / 2)
        # A normal distribution of a parameter has its bounds three deviations from the middle.
        prior = range_ / 6 if axis.bell else range_
        self._width = np.append(_widths(places, range_, close=close), prior)
        self._first = special.ndtr((self._low - self._middle) / self._width)
        self._last = special.ndtr((self._high - self._middle) / self._width)

    def draw(self, rng: np.random.Generator, chosen: Chosen) -> Array:
        """Return a place for each of the chosen kernels."""
        fractions = rng.random(len(chosen))
        first, last = self._first[chosen], self._last[chosen]
        bells = special.ndtri(first + fractions * (last - first))
        places = self._middle[chosen] + self._width[chosen] * bells
        return self._axis.snapped(np.clip(places, self._low, self._high))

    def log_density(self, places: Array) -> Array:
        """Return the logarithm of every kernel's density, ``[kernels, places]``."""
        middle, width = self._middle[:, None], self._width[:, None]
        inside = np.log(self._last - self._first)[:, None]
        if not len(self._axis.rungs):
            return np.asarray(-0.5 * ((places - middle) / width) ** 2 - np.log(width) - inside)
        rung = self._axis.rung(places)
        low, high = self._axis.edges[rung], self._axis.edges[rung + 1]
        mass = special.ndtr((high - middle) / width) - special.ndtr((low - middle) / width)
        return np.asarray(np.log(np.maximum(mass, 1e-300)) - inside)


class Choices:
    """Kernels of one axis whose values have no order: each prefers its own category."""

    def __init__(self, axis: Axis, places: Array, prior_weight: float) -> None:
        self._axis = axis
        chosen = (axis.snapped(places) * axis.choices).astype(int)
        share = prior_weight / (len(places) + 1)
        weights = np.full((len(places) + 1, axis.choices), share)
        weights[np.arange(len(places)), chosen] += 1.0
        weights[-1] = 1.0
        self._weights = weights / weights.sum(axis=1, keepdims=True)

    def draw(self, rng: np.random.Generator, chosen: Chosen) -> Array:
        """Return a place for each of the chosen kernels."""
        bounds = np.cumsum(self._weights[chosen], axis=1)
        category = (rng.random(len(chosen))[:, None] > bounds[:, :-1]).sum(axis=1)
        return np.asarray((category + 0.5) / self._axis.choices)

    def log_density(self, places: Array) -> Array:
        """Return the logarithm of every kernel's weight of each place, ``[kernels, places]``."""
        category = np.minimum((places * self._axis.choices).astype(int), self._axis.choices - 1)
        return np.asarray(np.log(self._weights[:, category]))


def _ages(count: int) -> Array:
    """How much each of so many trials counts, the oldest first."""
    if count <= _RECENT:
        return np.ones(count)
    return np.append(np.linspace(1 / count, 1, count - _RECENT), np.ones(_RECENT))


def _widths(places: Array, range_: float, *, close: bool) -> Array:
    """How wide each kernel is: as far as to its farther neighbour, within bounds."""
    if not len(places):
        return places
    order = np.argsort(places, kind="stable")
    # Beyond the outer places there may be much room, and nothing to be learnt: gaps between count.
    inner = np.diff(places[order])
    ends = inner[[0, -1]] if len(inner) else np.full(2, range_)
    gaps = np.concatenate([ends[:1], inner, ends[1:]])
    widths = np.empty(len(places))
    widths[order] = np.maximum(gaps[:-1], gaps[1:])
    kernels = 2.0 + len(places)
    narrowest = min(_CLOSE_NARROWEST, kernels**1.2) if close else min(_NARROWEST, kernels)
    return np.clip(widths, range_ / narrowest, range_)
