"""Kubernetes' URLs, IP addresses and address ranges in expressions."""

import ipaddress
import urllib.parse
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from wherry.objects.cel.library.table import Function, Method, want
from wherry.objects.cel.values import CelError

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address
_Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True, slots=True)
class Url:
    """An absolute URL, or an absolute path."""

    parts: urllib.parse.SplitResult


@dataclass(frozen=True, slots=True)
class Ip:
    """An IP address."""

    address: _Address

    def cel_text(self) -> str:
        """Return what ``string(ip)`` shows."""
        return str(self.address)


@dataclass(frozen=True, slots=True)
class Cidr:
    """An address with the length of its network's prefix."""

    address: _Address
    network: _Network

    def cel_text(self) -> str:
        """Return what ``string(cidr)`` shows."""
        return f"{self.address}/{self.network.prefixlen}"


def _url(frame: Any, text: Any) -> Url:
    given = want(text, str)
    try:
        parts = urllib.parse.urlsplit(given)
        _ = parts.port
    except ValueError as error:
        raise CelError(f"URL parse error during conversion from string: {error}") from error
    if not (parts.scheme or given.startswith("/")) or any(each <= " " for each in given):
        raise CelError(f"URL parse error during conversion from string: {given[:80]!r} is not one")
    return Url(parts)


def _ip(frame: Any, text: Any) -> Ip:
    given = want(text, str)
    try:
        address = ipaddress.ip_address(given)
    except ValueError as error:
        raise CelError(f"IP Address {given[:60]!r} parse error") from error
    mapped = isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None
    if mapped or "%" in given:
        raise CelError(
            f"IP Address {given[:60]!r}: zones and IPv4 mapped into IPv6 are not allowed"
        )
    return Ip(address)


def _cidr(frame: Any, text: Any) -> Cidr:
    given = want(text, str)
    address, slash, length = given.partition("/")
    if not slash or not length.isascii() or not length.isdigit():
        raise CelError(f"network address parse error: {given[:60]!r}")
    try:
        network = ipaddress.ip_network(given, strict=False)
    except ValueError as error:
        raise CelError(f"network address parse error: {given[:60]!r}") from error
    return Cidr(_ip(frame, address).address, network)


def _readable(read: Callable[[Any, Any], Any]) -> Callable[[Any, Any], bool]:
    def run(frame: Any, text: Any) -> bool:
        want(text, str)
        try:
            read(frame, text)
        except CelError:
            return False
        return True

    return run


def _is_canonical(frame: Any, text: Any) -> bool:
    return bool(str(_ip(frame, text).address) == text)


def _contains_ip(frame: Any, this: Cidr, other: Any) -> bool:
    found = other if isinstance(other, Ip) else _ip(frame, other)
    return found.address in this.network


def _contains_cidr(frame: Any, this: Cidr, other: Any) -> bool:
    found = (other if isinstance(other, Cidr) else _cidr(frame, other)).network
    if found.version != this.network.version:
        return False
    return bool(found.prefixlen >= this.network.prefixlen and found[0] in this.network)


def _query(frame: Any, this: Url) -> dict[str, list[str]]:
    return urllib.parse.parse_qs(this.parts.query, keep_blank_values=True)


def _port(this: Url) -> str:
    return str(this.parts.port) if this.parts.port is not None else ""


def _hostname(this: Url) -> str:
    host = this.parts.netloc.rpartition("@")[2]
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0]


def _global_unicast(this: Ip) -> bool:
    address = this.address
    special = address.is_multicast or address.is_loopback or address.is_link_local
    return not (special or address.is_unspecified or str(address) == "255.255.255.255")


FUNCTIONS = (
    Function("url", 1, _url),
    Function("isURL", 1, _readable(_url)),
    Function("ip", 1, _ip),
    Function("isIP", 1, _readable(_ip)),
    Function("ip.isCanonical", 1, _is_canonical),
    Function("cidr", 1, _cidr),
    Function("isCIDR", 1, _readable(_cidr)),
)
METHODS = (
    Method("getScheme", (Url,), 0, lambda frame, this: this.parts.scheme),
    Method("getHost", (Url,), 0, lambda frame, this: this.parts.netloc.rpartition("@")[2]),
    Method("getHostname", (Url,), 0, lambda frame, this: _hostname(this)),
    Method("getPort", (Url,), 0, lambda frame, this: _port(this)),
    Method("getEscapedPath", (Url,), 0, lambda frame, this: this.parts.path),
    Method("getQuery", (Url,), 0, _query),
    Method("family", (Ip,), 0, lambda frame, this: this.address.version),
    Method("isUnspecified", (Ip,), 0, lambda frame, this: this.address.is_unspecified),
    Method("isLoopback", (Ip,), 0, lambda frame, this: this.address.is_loopback),
    Method("isLinkLocalUnicast", (Ip,), 0, lambda frame, this: this.address.is_link_local),
    Method("isGlobalUnicast", (Ip,), 0, lambda frame, this: _global_unicast(this)),
    Method("containsIP", (Cidr,), 1, _contains_ip),
    Method("containsCIDR", (Cidr,), 1, _contains_cidr),
    Method("ip", (Cidr,), 0, lambda frame, this: Ip(this.address)),
    Method("masked", (Cidr,), 0, lambda frame, this: Cidr(this.network[0], this.network)),
    Method("prefixLength", (Cidr,), 0, lambda frame, this: this.network.prefixlen),
)
