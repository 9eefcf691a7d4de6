"""The queues of one priority level: many flows share few queues, and none can fill them for the others.

Each flow is dealt a hand of queues by its hash and waits in the shortest of them (shuffle sharding),
so that two flows rarely share all of theirs. The queue that has had least is served next.
"""

import asyncio
import hashlib
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass(slots=True, eq=False)
class Waiting:
    """A request that waits for its turn.

    Attributes:
        turn: Done when it may run.
        cost: What it will cost.
        seats: How many seats it takes while it runs.
    """

    turn: asyncio.Future[None]
    cost: int
    seats: int


@dataclass(slots=True, eq=False)
class _Queue:
    had: float = 0.0
    waiting: deque[Waiting] = field(default_factory=deque)


class FairQueues:
    """Queues that are served by what each has had so far.

    Args:
        count: How many queues.
        hand: How many of them a flow is dealt.
        length: How many requests wait in one at most.
    """

    def __init__(self, count: int, hand: int, length: int) -> None:
        self.count = max(1, count)
        self.hand = max(1, min(hand, self.count))
        self.length = max(1, length)
        self.size = 0
        """Requests that wait in all of them."""
        self._queues = [_Queue() for _ in range(self.count)]
        self._busy: dict[int, _Queue] = {}
        self._clock = 0.0

    def deal(self, flow: str) -> Sequence[int]:
        """Return the queues of a flow: the same for the same flow."""
        value = int.from_bytes(
            hashlib.blake2b(flow.encode("utf-8", "replace"), digest_size=16).digest()
        )
        left, dealt = list(range(self.count)), []
        for _ in range(self.hand):
            value, place = divmod(value, len(left))
            dealt.append(left.pop(place))
        return dealt

    def add(self, hand: Sequence[int], request: Waiting) -> bool:
        """Let a request wait in the shortest queue of a hand; return whether there was room."""
        number = min(hand, key=lambda each: len(self._queues[each].waiting))
        queue = self._queues[number]
        if len(queue.waiting) >= self.length:
            return False
        if not queue.waiting:
            # Having asked for nothing saves nothing up.
            queue.had = max(queue.had, self._clock)
            self._busy[number] = queue
        queue.waiting.append(request)
        self.size += 1
        return True

    def peek(self, most: float) -> Waiting | None:
        """Return whose turn it is among those that cost no more than ``most``."""
        number = self._next(most)
        return None if number is None else self._busy[number].waiting[0]

    def pop(self, most: float) -> Waiting:
        """Take out whose turn it is among those that cost no more than ``most``; there must be one."""
        number = self._next(most)
        assert number is not None
        queue = self._busy[number]
        request = queue.waiting.popleft()
        self.size -= 1
        self._clock = queue.had
        queue.had += request.cost
        if not queue.waiting:
            del self._busy[number]
        return request

    def remove(self, request: Waiting) -> None:
        """Take out a request that has given up."""
        for number, queue in self._busy.items():
            if request in queue.waiting:
                queue.waiting.remove(request)
                self.size -= 1
                if not queue.waiting:
                    del self._busy[number]
                return

    def _next(self, most: float) -> int | None:
        able = (each for each, queue in self._busy.items() if queue.waiting[0].cost <= most)
        # Of two that have had as much the shorter comes first: a noisy flow fills its whole hand.
        return min(able, key=self._rank, default=None)

    def _rank(self, number: int) -> tuple[float, int]:
        queue = self._busy[number]
        return queue.had, len(queue.waiting)
