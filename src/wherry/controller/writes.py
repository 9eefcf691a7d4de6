"""Read your writes: what a controller wrote must be in its caches before it decides again.

Without this a controller that has just created a child may not see it, and create a second one or
write a status that is wrong. A transport notes what each reconcile writes; before the next
reconcile of the same controller the manager waits until the caches have it.
"""

import asyncio
import contextvars
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field

from wherry.controller.cache import Cache
from wherry.objects import metadata, requests
from wherry.objects.requests import Object, WatchEvent

_WRITES = frozenset({"create", "update", "patch", "delete"})


@dataclass(slots=True)
class Ledger:
    """What a controller wrote and may not have seen yet.

    Attributes:
        caches: Where it reads, by `Resource.key`: only writes to these are noted. Shared with the
            manager, which adds to it.
        revisions: The newest revision written, by `Resource.key`.
        deletions: What was deleted at once: resource key, namespace, name → uid ("" if unknown).
    """

    caches: Mapping[str, Sequence[Cache]]
    revisions: dict[str, int] = field(default_factory=dict)
    deletions: dict[tuple[str, str, str], str] = field(default_factory=dict)

    def note(self, request: requests.Request, answer: Object) -> None:
        """Note a write and its answer."""
        key = request.resource.key
        if key not in self.caches:
            return
        place = (key, request.namespace or "", request.name or metadata.name(answer))
        version = (answer.get("metadata") or {}).get("resourceVersion")
        if version and str(version).isdecimal():
            self.revisions[key] = max(self.revisions.get(key, 0), int(version))
            self.deletions.pop(place, None)
        elif request.verb == "delete":
            self.deletions[place] = (answer.get("details") or {}).get("uid", "")

    async def settle(self, seconds: float) -> bool:
        """Wait until the caches have what was noted before this call, then forget that.

        Args:
            seconds: How long at most. Real ones: what is waited for is the network.

        Returns:
            Whether the caches have it all.
        """
        if self._is_seen():  # mostly: it takes longer to be looked at again than to be told
            self.revisions.clear()
            self.deletions.clear()
            return True
        revisions, deletions = dict(self.revisions), dict(self.deletions)
        seen = True
        try:
            async with asyncio.timeout(seconds):
                await self._wait(revisions, deletions)
        except TimeoutError:
            seen = False
        # What other workers noted meanwhile stays.
        for key, revision in revisions.items():
            if self.revisions.get(key) == revision:
                del self.revisions[key]
        for place, uid in deletions.items():
            if self.deletions.get(place) == uid:
                del self.deletions[place]
        return seen

    def _is_seen(self) -> bool:
        return all(
            cache.revision >= revision
            for key, revision in self.revisions.items()
            for cache in self.caches[key]
        ) and not any(
            _is_there(cache, namespace, name, uid)
            for (key, namespace, name), uid in self.deletions.items()
            for cache in self.caches[key]
        )

    async def _wait(
        self, revisions: Mapping[str, int], deletions: Mapping[tuple[str, str, str], str]
    ) -> None:
        for key, revision in revisions.items():
            for cache in self.caches[key]:
                await cache.wait_until(revision)
        for (key, namespace, name), uid in deletions.items():
            for cache in self.caches[key]:
                while _is_there(cache, namespace, name, uid):
                    await cache.wait_until(cache.revision + 1)


def _is_there(cache: Cache, namespace: str, name: str, uid: str) -> bool:
    obj = cache.get(namespace, name)
    if obj is None:
        return False
    fields = obj["metadata"]
    return not fields.get("deletionTimestamp") and (not uid or fields.get("uid") == uid)


current: contextvars.ContextVar[Ledger | None] = contextvars.ContextVar("ledger", default=None)
"""The ledger of the controller that runs in this context; None outside of reconciles."""


class RememberingTransport:
    """Passes requests on and notes writes in the current ledger."""

    def __init__(self, transport: requests.Transport) -> None:
        self._transport = transport

    async def send(self, request: requests.Request) -> Object:
        """Send; see `requests.Transport`."""
        answer = await self._transport.send(request)
        ledger = current.get()
        if ledger is not None and request.verb in _WRITES and "dryRun" not in request.options:
            ledger.note(request, answer)
        return answer

    def watch(self, request: requests.Request) -> AsyncIterator[WatchEvent]:
        """Watch; see `requests.Transport`."""
        return self._transport.watch(request)

    def chunks(self, request: requests.Request) -> AsyncIterator[bytes]:
        """Read; see `requests.Transport`."""
        return self._transport.chunks(request)

    async def close(self) -> None:
        """Close; see `requests.Transport`."""
        await self._transport.close()
