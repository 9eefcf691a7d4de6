"""The launcher's event loop: descriptors and timers, in one thread, in a hundred lines.

asyncio would triple the memory that every fork has to copy.
"""

import heapq
import itertools
import selectors
import time
import traceback
from collections.abc import Callable

Callback = Callable[[], None]

_IDLE_SECONDS = 3600.0


class Timer:
    """A call that is due later."""

    __slots__ = ("callback",)

    def __init__(self, callback: Callback) -> None:
        self.callback: Callback | None = callback

    def cancel(self) -> None:
        """Forget the call; harmless if it was made already."""
        self.callback = None


class Loop:
    """Calls back when descriptors are ready and when time has come. Callbacks must not block."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        self._timers: list[tuple[float, int, Timer]] = []
        self._order = itertools.count()
        self._stopped = False

    def watch(self, descriptor: int, readable: Callback) -> None:
        """Call ``readable`` whenever there is something to read (or an end or error to notice)."""
        self._selector.register(descriptor, selectors.EVENT_READ, readable)

    def watch_writable(self, descriptor: int, writable: Callback) -> None:
        """Call ``writable`` whenever ``descriptor`` takes bytes or its connect has finished."""
        self._selector.register(descriptor, selectors.EVENT_WRITE, writable)

    def want(self, descriptor: int, ready: Callback, *, write: bool) -> None:
        """Change a watched descriptor: reading always, writing too if ``write``."""
        events = selectors.EVENT_READ | (selectors.EVENT_WRITE if write else 0)
        self._selector.modify(descriptor, events, ready)

    def unwatch(self, descriptor: int) -> None:
        """Stop watching; must come before the descriptor is closed."""
        self._selector.unregister(descriptor)

    def later(self, seconds: float, callback: Callback) -> Timer:
        """Call once after ``seconds``."""
        timer = Timer(callback)
        heapq.heappush(self._timers, (time.monotonic() + seconds, next(self._order), timer))
        return timer

    def stop(self) -> None:
        """Let ``run`` return after the present round."""
        self._stopped = True

    def run(self) -> None:
        """Serve until ``stop``. An error in a callback is written to the log and survived."""
        while not self._stopped:
            for key, _ in self._selector.select(self._wait_seconds()):
                # Earlier callbacks of this round may have closed it, even opened another of the same number.
                if self._selector.get_map().get(key.fd) is key:
                    self._call(key.data)
            self._call_timers()

    def _wait_seconds(self) -> float:
        while self._timers and self._timers[0][2].callback is None:
            heapq.heappop(self._timers)
        if not self._timers:
            return _IDLE_SECONDS
        return max(0.0, self._timers[0][0] - time.monotonic())

    def _call_timers(self) -> None:
        now = time.monotonic()
        while self._timers and self._timers[0][0] <= now:
            callback = heapq.heappop(self._timers)[2].callback
            if callback is not None:
                self._call(callback)

    @staticmethod
    def _call(callback: Callback) -> None:
        try:
            callback()
        except Exception:  # noqa: BLE001 — one broken container must not take the others down
            traceback.print_exc()
