"""What `tune` gives back: a search that can be followed, awaited, stopped, resumed and found again."""

import importlib
from collections.abc import AsyncIterator, Iterator
from typing import Any

from wherry.client.clusters import Api
from wherry.client.handles import Handle
from wherry.objects import kinds as core
from wherry.objects import metadata
from wherry.objects.requests import Object
from wherry.tuning import kinds
from wherry.tuning.sdk import ending, plots, results
from wherry.tuning.sdk.errors import FailedSearchError, TuningError
from wherry.tuning.sdk.results import Progress, Trial


class Search(Handle[Progress]):
    """One search: an Experiment. Holds no connection open; safe for threads."""

    resource = kinds.EXPERIMENTS
    noun = "search"
    lost = TuningError

    @property
    def best(self) -> Trial | None:
        """The best trial so far; None while no trial has a value of the objective."""
        experiment, trials = self._cluster.call(self._all)
        return results.best(experiment, trials)

    def trials(self) -> list[Trial]:
        """Return all trials, in the order in which they were proposed."""
        return self._cluster.call(self._all)[1]

    def frame(self) -> Any:
        """Return `trials` as a pandas `DataFrame`, a row a trial.

        Raises:
            ImportError: pandas is not installed.
        """
        try:
            pandas = importlib.import_module("pandas")
        except ImportError as error:
            raise ImportError("frame() needs pandas: pip install pandas") from error
        return pandas.DataFrame([each.row() for each in self.trials()])

    def plot(self, kind: str = "history") -> Any:
        """Return a Matplotlib `Figure`, which notebooks show and ``savefig`` writes.

        Args:
            kind: ``history``, ``parallel`` (coordinates), ``importance``, ``slices`` or ``pareto``.

        Raises:
            ImportError: Matplotlib is not installed.
            TuningError: there is no such figure, or not enough to be drawn.
        """
        return plots.draw(kind, *self._cluster.call(self._all))

    def importance(self) -> dict[str, float]:
        """Return how much each parameter tells of the objective, the most important first.

        Raises:
            TuningError: there are too few trials.
        """
        experiment, trials = self._cluster.call(self._all)
        return plots.importance(trials, results.objective(experiment)[1])

    def logs(self, trial: str, *, follow: bool = False) -> Iterator[str]:
        """Yield the lines that a trial prints, or has printed while its pod is kept.

        Args:
            trial: Its name.
            follow: Whether to go on until it has ended.
        """

        async def lines(api: Api) -> AsyncIterator[str]:
            labels = f"{kinds.TRIAL_LABEL}={trial}"
            for pod in await api.client.list(core.PODS, self.namespace, labels=labels):
                containers = [each["name"] for each in pod["spec"]["containers"]]
                name, main = metadata.name(pod), containers[0]
                read = api.client.log_lines(name, self.namespace, container=main, follow=follow)
                async for line in read:
                    yield line

        return self._cluster.iterate(lines)

    def follow(self, timeout: float | None = None) -> Trial:
        """Show how far it is, with the best value so far, until the end; return the best trial.

        Args:
            timeout: Seconds to wait at most.

        Raises:
            FailedSearchError: it has failed, or no trial has a value.
            TimeoutError: it goes on.
            TuningError: it has been deleted.
        """
        self._shown(timeout)
        return self.result()

    def result(self, timeout: float | None = None) -> Trial:
        """Wait for the end, and return the best trial.

        Args:
            timeout: Seconds to wait at most.

        Raises:
            FailedSearchError: it has failed, or no trial has a value.
            TimeoutError: it goes on.
            TuningError: it has been deleted.
        """
        progress = self.wait(timeout)
        best = self.best
        if progress.phase == kinds.FAILED:
            raise FailedSearchError(f"search {self.name} failed: {progress.message}")
        if best is None:
            last = [each for each in self.trials() if each.message][-1:]
            told = "".join(f"; {each.name}: {each.state}: {each.message}" for each in last)
            raise FailedSearchError(f"search {self.name}: no trial has a value{told}")
        return best

    def stop(self) -> None:
        """Start no more trials, and end those that run; what has been found stays.

        Idempotent; `resume` takes it up again.

        Raises:
            TuningError: it has no trial yet, or goes on in spite of all.
        """
        self._cluster.call(lambda api: ending.end(api, self.name, self.namespace))

    def resume(self, max_trials: int, *, parallel: int | None = None) -> None:
        """Go on, up to another number of trials.

        Args:
            max_trials: How many trials there may be in all.
            parallel: How many run at once; None: as many as before.

        Raises:
            InvalidError: there are as many already.
        """
        change: Object = {"maxTrialCount": max_trials}
        if parallel is not None:
            change["parallelTrialCount"] = parallel
        self._cluster.call(lambda api: self._change(api, change))

    def _progress(self, obj: Object) -> Progress:
        return results.progress(obj)

    async def _all(self, api: Api) -> tuple[Object, list[Trial]]:
        labels = f"{kinds.EXPERIMENT_LABEL}={self.name}"
        found = await api.client.list(kinds.TRIALS, self.namespace, labels=labels)
        experiment = await self._get(api)
        return experiment, results.trials(experiment, found.items)
