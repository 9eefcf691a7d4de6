"""A clock that a test moves: what sleeps wakes when the test says that its time has come."""

import asyncio
import datetime
import heapq
import itertools


class FakeClock:
    """A clock that stands still until it is advanced.

    Conforms to `wherry.controller.clock.Clock`. Use it from one event loop only.
    """

    def __init__(self, start: datetime.datetime | None = None) -> None:
        self._start = start or datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
        self._elapsed = 0.0
        self._order = itertools.count()
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []

    def now(self) -> datetime.datetime:
        """Return the start plus what was advanced, aware, in UTC."""
        return self._start + datetime.timedelta(seconds=self._elapsed)

    def monotonic(self) -> float:
        """Return the seconds advanced so far."""
        return self._elapsed

    async def sleep(self, seconds: float) -> None:
        """Return once the clock has been advanced by ``seconds``."""
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        future = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self._elapsed + seconds, next(self._order), future))
        await future

    @property
    def sleepers(self) -> int:
        """How many tasks sleep."""
        return sum(not future.done() for _, _, future in self._sleepers)

    async def advance(self, seconds: float, *, turns: int = 20) -> None:
        """Let time pass, waking sleepers in the order of their times.

        Args:
            seconds: How far.
            turns: Turns of the event loop that woken tasks get before time goes on; what they
                start to sleep on within these is honoured if it falls inside ``seconds``.
        """
        end = self._elapsed + seconds
        await _turn(turns)
        while self._sleepers and self._sleepers[0][0] <= end:
            when, _, future = heapq.heappop(self._sleepers)
            self._elapsed = max(self._elapsed, when)
            if not future.done():
                future.set_result(None)
                await _turn(turns)
        self._elapsed = end
        await _turn(turns)


async def _turn(times: int) -> None:
    for _ in range(times):
        await asyncio.sleep(0)
