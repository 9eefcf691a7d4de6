"""Ingresses, their classes, and network policies.

Source: ``pkg/apis/networking/v1/defaults.go``, ``pkg/apis/networking/validation``.
"""

import ipaddress
from typing import Any

from wherry.apiserver.strategies import causes, workloads
from wherry.apiserver.strategies.podspecs import handlers
from wherry.apiserver.strategies.rules import Rules
from wherry.apiserver.strategy import Context
from wherry.objects import names
from wherry.objects.errors import Cause
from wherry.objects.requests import Object

_PATH_TYPES = frozenset({"Exact", "Prefix", "ImplementationSpecific"})
_POLICY_TYPES = frozenset({"Ingress", "Egress"})
_PEERS = frozenset({"podSelector", "namespaceSelector", "ipBlock"})


def _validate_ingress(obj: Object, old: Object | None, context: Context) -> list[Cause]:
    if context.subresource == "status":
        return []
    spec = obj.get("spec") or {}
    found: list[Cause] = []
    if not spec.get("rules") and not spec.get("defaultBackend"):
        why = "either `defaultBackend` or `rules` must be specified"
        found.append(Cause("spec", f"Invalid value: {why}"))
    if spec.get("defaultBackend"):
        found += _backend("spec.defaultBackend", spec["defaultBackend"])
    if spec.get("ingressClassName"):
        name = spec["ingressClassName"]
        found += causes.problems("spec.ingressClassName", name, names.dns_subdomain(name))
    for index, rule in enumerate(spec.get("rules") or ()):
        found += _rule(f"spec.rules[{index}]", rule)
    return found


def _rule(path: str, rule: dict[str, Any]) -> list[Cause]:
    host = rule.get("host") or ""
    found: list[Cause] = []
    if host:
        plain = host.removeprefix("*.")
        found += causes.problems(f"{path}.host", host, names.dns_subdomain(plain))
        if plain.replace(".", "").isdigit():
            why = "must be a DNS name, not an IP address"
            found.append(causes.invalid(f"{path}.host", host, why))
    http = rule.get("http")
    if http is not None and not http.get("paths"):
        found.append(causes.required(f"{path}.http.paths"))
    for index, one in enumerate((http or {}).get("paths") or ()):
        where = f"{path}.http.paths[{index}]"
        kind, value = one.get("pathType"), one.get("path") or ""
        if kind is None:
            found.append(causes.required(f"{where}.pathType", "pathType must be specified"))
        found += causes.choice(f"{where}.pathType", kind, _PATH_TYPES)
        if kind != "ImplementationSpecific" and not value.startswith("/"):
            found.append(causes.invalid(f"{where}.path", value, "must be an absolute path"))
        found += _backend(f"{where}.backend", one.get("backend") or {})
    return found


def _backend(path: str, backend: dict[str, Any]) -> list[Cause]:
    service, resource = backend.get("service"), backend.get("resource")
    if service is not None and resource is not None:
        why = "cannot set both resource and service backends"
        return [causes.invalid(path, "", why)]
    if service is None:
        return [] if resource else [causes.required(path, "must specify a service or resource")]
    found: list[Cause] = []
    name, port = service.get("name", ""), service.get("port") or {}
    if not name:
        found.append(causes.required(f"{path}.service.name"))
    else:
        found += causes.problems(f"{path}.service.name", name, names.dns1035_label(name))
    given = [port[key] for key in ("name", "number") if port.get(key)]
    if len(given) > 1:
        why = "cannot set both port name & port number"
        found.append(causes.invalid(path, "", why))
    elif not given:
        found.append(causes.required(path, "port name or number is required"))
    else:
        found += handlers.check_port(f"{path}.service.port", given[0])
    return found


def _default_class(obj: Object) -> None:
    parameters = (obj.get("spec") or {}).get("parameters")
    if parameters is not None:
        parameters["scope"] = parameters.get("scope") or "Cluster"


def _validate_class(obj: Object, old: Object | None, context: Context) -> list[Cause]:
    controller = (obj.get("spec") or {}).get("controller") or ""
    if not controller:
        return [causes.required("spec.controller")]
    if old is None:
        return []
    return causes.unchanged("spec.controller", controller, old["spec"].get("controller"))


def _default_policy(obj: Object) -> None:
    spec = obj["spec"] = obj.get("spec") or {}
    for part in ("ingress", "egress"):
        for rule in spec.get(part) or ():
            for port in rule.get("ports") or ():
                port["protocol"] = port.get("protocol") or "TCP"
    if not spec.get("policyTypes"):
        spec["policyTypes"] = ["Ingress", "Egress"] if spec.get("egress") else ["Ingress"]


def _validate_policy(obj: Object, old: Object | None, context: Context) -> list[Cause]:
    spec = obj.get("spec") or {}
    found = workloads.check_selector_form("spec.podSelector", spec.get("podSelector"))
    for index, kind in enumerate(spec.get("policyTypes") or ()):
        found += causes.choice(f"spec.policyTypes[{index}]", kind, _POLICY_TYPES)
    for part, peers in (("ingress", "from"), ("egress", "to")):
        for index, rule in enumerate(spec.get(part) or ()):
            for number, peer in enumerate(rule.get(peers) or ()):
                found += _peer(f"spec.{part}[{index}].{peers}[{number}]", peer)
    return found


def _peer(path: str, peer: dict[str, Any]) -> list[Cause]:
    given = {name for name in _PEERS if peer.get(name) is not None}
    if not given:
        return [causes.required(path, "must specify a peer")]
    found: list[Cause] = []
    for name in given - {"ipBlock"}:
        found += workloads.check_selector_form(f"{path}.{name}", peer[name])
    if "ipBlock" not in given:
        return found
    if len(given) > 1:
        why = "may not specify both ipBlock and another peer"
        return [*found, causes.forbidden(path, why)]
    blocks = [peer["ipBlock"].get("cidr", ""), *(peer["ipBlock"].get("except") or ())]
    for block in blocks:
        try:
            ipaddress.ip_network(block, strict=False)
        except ValueError:
            why = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)"
            found.append(causes.invalid(f"{path}.ipBlock.cidr", block, why))
    return found


STRATEGIES = {
    "ingresses.networking.k8s.io": Rules(on_validate=_validate_ingress),
    "ingressclasses.networking.k8s.io": Rules(
        on_default=_default_class, on_validate=_validate_class
    ),
    "networkpolicies.networking.k8s.io": Rules(
        on_default=_default_policy, on_validate=_validate_policy
    ),
}
