"""`/etc/hosts` of every pod: how names of services and pods are found without a DNS server.

The lines of a service are made once and shared by all pods; a change becomes one rewrite of every
file after a short wait, however many changes there were. Files are written in place, because they
are mounted: a new file under the same name would not be seen.
"""

import asyncio
import contextvars
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from wherry.objects import metadata
from wherry.objects.requests import Object

_HEAD = "# Written by Wherry; changes are lost.\n127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n"
_BATCH = 20


@dataclass(frozen=True, slots=True)
class PodHosts:
    """One pod's file.

    Attributes:
        file: Where it is.
        namespace: Whose service names are short.
        lines: What only this pod has: its own names and `hostAliases`.
    """

    file: Path
    namespace: str
    lines: str


@dataclass(frozen=True, slots=True)
class _ServiceLines:
    short: str
    full: str


def pod_lines(pod: Object, address: str, hostname: str, domain: str) -> str:
    """Return the lines of a pod's own names and its `hostAliases`.

    Args:
        pod: The pod.
        address: Its address.
        hostname: Its host name.
        domain: The cluster's domain.
    """
    spec, namespace = pod["spec"], metadata.namespace(pod)
    names = [hostname]
    if spec.get("subdomain"):
        names.insert(0, f"{hostname}.{spec['subdomain']}.{namespace}.svc.{domain}")
    aliases = [
        f"{alias['ip']} {' '.join(alias.get('hostnames') or [])}\n"
        for alias in spec.get("hostAliases") or []
    ]
    lines = [f"{address} {' '.join(names)}\n", *aliases]
    return "".join(lines)


def service_lines(service: Object, slices: Iterable[Object], domain: str) -> tuple[str, str]:
    """Return a service's lines with the short name alone, and with the names that hold everywhere.

    Args:
        service: The Service; without a name here if it has neither an address nor endpoints.
        slices: Its EndpointSlices, which matter where it is headless.
        domain: The cluster's domain.
    """
    name, namespace = metadata.name(service), metadata.namespace(service)
    spec = service.get("spec") or {}
    address = str(spec.get("clusterIP") or "")
    if spec.get("type") == "ExternalName" or not address:
        return "", ""
    stems = [("", address)] if address != "None" else list(_endpoints(service, slices))
    short = "".join(f"{ip} {stem}{name}\n" for stem, ip in stems)
    full = "".join(
        f"{ip} {stem}{name}.{namespace}.svc.{domain} {stem}{name}.{namespace}.svc {stem}{name}.{namespace}\n"
        for stem, ip in stems
    )
    return short, full


def _endpoints(service: Object, slices: Iterable[Object]) -> Iterable[tuple[str, str]]:
    unready = bool((service.get("spec") or {}).get("publishNotReadyAddresses"))
    seen: set[tuple[str, str]] = set()
    for part in slices:
        for endpoint in part.get("endpoints") or []:
            if not unready and (endpoint.get("conditions") or {}).get("ready") is False:
                continue
            for address in endpoint.get("addresses") or []:
                seen.add(("", str(address)))
                if endpoint.get("hostname"):
                    seen.add((f"{endpoint['hostname']}.", str(address)))
    return sorted(seen)


class Hosts:
    """The files of all pods on this node."""

    def __init__(self, *, debounce_seconds: float) -> None:
        self._debounce_seconds = debounce_seconds
        self._services: dict[tuple[str, str], _ServiceLines] = {}
        self._pods: dict[str, PodHosts] = {}
        self._written: dict[str, str] = {}
        self._task: asyncio.Task[None] | None = None
        self._dirty = False
        self._texts: dict[str, str] = {}

    def set_service(self, namespace: str, name: str, lines: tuple[str, str]) -> None:
        """Note a service's lines; empty ones remove it. Files follow after the debounce time."""
        key, fresh = (namespace, name), _ServiceLines(*lines)
        if self._services.get(key, _ServiceLines("", "")) == fresh:
            return
        if fresh.full:
            self._services[key] = fresh
        else:
            del self._services[key]
        self._texts.clear()
        self._dirty = True
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(
                self._rewrite(), name="hosts", context=contextvars.Context()
            )

    def add(self, uid: str, pod: PodHosts) -> None:
        """Keep a pod's file from now on; it is written at once."""
        if self._pods.get(uid) == pod:
            return
        self._pods[uid] = pod
        self._write(uid, pod)

    def remove(self, uid: str) -> None:
        """Leave a pod's file alone from now on. Idempotent."""
        self._pods.pop(uid, None)
        self._written.pop(uid, None)

    async def close(self) -> None:
        """End a rewrite that is under way."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _rewrite(self) -> None:
        while self._dirty:
            await asyncio.sleep(self._debounce_seconds)
            self._dirty = False
            for number, (uid, pod) in enumerate(list(self._pods.items())):
                if uid in self._pods:
                    self._write(uid, pod)
                if number % _BATCH == _BATCH - 1:
                    await asyncio.sleep(0)

    def _write(self, uid: str, pod: PodHosts) -> None:
        text = _HEAD + pod.lines + self._text(pod.namespace)
        if self._written.get(uid) == text:
            return
        if _write_in_place(pod.file, text.encode()):
            self._written[uid] = text

    def _text(self, namespace: str) -> str:
        text = self._texts.get(namespace)
        if text is None:
            keys = sorted(self._services)
            short = [self._services[key].short for key in keys if key[0] == namespace]
            full = [self._services[key].full for key in keys]
            text = self._texts[namespace] = "".join([*short, *full])
        return text


def _write_in_place(file: Path, content: bytes) -> bool:
    try:
        handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except FileNotFoundError:
        # The pod's folder has just been removed.
        return False
    try:
        # Written over first and cut afterwards: a reader never finds the file empty.
        os.pwrite(handle, content, 0)
        os.ftruncate(handle, len(content))
    finally:
        os.close(handle)
    return True
