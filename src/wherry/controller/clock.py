"""Time, injected: so that a test of an hour's wait takes a millisecond."""

import asyncio
import datetime
import time
from typing import Protocol


class Clock(Protocol):
    """Where the loop and its controllers get their time from."""

    def now(self) -> datetime.datetime:
        """Return the time of day, aware, in UTC."""
        ...

    def monotonic(self) -> float:
        """Return seconds that never go back, from an arbitrary start."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Return after ``seconds``; at least one turn of the event loop even for 0."""
        ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime.datetime:
        """Return the time of day, aware, in UTC."""
        return datetime.datetime.now(datetime.UTC)

    def monotonic(self) -> float:
        """Return seconds that never go back."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Return after ``seconds``."""
        await asyncio.sleep(max(seconds, 0))
