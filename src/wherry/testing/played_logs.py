"""What played pods print: lines that a test says in their place."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any, Final

from wherry.controller.clock import Clock, SystemClock
from wherry.objects import errors, metadata

SAYS: Final = "test/says"
"""Annotation of a pod: what it prints as soon as it has started."""


class _Log:
    def __init__(self) -> None:
        self.lines: list[tuple[str, str]] = []
        self.ended = False
        self.news = asyncio.Event()

    def tell(self) -> None:
        news, self.news = self.news, asyncio.Event()
        news.set()


class PlayedLogs:
    """The logs of played pods, one for each; conforms to what the API reads logs from."""

    def __init__(self, clock: Clock | None = None) -> None:
        """Begin without any.

        Args:
            clock: Dates the lines; the machine's by default.
        """
        self._clock = clock or SystemClock()
        self._logs: dict[tuple[str, str], _Log] = {}

    def begin(self, namespace: str, pod: str) -> None:
        """Let a pod have a log; one that has begun stays as it is."""
        self._logs.setdefault((namespace, pod), _Log())

    def say(self, pod: str, text: str, namespace: str = "default") -> None:
        """Have a pod print something, a line or more."""
        self.begin(namespace, pod)
        log = self._logs[namespace, pod]
        now = metadata.format_micro_time(self._clock.now())
        log.lines += [(now, line) for line in text.splitlines()]
        log.tell()

    def end(self, namespace: str, pod: str) -> None:
        """Let nothing more come from a pod."""
        self.begin(namespace, pod)
        log = self._logs[namespace, pod]
        log.ended = True
        log.tell()

    async def logs(
        self, namespace: str, pod: str, container: str, options: Any
    ) -> AsyncIterator[bytes]:
        """Yield what a pod has printed, and prints; see `PodStreams.logs` of the API server.

        Raises:
            BadRequestError: it has not begun.
        """
        log = self._logs.get((namespace, pod))
        if log is None:
            raise errors.BadRequestError(f"container {container} of pod {pod} has not started")
        at = 0
        while True:
            news = log.news
            for time, line in log.lines[at:]:
                at += 1
                yield (f"{time} {line}\n" if options.timestamps else f"{line}\n").encode()
            if log.ended or not options.follow:
                return
            await news.wait()
