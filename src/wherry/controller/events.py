"""Events: what a person would want to know about an object, in `kubectl describe`.

Recording never blocks and never fails a reconcile: an event is put into a bounded queue, one task
writes them a moment later, those of one moment together, and what cannot be written is logged and
forgotten. Repeats raise the count of one event; an object that talks too much is cut off by a token
bucket.

Source: client-go `tools/record` (aggregation, spam filter: 25 at once, then one in five minutes).
"""

import asyncio
import collections
import hashlib
import logging
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple, TypeVar

from wherry.client.client import Client
from wherry.controller.clock import Clock
from wherry.objects import errors, kinds, metadata, names
from wherry.objects.requests import Object

logger = logging.getLogger("wherry.controller.events")

_K = TypeVar("_K")
_T = TypeVar("_T")
# Names of RBAC objects have colons, for one.
_NOT_IN_NAMES = re.compile(r"[^a-z0-9]+")

EventType = Literal["Normal", "Warning"]

_LATER_SECONDS = 0.1
"""What an event tells of goes on meanwhile, and others come that are brought to disk with it."""

_TOGETHER = 16
"""Events that are written beside one another, which the store brings to disk at once."""

MESSAGE_LIMIT_BYTES = 1024
"""Upstream's limit for `message`."""


@dataclass(frozen=True, slots=True)
class EventLimits:
    """How much is recorded.

    Attributes:
        burst: Events of one object and component that may come at once.
        refill_seconds: After how long one more is allowed.
        repeat_window_seconds: Within this time the same event again is a count, not a new object.
        waiting: Events that may wait to be written; more are dropped.
        remembered: Events and objects whose counts and buckets are kept.
    """

    burst: int = 25
    refill_seconds: float = 300
    repeat_window_seconds: float = 600
    waiting: int = 1000
    remembered: int = 4096


class _Said(NamedTuple):
    component: str
    involved: tuple[tuple[str, str], ...]
    type: EventType
    reason: str
    message: str
    notes: tuple[tuple[str, str], ...] = ()


@dataclass(slots=True)
class _Written:
    name: str
    count: int
    at: float


@dataclass(slots=True)
class _Bucket:
    tokens: float
    at: float


class EventWriter:
    """Writes the events of all recorders of a manager.

    Owned by the manager, which runs it.
    """

    def __init__(self, client: Client, clock: Clock, limits: EventLimits | None = None) -> None:
        self._client = client
        self._clock = clock
        self._limits = limits or EventLimits()
        self._queue: asyncio.Queue[tuple[int, _Said]] = asyncio.Queue(self._limits.waiting)
        self._written: collections.OrderedDict[bytes, _Written] = collections.OrderedDict()
        self._buckets: collections.OrderedDict[str, _Bucket] = collections.OrderedDict()
        self._dropped = 0
        self._latest_nanoseconds = 0

    def say(self, said: _Said) -> None:
        """Queue an event unless its object has said too much or too many wait."""
        if not self._allowed(said):
            return
        try:
            self._queue.put_nowait((self._nanoseconds(), said))
        except asyncio.QueueFull:
            if self._dropped == 0:
                logger.warning(
                    "%d events wait to be written; more are dropped", self._queue.qsize()
                )
            self._dropped += 1

    async def run(self) -> None:
        """Write events until cancelled."""
        while True:
            waiting = [await self._queue.get()]
            await asyncio.sleep(_LATER_SECONDS)
            while waiting:
                while len(waiting) < _TOGETHER and not self._queue.empty():
                    waiting.append(self._queue.get_nowait())
                same: dict[bytes, list[tuple[int, _Said]]] = {}
                for nanoseconds, said in waiting:
                    same.setdefault(_key(said), []).append((nanoseconds, said))
                await asyncio.gather(*(self._write_all(each) for each in same.values()))
                waiting = [] if self._queue.empty() else [self._queue.get_nowait()]
            self._dropped = 0  # the burst is over: the next one is worth a warning again

    async def _write_all(self, repeated: list[tuple[int, _Said]]) -> None:
        for nanoseconds, said in repeated:
            try:
                await self._write(said, nanoseconds)
            except errors.ApiError as error:
                # The namespace is going, the API is away: nobody will miss this event enough.
                logger.debug("event %s was not written: %s", said.reason, error)
            except Exception:
                logger.exception("event %s was not written", said.reason)
            finally:
                self._queue.task_done()

    async def flush(self) -> None:
        """Return once everything said so far is written or given up. Needs `run` to run."""
        await self._queue.join()

    def _allowed(self, said: _Said) -> bool:
        involved = dict(said.involved)
        key = (
            f"{said.component}/{involved.get('uid')}/{involved.get('kind')}/{involved.get('name')}"
        )
        now = self._clock.monotonic()
        bucket = _recall(
            self._buckets, key, self._limits.remembered, lambda old: self._is_full(old, now)
        )
        if bucket is None:
            bucket = self._buckets[key] = _Bucket(self._limits.burst, now)
        refill = (now - bucket.at) / self._limits.refill_seconds
        bucket.tokens, bucket.at = min(self._limits.burst, bucket.tokens + refill), now
        if bucket.tokens < 1:
            return False
        bucket.tokens -= 1
        return True

    def _is_full(self, bucket: _Bucket, now: float) -> bool:
        """Return whether a bucket says no more than none."""
        refilled = bucket.tokens + (now - bucket.at) / self._limits.refill_seconds
        return refilled >= self._limits.burst

    def _nanoseconds(self) -> int:
        """Return the time since the epoch, later than any that was returned before."""
        now = int(self._clock.now().timestamp() * 1e6) * 1000
        self._latest_nanoseconds = max(now, self._latest_nanoseconds + 1)
        return self._latest_nanoseconds

    async def _write(self, said: _Said, nanoseconds: int) -> None:
        when = metadata.format_time(self._clock.now())
        key = _key(said)
        now, window = self._clock.monotonic(), self._limits.repeat_window_seconds
        written = _recall(
            self._written, key, self._limits.remembered, lambda old: now - old.at > window
        )
        if written is not None:
            event = _event(said, written.name, when)
            count = await self._repeat(event, written.count)
        else:
            # Named by its time, as upstream does: `kubectl describe` shows events of one second in
            # the order of their names.
            event = await self._create(said, nanoseconds, when)
            count = 1
        self._written[key] = _Written(event["metadata"]["name"], count, now)

    async def _create(self, said: _Said, nanoseconds: int, when: str) -> Object:
        while True:
            event = _event(said, f"{_name_part(said)}.{nanoseconds:x}", when)
            try:
                await self._client.create(kinds.EVENTS, event)
            except errors.AlreadyExistsError:
                nanoseconds += 1  # another process spoke of the object in this very moment
                continue
            return event

    async def _repeat(self, event: Object, count: int) -> int:
        fields = event["metadata"]
        patch = {"count": count + 1, "lastTimestamp": event["lastTimestamp"]}
        try:
            await self._client.patch(kinds.EVENTS, fields["name"], patch, fields["namespace"])
        except errors.NotFoundError:
            await self._client.create(kinds.EVENTS, event)
            return 1
        return count + 1


