"""Matérn's kernel with 5/2, and the distances it works on."""

import math
from collections.abc import Callable, Sequence

import numpy as np

from wherry.tuning.models.axes import Array, Axis

Squares = Callable[[Array, Array], Array]

_ROOT5 = math.sqrt(5.0)
_BESIDE = 0.75


def kernel(squares: Array) -> tuple[Array, Array]:
    """Return the kernel at squared distances, and its derivative by them."""
    root = _ROOT5 * np.sqrt(squares)
    decay = np.exp(-root)
    return (1.0 + root + root * root / 3.0) * decay, -5.0 / 6.0 * (1.0 + root) * decay


def differences(axes: Sequence[Axis], one: Array, other: Array) -> Array:
    """Return squared distances along each axis, ``[axes, ...]``; at most 1.

    Categories are as far apart as they can be. A parameter that is switched off lies beside its
    middle, so far that it is nearly as far from all of its values. All of these are distances that
    points in some space have, without which a kernel would be none.

    Args:
        axes: Of the cube.
        one: Places, ``[..., axes]``; NaN where switched off.
        other: Others, of a shape that goes with it.
    """
    shape = np.broadcast_shapes(one.shape[:-1], other.shape[:-1])
    found = np.empty((len(axes), *shape))
    for at, axis in enumerate(axes):
        first, second = filled(one[..., at]), filled(other[..., at])
        apart = first - second
        squares = np.abs(apart) > 1e-9 if axis.choices else apart * apart
        switched = np.isnan(one[..., at]) != np.isnan(other[..., at])
        if switched.any():
            squares = np.where(switched, 1.0 if axis.choices else _BESIDE + squares, squares)
        found[at] = squares
    return found


def filled(places: Array) -> Array:
    """Return places with the middle where something is switched off."""
    return np.where(np.isnan(places), 0.5, places)
