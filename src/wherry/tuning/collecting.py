"""Runs the collectors of trials: reads, stores, sums up, and says which trial has to stop early.

The face that controllers see. A trial's reconciler calls `follow` at each look with the trial's pods,
and asks `state` what is known; when that changes in a way that concerns it, the trial is put into its
queue (`notify`). Nothing here is lost when the process is killed: logs are read again from their
start, and what is stored already is not stored twice.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final

from wherry.controller.manager import Manager
from wherry.controller.requests import Request
from wherry.objects import metadata
from wherry.objects.requests import Object
from wherry.tuning import collectors, kinds
from wherry.tuning.access import Access
from wherry.tuning.collector import Wanted
from wherry.tuning.live.curves import Curves
from wherry.tuning.live.following import Following
from wherry.tuning.live.judging import Judge
from wherry.tuning.live.ledger import Ledger
from wherry.tuning.matching import Matcher
from wherry.tuning.observations.record import Owner
from wherry.tuning.observations.store import Observations, ObservationsError
from wherry.tuning.observations.summary import Summary, Tally

DEADLINE_SECONDS: Final = 30.0
"""How long after a trial's end its metrics may take to come, where its collector says nothing."""
DATABASE_OPTION: Final = "tuning-database"
_IN_MEMORY: Final = "sqlite://"
LIVE_SECONDS: Final = 2.0
"""How often news of a trial that goes on are told at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """What is known of a trial's metrics.

    Attributes:
        finished: There will be no more: all that was reported is stored and in `metrics`. Comes at
            the latest when the collector's deadline has passed after `follow` was told of the end.
        metrics: Of the metrics that were asked for, those that have a value, the objective first.
        stopped: Why the trial has to stop early, as a sentence; empty: it has not.
        problem: Why metrics could not be read; empty: they could.
        last_lines: The last lines of the trial's log, for messages; a few, cut to a bounded length.
    """

    finished: bool = False
    metrics: tuple[Summary, ...] = ()
    stopped: str = ""
    problem: str = ""
    last_lines: tuple[str, ...] = ()

    def summary(self, metric: str) -> Summary | None:
        """Return what was reported of a metric; None where nothing was."""
        return next((each for each in self.metrics if each.name == metric), None)

    def observation(self) -> Object | None:
        """Return it as ``status.observation``; None where nothing was reported."""
        return {"metrics": [each.as_object() for each in self.metrics]} if self.metrics else None


class _Entry:
    """A trial that is followed, the task that does it, and when it is told next."""

    def __init__(self, following: Following, task: asyncio.Task[None], begun: float) -> None:
        self.following = following
        self.task = task
        self.begun = begun
        self.telling: asyncio.TimerHandle | None = None
        self.told_stop = False


class Collecting:
    """Collects of any number of trials, until `run` is cancelled. For one event loop.

    Attributes:
        database: URL of the database, for other processes; empty where there is none for them.
    """

    def __init__(
        self, manager: Manager, where: str | Path, notify: Callable[[Request], None]
    ) -> None:
        """Take what it works with.

        Args:
            manager: Gives client and caches.
            where: The database of values: its URL, or a SQLite file.
            notify: Called with a trial when there is news of it.
        """
        self._client = manager.client
        self._clock = manager.clock
        self._experiments = manager.cache(kinds.EXPERIMENTS)
        self._trials = manager.cache(kinds.TRIALS)
        observations = Observations(where)
        self.database = _url(where)
        self._observations = observations
        self._matcher = Matcher()
        self._notify = notify
        self._entries: dict[str, _Entry] = {}
        self._leaving: set[asyncio.Task[None]] = set()
        self._new: set[str] = set()
        self._curves = Curves(observations, self._live)
        self._closed = False

    def made(self, trial: Object) -> None:
        """Take note that what a trial runs was made just now: nothing that it reports is stored yet."""
        self._new.add(metadata.uid(trial))

    def follow(
        self,
        trial: Object,
        pods: Sequence[Object],
        *,
        ended: bool = False,
        outputs: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        """Collect of a trial that is not finished; to be called at each look at it. Cheap.

        Args:
            trial: The Trial, in v1beta1.
            pods: Its primary pods, as they are now, those that have ended included.
            ended: Its workload has come to its end, however.
            outputs: What its workload itself says at its end, by metric.
        """
        if self._closed:
            return
        uid = metadata.uid(trial)
        entry = self._entries.get(uid)
        if entry is None:
            entry = self._entries[uid] = self._begin(trial)
        entry.following.see(pods, ended=ended, outputs=outputs)

    def state(self, trial: Object) -> State:
        """Return what is known now; an empty `State` of a trial that is not followed."""
        entry = self._entries.get(metadata.uid(trial))
        if entry is None:
            return State()
        following, ledger = entry.following, entry.following.ledger
        return State(
            finished=following.finished,
            metrics=ledger.tally.summaries,
            stopped=ledger.stopped,
            problem=following.problem or ledger.problem,
            last_lines=tuple(following.access.last_lines),
        )

    def seconds(self, trial: Object) -> float | None:
        """Return for how long a trial has been followed; None: it is not."""
        entry = self._entries.get(metadata.uid(trial))
        return None if entry is None else self._clock.monotonic() - entry.begun

    def has_read(self, trial: Object, pod: Object) -> bool:
        """Tell whether a pod of a trial has nothing more to say, as far as anybody listens."""
        entry = self._entries.get(metadata.uid(trial))
        return entry is None or entry.following.has_read(metadata.uid(pod))

    def told(self, what: Mapping[str, str]) -> None:
        """Take note of what has come by Katib's API.

        Args:
            what: The name of a trial, by ``reported``: values of it are in the database; or by
                ``stopped``: whoever collects of it has ended it early.
        """
        for entry in self._entries.values():
            if entry.following.name == what.get("reported"):
                entry.following.look()
            if entry.following.name == what.get("stopped"):
                entry.following.ledger.stop("stopped through the API of early stopping")

    def leave(self, trial: Object) -> None:
        """Stop collecting of a trial that is finished, and drop what memory has of it."""
        self._leave(trial)

    async def forget(self, trial: Object) -> None:
        """Leave a trial that is being deleted, and delete what was stored of it.

        Raises:
            ObservationsError: it could not be deleted.
        """
        task = self._leave(trial)
        if task is not None:
            # Or it would store a last value afterwards.
            await asyncio.wait({task})
        self._curves.drop(trial)
        await self._observations.delete(_owner(trial))

    async def curves(self, trials: Sequence[Object]) -> dict[str, tuple[float, ...]]:
        """Return the objective's values of trials in the order they came, by trial name.

        Raises:
            ObservationsError: they cannot be read.
        """
        return await self._curves.of(trials)

    async def run(self) -> None:
        """Collect until cancelled."""
        self._closed = False
        try:
            await asyncio.Event().wait()
        finally:
            self._closed = True
            # Another process may go on with them.
            self._new.clear()
            entries, self._entries = [*self._entries.values()], {}
            for entry in entries:
                if entry.telling is not None:
                    entry.telling.cancel()
                entry.task.cancel()
            tasks = (*(entry.task for entry in entries), *self._leaving)
            await asyncio.gather(*tasks, return_exceptions=True)
            await self._matcher.close()

    async def close(self) -> None:
        """Close what values are kept in; whoever asks for some opens it again."""
        await self._observations.close()

    def _leave(self, trial: Object) -> asyncio.Task[None] | None:
        self._new.discard(metadata.uid(trial))
        entry = self._entries.pop(metadata.uid(trial), None)
        if entry is None:
            return None
        self._curves.keep(trial, entry.following.ledger.tally.curve)
        if entry.telling is not None:
            entry.telling.cancel()
        entry.task.cancel()
        # `run` waits for it too: it may have something to store still.
        self._leaving.add(entry.task)
        entry.task.add_done_callback(self._leaving.discard)
        return entry.task

    def _begin(self, trial: Object) -> _Entry:
        wanted = wanted_of(trial)
        collector = collectors.of(trial)
        assert collector is not None, "the trial's reconciler has looked (`trial_checks`)"
        spec = (trial.get("spec") or {}).get("metricsCollector") or {}
        ledger = Ledger(
            _owner(trial),
            Tally(wanted.metrics),
            observations=self._observations,
            judge=Judge(trial, self._experiment(trial), lambda: self._others(trial)),
            changed=lambda: self._news(trial),
        )
        access = Access(self._client, self._matcher)
        # A question to the database costs more than a write to the API: only what may be in it is asked for.
        is_new = metadata.uid(trial) in self._new
        self._new.discard(metadata.uid(trial))
        following = Following(wanted, collector, ledger, access, is_new=is_new)
        deadline = float(spec.get("deadlineSeconds") or DEADLINE_SECONDS)
        task = asyncio.get_running_loop().create_task(
            following.run(deadline), name=f"metrics of {metadata.name(trial)}"
        )
        task.add_done_callback(lambda _: self._tell(trial))
        return _Entry(following, task, self._clock.monotonic())

    def _experiment(self, trial: Object) -> Object | None:
        reference = metadata.controller_of(trial) or {}
        return self._experiments.get(metadata.namespace(trial), str(reference.get("name", "")))

    async def _others(self, trial: Object) -> list[Sequence[float]]:
        """Return the curves of the other trials of a trial's experiment that have any."""
        reference = metadata.controller_of(trial) or {}
        uid = metadata.uid(trial)
        siblings = self._trials.owned_by(str(reference.get("uid", "")))
        others = [each for each in siblings if metadata.uid(each) != uid]
        try:
            found = await self._curves.of(others)
        except ObservationsError:
            return []  # then nothing is stopped by comparison; that it fails is told elsewhere
        return [curve for curve in found.values() if curve]

    def _live(self, trial: Object) -> Sequence[float] | None:
        entry = self._entries.get(metadata.uid(trial))
        return None if entry is None else entry.following.ledger.tally.curve

    def _news(self, trial: Object) -> None:
        """Tell of a reason to stop at once, of values now and then."""
        entry = self._entries.get(metadata.uid(trial))
        if entry is None:
            return
        if entry.following.ledger.stopped and not entry.told_stop:
            entry.told_stop = True
            self._tell(trial)
        elif entry.telling is None:
            loop = asyncio.get_running_loop()
            entry.telling = loop.call_later(LIVE_SECONDS, self._tell, trial)

    def _tell(self, trial: Object) -> None:
        entry = self._entries.get(metadata.uid(trial))
        if entry is None:
            return
        if entry.telling is not None:
            entry.telling.cancel()
            entry.telling = None
        self._notify(Request(metadata.namespace(trial), metadata.name(trial)))


