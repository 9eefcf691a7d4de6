"""A Gaussian process over the cube: what losses to expect where, and how sure that is.

Small and exact: a Cholesky factor of some hundred points. The kernel is `matern`, a length for each
axis; its hyperparameters are fitted by `likelihood`.

Source: Rasmussen & Williams 2006, chapter 2.
"""

import math
from collections.abc import Sequence
from typing import Self

import numpy as np
from scipy.linalg import lapack

from wherry.tuning.models import likelihood, matern
from wherry.tuning.models.axes import Array, Axis
from wherry.tuning.models.likelihood import Pairs

_STEPS, _FURTHER_STEPS = 40, 8
_SKETCH = 64
"""Of how many points hyperparameters are fitted first."""

_MORE_NOISE = (0.0, 1e-6, 1e-3)
"""Points that nearly coincide may need some, to be told apart from rounding."""


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
        covariance = self._near(places)
        covariance[np.diag_indices(len(places))] += math.exp(logs[-1]) + likelihood.JITTER
        self._inverse = _inverse(covariance)
        self._weights = self._inverse @ values

    @classmethod
    def fitted(cls, axes: Sequence[Axis], places: Array, values: Array) -> Self:
        """Return the process whose hyperparameters fit best.

        Some of many points tell nearly as much and cost little: they are fitted first, and all of
        them go on from there for a few steps.
        """
        logs, steps = likelihood.middles(len(axes)), _STEPS
        if len(values) > 2 * _SKETCH:
            some = np.linspace(0, len(values) - 1, _SKETCH).astype(int)
            logs = likelihood.fitted(_pairs(axes, places[some]), values[some], logs, steps)
            steps = _FURTHER_STEPS
        logs = likelihood.fitted(_pairs(axes, places), values, logs, steps)
        return cls(axes, places, values, logs)

    def with_point(self, place: Array, value: float) -> Self:
        """Return the process that knows a further point, with the same hyperparameters."""
        places, values = np.vstack([self.places, place]), np.append(self.values, value)
        return type(self)(self.axes, places, values, self.logs)

    def predict(self, places: Array) -> tuple[Array, Array]:
        """Return expected values and standard deviations at places, ``[places]`` each."""
        near = self._near(places)
        variance = self._scale - np.einsum("ij,ij->i", near @ self._inverse, near)
        return near @ self._weights, np.sqrt(np.maximum(variance, 1e-12))

    def slope(self, places: Array) -> tuple[Array, Array, Array, Array]:
        """Return values and deviations at places, ``[places]``, and how each changes along the axes.

        Along axes without order, or that are switched off there, nothing changes.
        """
        near, fall = matern.kernel(self._squares(places))
        near *= self._scale
        solved = near @ self._inverse
        deviation = np.sqrt(np.maximum(self._scale - np.einsum("ij,ij->i", solved, near), 1e-12))
        # The kernel falls with the squared distance, that with each axis's difference.
        steps = places[:, None, :] - matern.filled(self.places)
        steps *= np.where(self._choices, 0.0, 2.0 * self._inverse_squares)
        change = (self._scale * fall)[:, :, None] * np.nan_to_num(steps, copy=False)
        along = -np.einsum("ij,ijk->ik", solved, change) / deviation[:, None]
        return near @ self._weights, deviation, self._weights @ change, along

    def _near(self, places: Array) -> Array:
        return self._scale * matern.kernel(self._squares(places))[0]

    def _squares(self, places: Array) -> Array:
        apart = matern.differences(self.axes, places[:, None, :], self.places[None, :, :])
        return np.asarray(np.tensordot(self._inverse_squares, apart, axes=1))


def _pairs(axes: Sequence[Axis], places: Array) -> Pairs:
    return Pairs.of(places, lambda one, other: matern.differences(axes, one, other))


def _inverse(covariance: Array) -> Array:
    """The inverse of a covariance."""
    for more in _MORE_NOISE:
        factor, wrong = lapack.dpotrf(covariance + more * np.eye(len(covariance)), lower=1)
        if not wrong:
            lower = lapack.dpotri(factor, lower=1)[0]
            return np.asarray(np.tril(lower) + np.tril(lower, -1).T)
    raise ValueError("a covariance is not positive")
