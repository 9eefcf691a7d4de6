"""Rows of the ``networking.k8s.io`` group."""

import datetime
from typing import Any

from wherry.apiserver.tables import texts
from wherry.apiserver.tables.layout import column, named
from wherry.objects.requests import Object

_SHOWN_HOSTS = 3


def _hosts(rules: list[dict[str, Any]]) -> str:
    hosts = [rule["host"] for rule in rules if rule.get("host")]
    return texts.cut(hosts, limit=_SHOWN_HOSTS, total=len(hosts)) or "*"


def _ingress(obj: Object, now: datetime.datetime) -> list[Any]:
    spec = obj.get("spec") or {}
    return [
        spec.get("ingressClassName") or texts.NONE,
        _hosts(spec.get("rules") or []),
        texts.load_balancer(obj.get("status") or {}),
        "80, 443" if spec.get("tls") else "80",
    ]


def _ingress_class(obj: Object, now: datetime.datetime) -> list[Any]:
    spec = obj.get("spec") or {}
    parameters = spec.get("parameters")
    if not parameters:
        return [spec.get("controller", ""), texts.NONE]
    group = parameters.get("apiGroup")
    kind = f"{parameters['kind']}.{group}" if group else parameters["kind"]
    return [spec.get("controller", ""), f"{kind}/{parameters['name']}"]


def _network_policy(obj: Object, now: datetime.datetime) -> list[Any]:
    return [texts.selector_or_none((obj.get("spec") or {}).get("podSelector"))]


def _service_cidr(obj: Object, now: datetime.datetime) -> list[Any]:
    return [",".join((obj.get("spec") or {}).get("cidrs") or ())]


def _ip_address(obj: Object, now: datetime.datetime) -> list[Any]:
    parent = (obj.get("spec") or {}).get("parentRef")
    if not parent:
        return [texts.NONE]
    group = f".{parent['group']}" if parent.get("group") else ""
    parts = [f"{parent['resource']}{group}".lower(), parent.get("namespace"), parent["name"]]
    return ["/".join(part for part in parts if part)]


TABLES = {
    "ingresses.networking.k8s.io": named(
        column("Class", "Name of its ingress class."),
        column("Hosts", "Host names it answers to."),
        column("Address", "Addresses of the load balancer."),
        column("Ports", "Ports that are open."),
        cells_of=_ingress,
    ),
    "ingressclasses.networking.k8s.io": named(
        column("Controller", "Controller that serves this class."),
        column("Parameters", "Object that has more settings."),
        cells_of=_ingress_class,
    ),
    "networkpolicies.networking.k8s.io": named(
        column("Pod-Selector", "Labels of the pods it is about."),
        cells_of=_network_policy,
    ),
    "servicecidrs.networking.k8s.io": named(
        column("CIDRs", "Address ranges of services."), cells_of=_service_cidr
    ),
    "ipaddresses.networking.k8s.io": named(
        column("ParentRef", "Object that has the address."), cells_of=_ip_address
    ),
}