def of(manager: Manager, notify: Callable[[Request], None]) -> Collecting:
    """Return what collects for a manager, and have it run beside its controllers.

    Args:
        manager: Whose; its option ``tuning-database`` names the database, else it is a file in its
            home, else in memory: then what ended before the process began is not known.
        notify: Called with a trial when there is news of it.
    """
    folder = manager.surroundings.folder("tuning")
    where = manager.surroundings.options.get(DATABASE_OPTION) or (
        _IN_MEMORY if folder is None else folder / "observations.db"
    )
    made = Collecting(manager, where, notify)
    manager.beside("metrics of trials", made.run)
    # Controllers that are ending still ask for values, and delete them.
    manager.afterwards(made.close)
    return made


def wanted_of(trial: Object) -> Wanted:
    """Return what is to be collected of a trial."""
    spec = trial.get("spec") or {}
    objective = spec.get("objective") or {}
    further = (
        each.get("objectiveMetricName") for each in objective.get("additionalObjectives") or ()
    )
    names = [
        objective.get("objectiveMetricName"),
        *further,
        *(objective.get("additionalMetricNames") or ()),
    ]
    return Wanted(
        trial=trial,
        metrics=tuple(dict.fromkeys(str(name) for name in names if name)),
        source=(spec.get("metricsCollector") or {}).get("source") or {},
        container=str(spec.get("primaryContainerName") or ""),
    )


def _url(where: str | Path) -> str:
    if isinstance(where, Path):
        return f"sqlite:///{where}"
    return "" if where == _IN_MEMORY else where


def _owner(trial: Object) -> Owner:
    return Owner(metadata.namespace(trial), metadata.name(trial), metadata.uid(trial))
