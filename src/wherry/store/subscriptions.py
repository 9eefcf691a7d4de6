"""Watchers, and how committed changes reach them.

Changes are handed over in the batches in which they were committed, the same sequence for every
watcher of a place: nothing is parsed, copied or serialised per watcher.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import Self

from wherry.store.errors import OverrunError
from wherry.store.records import Change


class Subscription:
    """The changes of one resource, or of one namespace of it, from a revision on.

    An asynchronous iterator of batches; each change comes once, in the order of revisions. A batch
    is empty only where `nudge` ended the wait for it. The iterator ends when it is closed, here or
    with the store. One task at a time may read. A task that is cancelled while it reads loses
    nothing.
    """

    def __init__(
        self,
        since: int,
        *,
        max_changes: int,
        max_bytes: int,
        forget: Callable[["Subscription"], None],
    ) -> None:
        self._since = since
        self._max_changes = max_changes
        self._max_bytes = max_bytes
        self._forget = forget
        self._batches: deque[tuple[Sequence[Change], int]] = deque()
        self._waiting_changes = 0
        self._waiting_bytes = 0
        self._waiter: asyncio.Future[bool] | None = None
        self._error: OverrunError | None = None
        self._closed = False

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Sequence[Change]:
        while not self._batches:
            if self._error is not None:
                raise self._error
            if self._closed:
                raise StopAsyncIteration
            if await self._wait() and not self._batches:
                return ()
        changes, size = self._batches.popleft()
        self._waiting_changes -= len(changes)
        self._waiting_bytes -= size
        return changes

    @property
    def caught_up(self) -> bool:
        """Whether the reader has been given everything up to the store's current revision."""
        return not self._batches and self._error is None

    def push(self, changes: Sequence[Change], size: int) -> None:
        """Hand over a batch; for the store only.

        Args:
            changes: All newer than what was pushed before. Not changed afterwards.
            size: Length of their objects' text, in bytes.
        """
        if changes[0].revision <= self._since:
            changes = [change for change in changes if change.revision > self._since]
            if not changes:
                return
        count = self._waiting_changes + len(changes)
        size_after = self._waiting_bytes + size
        # One batch is always taken: however large, a reader that keeps up may have it.
        if self._batches and (count > self._max_changes or size_after > self._max_bytes):
            self._overrun(changes[-1].revision)
            return
        self._batches.append((changes, size))
        self._waiting_changes = count
        self._waiting_bytes = size_after
        self._wake()

    def nudge(self) -> None:
        """Give whoever waits an empty batch: a reader with a clock needs no timer for each wait."""
        self._wake(nudged=True)

    def close(self) -> None:
        """Stop; what is waiting is dropped. Idempotent."""
        if not self._closed:
            self._closed = True
            self._batches.clear()
            self._forget(self)
            self._wake()

    def _overrun(self, current: int) -> None:
        lost_from = self._batches[0][0][0].revision - 1
        self._error = OverrunError(lost_from, current)
        self.close()

    async def _wait(self) -> bool:
        """Wait until there is something to see; return whether it was no more than a nudge."""
        if self._waiter is not None:
            raise RuntimeError("a subscription can be read by one task at a time")
        self._waiter = asyncio.get_running_loop().create_future()
        try:
            return await self._waiter
        finally:
            self._waiter = None

    def _wake(self, *, nudged: bool = False) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(nudged)


class Hub:
    """The open subscriptions, by what they watch."""

    def __init__(self, *, max_changes: int, max_bytes: int) -> None:
        self._max_changes = max_changes
        self._max_bytes = max_bytes
        # Dictionaries for sets, so that watchers are served in the order in which they came.
        self._watched: dict[str, dict[str | None, dict[Subscription, None]]] = {}

    def subscribe(self, resource: str, namespace: str | None, since: int) -> Subscription:
        """Open a subscription to what is published from now on, above revision ``since``."""
        subscription = Subscription(
            since,
            max_changes=self._max_changes,
            max_bytes=self._max_bytes,
            forget=lambda closed: self._forget(resource, namespace, closed),
        )
        places = self._watched.setdefault(resource, {})
        places.setdefault(namespace, {})[subscription] = None
        return subscription

    def publish(self, changes: Sequence[Change]) -> None:
        """Give a committed batch to everyone who watches it."""
        groups: dict[tuple[str, str | None], list[Change]] = {}
        for change in changes:
            key = change.record.key
            places = self._watched.get(key.resource)
            if places is None:
                continue
            for namespace in (None, key.namespace):
                if namespace in places:
                    groups.setdefault((key.resource, namespace), []).append(change)
        for (resource, namespace), group in groups.items():
            size = sum(len(change.record.raw) for change in group)
            for subscription in list(self._watched[resource][namespace]):
                subscription.push(group, size)

    def close(self) -> None:
        """End all subscriptions."""
        for places in list(self._watched.values()):
            for subscriptions in list(places.values()):
                for subscription in list(subscriptions):
                    subscription.close()

    def _forget(self, resource: str, namespace: str | None, closed: Subscription) -> None:
        places = self._watched[resource]
        del places[namespace][closed]
        if not places[namespace]:
            del places[namespace]
        if not places:
            del self._watched[resource]
