"""What a worker was told of a search's trials before, so that a question tells it only what is new.

A search of thousands of trials asks once for each of them. Algorithms are given all trials each time
and remember none; it is the way to them that is shortened. A worker that does not have what a
question builds on says so (`ForgottenError`), and is told everything.
"""

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from wherry.tuning.algorithm import PastTrial, Search

_MOST_TRIALS: Final = 50_000
"""Of all searches together; those that were asked for longest ago are forgotten first."""


class ForgottenError(Exception):
    """The worker does not have what a question builds on."""


class Teller:
    """The side that asks: knows what one worker was told."""

    def __init__(self) -> None:
        """Begin with a worker that knows nothing."""
        self._told: OrderedDict[str, tuple[int, tuple[PastTrial, ...]]] = OrderedDict()

    def told(self, search: Search, trials: Sequence[PastTrial]) -> dict[str, Any]:
        """Return what to tell of trials, and take note that it was told.

        Args:
            search: Whose.
            trials: All; one that is the very object of the last time has not changed.
        """
        key = f"{search.name} {search.seed}"
        times, before = self._told.pop(key, (0, ()))
        changed = [
            (place, trial)
            for place, trial in enumerate(trials)
            if place >= len(before) or before[place] is not trial
        ]
        self._told[key] = (times + 1, tuple(trials))
        return {
            "of": key,
            "times": times,
            "count": len(trials),
            "changed": changed,
            "forget": self._too_many(),
        }

    def _too_many(self) -> list[str]:
        total, forgotten = sum(len(trials) for _, trials in self._told.values()), []
        while total > _MOST_TRIALS and len(self._told) > 1:
            key, (_, trials) = self._told.popitem(last=False)
            total -= len(trials)
            forgotten.append(key)
        return forgotten


class Listener:
    """The worker's side."""

    def __init__(self) -> None:
        """Begin without knowing anything."""
        self._held: dict[str, tuple[int, tuple[PastTrial, ...]]] = {}

    def trials(
        self, told: Mapping[str, Any], read: Callable[[dict[str, Any]], PastTrial]
    ) -> tuple[PastTrial, ...]:
        """Return all trials that a question is about.

        Args:
            told: What `Teller.told` gave.
            read: Makes a trial of its plain form.

        Raises:
            ForgottenError: it builds on what is not known here.
        """
        for key in told["forget"]:
            self._held.pop(key, None)
        key, times, count = told["of"], told["times"], told["count"]
        known, before = self._held.pop(key, (0, ()))
        if times == 0:
            before = ()
        elif known != times:
            raise ForgottenError(key)
        made: list[Any] = [*before[:count], *[None] * (count - len(before))]
        for place, given in told["changed"]:
            made[place] = read(given)
        self._held[key] = (times + 1, tuple(made))
        return self._held[key][1]
