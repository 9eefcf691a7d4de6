"""Services: what they are given, and what they may say. Their addresses: `serviceaddresses`.

Source: ``SetDefaults_Service``, ``ValidateService`` and ``pkg/registry/core/service``.
"""

import ipaddress
from typing import Any

from wherry.apiserver.strategies import causes, labels, serviceaddresses
from wherry.apiserver.strategies.podspecs import handlers
from wherry.apiserver.strategies.rules import Rules
from wherry.apiserver.strategy import Context
from wherry.objects import errors, names
from wherry.objects.errors import Cause
from wherry.objects.requests import Object

_TYPES = frozenset({"ClusterIP", "NodePort", "LoadBalancer", "ExternalName"})
_PROTOCOLS = frozenset({"TCP", "UDP", "SCTP"})
_AFFINITIES = frozenset({"ClientIP", "None"})
_TRAFFIC = frozenset({"Cluster", "Local"})
_AFFINITY_SECONDS = 10800
_MAX_AFFINITY_SECONDS = 86400

Spec = dict[str, Any]


def _default(obj: Object) -> None:
    spec = obj["spec"] = obj.get("spec") or {}
    spec["type"] = spec.get("type") or "ClusterIP"
    _default_affinity(spec)
    for port in spec.get("ports") or ():
        port["protocol"] = port.get("protocol") or "TCP"
        port["targetPort"] = port.get("targetPort") or port.get("port")
    if spec["type"] in serviceaddresses.WITH_NODE_PORTS:
        spec["externalTrafficPolicy"] = spec.get("externalTrafficPolicy") or "Cluster"
    if spec["type"] != "ExternalName":
        spec["internalTrafficPolicy"] = spec.get("internalTrafficPolicy") or "Cluster"
    if spec["type"] == "LoadBalancer" and spec.get("allocateLoadBalancerNodePorts") is None:
        spec["allocateLoadBalancerNodePorts"] = True
    status = obj["status"] = obj.get("status") or {}
    status["loadBalancer"] = status.get("loadBalancer") or {}


def _default_affinity(spec: Spec) -> None:
    affinity = spec["sessionAffinity"] = spec.get("sessionAffinity") or "None"
    if affinity == "None":
        spec.pop("sessionAffinityConfig", None)
    elif not ((spec.get("sessionAffinityConfig") or {}).get("clientIP") or {}).get(
        "timeoutSeconds"
    ):
        spec["sessionAffinityConfig"] = {"clientIP": {"timeoutSeconds": _AFFINITY_SECONDS}}


def _create(obj: Object, context: Context) -> None:
    found = _check_spec(obj["spec"])
    if found:
        serviceaddresses.disown(obj["spec"])
        raise errors.invalid("Service", obj["metadata"].get("name", ""), found)
    serviceaddresses.allocate(obj, context)


def _update(obj: Object, old: Object, context: Context) -> None:
    if context.subresource is not None:
        return
    spec, before = obj["spec"], old["spec"]
    serviceaddresses.keep(spec, before)
    # What will be refused must not take anything.
    if not _check_spec(spec) and not _check_address(spec, before):
        serviceaddresses.change(obj, before, context)


def _validate(obj: Object, old: Object | None, context: Context) -> list[Cause]:
    if context.subresource == "status":
        return []
    spec = obj.get("spec") or {}
    found = _check_spec(spec)
    return found + (_check_address(spec, old["spec"]) if old else [])


def _check_address(spec: Spec, before: Spec) -> list[Cause]:
    if "ExternalName" in {spec.get("type"), before.get("type")} or not before.get("clusterIP"):
        return []
    now, then = spec.get("clusterIPs"), before.get("clusterIPs")
    if spec.get("clusterIP") == before["clusterIP"] and now == then:
        return []
    why = "may not change once set"
    return [causes.invalid("spec.clusterIPs[0]", now or [spec.get("clusterIP")], why)]


