"""Values made so that a model can learn them: middle 0, scale 1, no long tail.

Losses often have a long tail of bad trials, whose differences do not matter; a process would bend
itself to them. A power transform, fitted to the values, takes the tail away and keeps the order.

Source: Yeo & Johnson 2000; as Cowen-Rivers et al. 2022, "HEBO", use it.
"""

import math

import numpy as np
from scipy import optimize

from wherry.tuning.models.axes import Array

_FEWEST = 5
_EXPONENTS = (-6.0, 6.0)
_CLOSE = 1e-3


def warped(losses: Array) -> Array:
    """Return losses, all finite, in their order with middle 0 and scale 1."""
    plain = _standard(losses)
    if len(losses) < _FEWEST or not plain.any():
        return plain
    # How far values stretch grows with the exponent; what the likelihood takes off for it is this sum.
    stretch = float((np.sign(plain) * np.log1p(np.abs(plain))).sum())

    def unlikely(exponent: float) -> float:
        variance = float(bent(plain, exponent).var())
        return 0.5 * len(plain) * math.log(max(variance, 1e-300)) - (exponent - 1.0) * stretch

    exponent = optimize.minimize_scalar(
        unlikely, bounds=_EXPONENTS, method="bounded", options={"xatol": _CLOSE}
    ).x
    found = bent(plain, float(exponent))
    # Values that are nearly all the same have no best exponent; they stay as they are.
    return _standard(found) if np.isfinite(found).all() and np.ptp(found) > 1e-9 else plain


def bent(values: Array, exponent: float) -> Array:
    """Return values under Yeo and Johnson's transform; exponent 1 changes nothing."""
    up, down = np.log1p(np.maximum(values, 0.0)), np.log1p(np.maximum(-values, 0.0))
    return _power(up, exponent) - _power(down, 2.0 - exponent)


def _power(logs: Array, exponent: float) -> Array:
    return np.asarray(np.expm1(exponent * logs) / exponent) if abs(exponent) > 1e-9 else logs


def _standard(values: Array) -> Array:
    scale = values.std()
    if not np.isfinite(scale) or scale < 1e-12 * max(1.0, float(np.abs(values).max())):
        return np.zeros_like(values)
    return np.asarray((values - values.mean()) / scale)
