"""What `tune` gives back: a search that can be followed, awaited, stopped, resumed and found again."""

import importlib
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any, Final

from wherry.client.clusters import Api, Cluster
from wherry.objects import errors, metadata
from wherry.objects import kinds as core
from wherry.objects.requests import Object
from wherry.tuning import kinds
from wherry.tuning.sdk import ending, plots, results
from wherry.tuning.sdk.errors import FailedSearchError, TuningError
from wherry.tuning.sdk.results import Progress, Trial

_POLL_SECONDS: Final = (0.1, 1.0)
_PLAIN_SECONDS: Final = 5.0


class Search:
    """One search: an Experiment. Holds no connection open; safe for threads."""

    def __init__(self, cluster: Cluster, name: str) -> None:
        """Name it; nothing is asked of the cluster."""
        self._cluster = cluster
        self.name = name

    def __repr__(self) -> str:
        return f"Search({self.name!r}, namespace={self.namespace!r})"

    @property
    def namespace(self) -> str:
        """Where it is."""
        return self._cluster.namespace

    @property
    def manifest(self) -> Object:
        """The Experiment as it is on the cluster.

        Raises:
            NotFoundError: it has been deleted.
        """
        return self._cluster.call(self._get)

    @property
    def progress(self) -> Progress:
        """How far it is."""
        return results.progress(self.manifest)

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
                left = b""
                async for chunk in api.client.log(
                    metadata.name(pod), self.namespace, container=containers[0], follow=follow
                ):
                    *whole, left = (left + chunk).split(b"\n")
                    for raw in whole:
                        yield raw.decode(errors="replace")

        return self._cluster.iterate(lines)

    def wait(self, timeout: float | None = None) -> Progress:
        """Wait until it has ended, well or badly.

        Args:
            timeout: Seconds to wait at most.

        Raises:
            TimeoutError: it goes on.
            TuningError: it has been deleted.
        """
        return self._until_ended(timeout, lambda _: None)

    def follow(self, timeout: float | None = None) -> Trial:
        """Show how far it is, with the best value so far, until the end; return the best trial.

        Args:
            timeout: Seconds to wait at most.

        Raises:
            FailedSearchError: it has failed, or no trial has a value.
            TimeoutError: it goes on.
            TuningError: it has been deleted.
        """
        display = Display()
        try:
            self._until_ended(timeout, display.show)
        finally:
            display.close()
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

    def delete(self) -> None:
        """Delete the search with all its trials; what runs is ended."""

        async def delete(api: Api) -> None:
            await api.client.delete(kinds.EXPERIMENTS, self.name, self.namespace)

        self._cluster.call(delete)

    async def _get(self, api: Api) -> Object:
        return await api.client.get(kinds.EXPERIMENTS, self.name, self.namespace)

    async def _all(self, api: Api) -> tuple[Object, list[Trial]]:
        labels = f"{kinds.EXPERIMENT_LABEL}={self.name}"
        found = await api.client.list(kinds.TRIALS, self.namespace, labels=labels)
        experiment = await self._get(api)
        return experiment, results.trials(experiment, found.items)

    async def _change(self, api: Api, change: Object) -> None:
        patch = {"spec": change}
        await api.client.patch(kinds.EXPERIMENTS, self.name, patch, self.namespace)

    def _until_ended(self, timeout: float | None, show: Callable[[Progress], None]) -> Progress:
        deadline = None if timeout is None else time.monotonic() + timeout
        pause, longest = _POLL_SECONDS
        while True:
            try:
                progress = self.progress
            except errors.NotFoundError as error:
                raise TuningError(f"search {self.name} has been deleted") from error
            show(progress)
            if progress.ended:
                return progress
            if deadline is not None and time.monotonic() > deadline:
                raise TimeoutError(f"search {self.name} goes on after {timeout:g} s: {progress}")
            time.sleep(pause)
            pause = min(pause * 1.3, longest)


class Display:
    """A line of progress: drawn again on a terminal, a line now and then elsewhere."""

    def __init__(self) -> None:
        """Look where it will be shown; nothing is yet."""
        self._terminal = sys.stdout.isatty()
        self._drawn = 0
        self._text = ""
        self._shown_at = float("-inf")

    def show(self, progress: Progress) -> None:
        """Show how far a search is; the same again is not shown."""
        text = str(progress)
        if text == self._text:
            return
        if self._terminal:
            self._write(f"\r{text.ljust(self._drawn)}")
            self._drawn = len(text)
        elif progress.ended or time.monotonic() - self._shown_at > _PLAIN_SECONDS:
            self._write(f"{text}\n")
            self._shown_at = time.monotonic()
        self._text = text

    def close(self) -> None:
        """End the line."""
        if self._drawn:
            self._write("\n")

    @staticmethod
    def _write(text: str) -> None:
        sys.stdout.write(text)
        sys.stdout.flush()
