"""How collectors reach a trial's pods: logs through the API, ports by the pod's address."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from dataclasses import dataclass
from typing import Final

from wherry.client.client import Client
from wherry.client.functions import in_pod
from wherry.objects import errors, metadata
from wherry.objects.requests import Object
from wherry.tuning.matching import Matcher

LAST_LINES: Final = 10
LAST_LINE_CHARACTERS: Final = 300
_LONGEST_LINE: Final = 1024 * 1024
_TOGETHER: Final = 256


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a log.

    Attributes:
        time: When it was written, as the node tells: RFC 3339 with nanoseconds.
        text: Without its end; of a very long line a part.
    """

    time: str
    text: str


class Access:
    """The way to the pods of one trial.

    Attributes:
        matcher: Finds metrics in lines by users' expressions.
        last_lines: The last lines that were read, cut.
        is_over: Tells whether a pod's primary container has ended for good.
    """

    def __init__(self, client: Client, matcher: Matcher) -> None:
        self._client = client
        self.matcher = matcher
        self.is_over: Callable[[Object], bool] = lambda _: False
        self.last_lines: deque[str] = deque(maxlen=LAST_LINES)

    async def lines(self, pod: Object, container: str) -> AsyncIterator[list[Line]]:
        """Yield the lines of a container's present run from the first one, until it has ended.

        Those that come together are yielded together.

        Args:
            pod: The pod.
            container: Which; empty: the only one.

        Raises:
            ApiError: the log cannot be read: the container has not begun, the pod is gone …
        """
        chunks = self._client.log(
            metadata.name(pod),
            metadata.namespace(pod),
            container=container,
            follow=True,
            timestamps=True,
        )
        assert isinstance(chunks, AsyncGenerator)
        left = b""
        async with aclosing(chunks):
            async for chunk in chunks:
                *whole, left = (left + chunk).split(b"\n") if left else chunk.split(b"\n")
                if len(left) > _LONGEST_LINE:
                    whole, left = [*whole, left], b""
                for begin in range(0, len(whole), _TOGETHER):
                    yield [self._line(raw) for raw in whole[begin : begin + _TOGETHER]]
                # The log of an eager trial must not keep out everything else.
                await asyncio.sleep(0)
        if left:
            yield [self._line(left)]

    async def tail(self, pod: Object, container: str) -> None:
        """Fill `last_lines` with the end of a log that nobody has followed, if there is one."""
        name, namespace = metadata.name(pod), metadata.namespace(pod)
        read = bytearray()
        try:
            async for chunk in self._client.log(
                name, namespace, container=container, tail=LAST_LINES
            ):
                read += chunk
        except errors.ApiError:
            return
        for raw in bytes(read).splitlines():
            self._remember(raw.decode(errors="replace"))

    def _line(self, raw: bytes) -> Line:
        time, _, rest = raw.decode(errors="replace").rstrip("\r").partition(" ")
        self._remember(rest)
        return Line(time, rest)

    def _remember(self, text: str) -> None:
        # Marked lines are for programs.
        if text.strip() and in_pod.MARK not in text:
            self.last_lines.append(text[:LAST_LINE_CHARACTERS])
