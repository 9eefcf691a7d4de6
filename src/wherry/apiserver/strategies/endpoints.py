"""Endpoints and endpoint slices: the addresses behind a Service.

Source: ``pkg/apis/discovery/v1/defaults.go``, ``ValidateEndpointsCreate``, ``ValidateEndpointSlice``.
"""

from wherry.apiserver.strategies import causes, services
from wherry.apiserver.strategies.rules import Rules
from wherry.apiserver.strategy import Context
from wherry.objects.errors import Cause
from wherry.objects.requests import Object


def _default_endpoints(obj: Object) -> None:
    for subset in obj.get("subsets") or ():
        for port in subset.get("ports") or ():
            port["protocol"] = port.get("protocol") or "TCP"


def _validate_endpoints(obj: Object, old: Object | None, context: Context) -> list[Cause]:
    found: list[Cause] = []
    for index, subset in enumerate(obj.get("subsets") or ()):
        where = f"subsets[{index}]"
        if not subset.get("addresses") and not subset.get("notReadyAddresses"):
            why = "must specify `addresses` or `notReadyAddresses`"
            found.append(causes.required(where, why))
        ports = subset.get("ports") or []
        for number, port in enumerate(ports):
            found += services.check_port(f"{where}.ports[{number}]", port, named=len(ports) > 1)
    return found


def _default_slice(obj: Object) -> None:
    for port in obj.get("ports") or ():
        port["protocol"] = port.get("protocol") or "TCP"
        if port.get("name") is None:
            port["name"] = ""


def _validate_slice(obj: Object, old: Object | None, context: Context) -> list[Cause]:
    kind = obj.get("addressType")
    if not kind:
        found = [causes.required("addressType")]
    else:
        found = causes.choice("addressType", kind, {"IPv4", "IPv6", "FQDN"})
    for index, endpoint in enumerate(obj.get("endpoints") or ()):
        if not endpoint.get("addresses"):
            why = "must contain at least 1 address"
            found.append(causes.required(f"endpoints[{index}].addresses", why))
    if old is not None:
        found += causes.unchanged("addressType", kind, old.get("addressType"))
    return found


STRATEGIES = {
    "endpoints": Rules(on_default=_default_endpoints, on_validate=_validate_endpoints),
    "endpointslices.discovery.k8s.io": Rules(
        on_default=_default_slice, on_validate=_validate_slice
    ),
}
