"""One list and one watch per resource, shared by every controller of a manager.

An informer lists, then watches from the list's revision; when the watch ends it goes on from the
last revision it saw, and when that is too old for the server it lists again and works out what it
missed. It never gives up: while the server is away it tries ever more slowly.

Source: client-go `tools/cache` reflector (the protocol). There is no resync: a level-triggered
controller that needs the time uses `requeue_after_seconds`.
"""

import logging
import random
from collections.abc import AsyncGenerator, Callable

from wherry.client.client import Client
from wherry.controller.cache import Cache, Key
from wherry.controller.clock import Clock
from wherry.controller.queue import Backoff
from wherry.objects import errors, kinds, metadata
from wherry.objects.requests import Object, WatchEvent
from wherry.objects.resources import Resource

logger = logging.getLogger("wherry.controller.informers")

Handler = Callable[[Object | None, Object | None], None]
"""Called with the object before (None when it is new) and after (None when it is gone)."""

PAGE = 2000
"""Objects a page of the first list: few round trips, and answers of some megabytes at most."""
LARGE_PAGE = 20
"""Likewise, of objects that are too large to be kept whole."""

_WATCH_SECONDS = (300, 600)
_AWAY = Backoff(base_seconds=0.05, cap_seconds=3, jitter=0.5)
# A watch that the server ends sooner than this gave nothing and would otherwise become a busy loop.
_SHORT_WATCH_SECONDS = 1.0


class Informer:
    """Fills one cache and tells handlers of each change.

    Handlers are called in the order of the changes, after the cache has them, and must not block.

    Attributes:
        cache: What it fills.
        without: Fields of `spec` that are left out, since they are large and nobody reads them there.
    """

    def __init__(self, client: Client, resource: Resource, clock: Clock) -> None:
        self.cache = Cache(resource)
        self.without: frozenset[str] = frozenset()
        self._client = client
        self._clock = clock
        self._defines = resource == kinds.CUSTOM_RESOURCE_DEFINITIONS
        self._handlers: list[Handler] = []
        self._failures = 0
        self._gone_at = float("-inf")

    def add_handler(self, handler: Handler) -> None:
        """Tell ``handler`` of every later change, and now of each object that is already there."""
        self._handlers.append(handler)
        for obj in self.cache.list():
            handler(None, obj)

    def remove_handler(self, handler: Handler) -> None:
        """Tell ``handler`` of nothing more."""
        self._handlers.remove(handler)

    async def run(self) -> None:
        """Keep the cache current until cancelled."""
        listed = False
        while True:
            try:
                if not listed:
                    await self._list()
                    listed = True
                await self._watch()
            except errors.GoneError:
                logger.info("%s: changes missed; listing again", self.cache.resource.key)
                listed = False
                await self._not_too_often()
            except errors.ServerTimeoutError as error:
                # Also said to a revision that the server never had: it was restored from a backup.
                listed = False
                await self._wait(error)
            except errors.ApiError as error:
                # NotFound and MethodNotAllowed too: the definition may come, or come back.
                await self._wait(error)
            except Exception as error:
                logger.exception("%s: the informer failed", self.cache.resource.key)
                listed = False
                await self._wait(error)

    async def _not_too_often(self) -> None:
        now = self._clock.monotonic()
        soon, self._gone_at = now - self._gone_at < _SHORT_WATCH_SECONDS, now
        if soon:
            await self._clock.sleep(_SHORT_WATCH_SECONDS)

    async def _wait(self, error: Exception) -> None:
        self._failures += 1
        delay = _AWAY.delay(self._failures)
        level = logging.WARNING if self._failures in {5, 50} else logging.DEBUG
        logger.log(level, "%s: %s; again in %.2f s", self.cache.resource.key, error, delay)
        await self._clock.sleep(delay)

    async def _list(self) -> None:
        present: set[Key] = set()
        version = ""
        limit = LARGE_PAGE if self.without else PAGE
        async for page in self._client.pages(self.cache.resource, limit=limit):
            self._failures, version = 0, page.resource_version
            for obj in page:
                key = _key(obj)
                present.add(key)
                old = self.cache.get(*key)
                if old is None or _version(old) != _version(obj):
                    self._change(key, obj)
        for key in self.cache.keys():  # noqa: SIM118 - a cache is not a mapping
            if key not in present:
                self._change(key, None)
        self.cache.seen(int(version or 0), relisted=True)
        self.cache.synced.set()

    async def _watch(self) -> None:
        started, heard = self._clock.monotonic(), False
        events = self._client.watch(
            self.cache.resource,
            resource_version=str(self.cache.revision),
            timeout_seconds=random.randint(*_WATCH_SECONDS),  # noqa: S311 - spreads load
        )
        try:
            async for event in events:
                self._failures, heard = 0, True
                self._apply(event)
        finally:
            # Ends the watch now rather than when the iterator is collected.
            if isinstance(events, AsyncGenerator):
                await events.aclose()
        if not heard and self._clock.monotonic() - started < _SHORT_WATCH_SECONDS:
            await self._clock.sleep(_SHORT_WATCH_SECONDS)

    def _apply(self, event: WatchEvent) -> None:
        if event.type == "ERROR":
            raise errors.from_status(event.object)
        if event.type != "BOOKMARK":
            self._change(_key(event.object), None if event.type == "DELETED" else event.object)
        self.cache.seen(metadata.resource_version(event.object))

    def _change(self, key: Key, obj: Object | None) -> None:
        if obj is not None:
            self._trim(obj)
        old = self.cache.put(key, obj)
        if old is None and obj is None:
            return
        for handler in self._handlers:
            try:
                handler(old, obj)
            except Exception:
                # One controller's mapping must not keep the others from their events.
                logger.exception("%s %s/%s: a handler failed", self.cache.resource.key, *key)

    def _trim(self, obj: Object) -> None:
        """Take away, in place, what is large and no controller's business."""
        # A third of a small object: an update that leaves the field out keeps what the server knows of it.
        obj["metadata"].pop("managedFields", None)
        for name in self.without:
            (obj.get("spec") or {}).pop(name, None)
        if self._defines:
            # As large as thousands of other objects. An update without them is refused.
            for version in obj["spec"]["versions"]:
                version.pop("schema", None)


def _key(obj: Object) -> Key:
    fields = obj["metadata"]
    return (fields.get("namespace") or "", fields["name"])


def _version(obj: Object) -> str:
    return str(obj["metadata"].get("resourceVersion", ""))
