"""Looks for the place with the largest gain by a model: many drawn, the best ones climbed from."""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import numpy as np
from scipy import optimize
from scipy.stats import qmc

from wherry.tuning.models.acquisition import Acquisition
from wherry.tuning.models.axes import Array, Axis

_SPREAD, _NEAR = 512, 192
"""How many candidates are drawn from the whole cube, and around the best points."""
_CLIMBS = 6
_CLIMB_STEPS = 40
_MIDDLE = 12
"""Around how many of the best points candidates are drawn."""


class Model(Protocol):
    """What predicts."""

    def predict(self, places: Array) -> tuple[Array, Array]:
        """Return expected values and standard deviations, ``[places]`` each."""


@runtime_checkable
class Smooth(Model, Protocol):
    """A model with slopes that can be climbed."""

    def slope(self, places: Array) -> tuple[Array, Array, Array, Array]:
        """Return values and deviations at places, and how each changes along the axes."""


def candidates(axes: Sequence[Axis], good: Array, rng: np.random.Generator) -> Array:
    """Return places at which there may be much to gain, ``[candidates, axes]``.

    Args:
        axes: Of the cube.
        good: The best places known, best first, ``[places, axes]``; NaN where switched off.
        rng: Where randomness comes from.
    """
    spread = qmc.Sobol(len(axes), rng=rng).random(_SPREAD)
    around = np.nan_to_num(good[:_MIDDLE], nan=0.5)[
        rng.integers(min(len(good), _MIDDLE), size=_NEAR)
    ]
    # From the whole cube down to the closest neighbourhood, along some of the axes.
    reach = 10.0 ** rng.uniform(-3, 0, (_NEAR, 1))
    moved = rng.random((_NEAR, len(axes))) < np.maximum(2.0 / len(axes), 0.3)
    near = around + np.where(moved, rng.normal(size=around.shape) * reach, 0.0)
    chosen = np.asarray([bool(axis.choices) for axis in axes])
    anew = moved & chosen & (rng.random(moved.shape) < 0.5)
    near = np.where(anew, rng.random(around.shape), np.where(chosen, around, np.clip(near, 0, 1)))
    return snapped(axes, np.vstack([spread, near]))


def snapped(axes: Sequence[Axis], places: Array) -> Array:
    """Return the nearest places at which there are values."""
    return np.stack([axis.snapped(places[:, at]) for at, axis in enumerate(axes)], axis=1)


def ranked(
    places: Array, expected: tuple[Array, Array], *, acquisition: Acquisition, best: float
) -> Array:
    """Return places by their gain, the largest first, from what a model expects there."""
    gain = acquisition(*expected, best)[0]
    return np.asarray(places[np.argsort(-gain, kind="stable")])


def climbed(
    model: Smooth, axes: Sequence[Axis], places: Array, *, acquisition: Acquisition, best: float
) -> Array:
    """Return where one gets to by climbing from the first of some places, from all at once."""
    starts = places[:_CLIMBS]

    def down(flat: Array) -> tuple[float, Array]:
        here = np.where(np.isnan(starts), np.nan, flat.reshape(starts.shape))
        value, deviation, value_slope, deviation_slope = model.slope(here)
        gain, by_value, by_deviation = acquisition(value, deviation, best)
        slopes = by_value[:, None] * value_slope + by_deviation[:, None] * deviation_slope
        return -float(gain.sum()), -slopes.ravel()

    tops = optimize.minimize(
        down,
        np.nan_to_num(starts, nan=0.5).ravel(),
        jac=True,
        method="L-BFGS-B",
        bounds=[(0.0, 1.0)] * starts.size,
        options={"maxiter": _CLIMB_STEPS},
    ).x
    return snapped(axes, tops.reshape(starts.shape))
