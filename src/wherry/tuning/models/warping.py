"""Values made so that a model can learn them: middle 0, scale 1, no long tail.

Losses often have a long tail of bad trials, whose differences do not matter; a process would bend
itself to them. A power transform, fitted to the values, takes the tail away and keeps the order.

Source: Yeo & Johnson 2000; as Cowen-Rivers et al. 2022, "HEBO", use it.
"""

import warnings

import numpy as np
from scipy import stats

from wherry.tuning.models.axes import Array

_FEWEST = 5


def warped(losses: Array) -> Array:
    """Return losses, all finite, in their order with middle 0 and scale 1."""
    plain = _standard(losses)
    if len(losses) < _FEWEST or not plain.any():
        return plain
    with warnings.catch_warnings():
        # Values that are nearly all the same have no best exponent; they stay as they are.
        warnings.simplefilter("ignore")
        bent = stats.yeojohnson(plain)[0]
    return _standard(bent) if np.isfinite(bent).all() and np.ptp(bent) > 1e-9 else plain


def _standard(values: Array) -> Array:
    scale = values.std()
    if not np.isfinite(scale) or scale < 1e-12 * max(1.0, float(np.abs(values).max())):
        return np.zeros_like(values)
    return np.asarray((values - values.mean()) / scale)
