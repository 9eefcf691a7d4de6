"""The trials of an experiment, counted: each look takes in only those that may have changed.

A search of thousands of trials is looked at several times for each of them. What has ended does not
change any more, so that what a look costs depends on how many run, not on how many there were.
"""

from collections.abc import Iterable, Sequence
from typing import Final

from wherry.controller.cache import Cache
from wherry.objects import metadata
from wherry.objects.requests import Object
from wherry.tuning import optimum, tally
from wherry.tuning.algorithm import Objective
from wherry.tuning.tally import Tally

_OPEN: Final = "trials that may change"


class Counts:
    """Makes the counts of experiments."""

    def __init__(self, trials: Cache) -> None:
        """Take the cache of all trials."""
        self._trials = trials
        trials.add_index(_OPEN, _owners_while_open)

    def of(self, experiment: Object, objectives: Sequence[Objective]) -> "Count":
        """Return the count of an experiment, from all of its trials."""
        return Count(self._trials, experiment, objectives)


class Count:
    """The trials of one experiment.

    Attributes:
        uid: Of the experiment.
        objectives: What trials are judged by.
        tally: What they come to, as of the last look.
    """

    def __init__(self, trials: Cache, experiment: Object, objectives: Sequence[Objective]) -> None:
        """Count all; see `Counts.of`."""
        self.uid = metadata.uid(experiment)
        self.objectives = objectives
        self._namespace = metadata.namespace(experiment)
        self._trials = trials
        self._open: dict[str, str] = {}
        self.count_all()

    def trial(self, name: str) -> Object | None:
        """Return a trial of the experiment by name, also one that is on its way out."""
        found = self._trials.get(self._namespace, name)
        return found if found is not None and self.uid in _owners(found) else None

    def is_made(self, name: str) -> bool:
        """Return whether there is a trial of a name, also one that is on its way out."""
        return name in self.tally or self.trial(name) is not None

    def look(self) -> None:
        """Take in what has changed."""
        found = self._trials.by_index(_OPEN, self.uid)
        versions = {metadata.name(each): _version(each) for each in found}
        for name in self._open.keys() - versions.keys():
            self._take(name, self.trial(name))
        for each in found:
            name = metadata.name(each)
            if self._open.get(name) != versions[name]:
                self._take(name, each)
        self._open = versions
        leaving = sum(map(metadata.is_deleting, found))
        if len(self.tally) + leaving != len(self._trials.owned_by(self.uid)):
            # Some came and ended, or ended and went, between two looks.
            self.count_all()

    def count_all(self) -> None:
        """Count from the start: what is decided for good does not rest on what was seen before."""
        found = self._trials.owned_by(self.uid)
        self.tally: Tally = tally.tally(found, self.objectives)
        self._open = {metadata.name(each): _version(each) for each in found if _is_open(each)}

    def _take(self, name: str, trial: Object | None) -> None:
        if trial is None:
            self.tally.drop(name)
        else:
            self.tally.put(tally.digest(trial, self.objectives))


def _version(trial: Object) -> str:
    return f"{metadata.uid(trial)} {trial['metadata'].get('resourceVersion')}"


def _is_open(trial: Object) -> bool:
    return metadata.is_deleting(trial) or not optimum.is_completed(trial)


def _owners(trial: Object) -> Iterable[str]:
    return [str(each.get("uid", "")) for each in metadata.owner_references(trial)]


def _owners_while_open(trial: Object) -> Iterable[str]:
    return _owners(trial) if _is_open(trial) else ()
