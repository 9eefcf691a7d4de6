"""Points that fill a space evenly, before anything is known of it."""

from collections.abc import Iterator

from scipy.stats import qmc

from wherry.tuning import history
from wherry.tuning.algorithm import Search
from wherry.tuning.space import Point, Space

_MOST_AXES = 21201
"""As far as direction numbers are known."""


def points(space: Space, search: Search, first: int) -> Iterator[Point]:
    """Yield the points of a scrambled Sobol sequence, without end.

    Args:
        space: What is filled.
        search: Whose seed scrambles it.
        first: Which one comes first, from 0.
    """
    if len(space.dimensions) > _MOST_AXES:
        raise ValueError(f"{len(space.dimensions)} parameters; at most {_MOST_AXES}")
    sequence = qmc.Sobol(len(space.dimensions), rng=history.number(search, "sobol"))
    if first:
        sequence.fast_forward(first)
    while True:
        fractions = iter(sequence.random(1)[0])
        yield space.draw(lambda row=fractions: float(next(row)))  # type: ignore[misc]  # of lambdas with defaults
