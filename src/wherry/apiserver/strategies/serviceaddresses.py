"""Giving Services their cluster IPs and node ports, each of which one Service may have at a time.

What a Service names must be given back when the Service goes, and only then: a spec that was
refused before it got what it asks for is stripped of it (`disown`), so that giving it back does
not free what another Service has.

Source: ``pkg/registry/core/service/storage/alloc.go``.
"""

from typing import Any

from wherry.apiserver.strategies import causes
from wherry.apiserver.strategy import Allocator, Context
from wherry.objects import errors
from wherry.objects.requests import Object

HEADLESS = "None"
WITH_NODE_PORTS = frozenset({"NodePort", "LoadBalancer"})

_ADDRESS_FIELDS = ("clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy")
_BALANCER_FIELDS = ("externalTrafficPolicy", "allocateLoadBalancerNodePorts", "healthCheckNodePort")

Spec = dict[str, Any]


class _Taken:
    """What was allocated in one write; given back when the write cannot be completed."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._values: list[tuple[Allocator, str]] = []

    def allocate(self, allocator: Allocator, wanted: str, path: str) -> str:
        """Return the value that was allocated.

        Raises:
            ApiError: It cannot be had; what was allocated so far is given back.
        """
        try:
            value = allocator.allocate(wanted)
        except ValueError as error:
            self.give_back()
            cause = causes.invalid(path, wanted, str(error))
            refusal = errors.invalid("Service", self._name, [cause])
            raise refusal from error
        self._values.append((allocator, value))
        return value

    def give_back(self) -> None:
        for allocator, value in self._values:
            allocator.release(value)
        self._values.clear()


def allocate(obj: Object, context: Context) -> None:
    """Give a new Service its address and node ports, in place.

    Raises:
        ApiError: What it asks for is in use, or none is left.
    """
    spec = obj["spec"]
    taken = _Taken(obj["metadata"].get("name", ""))
    try:
        _address(spec, context, taken)
        _ports(spec, {}, context, taken)
    except errors.ApiError:
        disown(spec)
        raise


def disown(spec: Spec) -> None:
    """Drop the address and node ports that a refused spec names."""
    for name in ("clusterIP", "clusterIPs"):
        spec.pop(name, None)
    for port in spec.get("ports") or ():
        port.pop("nodePort", None)


def keep(spec: Spec, before: Spec) -> None:
    """Carry over what a writer has not repeated, and drop what the new type does not have."""
    if spec["type"] == "ExternalName":
        for name in _ADDRESS_FIELDS:
            spec.pop(name, None)
    else:
        for name in _ADDRESS_FIELDS:
            if not spec.get(name) and before.get(name):
                spec[name] = before[name]
    if spec["type"] not in WITH_NODE_PORTS:
        held = set(_node_ports(before).values())
        for port in spec.get("ports") or ():
            if port.get("nodePort") in held:
                del port["nodePort"]
        for name in _BALANCER_FIELDS:
            if spec.get(name) == before.get(name):
                spec.pop(name, None)


def change(obj: Object, before: Spec, context: Context) -> None:
    """Give a changed Service what it needs besides, and take back what it has no more.

    Raises:
        ApiError: What it asks for is in use, or none is left.
    """
    spec = obj["spec"]
    taken = _Taken(obj["metadata"].get("name", ""))
    if not spec.get("clusterIP"):
        _address(spec, context, taken)
    _ports(spec, _node_ports(before), context, taken)
    if context.dry_run:
        taken.give_back()
        return
    for number in set(_node_ports(before).values()) - set(_node_ports(spec).values()):
        context.node_ports.release(str(number))
    if before.get("clusterIP") and not spec.get("clusterIP"):
        context.cluster_ips.release(before["clusterIP"])


def release(obj: Object, context: Context) -> None:
    """Give back everything a Service has."""
    spec = obj.get("spec") or {}
    address = spec.get("clusterIP")
    if address and address != HEADLESS:
        context.cluster_ips.release(address)
    for number in set(_node_ports(spec).values()):
        context.node_ports.release(str(number))


def _address(spec: Spec, context: Context, taken: _Taken) -> None:
    if spec["type"] == "ExternalName":
        for name in _ADDRESS_FIELDS:
            spec.pop(name, None)
        return
    address = spec.get("clusterIP") or next(iter(spec.get("clusterIPs") or ()), "")
    if address != HEADLESS:
        address = taken.allocate(context.cluster_ips, address, "spec.clusterIP")
    spec["clusterIP"], spec["clusterIPs"] = address, [address]
    spec["ipFamilies"] = spec.get("ipFamilies") or ["IPv6" if ":" in address else "IPv4"]
    spec["ipFamilyPolicy"] = spec.get("ipFamilyPolicy") or "SingleStack"


def _wants_node_ports(spec: Spec) -> bool:
    if spec["type"] == "LoadBalancer":
        return spec.get("allocateLoadBalancerNodePorts") is not False
    return bool(spec["type"] == "NodePort")


def _ports(spec: Spec, held: dict[tuple[str, int], int], context: Context, taken: _Taken) -> None:
    # One number can serve TCP and UDP of one Service, so what is had once is not asked for again.
    had = set(held.values())
    # Those that are asked for first, lest another one of this Service gets their number.
    ports = enumerate(spec.get("ports") or ())
    for index, port in sorted(ports, key=lambda each: not each[1].get("nodePort")):
        number = port.get("nodePort") or 0
        if not number:
            if not _wants_node_ports(spec):
                continue
            number = held.get((port["protocol"], port["port"]), 0)
        if number not in had:
            path, wanted = f"spec.ports[{index}].nodePort", str(number) if number else ""
            number = int(taken.allocate(context.node_ports, wanted, path))
            had.add(number)
        port["nodePort"] = number


def _node_ports(spec: Spec) -> dict[tuple[str, int], int]:
    return {
        (port.get("protocol") or "TCP", port["port"]): port["nodePort"]
        for port in spec.get("ports") or ()
        if port.get("nodePort")
    }
