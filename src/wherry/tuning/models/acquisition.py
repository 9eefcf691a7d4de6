"""How much is to be gained by trying a place, by what a model expects there.

Each function takes expected values and standard deviations and returns a gain, more being better,
with its derivatives by both. Improvements are given as logarithms, so that far from the best points
there is still a slope to climb.

Source: expected improvement in logarithms as Ament et al. 2023, "Unexpected improvements to expected
improvement for Bayesian optimization"; confidence bounds with the constant that scikit-optimize has.
"""

import math
from collections.abc import Callable, Mapping
from typing import Final

import numpy as np
from scipy import special

from wherry.tuning.models.axes import Array

Gain = tuple[Array, Array, Array]
Acquisition = Callable[[Array, Array, float], Gain]

_BOUND = 1.96
_FAR = -30.0
_LOG_ROOT_2PI = 0.5 * math.log(2 * math.pi)


def improvement(mean: Array, deviation: Array, best: float) -> Gain:
    """Return the logarithm of how much less than the best is to be expected."""
    z = (best - mean) / deviation
    mills = _mills(z)
    # 1 + z Φ/φ loses all its digits far below the best; there it is 1/z².
    rest = np.where(z < _FAR, 1.0 / np.square(np.minimum(z, -1.0)), 1.0 + z * mills)
    rest = np.maximum(rest, 1e-300)
    value = np.log(deviation) - 0.5 * z * z - _LOG_ROOT_2PI + np.log(rest)
    return value, -mills / rest / deviation, 1.0 / rest / deviation


def probability(mean: Array, deviation: Array, best: float) -> Gain:
    """Return the logarithm of how likely less than the best is."""
    z = (best - mean) / deviation
    slope = 1.0 / np.maximum(_mills(z), 1e-300)
    return special.log_ndtr(z), -slope / deviation, -slope * z / deviation


def bound(mean: Array, deviation: Array, best: float) -> Gain:
    """Return how low the value may be, turned round."""
    del best
    return _BOUND * deviation - mean, np.full_like(mean, -1.0), np.full_like(mean, _BOUND)


def _mills(z: Array) -> Array:
    """The distribution over its density, Φ/φ."""
    return np.asarray(math.sqrt(math.pi / 2) * special.erfcx(-np.minimum(z, 35.0) / math.sqrt(2)))


FUNCTIONS: Final[Mapping[str, tuple[Acquisition, ...]]] = {
    "EI": (improvement,),
    "LCB": (bound,),
    "PI": (probability,),
    # Trials say nothing of how long they took: a gain per second is the gain.
    "EIps": (improvement,),
    "PIps": (probability,),
    "gp_hedge": (improvement, bound, probability),
}
"""By the names that users write; with several each proposes one, of which one is taken."""
