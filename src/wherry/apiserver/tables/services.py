"""Rows of services and of what stands behind them."""

import datetime
from collections.abc import Iterator
from typing import Any

from wherry.apiserver.tables import texts
from wherry.apiserver.tables.layout import AGE, NAME, SELECTOR, Layout, column, named
from wherry.objects.requests import Object

_SHOWN = 3


def _external(obj: Object) -> str:
    spec = obj.get("spec") or {}
    kind = spec.get("type")
    if kind == "ExternalName":
        return str(spec.get("externalName", ""))
    addresses = list(spec.get("externalIPs") or ())
    if kind != "LoadBalancer":
        return ",".join(addresses) or texts.NONE
    balancer = texts.load_balancer(obj.get("status") or {})
    return ",".join(([balancer] if balancer else []) + addresses) or "<pending>"


def _port(port: dict[str, Any]) -> str:
    node = f":{port['nodePort']}" if port.get("nodePort") else ""
    return f"{port['port']}{node}/{port.get('protocol', 'TCP')}"


def _service(obj: Object, now: datetime.datetime) -> list[Any]:
    spec = obj.get("spec") or {}
    addresses = spec.get("clusterIPs") or [spec.get("clusterIP") or texts.NONE]
    return [
        obj["metadata"]["name"],
        spec.get("type", ""),
        addresses[0],
        _external(obj),
        ",".join(_port(port) for port in spec.get("ports") or ()) or texts.NONE,
        texts.age(obj, now),
        texts.joined_labels(spec.get("selector")),
    ]


def _joined(address: str, port: int) -> str:
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def _subset(subset: dict[str, Any]) -> Iterator[str]:
    addresses = [address["ip"] for address in subset.get("addresses") or ()]
    ports = subset.get("ports")
    if not ports:
        return iter(addresses)
    return (_joined(address, port["port"]) for port in ports for address in addresses)


def _endpoints(obj: Object, now: datetime.datetime) -> list[Any]:
    subsets = obj.get("subsets") or ()
    found = [text for subset in subsets for text in _subset(subset)]
    return [texts.cut(found, limit=_SHOWN, total=len(found)) if subsets else texts.NONE]


def _slice_port(port: dict[str, Any]) -> str:
    return str(port["port"]) if port.get("port") is not None else str(port.get("name") or "*")


def _endpoint_slice(obj: Object, now: datetime.datetime) -> list[Any]:
    ports = [_slice_port(port) for port in obj.get("ports") or ()]
    addresses = [a for one in obj.get("endpoints") or () for a in one.get("addresses") or ()]
    return [
        obj.get("addressType", ""),
        texts.cut(ports, limit=_SHOWN, total=len(ports)) or texts.UNSET,
        texts.cut(addresses, limit=_SHOWN, total=len(addresses)) or texts.UNSET,
    ]


TABLES = {
    "services": Layout(
        (
            NAME,
            column("Type", "How it is reached."),
            column("Cluster-IP", "Address inside the cluster."),
            column("External-IP", "Addresses outside the cluster."),
            column("Port(s)", "Ports, each with its node port if it has one."),
            AGE,
            SELECTOR,
        ),
        _service,
    ),
    "endpoints": named(
        column("Endpoints", "Addresses and ports that are ready."),
        cells_of=_endpoints,
    ),
    "endpointslices.discovery.k8s.io": named(
        column("AddressType", "Family of the addresses."),
        column("Ports", "Ports of each endpoint."),
        column("Endpoints", "Addresses."),
        cells_of=_endpoint_slice,
    ),
}
