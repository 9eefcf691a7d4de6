"""Priority levels: a share of the server each, with the queues of those that wait for it."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from wherry.apiserver.fairness.queues import FairQueues
from wherry.objects.requests import Object

_FEW_QUEUES, _SHORT = 16, 50
"""Of a level that refuses rather than queues, for what waits only until others have had a turn."""


@dataclass(slots=True, eq=False)
class Level:
    """One priority level at work.

    Attributes:
        name: Of its object.
        uid: Of its object.
        exempt: Whether its requests never wait.
        rejects: Whether requests beyond its seats are refused rather than queued.
        shares: Its part of the server's seats.
        lendable: Percentage of its seats that others may use while they are free.
        borrowing: By which percentage of its seats it may exceed them; None for no bound.
        seats: What its shares come to.
        queues: Who waits.
        used: Seats taken.
        executing: Requests that run.
        had: What it has been given, by its shares; the level that has had least is served next.
    """

    name: str
    uid: str = ""
    exempt: bool = False
    rejects: bool = False
    shares: int = 1
    lendable: int = 0
    borrowing: int | None = None
    seats: int = 1
    queues: FairQueues = field(default_factory=lambda: FairQueues(_FEW_QUEUES, 1, _SHORT))
    used: int = 0
    executing: int = 0
    had: float = 0.0

    def configure(self, obj: Object) -> None:
        """Take over an object's settings; who waits stays, unless the queues change."""
        spec: Mapping[str, Any] = obj.get("spec") or {}
        self.uid = obj["metadata"].get("uid", "")
        self.exempt = spec.get("type") == "Exempt"
        part: Mapping[str, Any] = spec.get("exempt" if self.exempt else "limited") or {}
        shares = part.get("nominalConcurrencyShares")
        self.shares = 30 if shares is None else shares
        self.lendable = part.get("lendablePercent") or 0
        self.borrowing = part.get("borrowingLimitPercent")
        response = part.get("limitResponse") or {}
        self.rejects = response.get("type") == "Reject"
        queuing = response.get("queuing") or {}
        count = queuing.get("queues") or _FEW_QUEUES
        hand, length = queuing.get("handSize") or 1, queuing.get("queueLengthLimit") or _SHORT
        now = self.queues
        if (count, min(hand, count), length) != (now.count, now.hand, now.length) and not now.size:
            self.queues = FairQueues(count, hand, length)


def allot(levels: Sequence[Level], total: int) -> None:
    """Divide the server's seats by shares; each level that is not exempt gets one at least."""
    limited = [level for level in levels if not level.exempt]
    shares = sum(level.shares for level in limited) or 1
    for level in limited:
        level.seats = max(1, math.ceil(total * level.shares / shares))


def limit(level: Level, levels: Sequence[Level]) -> int:
    """Return how many seats a level may use now: its own, and what others lend and do not use."""
    lent = sum(
        max(0, min(each.seats - each.used, each.seats * each.lendable // 100))
        for each in levels
        if each is not level and not each.exempt
    )
    if level.borrowing is not None:
        lent = min(lent, level.seats * level.borrowing // 100)
    return level.seats + lent