class Recorder:
    """Records events in the name of one component."""

    def __init__(self, writer: EventWriter, component: str) -> None:
        self._writer = writer
        self._component = component

    async def event(
        self,
        obj: Object,
        type: EventType,  # noqa: A002 - the field's name in the API
        reason: str,
        message: str,
        *,
        field_path: str = "",
        annotations: Mapping[str, str] | None = None,
    ) -> None:
        """Say something about an object; returns at once and never raises.

        Args:
            obj: A stored object.
            type: ``Normal``, or ``Warning`` for what needs someone's attention.
            reason: One CamelCase word for machines.
            message: A sentence for people; cut at 1024 bytes. No secrets.
            field_path: The part of the object it is about, e.g. ``spec.containers{main}``.
            annotations: Of the event.
        """
        involved, notes = _involved(obj, field_path), tuple((annotations or {}).items())
        self._writer.say(_Said(self._component, involved, type, reason, _cut(message), notes))


def _involved(obj: Object, field_path: str) -> tuple[tuple[str, str], ...]:
    fields = obj.get("metadata") or {}
    reference = {
        "apiVersion": obj.get("apiVersion"),
        "kind": obj.get("kind"),
        "name": fields.get("name"),
        "namespace": fields.get("namespace"),
        "uid": fields.get("uid"),
        "resourceVersion": fields.get("resourceVersion"),
        "fieldPath": field_path,
    }
    return tuple((name, str(value)) for name, value in reference.items() if value)


def _key(said: _Said) -> bytes:
    """Return what makes two events the same: who said what of which object, whatever its version.

    A digest, for thousands are remembered, and messages may be long.
    """
    same = [value for name, value in said.involved if name != "resourceVersion"]
    told = "\0".join([said.component, said.type, said.reason, said.message, *same])
    return hashlib.blake2b(told.encode(errors="surrogatepass"), digest_size=16).digest()


def _event(said: _Said, name: str, when: str) -> Object:
    involved = dict(said.involved)
    head: Object = {"name": name, "namespace": involved.get("namespace", "default")}
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {**head, "annotations": dict(said.notes)} if said.notes else head,
        "involvedObject": involved,
        "type": said.type,
        "reason": said.reason,
        "message": said.message,
        "count": 1,
        "firstTimestamp": when,
        "lastTimestamp": when,
        "source": {"component": said.component},
        "reportingComponent": said.component,
        "reportingInstance": said.component,
    }


def _name_part(said: _Said) -> str:
    """Return what of an object's name may stand in an event's, which is a DNS subdomain."""
    part = dict(said.involved).get("name", "")[:230].rstrip("-.")
    if names.dns_subdomain(part):
        part = _NOT_IN_NAMES.sub("-", part.lower()).strip("-")
    return part or "unnamed"


def _cut(message: str) -> str:
    encoded = message.encode()
    if len(encoded) <= MESSAGE_LIMIT_BYTES:
        return message
    return encoded[: MESSAGE_LIMIT_BYTES - 3].decode(errors="ignore") + "..."


def _recall(
    remembered: collections.OrderedDict[_K, _T],
    key: _K,
    limit: int,
    is_stale: Callable[[_T], bool],
) -> _T | None:
    """Return what is remembered, making it the newest, and forget the oldest: stale ones, and beyond the limit."""
    while remembered:
        oldest = next(iter(remembered))
        if len(remembered) <= limit and not is_stale(remembered[oldest]):
            break
        del remembered[oldest]
    found = remembered.get(key)
    if found is not None:
        remembered.move_to_end(key)
    return found
