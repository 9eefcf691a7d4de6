"""A Gaussian process over the cube: what losses to expect where, and how sure that is.

Small and exact: a Cholesky factor of some hundred points. The kernel is Matérn's with 5/2, a length
for each axis; lengths, noise and scale are fitted by the marginal likelihood with weak priors that
keep few points from meaning much. Categories are as far apart as they can be, and so are a value and
its absence where a parameter is switched off.

Source: Rasmussen & Williams 2006, chapters 2 and 5; the prior of lengths, which grows with the
dimension, after Hvarfner et al. 2024, "Vanilla Bayesian optimization performs great in high
dimensions".
"""

import math
from collections.abc import Sequence
from typing import Self

import numpy as np
from scipy import linalg, optimize

from wherry.tuning.models.axes import Array, Axis

_ROOT5 = math.sqrt(5.0)
_JITTER = 1e-8
_ITERATIONS = 40
# Middles and widths of the normal priors of logarithms: of the squared inverse length (its middle
# falls with the dimension), of the scale, of the noise's variance.
_LENGTH_MIDDLE, _LENGTH_WIDTH = 1.0, 1.7
_SCALE_MIDDLE, _SCALE_WIDTH = 0.0, 1.0
_NOISE_MIDDLE, _NOISE_WIDTH = math.log(1e-5), 2.5
_BOUNDS_LENGTH, _BOUNDS_SCALE, _BOUNDS_NOISE = (-8.0, 9.0), (-4.0, 4.0), (math.log(1e-7), 0.0)


class GaussianProcess:
    """A process that has been fitted; arrays are float64."""

    def __init__(self, axes: Sequence[Axis], places: Array, values: Array, logs: Array) -> None:
        """Take in what is known, with hyperparameters that are.

        Args:
            axes: Of the cube.
            places: ``[points, axes]``; NaN where switched off.
            values: ``[points]``, about 0 and of scale 1.
            logs: ``[axes + 2]``: logarithms of squared inverse lengths, scale, noise variance.
        """
        self.axes, self.places, self.values, self.logs = axes, places, values, logs
        self._choices = np.asarray([bool(axis.choices) for axis in axes])
        self._inverse_squares = np.exp(logs[:-2])
        self._scale = math.exp(logs[-2])
        covariance = self._scale * _matern(self._squares(places))
        covariance[np.diag_indices(len(places))] += math.exp(logs[-1]) + _JITTER
        factor = linalg.cho_factor(covariance, lower=True, check_finite=False)
        self._inverse = linalg.cho_solve(factor, np.eye(len(places)), check_finite=False)
        self._weights = self._inverse @ values

    @classmethod
    def fitted(cls, axes: Sequence[Axis], places: Array, values: Array) -> Self:
        """Return the process whose hyperparameters fit best."""
        squares = _differences(axes, places, places)
        start = np.concatenate([_length_middles(len(axes)), [_SCALE_MIDDLE, _NOISE_MIDDLE]])
        bounds = [*[_BOUNDS_LENGTH] * len(axes), _BOUNDS_SCALE, _BOUNDS_NOISE]
        found = optimize.minimize(
            _misfit,
            start,
            args=(squares, values),
            jac=True,
            method="L-BFGS-B",
            bounds=bounds,
            options={"maxiter": _ITERATIONS},
        )
        return cls(axes, places, values, np.asarray(found.x))

    def with_point(self, place: Array, value: float) -> Self:
        """Return the process that knows a further point, with the same hyperparameters."""
        places, values = np.vstack([self.places, place]), np.append(self.values, value)
        return type(self)(self.axes, places, values, self.logs)

    def predict(self, places: Array) -> tuple[Array, Array]:
        """Return expected values and standard deviations at places, ``[places]`` each."""
        near = self._scale * _matern(self._squares(places))
        variance = self._scale - np.einsum("ij,jk,ik->i", near, self._inverse, near, optimize=True)
        return near @ self._weights, np.sqrt(np.maximum(variance, 1e-12))

    def slope(self, place: Array) -> tuple[float, float, Array, Array]:
        """Return value and deviation at one place, and how each changes along the axes.

        Along axes without order, or that are switched off there, nothing changes.
        """
        squares = self._squares(place[None, :])[0]
        near = self._scale * _matern(squares)
        solved = self._inverse @ near
        deviation = math.sqrt(max(self._scale - float(near @ solved), 1e-12))
        # The kernel falls with the squared distance, that with each axis's difference.
        steps = np.nan_to_num(place - self.places) * (2.0 * self._inverse_squares)
        steps[:, self._choices | np.isnan(place)] = 0.0
        change = (self._scale * _fall(squares))[:, None] * steps
        along = -(solved @ change) / deviation
        return float(near @ self._weights), deviation, self._weights @ change, along

    def _squares(self, places: Array) -> Array:
        differences = _differences(self.axes, places, self.places)
        return np.asarray(np.tensordot(self._inverse_squares, differences, axes=1))


