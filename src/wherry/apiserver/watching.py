"""watch: the state from a revision on, as events.

A selector makes a watch of its own out of the store's changes: an object that begins to match is
ADDED, one that no longer does is DELETED.
"""

import asyncio
import dataclasses
from collections.abc import AsyncGenerator, Iterable, Sequence

import orjson

from wherry.apiserver import converting, list_options, selection
from wherry.apiserver.answers import Event
from wherry.apiserver.call import Call
from wherry.apiserver.core import Core
from wherry.apiserver.resources import Served
from wherry.objects import errors
from wherry.objects.errors import Cause
from wherry.store import Change, CompactedError, Record, StoreClosedError, Subscription

BOOKMARK_SECONDS = 60.0
"""How often a quiet watch tells how far it has come."""
CHECK_SECONDS = 5.0
"""How often a quiet watch looks whether its reader is still there."""
DEFAULT_WATCH_SECONDS = 1800.0
"""How long a watch lasts that names no ``timeoutSeconds``; it is spread up to twice that."""

_INITIAL_EVENTS_END = "k8s.io/initial-events-end"


class Watch:
    """An open watch: an asynchronous iterator of batches of events.

    An empty batch comes every few seconds, so that whoever reads can look whether it is still wanted.
    """

    def __init__(
        self,
        served: Served,
        chosen: selection.Selection,
        subscription: Subscription,
        *,
        bookmarks: bool,
        initial: Sequence[Event],
    ) -> None:
        self.served = served
        self._chosen = chosen
        self._subscription = subscription
        self._bookmarks = bookmarks
        self._initial = initial
        self._told = 0.0
        self._timer: asyncio.TimerHandle | None = None

    async def batches(self, seconds: float) -> AsyncGenerator[Sequence[Event], None]:
        """Yield events until ``seconds`` are over, the server stops or the reader is too slow.

        A reader that was too slow, or a history that is gone, ends in an ``ERROR`` event.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + seconds
        self._told = loop.time()
        self._tick(deadline)
        try:
            if self._initial:
                yield self._initial
            while loop.time() < deadline:
                try:
                    changes = await anext(self._subscription)
                except StopAsyncIteration:
                    return
                except CompactedError as error:
                    yield [_error(errors.GoneError(f"too old resource version: {error}"))]
                    return
                if not changes:
                    yield self._quiet(loop.time())
                    continue
                try:
                    events = await self._events(changes)
                except errors.ApiError as error:
                    yield [_error(error)]
                    return
                if events:
                    yield events
            if self._bookmarks:
                yield self._quiet(float("inf"))
        finally:
            self.close()

    def close(self) -> None:
        """End the watch. Idempotent."""
        if self._timer is not None:
            self._timer.cancel()
        self._subscription.close()

    def _tick(self, deadline: float) -> None:
        """Let the reader look at the time, now and then and at the deadline."""
        self._subscription.nudge()
        loop = asyncio.get_running_loop()
        if (now := loop.time()) < deadline:
            at = min(deadline, now + CHECK_SECONDS)
            self._timer = loop.call_at(at, self._tick, deadline)

    def _quiet(self, now: float) -> Sequence[Event]:
        if not self._bookmarks or now - self._told < BOOKMARK_SECONDS:
            return ()
        if not self._subscription.caught_up:
            return ()
        self._told = now
        return (bookmark(self.served, self._chosen.core.store.revision),)

    async def _events(self, changes: Sequence[Change]) -> list[Event]:
        if self.served.asks:
            self._follow_definition()
            return await converting.complete(lambda: self._shown(changes))
        return self._shown(changes)

    def _follow_definition(self) -> None:
        """Ask whom the definition names now, not whom it named when the watch began."""
        resource, resources = self.served.resource, self._chosen.core.resources
        found = resources.by_path(resource.group, resource.version, resource.plural)
        if found is not None and found is not self.served:
            self.served = found
            self._chosen = dataclasses.replace(self._chosen, served=found)

    def _shown(self, changes: Sequence[Change]) -> list[Event]:
        told = list(self._chosen_events(changes))
        stored = [event.raw for event in told]
        raws = self.served.all_in_version(stored)
        if raws == stored:  # mostly: the version that is watched is the one that is stored
            return told
        return [dataclasses.replace(event, raw=raw) for event, raw in zip(told, raws, strict=True)]

    def _chosen_events(self, changes: Sequence[Change]) -> Iterable[Event]:
        """Yield the events of this watch, their objects as they are stored."""
        chosen = self._chosen
        if chosen.everything:
            for change in changes:
                yield Event(change.type, change.record.raw, change.revision)
            return
        chosen.foresee([each.previous for each in changes if each.previous is not None])
        chosen.foresee([each.record for each in changes if each.type != "DELETED"])
        for change in changes:
            before = change.previous is not None and chosen.matches(change.previous)
            after = change.type != "DELETED" and chosen.matches(change.record)
            if after:
                yield Event("MODIFIED" if before else "ADDED", change.record.raw, change.revision)
            elif before:
                yield Event("DELETED", _last(change), change.revision)


async def watch(core: Core, call: Call) -> Watch:
    """Open a watch.

    Raises:
        GoneError: The revision is no longer kept.
        InvalidError: The options contradict each other.
        ServerTimeoutError: The revision lies ahead and was not reached.
    """
    served = core.served(call)
    list_options.check(call, watch=True)
    chosen = selection.of(core, served, call, with_name=True)
    bookmarks = call.flag("allowWatchBookmarks")
    send_initial = call.flag("sendInitialEvents")
    if send_initial and not bookmarks:
        cause = Cause(
            "allowWatchBookmarks",
            "Forbidden: sendInitialEvents is forbidden when allowWatchBookmarks is not set",
            "FieldValueForbidden",
        )
        raise errors.invalid("ListOptions", "", [cause], "meta.k8s.io")
    since = list_options.revision(call) or 0
    if since > core.store.revision:
        await list_options.reach(core.store, since)
    explicit = "sendInitialEvents" in call.request.options
    if send_initial or (not since and not explicit):
        return await _from_state(core, served, chosen, call, end_bookmark=send_initial)
    return _open(core, served, chosen, call, since=since or core.store.revision, initial=())


def _last(change: Change) -> bytes:
    """Return the state in which an object leaves: the last that matched, at this revision."""
    if change.type == "DELETED" or change.previous is None:
        return change.record.raw
    last = change.previous.value()
    last["metadata"]["resourceVersion"] = str(change.revision)
    return orjson.dumps(last)


def _initial(served: Served, chosen: selection.Selection, records: Sequence[Record]) -> list[Event]:
    if not chosen.everything:
        chosen.foresee(records)
        records = [record for record in records if chosen.matches(record)]
    raws = served.all_in_version(record.raw for record in records)
    return [Event("ADDED", raw, record.revision) for record, raw in zip(records, raws, strict=True)]


async def _from_state(
    core: Core, served: Served, chosen: selection.Selection, call: Call, *, end_bookmark: bool
) -> Watch:
    namespace = call.request.namespace if served.resource.namespaced else ""
    snapshot = core.store.list(served.storage.key, namespace)
    initial = await converting.complete(lambda: _initial(served, chosen, snapshot.records))
    # In the order in which they came to be, as a watch from the beginning would have told it.
    initial.sort(key=lambda event: event.revision)
    if end_bookmark:
        initial.append(bookmark(served, snapshot.revision, end=True))
    return _open(core, served, chosen, call, since=snapshot.revision, initial=initial)


def _open(
    core: Core,
    served: Served,
    chosen: selection.Selection,
    call: Call,
    *,
    since: int,
    initial: Sequence[Event],
) -> Watch:
    namespace = call.request.namespace if served.resource.namespaced else ""
    try:
        subscription = core.store.watch(served.storage.key, namespace, since=since)
    except CompactedError as error:
        raise errors.GoneError(
            f"too old resource version: {since} ({core.store.oldest_revision})"
        ) from error
    except StoreClosedError as error:
        raise errors.ServiceUnavailableError("the server is stopping") from error
    return Watch(
        served,
        chosen,
        subscription,
        bookmarks=call.flag("allowWatchBookmarks"),
        initial=initial,
    )


def bookmark(served: Served, revision: int, *, end: bool = False) -> Event:
    """Return the event that tells how far a watch has come.

    Args:
        served: What is watched.
        revision: Everything up to it has been told.
        end: Whether it ends the initial state.
    """
    metadata: dict[str, object] = {"resourceVersion": str(revision)}
    if end:
        metadata["annotations"] = {_INITIAL_EVENTS_END: "true"}
    obj = {
        "kind": served.resource.kind,
        "apiVersion": served.resource.api_version,
        "metadata": metadata,
    }
    return Event("BOOKMARK", orjson.dumps(obj), revision)


def _error(error: errors.ApiError) -> Event:
    return Event("ERROR", orjson.dumps(error.to_status()), 0)
