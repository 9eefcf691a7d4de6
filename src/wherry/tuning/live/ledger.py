"""What one trial has reported: summed up and judged at once, stored right after."""

import asyncio
import contextlib
import logging
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from wherry.tuning.live.judging import Judge
from wherry.tuning.observations.record import Owner, Record
from wherry.tuning.observations.store import Observations, ObservationsError
from wherry.tuning.observations.summary import Tally

T = TypeVar("T")
_LOG = logging.getLogger("wherry.tuning.collecting")
_FIRST_PAUSE_SECONDS: Final = 0.25
_LONGEST_PAUSE_SECONDS: Final = 10.0
_LAST_SECONDS: Final = 5.0
_MAX_UNSTORED: Final = 50_000


class Ledger:
    """The values of one trial.

    Attributes:
        tally: Their sums.
        stopped: Why the trial has to stop early; empty: it has not.
        problem: Why values could not be stored or read; empty: they could.
    """

    def __init__(
        self,
        owner: Owner,
        tally: Tally,
        *,
        observations: Observations,
        judge: Judge,
        changed: Callable[[], None],
    ) -> None:
        """Begin empty; `load` fills in what is stored.

        Args:
            owner: Whose values.
            tally: Empty.
            observations: Where they are stored.
            judge: Says when the trial has to stop.
            changed: Called when there is a value more, or a reason to stop.
        """
        self.tally = tally
        self.stopped = self.problem = ""
        self._owner = owner
        self._observations = observations
        self._judge = judge
        self._changed = changed
        self._sent = 0
        self._loaded: dict[str, Counter[str]] = {}
        self._again: set[str] = set()
        self._unstored: list[Record] = []
        self._storing: asyncio.Task[None] | None = None

    async def load(self) -> None:
        """Take up what an earlier process has stored."""
        for record in await self._persist(lambda: self._observations.of(self._owner)):
            await self._count(record)
            self._sent += 0 if record.source else 1
            self._loaded.setdefault(record.source, Counter())[record.mark] += 1

    async def take(self, record: Record) -> None:
        """Take in a new value. Returns before it is stored, unless too many wait for that."""
        self._unstored.append(record)
        if self._storing is None:
            self._storing = asyncio.ensure_future(self._store())
        await self._count(record)
        if len(self._unstored) > _MAX_UNSTORED:
            await self.stored()

    def stop(self, reason: str) -> None:
        """Have the trial stop early, for a reason that somebody else has found."""
        self.stopped = self.stopped or reason
        self._changed()

    async def take_sent(self) -> None:
        """Take in what was sent to the database since the last time."""
        found = await self._persist(lambda: self._observations.of(self._owner))
        sent = [record for record in found if not record.source]
        fresh, self._sent = sent[self._sent :], len(sent)
        for record in fresh:
            await self._count(record)

    async def stored(self) -> None:
        """Return when everything is stored that was taken in."""
        while self._storing is not None:
            await asyncio.wait({self._storing})

    async def marks(self, source: str) -> Counter[str]:
        """Return the marks of what was taken in from a source, and how often each occurred."""
        if source not in self._again:
            self._again.add(source)
            return self._loaded.pop(source, Counter())
        await self.stored()
        found = await self._persist(lambda: self._observations.of(self._owner))
        return Counter(record.mark for record in found if record.source == source)

    async def close(self) -> None:
        """Store what is not stored yet, if that is soon done. Idempotent."""
        task = self._storing
        if task is None:
            return
        await asyncio.wait({task}, timeout=_LAST_SECONDS)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task

    async def _count(self, record: Record) -> None:
        self.tally.add((record,))
        if not self.stopped:
            self.stopped = await self._judge.stops(record)
        self._changed()

    async def _store(self) -> None:
        while self._unstored:
            # Whatever is ready to be read now goes along.
            await asyncio.sleep(0)
            batch = list(self._unstored)
            await self._persist(lambda: self._observations.add(self._owner, batch))  # noqa: B023 - awaited here
            del self._unstored[: len(batch)]
        self._storing = None

    async def _persist(self, work: Callable[[], Awaitable[T]]) -> T:
        """Do something with the database, again and again until it works."""
        pause = _FIRST_PAUSE_SECONDS
        while True:
            try:
                return await work()
            except ObservationsError as error:
                if str(error) != self.problem:
                    _LOG.error("trial %s: %s; trying again", self._owner.trial, error)
                self.problem = str(error)
            await asyncio.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE_SECONDS)