def _differences(axes: Sequence[Axis], one: Array, other: Array) -> Array:
    """Squared distances along each axis, ``[axes, one, other]``; at most 1."""
    found = np.empty((len(axes), len(one), len(other)))
    for at, axis in enumerate(axes):
        first, second = one[:, at][:, None], other[:, at][None, :]
        apart = first - second
        squares = np.abs(apart) > 1e-9 if axis.choices else apart * apart
        unsure = np.isnan(apart)
        if unsure.any():
            both = np.isnan(first) & np.isnan(second)
            squares = np.where(unsure, np.where(both, 0.0, 1.0), squares)
        found[at] = squares
    return found


def _matern(squares: Array) -> Array:
    root = _ROOT5 * np.sqrt(squares)
    return np.asarray((1.0 + root + root**2 / 3.0) * np.exp(-root))


def _fall(squares: Array) -> Array:
    """The kernel's derivative by the squared distance."""
    root = _ROOT5 * np.sqrt(squares)
    return np.asarray(-5.0 / 6.0 * (1.0 + root) * np.exp(-root))


def _length_middles(axes: int) -> Array:
    return np.full(axes, _LENGTH_MIDDLE - math.log(axes))


def _misfit(logs: Array, squares: Array, values: Array) -> tuple[float, Array]:
    """The negative logarithm of the posterior of hyperparameters, and its gradient."""
    count, axes = len(values), len(squares)
    inverse_squares, scale, noise = np.exp(logs[:axes]), math.exp(logs[-2]), math.exp(logs[-1])
    distances = np.tensordot(inverse_squares, squares, axes=1)
    kernel = scale * _matern(distances)
    covariance = kernel.copy()
    covariance[np.diag_indices(count)] += noise + _JITTER
    try:
        factor = linalg.cho_factor(covariance, lower=True, check_finite=False)
    except linalg.LinAlgError:
        return 1e25, np.zeros_like(logs)
    inverse = linalg.cho_solve(factor, np.eye(count), check_finite=False)
    solved = inverse @ values
    slope = 0.5 * (inverse - np.outer(solved, solved))
    falling = slope * (scale * _fall(distances))
    gradient = np.concatenate(
        [
            inverse_squares * np.tensordot(squares, falling, axes=2),
            [np.sum(slope * kernel), noise * np.trace(slope)],
        ]
    )
    likelihood = 0.5 * float(values @ solved) + float(np.log(np.diag(factor[0])).sum())
    prior, pull = _prior(logs, axes)
    return likelihood + prior, gradient + pull


def _prior(logs: Array, axes: int) -> tuple[float, Array]:
    middles = np.concatenate([_length_middles(axes), [_SCALE_MIDDLE, _NOISE_MIDDLE]])
    widths = np.concatenate([np.full(axes, _LENGTH_WIDTH), [_SCALE_WIDTH, _NOISE_WIDTH]])
    away = (logs - middles) / widths
    return 0.5 * float(away @ away), away / widths
