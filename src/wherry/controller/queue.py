"""The work queue: what is to be looked at, each thing once, and failures ever more slowly.

Laws: an item that was added is handed out at least once after its last addition; it is never in
two hands at once; what is added while in a hand is handed out again afterwards; many additions
before it is handed out are one.

Source: client-go `util/workqueue` (the semantics); the delays are controller-runtime's defaults.
"""

import asyncio
import collections
import contextlib
import heapq
import itertools
import random
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Generic, TypeVar

from wherry.controller.clock import Clock

T = TypeVar("T", bound=Hashable)


class QueueClosed(Exception):  # noqa: N818 - an ending, not an error
    """The queue hands out nothing any more."""


@dataclass(frozen=True, slots=True)
class Backoff:
    """Delays that double from one failure to the next.

    Attributes:
        base_seconds: After the first failure.
        cap_seconds: The longest.
        jitter: Up to which part of the delay is added at random, so that failures that began
            together do not go on together.
    """

    base_seconds: float = 0.005
    cap_seconds: float = 1000
    jitter: float = 0.1

    def delay(self, failures: int) -> float:
        """Return the delay in seconds after so many failures, at least 1."""
        # Past 2**64 the cap has long been reached; the bound keeps the power a float.
        plain = min(self.base_seconds * 2.0 ** min(failures - 1, 64), self.cap_seconds)
        return plain * (1 + self.jitter * random.random())  # noqa: S311 - not for secrets


class WorkQueue(Generic[T]):
    """A queue for one event loop. Not to be shared between threads."""

    def __init__(self, clock: Clock, backoff: Backoff | None = None) -> None:
        self._clock = clock
        self._backoff = backoff or Backoff()
        self._ready: collections.deque[T] = collections.deque()
        self._dirty: set[T] = set()
        self._processing: set[T] = set()
        self._getters: collections.deque[asyncio.Future[None]] = collections.deque()
        self._due: dict[T, float] = {}
        self._heap: list[tuple[float, int, T]] = []
        self._order = itertools.count()
        self._failures: dict[T, int] = {}
        self._timer: asyncio.Task[None] | None = None
        self._timer_due = 0.0
        self._closed = False
        self.added = 0
        """How often something was put in."""
        self.retried = 0
        """How often something was put in again after a failure."""

    def __len__(self) -> int:
        """How many items are ready to be handed out."""
        return len(self._ready)

    @property
    def delayed(self) -> int:
        """How many items wait for their time."""
        return len(self._due)

    @property
    def idle(self) -> bool:
        """Whether nothing is ready or in a hand; delayed items do not count."""
        return not self._dirty and not self._processing

    def add(self, item: T) -> None:
        """Ask for an item to be handed out as soon as may be."""
        if self._closed or item in self._dirty:
            return
        self._dirty.add(item)
        self.added += 1
        if item not in self._processing:
            self._ready.append(item)
            self._wake()

    def add_after(self, item: T, seconds: float) -> None:
        """Ask for an item to be handed out after a while; the earliest of several times counts."""
        if self._closed:
            return
        if seconds <= 0:
            self.add(item)
            return
        due = self._clock.monotonic() + seconds
        if self._due.get(item, due + 1) <= due:
            return
        self._due[item] = due
        heapq.heappush(self._heap, (due, next(self._order), item))
        self._arm()

    def add_rate_limited(self, item: T) -> float:
        """Ask for an item again after its backoff delay; return the delay in seconds."""
        self.retried += 1
        failures = self._failures[item] = self._failures.get(item, 0) + 1
        seconds = self._backoff.delay(failures)
        self.add_after(item, seconds)
        return seconds

    def failures(self, item: T) -> int:
        """Return how often the item was rate-limited since it was last forgotten."""
        return self._failures.get(item, 0)

    def forget(self, item: T) -> None:
        """Let the item's delays begin anew."""
        self._failures.pop(item, None)

    async def get(self) -> T:
        """Take an item into hand; `done` must be called for it.

        Raises:
            QueueClosed: `close` was called; what was still waiting is dropped.
            CancelledError: the caller was cancelled; no item is lost.
        """
        while not self._closed:
            if self._ready:
                item = self._ready.popleft()
                self._dirty.discard(item)
                self._processing.add(item)
                return item
            getter = asyncio.get_running_loop().create_future()
            self._getters.append(getter)
            try:
                await getter
            except asyncio.CancelledError:
                # A wake-up that this getter can no longer use belongs to the next one.
                with contextlib.suppress(ValueError):
                    self._getters.remove(getter)
                if self._ready:
                    self._wake()
                raise
        raise QueueClosed

    def done(self, item: T) -> None:
        """Put an item out of hand; if it was added meanwhile it is ready again."""
        self._processing.discard(item)
        if item in self._dirty and not self._closed:
            self._ready.append(item)
            self._wake()

    def close(self) -> None:
        """Hand out nothing any more: waiting getters end with `QueueClosed`. Idempotent."""
        self._closed = True
        self._ready.clear()
        self._dirty.clear()
        self._due.clear()
        self._heap.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        while self._getters:
            self._wake()

    def _wake(self) -> None:
        while self._getters:
            getter = self._getters.popleft()
            if not getter.done():
                getter.set_result(None)
                return

    def _arm(self) -> None:
        due = self._heap[0][0]
        if self._timer is not None:
            if self._timer_due <= due:
                return
            self._timer.cancel()
        self._timer_due = due
        self._timer = asyncio.get_running_loop().create_task(self._sleep_until(due))

    async def _sleep_until(self, due: float) -> None:
        await self._clock.sleep(due - self._clock.monotonic())
        self._timer = None
        now = self._clock.monotonic()
        # A sleep may end a hair early by the clock that it is measured with.
        while self._heap and self._heap[0][0] <= now + 1e-4:
            when, _, item = heapq.heappop(self._heap)
            if self._due.get(item) == when:
                del self._due[item]
                self.add(item)
        if self._heap:
            self._arm()
