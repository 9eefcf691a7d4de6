"""Evolution of a covariance matrix, told again from the trials whenever it is asked.

A generation is told once its trials are finished; while it waits for the last ones, further points are
drawn from the same distribution. What an optimiser draws follows from its seed, so that the draws of
past generations need not be kept: the n-th trial of a generation is the n-th draw.

Source: Hansen 2016, "The CMA evolution strategy: a tutorial"; ladders as Hamano et al. 2022, "CMA-ES
with margin"; restarts as Auger & Hansen 2005 (IPOP) and Hansen 2009 (BIPOP). The mathematics is the
package ``cmaes``.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cmaes
import numpy as np

from wherry.tuning.models.axes import Array, Axis

_MOST_RUNGS = 20
"""Of a ladder on which evolution would come to rest between two rungs, and has to be kept moving."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A trial of a generation.

    Attributes:
        place: In the cube, ``[axes]``, float64: where it was in the end.
        loss: Infinity where it has none.
        finished: Whether more may come.
    """

    place: Array
    loss: float
    finished: bool


class Evolution:
    """An optimiser that has been told some generations."""

    def __init__(self, axes: Sequence[Axis], *, sigma: float, restarts: str, seed: int) -> None:
        """Begin.

        Args:
            axes: At least two, with an order.
            sigma: First standard deviation, as part of the range.
            restarts: ``none``, ``ipop`` or ``bipop``.
            seed: Where randomness comes from.
        """
        self._axes, self._sigma, self._restarts, self._seed = axes, sigma, restarts, seed
        self._first_size = 4 + int(3 * math.log(len(axes)))
        self._runs = 0
        self._spent = {True: 0, False: 0}
        self._large, self._is_large = self._first_size, True
        self._optimizer = self._new(self._first_size, sigma, np.full(len(axes), 0.5))
        self.generation = 0

    def tell(self, generations: Iterator[Sequence[Member]]) -> Iterator[Array]:
        """Take in generations that are complete.

        Args:
            generations: The trials of the first, the second … in their order; endless, empty at last.

        Returns:
            The draws of the first generation that is not complete, without end; those of trials
            that are there already are passed over.
        """
        for members in generations:
            size = self._optimizer.population_size
            if len(members) < size or not all(one.finished for one in members[:size]):
                return self._draws(len(members))
            self._learn(members[:size])
            self.generation += 1
        raise AssertionError("generations have no end")

    def _draws(self, passed: int) -> Iterator[Array]:
        for _ in range(passed):
            self._ask()
        while True:
            yield self._ask()[0]

    def _learn(self, members: Sequence[Member]) -> None:
        losses = np.asarray([one.loss for one in members])
        measured = losses[np.isfinite(losses)]
        # Whatever went wrong is worse than all that did not.
        losses[~np.isfinite(losses)] = measured.max() + 1.0 if len(measured) else 0.0
        told = [self._told(one) for one in members]
        self._optimizer.tell(list(zip(told, losses.tolist(), strict=True)))
        self._spent[self._is_large] += len(members)
        if self._restarts != "none" and self._optimizer.should_stop():
            self._restart()

    def _told(self, member: Member) -> Array:
        """The draw that a trial was; its own place where another one was tried, or the nearest value.

        What was rounded is told as it was tried: then the distribution comes to rest on a value, and
        the other axes get on.
        """
        place, draw = self._ask()
        # What was switched off could have been anything.
        there = np.where(np.isnan(member.place), place, member.place)
        return draw if np.allclose(place, there, atol=1e-6) else self._even(there)

    def _ask(self) -> tuple[Array, Array]:
        """The next draw: its place in the cube, and what the optimiser wants to be told of it."""
        if isinstance(self._optimizer, cmaes.CMA):
            drawn = told = self._optimizer.ask()
        else:
            drawn, told = self._optimizer.ask()
        return self._uneven(drawn), told

    def _restart(self) -> None:
        self._runs += 1
        rng = np.random.default_rng([self._seed, self._runs])
        self._is_large = self._restarts == "ipop" or self._spent[True] <= self._spent[False]
        if self._is_large:
            self._large *= 2
            size, sigma = self._large, self._sigma
        else:
            share = rng.random() ** 2
            size = max(int(self._first_size * (self._large / self._first_size / 2) ** share), 4)
            sigma = self._sigma * 10 ** (-2 * rng.random())
        self._optimizer = self._new(size, sigma, rng.random(len(self._axes)))

    def _new(self, size: int, sigma: float, mean: Array) -> cmaes.CMA | cmaes.CMAwM:
        bounds = np.tile([0.0, 1.0], (len(self._axes), 1))
        seed = (self._seed + self._runs) % (1 << 32)
        steps = np.asarray([_step(axis) for axis in self._axes])
        if not steps.any():
            return cmaes.CMA(mean, sigma, bounds=bounds, population_size=size, seed=seed)
        return cmaes.CMAwM(mean, sigma, bounds, steps, population_size=size, seed=seed)

    def _even(self, place: Array) -> Array:
        """A place with the rungs of ladders as far apart as one another."""
        found = place.copy()
        for at, axis in enumerate(self._axes):
            if _step(axis):
                found[at] = axis.rung(place[at : at + 1])[0] / (len(axis.rungs) - 1)
        return found

    def _uneven(self, place: Array) -> Array:
        found = place.copy()
        for at, axis in enumerate(self._axes):
            if _step(axis):
                found[at] = axis.rungs[round(float(place[at]) * (len(axis.rungs) - 1))]
        return found


def _step(axis: Axis) -> float:
    """How far apart a ladder's rungs are; 0: so close that it is as good as a continuum."""
    return 1.0 / (len(axis.rungs) - 1) if 0 < len(axis.rungs) <= _MOST_RUNGS else 0.0
