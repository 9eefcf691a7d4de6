"""Pipes and terminals of containers, read by the launcher's loop."""

import os
from collections.abc import Callable

from wherry.kubelet.launcher import logs, loop, taps

_READ_BYTES = 64 * 1024
_PARTIAL_SECONDS = 0.2
_DRAIN_READS = 32
_BACKLOG_BYTES = 64 * 1024


class Pipe:
    """The reading end of one output of a container."""

    def __init__(
        self, events: loop.Loop, take: Callable[[bytes], None], *, terminal: bool = False
    ) -> None:
        """Make a pipe, or a terminal, whose bytes go to ``take``."""
        self._loop = events
        self._take = take
        self.reader, self.writer = os.openpty() if terminal else os.pipe()
        os.set_blocking(self.reader, False)
        self._open = True
        self._watched = True
        events.watch(self.reader, self._readable)

    def started(self) -> None:
        """Close the launcher's copy of the writing end, once the child has its own."""
        os.close(self.writer)

    def pause(self, *, on: bool) -> None:
        """Stop reading for a while, or go on; the container waits when the pipe is full."""
        if not self._open or self._watched is not on:
            return
        self._watched = not on
        if on:
            self._loop.unwatch(self.reader)
        else:
            self._loop.watch(self.reader, self._readable)

    def _readable(self) -> None:
        """Read once: a container that writes without end gets its turn and no more."""
        self._read()

    def _read(self) -> bool:
        try:
            data = os.read(self.reader, _READ_BYTES)
        except BlockingIOError:
            return False
        except OSError:  # how a terminal tells that nobody has it open any more
            data = b""
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
            if self._watched:
                self._loop.unwatch(self.reader)
            os.close(self.reader)


class LoggedOutput:
    """The outputs of a container on their way into its log, and to whoever has attached."""

    def __init__(
        self,
        events: loop.Loop,
        log: logs.LogFile,
        *,
        terminal: bool = False,
        remember: bool = False,
    ) -> None:
        """Open both outputs.

        Args:
            events: The launcher's loop.
            log: Where all of it goes.
            terminal: Both are one terminal.
            remember: Keep the beginning for the first who attaches: a prompt, or all of a quick command's output.
        """
        self._loop = events
        self._log = log
        self._streams = [logs.Stream(name, log) for name in ("stdout", "stderr")]
        self._timers: list[loop.Timer | None] = [None, None]
        self._taps: list[tuple[int, taps.Tap]] = []
        self._backlog: list[bytearray] | None = [bytearray(), bytearray()] if remember else None
        self._terminal = terminal
        self._pipes = [
            Pipe(events, self._taker(number), terminal=terminal)
            for number in (range(1) if terminal else range(2))
        ]

    @property
    def writers(self) -> tuple[int, int]:
        """The writing ends: standard output and error."""
        return self._pipes[0].writer, self._pipes[-1].writer

    @property
    def terminal(self) -> int | None:
        """The launcher's end of the terminal, if there is one."""
        return self._pipes[0].reader if self._terminal else None

    def started(self) -> None:
        """Close the launcher's copies of the writing ends."""
        for pipe in self._pipes:
            pipe.started()

    def attach(self, descriptors: list[int]) -> list[taps.Tap]:
        """Let somebody watch.

        Args:
            descriptors: Writing ends of pipes for standard output and, if there are two, error; owned from now on.

        Returns:
            What ends the watching.
        """
        added = [
            taps.Tap(self._loop, descriptor, self._regulate)
            for descriptor in descriptors[: len(self._pipes)]
        ]
        for descriptor in descriptors[len(self._pipes) :]:
            os.close(descriptor)
        self._taps = [(number, tap) for number, tap in self._taps if tap.open]
        self._taps += enumerate(added)
        backlog, self._backlog = self._backlog, None
        for tap, text in zip(added, backlog or (), strict=False):
            tap.feed(bytes(text))
        return added

    def _regulate(self) -> None:
        for number, pipe in enumerate(self._pipes):
            pipe.pause(on=any(tap.full for which, tap in self._taps if which == number))

    def _taker(self, number: int) -> Callable[[bytes], None]:
        stream = self._streams[number]

        def flush() -> None:
            self._timers[number] = None
            stream.flush()

        def take(data: bytes) -> None:
            self._show(number, data)
            stream.feed(data)
            timer = self._timers[number]
            if timer is not None:
                timer.cancel()
            # Prompts and progress bars end without a newline; people watch them.
            later = self._loop.later(_PARTIAL_SECONDS, flush) if stream.pending else None
            self._timers[number] = later

        return take

    def _show(self, number: int, data: bytes) -> None:
        if self._backlog is not None:
            kept = self._backlog[number]
            kept += data
            del kept[:-_BACKLOG_BYTES]
        for which, tap in self._taps:
            if which == number:
                tap.feed(data)
                if tap.full:
                    self._regulate()

    def close(self) -> None:
        """Write what is left and close the log."""
        for pipe, stream in zip(self._pipes, self._streams, strict=False):
            pipe.drain()
            stream.flush()
        for _, tap in self._taps:
            tap.finish()
        for timer in self._timers:
            if timer is not None:
                timer.cancel()
        self._log.close()
