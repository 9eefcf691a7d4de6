"""The course of the objective of any number of trials, for those that compare them."""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Final

from wherry.objects import metadata
from wherry.objects.requests import Object
from wherry.tuning.observations.store import Observations
from wherry.tuning.observations.summary import number

_KEPT: Final = 5000
"""Curves of trials that are over, in memory: an experiment with more reads the others again."""

Live = Callable[[Object], Sequence[float] | None]
"""Gives the curve of a trial that is followed; None of others."""


class Curves:
    """Curves: of trials that run from memory, of others from the database, once."""

    def __init__(self, observations: Observations, live: Live) -> None:
        """Take where curves come from."""
        self._observations = observations
        self._live = live
        self._kept: OrderedDict[str, tuple[float, ...]] = OrderedDict()

    async def of(self, trials: Sequence[Object]) -> dict[str, tuple[float, ...]]:
        """Return the objective's values of trials in the order they came, by trial name.

        Args:
            trials: Of one experiment: all have the same objective.

        Raises:
            ObservationsError: they cannot be read.
        """
        unknown = [each for each in trials if self._known(each) is None]
        if unknown:
            await self._read(unknown)
        return {metadata.name(each): self._known(each) or () for each in trials}

    def keep(self, trial: Object, curve: Sequence[float]) -> None:
        """Keep the curve of a trial that is over."""
        self._kept[metadata.uid(trial)] = tuple(curve)
        while len(self._kept) > _KEPT:
            self._kept.popitem(last=False)

    def drop(self, trial: Object) -> None:
        """Forget the curve of a trial that is deleted."""
        self._kept.pop(metadata.uid(trial), None)

    def _known(self, trial: Object) -> tuple[float, ...] | None:
        live = self._live(trial)
        return self._kept.get(metadata.uid(trial)) if live is None else tuple(live)

    async def _read(self, trials: Sequence[Object]) -> None:
        metric = trials[0]["spec"]["objective"]["objectiveMetricName"]
        by_name = {metadata.name(each): each for each in trials}
        found: dict[str, list[float]] = {name: [] for name in by_name}
        for owner, record in await self._observations.named([*by_name], metric):
            value = number(record.value)
            if value is not None and owner.uid in {"", metadata.uid(by_name[owner.trial])}:
                found[owner.trial].append(value)
        for name, curve in found.items():
            self.keep(by_name[name], curve)
