"""Gives each pod an address of its own out of one range.

The address of a pod follows from its uid, so that most often the same pod gets the same address
whoever asks; where two meet, the next free one is taken.
"""

import ipaddress
import zlib


class AddressesExhaustedError(Exception):
    """Every address of the range is in use."""


class Addresses:
    """The addresses of the pods on this node."""

    def __init__(self, cidr: str) -> None:
        """Take the range.

        Args:
            cidr: For example ``127.32.0.0/11``; the first and last address are not given out.

        Raises:
            ValueError: not an IPv4 range, or one with fewer than 2 usable addresses.
        """
        network = ipaddress.IPv4Network(cidr)
        if network.num_addresses < 4:
            raise ValueError(f"pod_cidr {cidr} is too small: want /30 or larger")
        self._first = int(network.network_address) + 1
        self._count = network.num_addresses - 2
        self._by_pod: dict[str, str] = {}
        self._used: set[str] = set()

    def claim(self, uid: str, address: str) -> bool:
        """Note that a pod has an address already; returns whether it may keep it."""
        if self._by_pod.get(uid) == address:
            return True
        if address in self._used or not self._contains(address):
            return False
        self.release(uid)
        self._by_pod[uid] = address
        self._used.add(address)
        return True

    def allocate(self, uid: str) -> str:
        """Return the pod's address; the same one for the same pod until it is released.

        Raises:
            AddressesExhaustedError: there is none left.
        """
        address = self.foresee(uid)
        self._by_pod[uid] = address
        self._used.add(address)
        return address

    def foresee(self, uid: str) -> str:
        """Return the address that `allocate` would give the pod now, without giving it.

        Raises:
            AddressesExhaustedError: there is none left.
        """
        known = self._by_pod.get(uid)
        if known is not None:
            return known
        if len(self._used) >= self._count:
            raise AddressesExhaustedError(f"all {self._count} pod addresses are in use")
        offset = zlib.crc32(uid.encode()) % self._count
        while (address := str(ipaddress.IPv4Address(self._first + offset))) in self._used:
            offset = (offset + 1) % self._count
        return address

    def release(self, uid: str) -> None:
        """Give the pod's address back. Idempotent."""
        address = self._by_pod.pop(uid, None)
        if address is not None:
            self._used.discard(address)

    def _contains(self, address: str) -> bool:
        try:
            value = int(ipaddress.IPv4Address(address))
        except ValueError:
            return False
        return self._first <= value < self._first + self._count
