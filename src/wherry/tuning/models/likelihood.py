"""How well hyperparameters of a Gaussian process fit what was seen, and which fit best.

Lengths, noise and scale are fitted by the marginal likelihood, with priors that keep few points from
meaning much. That of lengths is nearly flat between a third of an axis and three of it, and steep beyond:
from ten points no axis may come out as meaningless, since nobody would look along it any more. A covariance
is symmetric: of each pair of points it is computed once.

Source: Rasmussen & Williams 2006, chapter 5.
"""

import math
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt
from scipy import optimize
from scipy.linalg import lapack

from wherry.tuning.models import matern
from wherry.tuning.models.axes import Array

JITTER = 1e-8
_LENGTH_PULL = 0.1
"""How steep the prior of squared inverse lengths is, to both sides: it has halved at 9 and at a ninth."""
# Middles and widths of the normal priors of logarithms: of the scale, of the noise's variance.
_MIDDLES = np.asarray([0.0, math.log(1e-5)])
_WIDTHS = np.asarray([1.0, 2.5])
_BOUNDS_LENGTH, _BOUNDS_SCALE, _BOUNDS_NOISE = (-8.0, 9.0), (-4.0, 4.0), (math.log(1e-7), 0.0)
_NO_FIT = 1e25


@dataclass(frozen=True, slots=True)
class Pairs:
    """Points two by two.

    Attributes:
        count: How many points.
        rows: Of each pair the earlier point.
        columns: Of each pair the later point.
        squares: Squared distances along each axis, ``[axes, pairs]``.
    """

    count: int
    rows: npt.NDArray[np.intp]
    columns: npt.NDArray[np.intp]
    squares: Array

    @classmethod
    def of(cls, places: Array, squares: matern.Squares) -> Self:
        """Return all pairs of places, ``[points, axes]``."""
        rows, columns = np.triu_indices(len(places), 1)
        return cls(len(places), rows, columns, squares(places[rows], places[columns]))


def middles(axes: int) -> Array:
    """Return the logarithms that are likeliest before anything is known, ``[axes + 2]``."""
    return np.concatenate([np.zeros(axes), _MIDDLES])


def fitted(pairs: Pairs, values: Array, start: Array, steps: int) -> Array:
    """Return the logarithms of squared inverse lengths, scale and noise variance that fit best.

    Args:
        pairs: Of the points.
        values: At the points.
        start: From where is looked, logarithms too.
        steps: How many at most.
    """
    bounds = [*[_BOUNDS_LENGTH] * len(pairs.squares), _BOUNDS_SCALE, _BOUNDS_NOISE]
    found = optimize.minimize(
        misfit,
        start,
        args=(pairs, values),
        jac=True,
        method="L-BFGS-B",
        bounds=bounds,
        options={"maxiter": steps},
    )
    return np.asarray(found.x)


def misfit(logs: Array, pairs: Pairs, values: Array) -> tuple[float, Array]:
    """Return the negative logarithm of the posterior of hyperparameters, and its gradient."""
    squares, scale, noise = np.exp(logs[:-2]), math.exp(logs[-2]), math.exp(logs[-1])
    near, fall = matern.kernel(squares @ pairs.squares)
    own = scale + noise + JITTER
    # Only one triangle is read: the later point's column-wise, the earlier one's is its column.
    covariance = np.zeros(pairs.count * pairs.count)
    covariance[lower := pairs.rows * pairs.count + pairs.columns] = scale * near
    covariance[:: pairs.count + 1] = own
    factor, wrong = lapack.dpotrf(
        covariance.reshape((pairs.count, pairs.count), order="F"), lower=1, clean=0, overwrite_a=1
    )
    if wrong:
        return _NO_FIT, np.zeros_like(logs)
    solved = lapack.dpotrs(factor, values, lower=1)[0]
    value = 0.5 * float(values @ solved) + float(np.log(np.diag(factor)).sum())
    inverse = lapack.dpotri(factor, lower=1, overwrite_c=1)[0].ravel(order="F")
    # Twice a half: each pair stands for both of its orders.
    slope = inverse[lower] - solved[pairs.rows] * solved[pairs.columns]
    trace = 0.5 * float((inverse[:: pairs.count + 1] - solved * solved).sum())
    gradient = np.concatenate(
        [
            squares * (pairs.squares @ (slope * (scale * fall))),
            [scale * (float(slope @ near) + trace), noise * trace],
        ]
    )
    prior, pull = _prior(logs)
    return value + prior, gradient + pull


def _prior(logs: Array) -> tuple[float, Array]:
    squares, away = np.exp(logs[:-2]), (logs[-2:] - _MIDDLES) / _WIDTHS
    near, far = _LENGTH_PULL * squares, _LENGTH_PULL / squares
    value = float((near + far).sum()) + 0.5 * float(away @ away)
    return value, np.concatenate([near - far, away / _WIDTHS])
