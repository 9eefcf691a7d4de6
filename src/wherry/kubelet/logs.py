"""Pod logs for the API: which container, which attempt, which lines.

Source: the kubelet's `GetKubeletContainerLogs` and kube-apiserver's `LogLocation` (messages).
"""

import asyncio
import datetime
import functools
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import NamedTuple, Protocol

from wherry.controller.cache import Cache
from wherry.kubelet import follower, layout, log_files, specs
from wherry.kubelet.settings import KubeletSettings
from wherry.objects import errors, metadata
from wherry.objects.requests import Object

_CHUNK_BYTES = 64 * 1024
_PAUSE_RECORDS = 2000

Running = Callable[[str, str, int], bool]
"""Whether (pod uid, container, attempt) may still write."""

Pause = Callable[[str, str, int, float], Awaitable[None]]
"""Returns after so many seconds, or as soon as (pod uid, container, attempt) has ended."""


async def _pause(_uid: str, _container: str, _attempt: int, seconds: float) -> None:
    await asyncio.sleep(seconds)


class LogOptions(Protocol):
    """Which part of a log is wanted: the fields of `PodLogOptions`."""

    @property
    def follow(self) -> bool:
        """Go on with what is still to be written."""
        ...

    @property
    def previous(self) -> bool:
        """Of the attempt before."""
        ...

    @property
    def timestamps(self) -> bool:
        """Put the time before each line."""
        ...

    @property
    def tail_lines(self) -> int | None:
        """Only the last so many lines."""
        ...

    @property
    def since_seconds(self) -> int | None:
        """Only what is not older."""
        ...

    @property
    def since_time(self) -> str:
        """Only what is not older, RFC 3339; empty for all."""
        ...

    @property
    def limit_bytes(self) -> int | None:
        """Stop after so many bytes."""
        ...

    @property
    def stream(self) -> str:
        """``All``, ``Stdout`` or ``Stderr``."""
        ...


def since(options: LogOptions, now: datetime.datetime) -> datetime.datetime | None:
    """Return from when on lines are wanted; None for all.

    Raises:
        BadRequestError: `sinceTime` is no time.
    """
    if options.since_seconds is not None:
        return now - datetime.timedelta(seconds=min(options.since_seconds, 10**9))
    if not options.since_time:
        return None
    try:
        return metadata.parse_time(options.since_time)
    except ValueError as error:
        text = f"sinceTime: {options.since_time!r} is not an RFC 3339 time"
        raise errors.BadRequestError(text) from error


class PodLogs:
    """Answers for the logs of this node's pods."""

    def __init__(
        self, settings: KubeletSettings, pods: Cache, running: Running, pause: Pause = _pause
    ) -> None:
        self._pause = pause
        self._settings = settings
        self._pods = pods
        self._running = running

    async def logs(
        self, namespace: str, pod: str, container: str, options: LogOptions
    ) -> AsyncIterator[bytes]:
        """Yield the log as pieces of bytes; what can be refused is refused before the first.

        Args:
            namespace: Of the pod.
            pod: Its name.
            container: Which of its containers.
            options: Which part.

        Raises:
            NotFoundError: no such pod.
            BadRequestError: the container is not one of the pod's, has not started, or has not
                run before.
        """
        found = self._pod(namespace, pod)
        if container not in {each["name"] for each in specs.every_container(found)}:
            raise errors.BadRequestError(f"container {container} is not valid for pod {pod}")
        where = layout.PodLayout(self._settings, found)
        attempt = _attempt(found, container, where, previous=options.previous)
        log, uid = where.log(container, attempt), metadata.uid(found)
        printer = _Printer(options, since(options, datetime.datetime.now(datetime.UTC)))

        def running() -> bool:
            return self._running(uid, container, attempt)

        left = options.limit_bytes
        writer = _Writer(running, functools.partial(self._pause, uid, container, attempt))
        async for piece in _batches(log, options, printer, writer):
            if left is not None and len(piece) >= left:
                yield piece[:left]
                return
            if left is not None:
                left -= len(piece)
            yield piece

    def _pod(self, namespace: str, name: str) -> Object:
        pod = self._pods.get(namespace, name)
        if pod is None:
            raise errors.not_found("pods", name)
        return pod


def _attempt(pod: Object, container: str, where: layout.PodLayout, *, previous: bool) -> int:
    entry = _entry(pod, container)
    state, last = entry.get("state") or {}, entry.get("lastState") or {}
    attempts = log_files.attempts(where.log(container, 0).parent)
    pod_name = metadata.name(pod)
    if previous:
        ended = attempts if state.get("waiting") and last.get("terminated") else attempts[:-1]
        if not ended:
            text = f'previous terminated container "{container}" in pod "{pod_name}" not found'
            raise errors.BadRequestError(text)
        return ended[-1]
    if attempts:
        return attempts[-1]
    reason = (state.get("waiting") or {}).get("reason") or "ContainerCreating"
    text = f'container "{container}" in pod "{pod_name}" is waiting to start: {reason}'
    raise errors.BadRequestError(text)


def _entry(pod: Object, container: str) -> Object:
    found = pod.get("status") or {}
    for field in ("containerStatuses", "initContainerStatuses", "ephemeralContainerStatuses"):
        for entry in found.get(field) or []:
            if entry.get("name") == container:
                return dict(entry)
    return {}


class _Writer(NamedTuple):
    """Who writes a log: whether that may still be, and what waits for its end."""

    running: Callable[[], bool]
    pause: follower.Pause


async def _batches(
    log: Path, wanted: LogOptions, printer: "_Printer", writer: _Writer
) -> AsyncIterator[bytes]:
    snapshot = log_files.Snapshot(log)
    try:
        batch = bytearray()
        for number, record in enumerate(_past(snapshot, wanted)):
            batch += printer.text(record)
            if len(batch) >= _CHUNK_BYTES:
                yield bytes(batch)
                batch.clear()
            elif number % _PAUSE_RECORDS == _PAUSE_RECORDS - 1:
                await asyncio.sleep(0)
        if batch:
            yield bytes(batch)
        if wanted.follow:
            async for record in follower.follow(
                log, snapshot, running=writer.running, pause=writer.pause
            ):
                text = printer.text(record)
                if text:
                    yield text
    finally:
        snapshot.close()


def _past(snapshot: log_files.Snapshot, wanted: LogOptions) -> Iterator[log_files.Record]:
    if wanted.tail_lines is None:
        return snapshot.records()
    return iter(snapshot.tail(wanted.tail_lines))


class _Printer:
    """Turns records into what the client sees."""

    def __init__(self, wanted: LogOptions, begin: datetime.datetime | None) -> None:
        self._timestamps = wanted.timestamps
        self._stream = b"" if wanted.stream == "All" else wanted.stream.lower().encode()
        self._since = b""
        if begin is not None:
            utc = begin.astimezone(datetime.UTC)
            self._since = utc.strftime("%Y-%m-%dT%H:%M:%S.%f000Z").encode()
        self._inside = False

    def text(self, record: log_files.Record) -> bytes:
        """Return the record as text; empty if it is not wanted."""
        if record.time < self._since or (self._stream and record.stream != self._stream):
            return b""
        begins, self._inside = not self._inside, not record.text.endswith(b"\n")
        return record.time + b" " + record.text if self._timestamps and begins else record.text