def _check_spec(spec: Spec) -> list[Cause]:
    kind, ports = spec.get("type"), spec.get("ports") or []
    headless = spec.get("clusterIP") == serviceaddresses.HEADLESS
    found = causes.choice("spec.type", kind, _TYPES)
    found += causes.choice("spec.sessionAffinity", spec.get("sessionAffinity"), _AFFINITIES)
    if not ports and not headless and kind != "ExternalName":
        found.append(causes.required("spec.ports"))
    if headless and kind in serviceaddresses.WITH_NODE_PORTS:
        why = f"may not be set to 'None' for {kind} services"
        found.append(causes.invalid("spec.clusterIPs[0]", serviceaddresses.HEADLESS, why))
    if kind == "ExternalName":
        found += _check_external_name(spec)
    for name in ("externalTrafficPolicy", "internalTrafficPolicy"):
        found += causes.choice(f"spec.{name}", spec.get(name), _TRAFFIC)
    external = kind in serviceaddresses.WITH_NODE_PORTS or spec.get("externalIPs")
    if spec.get("externalTrafficPolicy") and not external:
        why = "may only be set for externally-accessible services"
        found.append(
            causes.invalid("spec.externalTrafficPolicy", spec["externalTrafficPolicy"], why)
        )
    seconds = ((spec.get("sessionAffinityConfig") or {}).get("clientIP") or {}).get(
        "timeoutSeconds"
    )
    where = "spec.sessionAffinityConfig.clientIP.timeoutSeconds"
    found += causes.between(where, seconds, 1, _MAX_AFFINITY_SECONDS)
    return (
        found
        + labels.check_pairs("spec.selector", spec.get("selector"))
        + _check_ports(ports, spec)
        + _check_addresses(spec)
    )


def _check_external_name(spec: Spec) -> list[Cause]:
    target = (spec.get("externalName") or "").removesuffix(".")
    if not target:
        return [causes.required("spec.externalName")]
    return causes.problems("spec.externalName", target, names.dns_subdomain(target))


def _check_addresses(spec: Spec) -> list[Cause]:
    found: list[Cause] = []
    wanted = [("spec.clusterIP", spec.get("clusterIP"))]
    wanted += [(f"spec.externalIPs[{i}]", ip) for i, ip in enumerate(spec.get("externalIPs") or ())]
    for path, address in wanted:
        if not address or address == serviceaddresses.HEADLESS:
            continue
        try:
            ipaddress.ip_address(address)
        except ValueError:
            why = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"
            found.append(causes.invalid(path, address, why))
    return found


def _check_ports(ports: list[dict[str, Any]], spec: Spec) -> list[Cause]:
    found: list[Cause] = []
    seen_names: set[str] = set()
    seen: set[tuple[Any, Any]] = set()
    for index, port in enumerate(ports):
        where = f"spec.ports[{index}]"
        found += check_port(where, port, named=len(ports) > 1)
        name, pair = port.get("name"), (port.get("protocol"), port.get("port"))
        if name and name in seen_names:
            found.append(causes.duplicate(f"{where}.name", name))
        if pair in seen:
            found.append(causes.duplicate(where, {"protocol": pair[0], "port": pair[1]}))
        seen_names.add(name or "")
        seen.add(pair)
        if port.get("nodePort") and spec.get("type") not in serviceaddresses.WITH_NODE_PORTS:
            why = f"may not be used when `type` is '{spec.get('type')}'"
            found.append(causes.forbidden(f"{where}.nodePort", why))
    return found


def check_port(path: str, port: dict[str, Any], *, named: bool) -> list[Cause]:
    """Check a port of a Service or of endpoints.

    Args:
        path: Where it stands.
        port: With its defaults.
        named: Whether it must have a name, because it is not alone.
    """
    found: list[Cause] = []
    name = port.get("name")
    if name:
        found += causes.problems(f"{path}.name", name, names.dns_label(name))
    elif named:
        found.append(causes.required(f"{path}.name"))
    found += causes.between(f"{path}.port", port.get("port", 0), 1, 65535)
    found += causes.choice(f"{path}.protocol", port.get("protocol"), _PROTOCOLS)
    if port.get("targetPort"):
        found += handlers.check_port(f"{path}.targetPort", port["targetPort"])
    return found


STRATEGIES = {
    "services": Rules(
        on_default=_default,
        on_create=_create,
        on_update=_update,
        on_validate=_validate,
        on_release=serviceaddresses.release,
    ),
}
