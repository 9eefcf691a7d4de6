"""What a container writes, live, for those who have attached to it.

A watcher who reads slowly slows the container down, as a terminal would; one who does not read at all is cut off.
"""

import os
from collections.abc import Callable

from wherry.kubelet.launcher import loop

HIGH_BYTES = 1024 * 1024
"""So much may wait for one watcher before the container has to."""

_STALLED_SECONDS = 30.0


class Tap:
    """One output on its way to one watcher."""

    def __init__(self, events: loop.Loop, descriptor: int, drained: Callable[[], None]) -> None:
        """Serve a descriptor.

        Args:
            events: The launcher's loop.
            descriptor: Writing end of a pipe; owned from now on.
            drained: Called when a tap that was ``full`` is so no longer.
        """
        self._loop = events
        self._descriptor = descriptor
        self._drained = drained
        self._waiting = bytearray()
        self._watched = False
        self._ending = False
        self._timer: loop.Timer | None = None
        self.open = True
        os.set_blocking(descriptor, False)

    @property
    def full(self) -> bool:
        """Whether the container should wait."""
        return len(self._waiting) >= HIGH_BYTES

    def feed(self, data: bytes) -> None:
        """Pass on what the container wrote."""
        if self.open and not self._ending:
            self._waiting += data
            if not self._watched:
                self._flush()

    def finish(self) -> None:
        """End once everything has been passed on."""
        self._ending = True
        if not self._waiting:
            self.close()

    def close(self) -> None:
        """End now."""
        if not self.open:
            return
        self._stop_waiting()
        self.open = False
        self._waiting.clear()
        os.close(self._descriptor)
        self._drained()

    def _flush(self) -> None:
        full = self.full
        try:
            written = os.write(self._descriptor, self._waiting)
        except BlockingIOError:
            written = 0
        except OSError:  # the watcher has gone
            self.close()
            return
        del self._waiting[:written]
        if self._waiting:
            self._wait(progress=written > 0)
        elif self._ending:
            self.close()
        else:
            self._stop_waiting()
        if full and not self.full:
            self._drained()

    def _wait(self, *, progress: bool) -> None:
        if not self._watched:
            self._watched = True
            self._loop.watch_writable(self._descriptor, self._flush)
        if progress or self._timer is None:
            if self._timer is not None:
                self._timer.cancel()
            self._timer = self._loop.later(_STALLED_SECONDS, self.close)

    def _stop_waiting(self) -> None:
        if self._watched:
            self._watched = False
            self._loop.unwatch(self._descriptor)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
