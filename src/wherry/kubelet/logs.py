"""Pod logs for the API: which container, which attempt, which lines.

Source: the kubelet's `GetKubeletContainerLogs` and kube-apiserver's `LogLocation` (messages).
"""

import asyncio
import datetime
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from wherry.controller.cache import Cache
from wherry.kubelet import follower, layout, log_files, specs
from wherry.kubelet.settings import KubeletSettings
from wherry.objects import errors, metadata
from wherry.objects.requests import Object

_CHUNK_BYTES = 64 * 1024
_PAUSE_RECORDS = 2000

Running = Callable[[str, str, int], bool]
"""Whether (pod uid, container, attempt) may still write."""


@dataclass(frozen=True, slots=True)
class LogOptions:
    """What is wanted, by the names of the query parameters."""

    container: str = ""
    follow: bool = False
    previous: bool = False
    timestamps: bool = False
    tail_lines: int | None = None
    limit_bytes: int | None = None
    since: datetime.datetime | None = None
    stream: str = "All"

    @classmethod
    def read(cls, options: Mapping[str, str], now: datetime.datetime) -> "LogOptions":
        """Read query parameters.

        Args:
            options: `container`, `follow`, `previous`, `timestamps`, `tailLines`, `limitBytes`,
                `sinceSeconds`, `sinceTime`, `stream`.
            now: For `sinceSeconds`.

        Raises:
            BadRequestError: a value is not what the parameter takes.
        """
        since = None
        seconds = _number(options, "sinceSeconds", least=1)
        if seconds is not None:
            since = now - datetime.timedelta(seconds=min(seconds, 10**9))
        if options.get("sinceTime"):
            if since is not None:
                raise errors.BadRequestError(
                    "at most one of sinceTime or sinceSeconds may be given"
                )
            try:
                since = metadata.parse_time(options["sinceTime"])
            except ValueError as error:
                text = f"sinceTime: {options['sinceTime']!r} is not an RFC 3339 time"
                raise errors.BadRequestError(text) from error
        stream = options.get("stream") or "All"
        if stream not in {"All", "Stdout", "Stderr"}:
            raise errors.BadRequestError(f"stream: {stream!r} must be All, Stdout or Stderr")
        return cls(
            container=options.get("container", ""),
            follow=_flag(options, "follow"),
            previous=_flag(options, "previous"),
            timestamps=_flag(options, "timestamps"),
            tail_lines=_number(options, "tailLines", least=0),
            limit_bytes=_number(options, "limitBytes", least=1),
            since=since,
            stream=stream,
        )


def _flag(options: Mapping[str, str], name: str) -> bool:
    return options.get(name, "").lower() in {"true", "1"}


def _number(options: Mapping[str, str], name: str, *, least: int) -> int | None:
    text = options.get(name)
    if not text:
        return None
    if not text.isdecimal() or len(text) > 18 or int(text) < least:
        raise errors.BadRequestError(f"{name}: {text!r} must be a whole number of at least {least}")
    return int(text)


class PodLogs:
    """Answers for the logs of this node's pods."""

    def __init__(self, settings: KubeletSettings, pods: Cache, running: Running) -> None:
        self._settings = settings
        self._pods = pods
        self._running = running

    async def logs(
        self, namespace: str, name: str, container: str, options: Mapping[str, str]
    ) -> AsyncIterator[bytes]:
        """Return the log as pieces of bytes; everything that can be refused is refused before.

        Args:
            namespace: Of the pod.
            name: Of the pod.
            container: Which container; empty where the pod has one only.
            options: The query parameters; see `LogOptions`.

        Raises:
            NotFoundError: no such pod.
            BadRequestError: the container is not chosen, not known or has not started.
        """
        wanted = LogOptions.read(options, datetime.datetime.now(datetime.UTC))
        pod = self._pod(namespace, name)
        chosen = choose_container(pod, container or wanted.container)
        where = layout.PodLayout(self._settings, pod)
        attempt = _attempt(pod, chosen, where, wanted)
        log = where.log(chosen, attempt)
        uid = metadata.uid(pod)
        return _pieces(log, wanted, lambda: self._running(uid, chosen, attempt))

    def _pod(self, namespace: str, name: str) -> Object:
        pod = self._pods.get(namespace, name)
        if pod is None:
            raise errors.not_found("pods", name)
        return pod


def choose_container(pod: Object, name: str) -> str:
    """Return which container is meant.

    Raises:
        BadRequestError: there are several and none is named, or none of that name.
    """
    pod_name = metadata.name(pod)
    main = [str(container["name"]) for container in specs.containers(pod)]
    init = [str(container["name"]) for container in specs.init_containers(pod)]
    if name:
        if name in {*main, *init}:
            return name
        raise errors.BadRequestError(f"container {name} is not valid for pod {pod_name}")
    default = metadata.annotations(pod).get("kubectl.kubernetes.io/default-container", "")
    if default in main:
        return default
    if len(main) == 1 and not init:
        return main[0]
    if len(main) == 1 and all(specs.is_sidecar(c) is False for c in specs.init_containers(pod)):
        return main[0]
    text = (
        f"a container name must be specified for pod {pod_name}, choose one of: [{' '.join(main)}]"
    )
    if init:
        text += f" or one of the init containers: [{' '.join(init)}]"
    raise errors.BadRequestError(text)


def _attempt(pod: Object, container: str, where: layout.PodLayout, wanted: LogOptions) -> int:
    entry = _entry(pod, container)
    state, last = entry.get("state") or {}, entry.get("lastState") or {}
    attempts = log_files.attempts(where.log(container, 0).parent)
    pod_name = metadata.name(pod)
    if wanted.previous:
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
    for field in ("containerStatuses", "initContainerStatuses"):
        for entry in found.get(field) or []:
            if entry.get("name") == container:
                return dict(entry)
    return {}


async def _pieces(
    log: Path, wanted: LogOptions, running: Callable[[], bool]
) -> AsyncIterator[bytes]:
    """Yield the lines in pieces, at most `limit_bytes` of them."""
    left = wanted.limit_bytes
    async for piece in _batches(log, wanted, running):
        if left is not None and len(piece) >= left:
            yield piece[:left]
            return
        if left is not None:
            left -= len(piece)
        yield piece


async def _batches(
    log: Path, wanted: LogOptions, running: Callable[[], bool]
) -> AsyncIterator[bytes]:
    printer = _Printer(wanted)
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
            async for record in follower.follow(log, snapshot, running=running):
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

    def __init__(self, wanted: LogOptions) -> None:
        self._timestamps = wanted.timestamps
        self._stream = b"" if wanted.stream == "All" else wanted.stream.lower().encode()
        self._since = b""
        if wanted.since is not None:
            utc = wanted.since.astimezone(datetime.UTC)
            self._since = utc.strftime("%Y-%m-%dT%H:%M:%S.%f000Z").encode()
        self._inside = False

    def text(self, record: log_files.Record) -> bytes:
        """Return the record as text; empty if it is not wanted."""
        if record.time < self._since or (self._stream and record.stream != self._stream):
            return b""
        begins, self._inside = not self._inside, not record.text.endswith(b"\n")
        return record.time + b" " + record.text if self._timestamps and begins else record.text
