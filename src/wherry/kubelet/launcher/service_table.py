"""Which endpoints stand behind cluster IPs, so that the launcher can lead a pod's connection straight to one.

The control plane writes the table, the launcher reads it: whether or not a control plane runs, connections between pods
are made, and nobody copies their bytes. What the table does not have is left to the control plane's relay.
"""

import contextlib
import itertools
import json
import os
import pathlib
import sys
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

_NAME = "services.json"
_MAX_BYTES = 32 * 1024 * 1024


class Address(NamedTuple):
    """Where something listens: an IPv4 address and a port."""

    ip: str
    port: int


class Service(NamedTuple):
    """What stands behind one address."""

    endpoints: tuple[Address, ...]
    by_client: bool = False
    """Whether one client stays with one endpoint (``sessionAffinity: ClientIP``)."""


def save(directory: pathlib.Path, services: Mapping[Address, Service]) -> None:
    """Replace the table of a launcher; it heeds it from the next connection on.

    Args:
        directory: The launcher's own.
        services: By cluster IP and port.

    Raises:
        OSError: It cannot be written.
    """
    table = {
        _text(address): {
            "endpoints": [_text(endpoint) for endpoint in service.endpoints],
            "byClient": service.by_client,
        }
        for address, service in sorted(services.items())
    }
    data = json.dumps(table, separators=(",", ":")).encode()
    path, fresh = directory / _NAME, directory / f"{_NAME}.new"
    with contextlib.suppress(FileNotFoundError):
        if path.read_bytes() == data:
            return
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
    fresh.replace(path)


class ServiceTable:
    """The table as the launcher sees it."""

    def __init__(self, directory: str) -> None:
        """Look for the table in the launcher's folder; there need not be one."""
        self._path = pathlib.Path(directory, _NAME)
        self._seen: tuple[int, int, int] | None = None
        self._services: dict[Address, Service] = {}
        self._turns: dict[Address, Iterator[int]] = {}

    def candidates(self, address: Address, client: str) -> list[Address]:
        """Return the endpoints in the order in which a new connection should try them.

        Args:
            address: What the client aims at.
            client: Its own IPv4 address.

        Returns:
            All of them; none if this is no service's address, or nobody is ready.
        """
        self._refresh()
        service = self._services.get(address)
        if service is None:
            return []
        if service.by_client:
            # Each client has its own order of endpoints, so that most stay where they are when one comes or goes.
            return sorted(service.endpoints, key=lambda endpoint: hash((client, endpoint)))
        first = next(self._turns[address]) % len(service.endpoints)
        return [*service.endpoints[first:], *service.endpoints[:first]]

    def _refresh(self) -> None:
        try:
            found = self._path.stat()
        except OSError:
            seen = None
        else:
            seen = (found.st_ino, found.st_mtime_ns, found.st_size)
        if seen == self._seen:
            return
        self._seen = seen
        self._services = self._read() if seen is not None else {}
        self._turns = {
            address: self._turns.get(address) or itertools.count() for address in self._services
        }

    def _read(self) -> dict[Address, Service]:
        try:
            with self._path.open("rb") as file:
                data = file.read(_MAX_BYTES + 1)
            if len(data) > _MAX_BYTES:
                raise ValueError(f"it is larger than {_MAX_BYTES} bytes")
            table: dict[str, Any] = json.loads(data)
            services = {_address(text): _service(values) for text, values in table.items()}
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            print(f"{self._path}: {error}", file=sys.stderr)  # noqa: T201 — the launcher's log
            return {}
        return {address: service for address, service in services.items() if service.endpoints}


def _text(address: Address) -> str:
    return f"{address.ip}:{address.port}"


def _address(text: str) -> Address:
    ip, _, port = text.rpartition(":")
    return Address(ip, int(port))


def _service(values: Mapping[str, Any]) -> Service:
    return Service(tuple(map(_address, values["endpoints"])), bool(values["byClient"]))
