"""Pipes from containers, read by the launcher's loop."""

import os
from collections.abc import Callable

from wherry.kubelet.launcher import logs, loop

_READ_BYTES = 64 * 1024
_PARTIAL_SECONDS = 0.2
_DRAIN_READS = 32


class Pipe:
    """The reading end of one output of a container."""

    def __init__(self, events: loop.Loop, take: Callable[[bytes], None]) -> None:
        """Make a pipe whose bytes go to ``take``."""
        self._loop = events
        self._take = take
        self._reader, self.writer = os.pipe()
        os.set_blocking(self._reader, False)
        self._open = True
        events.watch(self._reader, self._readable)

    def started(self) -> None:
        """Close the launcher's copy of the writing end, once the child has its own."""
        os.close(self.writer)

    def _readable(self) -> None:
        """Read once: a container that writes without end gets its turn and no more."""
        self._read()

    def _read(self) -> bool:
        try:
            data = os.read(self._reader, _READ_BYTES)
        except BlockingIOError:
            return False
        if not data:
            self.close()
            return False
        self._take(data)
        return True

    def drain(self) -> None:
        """Read what is there (bounded) and close."""
        for _ in range(_DRAIN_READS):
            if not self._open or not self._read():
                break
        self.close()

    def close(self) -> None:
        """Stop reading; whoever still writes gets SIGPIPE."""
        if self._open:
            self._open = False
            self._loop.unwatch(self._reader)
            os.close(self._reader)


class LoggedOutput:
    """Both outputs of a container on their way into its log."""

    def __init__(self, events: loop.Loop, log: logs.LogFile) -> None:
        self._loop = events
        self._log = log
        self._streams = [logs.Stream(name, log) for name in ("stdout", "stderr")]
        self._timers: list[loop.Timer | None] = [None, None]
        self._pipes = [Pipe(events, self._taker(number)) for number in (0, 1)]

    @property
    def writers(self) -> tuple[int, int]:
        """The writing ends: standard output and error."""
        return self._pipes[0].writer, self._pipes[1].writer

    def started(self) -> None:
        """Close the launcher's copies of the writing ends."""
        for pipe in self._pipes:
            pipe.started()

    def _taker(self, number: int) -> Callable[[bytes], None]:
        stream = self._streams[number]

        def flush() -> None:
            self._timers[number] = None
            stream.flush()

        def take(data: bytes) -> None:
            stream.feed(data)
            timer = self._timers[number]
            if timer is not None:
                timer.cancel()
            # Prompts and progress bars end without a newline; people watch them.
            later = self._loop.later(_PARTIAL_SECONDS, flush) if stream.pending else None
            self._timers[number] = later

        return take

    def close(self) -> None:
        """Write what is left and close the log."""
        for pipe, stream in zip(self._pipes, self._streams, strict=True):
            pipe.drain()
            stream.flush()
        for timer in self._timers:
            if timer is not None:
                timer.cancel()
        self._log.close()
