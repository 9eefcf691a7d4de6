"""Events that have told their story: without an end to them, what is kept would grow for ever.

Source: ``--event-ttl`` of kube-apiserver, an hour after an event was last written.
"""

import datetime
from collections.abc import Iterable

from wherry.builtin.settings import BuiltinSettings
from wherry.controller.controller import Controller
from wherry.controller.manager import Manager
from wherry.controller.requests import Request, Result
from wherry.objects import errors, kinds, metadata
from wherry.objects.requests import Object

_LOOKS_PER_LIFETIME = 12
_MOST_SECONDS = 300.0


class EventGarbageReconciler:
    """Deletes old events.

    Events are listed now and then instead of being watched: nobody needs them in a cache.
    """

    def __init__(self, manager: Manager, settings: BuiltinSettings) -> None:
        self._client = manager.client
        self._clock = manager.clock
        self._lifetime_seconds = settings.event_seconds
        self._pause_seconds = min(_MOST_SECONDS, settings.event_seconds / _LOOKS_PER_LIFETIME)
        self._next = 0.0

    async def reconcile(self, request: Request) -> Result | None:
        """Look at all events, unless that was done a short while ago."""
        early = self._next - self._clock.monotonic()
        if early <= 0:
            self._next = self._clock.monotonic() + self._pause_seconds
            early = self._pause_seconds
            lifetime = datetime.timedelta(seconds=self._lifetime_seconds)
            await self._clear(self._clock.now() - lifetime)
        return Result(requeue_after_seconds=early)

    async def _clear(self, before: datetime.datetime) -> None:
        for event in await self._client.list(kinds.EVENTS):
            if last_told(event) < before:
                await self._delete(event)

    async def _delete(self, event: Object) -> None:
        namespace, name = metadata.namespaced_name(event)
        version = event["metadata"]["resourceVersion"]
        try:
            await self._client.delete(kinds.EVENTS, name, namespace, resource_version=version)
        except (errors.NotFoundError, errors.ConflictError):
            return  # gone, or told once more


def last_told(event: Object) -> datetime.datetime:
    """Return when an event happened last, by whichever of its many times is the latest.

    Args:
        event: A stored event, of either API group.
    """
    return max(metadata.parse_time(each) for each in _times(event))


def _times(event: Object) -> Iterable[str]:
    yield event["metadata"]["creationTimestamp"]
    told = (
        event.get("lastTimestamp"),
        event.get("eventTime"),
        (event.get("series") or {}).get("lastObservedTime"),
    )
    yield from filter(None, told)


def controller(manager: Manager, settings: BuiltinSettings) -> Controller:
    """Return the controller that clears events away."""
    # There is always a node, whose changes are as good an occasion to look as any.
    return Controller("eventgc", kinds.NODES, EventGarbageReconciler(manager, settings), workers=1)
