"""Cluster IPs and node ports: values of which each may be used once.

What is in use is read from the stored Services when the server starts, and followed from then on.
"""

import ipaddress
import random
from collections.abc import Iterable
from typing import Final

from wherry.objects import kinds
from wherry.store import Store

_FIRST_PORT, _LAST_PORT = 30000, 32767
DEFAULT_SERVICE_RANGE: Final = "127.96.0.0/12"
_CHANCE: Final = random.SystemRandom()


class _Pool:
    """Numbers of a range, handed out in turn so that a value rests after its release."""

    def __init__(self, first: int, last: int) -> None:
        self._first, self._last = first, last
        # Others on this machine may have the same range, as all have for ports: who begins somewhere
        # in it rarely meets them.
        self._next = first + _CHANCE.randrange(max(1, last - first + 1))
        self._used: set[int] = set()

    def take(self, number: int) -> None:
        """Mark a number as used."""
        self._used.add(number)

    def free(self, number: int) -> None:
        """Mark a number as free."""
        self._used.discard(number)

    def used(self, number: int) -> bool:
        """Return whether a number is used."""
        return number in self._used

    def covers(self, number: int) -> bool:
        """Return whether a number is in the range."""
        return self._first <= number <= self._last

    def any(self) -> int | None:
        """Take and return a free number; None if there is none."""
        size = self._last - self._first + 1
        if len(self._used) >= size:
            return None
        while self._next in self._used:
            self._next = self._first + (self._next + 1 - self._first) % size
        taken = self._next
        self._used.add(taken)
        self._next = self._first + (taken + 1 - self._first) % size
        return taken


class ClusterIPs:
    """Addresses of Services."""

    def __init__(self, service_range: str = DEFAULT_SERVICE_RANGE) -> None:
        self._network = ipaddress.ip_network(service_range)
        first = int(self._network.network_address)
        self._pool = _Pool(first + 1, int(self._network.broadcast_address) - 1)

    def allocate(self, wanted: str = "") -> str:
        """Return ``wanted``, or any free address, and mark it as used.

        Raises:
            ValueError: It is no address of the range or in use, or none is left.
        """
        if not wanted:
            number = self._pool.any()
            if number is None:
                raise ValueError(f"no address is left in the service range {self._network}")
            return str(ipaddress.ip_address(number))
        try:
            number = int(ipaddress.ip_address(wanted))
        except ValueError:
            raise ValueError(f"{wanted!r:.64} is no IP address") from None
        if not self._pool.covers(number):
            raise ValueError(f"the provided IP is not in the valid range {self._network}")
        if self._pool.used(number):
            raise ValueError("provided IP is already allocated")
        self._pool.take(number)
        return wanted

    def release(self, value: str) -> None:
        """Mark an address as free; what is none is ignored."""
        try:
            self._pool.free(int(ipaddress.ip_address(value)))
        except ValueError:
            return


class NodePorts:
    """Ports of Services of type NodePort and LoadBalancer."""

    def __init__(self) -> None:
        self._pool = _Pool(_FIRST_PORT, _LAST_PORT)

    def allocate(self, wanted: str = "") -> str:
        """Return ``wanted``, or any free port, and mark it as used.

        Raises:
            ValueError: It is no port of the range or in use, or none is left.
        """
        if not wanted:
            number = self._pool.any()
            if number is None:
                raise ValueError("no node port is left")
            return str(number)
        if not wanted.isascii() or not wanted.isdigit() or not self._pool.covers(int(wanted[:6])):
            raise ValueError(
                f"provided port is not in the valid range. The range of valid ports is "
                f"{_FIRST_PORT}-{_LAST_PORT}"
            )
        if self._pool.used(int(wanted)):
            raise ValueError("provided port is already allocated")
        self._pool.take(int(wanted))
        return wanted

    def release(self, value: str) -> None:
        """Mark a port as free; what is none is ignored."""
        if value.isascii() and value.isdigit():
            self._pool.free(int(value[:6]))


def occupy(store: Store, cluster_ips: ClusterIPs, node_ports: NodePorts) -> None:
    """Mark what the stored Services use."""
    for record in store.list(kinds.SERVICES.key).records:
        spec = record.value().get("spec") or {}
        addresses = [*(spec.get("clusterIPs") or ()), spec.get("clusterIP")]
        _occupy_all(cluster_ips, {each for each in addresses if each and each != "None"})
        ports = {str(port["nodePort"]) for port in spec.get("ports") or () if port.get("nodePort")}
        if spec.get("healthCheckNodePort"):
            ports.add(str(spec["healthCheckNodePort"]))
        _occupy_all(node_ports, ports)


def _occupy_all(allocator: ClusterIPs | NodePorts, values: Iterable[str]) -> None:
    for value in values:
        try:
            allocator.allocate(value)
        except ValueError:
            # Out of today's range, or twice: it stays as it is stored.
            continue
