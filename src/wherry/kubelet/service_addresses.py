"""Tells the launcher which pods stand behind cluster IPs, so that it leads connections of pods straight to them.

See `launcher.service_table`. The relay of the control plane stays for clients outside of pods.
"""

import asyncio
import contextvars
import ipaddress
import logging
from collections.abc import Iterable, Mapping
from pathlib import Path

from wherry.controller.requests import Request
from wherry.kubelet.launcher import service_table
from wherry.kubelet.launcher.service_table import Address, Service
from wherry.objects import metadata
from wherry.objects.requests import Object

logger = logging.getLogger("wherry.kubelet")

_DEBOUNCE_SECONDS = 0.01


def services_of(
    service: Object, slices: Iterable[Object], pods: ipaddress.IPv4Network
) -> dict[Address, Service]:
    """Return where the TCP ports of a Service lead.

    Args:
        service: The Service; headless and external ones have no address.
        slices: Its EndpointSlices.
        pods: The pods' range. A port with endpoints elsewhere is left to the relay.

    Returns:
        By cluster IP and port; without ports that have no ready endpoint.
    """
    spec = service.get("spec") or {}
    address = str(spec.get("clusterIP") or "")
    outside = metadata.is_deleting(service) or spec.get("type") == "ExternalName"
    if outside or address in {"", "None"}:
        return {}
    by_client = spec.get("sessionAffinity") == "ClientIP"
    parts, found = list(slices), {}
    for port in spec.get("ports") or ():
        if port.get("protocol", "TCP") != "TCP":
            continue
        endpoints = tuple(sorted(_ready(parts, port.get("name", ""))))
        if endpoints and all(_is_in(pods, one.ip) for one in endpoints):
            found[Address(address, port["port"])] = Service(endpoints, by_client)
    return found


def _is_in(pods: ipaddress.IPv4Network, address: str) -> bool:
    try:
        return ipaddress.IPv4Address(address) in pods
    except ValueError:
        return False


def _ready(slices: Iterable[Object], port_name: str) -> set[Address]:
    found: set[Address] = set()
    for part in slices:
        if part.get("addressType") != "IPv4":
            continue
        numbers = [
            port["port"]
            for port in part.get("ports") or ()
            if port.get("name", "") == port_name and port.get("port")
        ]
        for endpoint in part.get("endpoints") or ():
            if (endpoint.get("conditions") or {}).get("ready") is not False:
                found |= {Address(ip, n) for ip in endpoint["addresses"] for n in numbers}
    return found


class ServiceAddresses:
    """Keeps a launcher's table."""

    def __init__(self, directory: Path) -> None:
        """Keep the table of the launcher whose folder this is; the first `set` replaces what is there."""
        self._directory = directory
        self._services: dict[Request, Mapping[Address, Service]] = {}
        self._task: asyncio.Task[None] | None = None
        self._dirty = True

    def set(self, request: Request, services: Mapping[Address, Service]) -> None:
        """Note where one Service's ports lead; nothing removes it. The table follows in a moment."""
        if self._services.get(request, {}) == services and not self._dirty:
            return
        self._services[request] = services
        if not services:
            del self._services[request]
        self._dirty = True
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(
                self._follow(), name="service addresses", context=contextvars.Context()
            )

    async def close(self) -> None:
        """Write what is not written yet, and no more."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            if self._dirty:
                self._write()

    async def _follow(self) -> None:
        while self._dirty:
            await asyncio.sleep(_DEBOUNCE_SECONDS)
            self._write()

    def _write(self) -> None:
        self._dirty = False
        table = {at: one for services in self._services.values() for at, one in services.items()}
        try:
            service_table.save(self._directory, table)
        except OSError as error:
            logger.warning("connections of pods to services may go astray: %s", error)
