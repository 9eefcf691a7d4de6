"""Past trials as models see them: places in the cube and losses."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from wherry.tuning import history
from wherry.tuning.algorithm import PastTrial, Question
from wherry.tuning.models import axes
from wherry.tuning.models.axes import Array, Axis
from wherry.tuning.space import Space


@dataclass(frozen=True, slots=True)
class Observed:
    """What is known of a space.

    Attributes:
        axes: Of all dimensions of the cube.
        places: Of the trials in their order, ``[trials, axes]``, float64; NaN where switched off.
        losses: ``[trials]``, float64; infinity where there is none, or none yet.
        running: ``[trials]``, bool: which may still get a loss.
    """

    axes: tuple[Axis, ...]
    places: Array
    losses: Array
    running: npt.NDArray[np.bool_]

    @property
    def measured(self) -> int:
        """How many trials have a loss."""
        return int(np.isfinite(self.losses).sum())


def of(space: Space, question: Question) -> Observed:
    """Return what the trials of a question say."""
    trials = history.in_order(question.trials)
    points = [trial.assignments for trial in trials]
    places = [axes.places(dimension, points) for dimension in space.dimensions]
    losses = [_loss(trial, question) for trial in trials]
    return Observed(
        axes=tuple(axes.of(dimension) for dimension in space.dimensions),
        places=np.stack(places, axis=1),
        losses=np.asarray(losses, float),
        running=np.asarray([not history.finished(trial) for trial in trials], bool),
    )


def _loss(trial: PastTrial, question: Question) -> float:
    value = history.loss(trial, question.search.objectives[0])
    return np.inf if value is None else value


def groups(space: Space) -> Iterator[list[int]]:
    """Yield the dimensions that are there together, as places in the cube; parents first.

    Dimensions that have but one value are left out.
    """
    found: dict[tuple[str, tuple[str, ...]], list[int]] = {}
    for at, dimension in enumerate(space.dimensions):
        if dimension.count != 1:
            reason = (dimension.parameter.parent, dimension.parameter.parent_values)
            found.setdefault(reason, []).append(at)
    yield from found.values()
