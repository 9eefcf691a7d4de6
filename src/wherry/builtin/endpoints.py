"""Which addresses stand behind a Service: Endpoints and EndpointSlices, as pure functions.

Source: endpoint, endpointslice and endpointslicemirroring controllers of Kubernetes.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from wherry.builtin import placement
from wherry.objects import conditions, metadata, names
from wherry.objects.requests import Object

MANAGED_BY = "endpointslice.kubernetes.io/managed-by"
SLICE_CONTROLLER = "endpointslice-controller.k8s.io"
MIRRORING_CONTROLLER = "endpointslicemirroring-controller.k8s.io"
SERVICE_NAME = "kubernetes.io/service-name"
_ENDPOINTS_MANAGED_BY = "endpoints.kubernetes.io/managed-by"
_ENDPOINTS_CONTROLLER = "endpoint-controller"
_HEADLESS = "service.kubernetes.io/headless"
_SKIP_MIRROR = "endpointslice.kubernetes.io/skip-mirror"
_SLICE_SIZE = 100

Ports = tuple[tuple[str, str, int, str], ...]
"""(name, protocol, port number, appProtocol) of each port of a Service, as one pod has them."""


def _members(service: Object, pods: Iterable[Object]) -> list[tuple[Object, Ports]]:
    """Return the pods that belong to a service and have an address, with their port numbers."""
    return [
        (pod, _ports(service, pod))
        for pod in sorted(pods, key=metadata.name)
        if (pod.get("status") or {}).get("podIP") and not placement.is_finished(pod)
    ]


def _ports(service: Object, pod: Object) -> Ports:
    found = []
    for port in service["spec"].get("ports") or ():
        number = target_port(port, pod)
        if number is not None:
            protocol, name = port.get("protocol", "TCP"), port.get("name", "")
            found.append((name, protocol, number, port.get("appProtocol", "")))
    return tuple(found)


def target_port(port: Mapping[str, Any], pod: Object) -> int | None:
    """Return the number a service port leads to on a pod; None where the pod has none so named."""
    target = port.get("targetPort") or port["port"]
    if isinstance(target, int):
        return target
    sidecars = [
        one
        for one in pod["spec"].get("initContainers") or ()
        if one.get("restartPolicy") == "Always"
    ]
    for container in (*pod["spec"]["containers"], *sidecars):
        for offered in container.get("ports") or ():
            same_protocol = offered.get("protocol", "TCP") == port.get("protocol", "TCP")
            if offered.get("name") == target and same_protocol:
                return int(offered["containerPort"])
    return None


def is_ready(service: Object, pod: Object) -> bool:
    """Return whether traffic of the service may go to the pod."""
    if service["spec"].get("publishNotReadyAddresses"):
        return True
    return conditions.is_true(pod, "Ready") and not metadata.is_deleting(pod)


def _target(pod: Object) -> Object:
    namespace, name = metadata.namespaced_name(pod)
    return {"kind": "Pod", "namespace": namespace, "name": name, "uid": metadata.uid(pod)}


def _hostname(service: Object, pod: Object) -> str | None:
    same = pod["spec"].get("subdomain") == metadata.name(service)
    return pod["spec"].get("hostname") if same else None


def is_ours(obj: Object) -> bool:
    """Return whether an Endpoints object was made for a service's selector, not by hand."""
    return metadata.labels(obj).get(_ENDPOINTS_MANAGED_BY) == _ENDPOINTS_CONTROLLER


def endpoints_of(service: Object, pods: Iterable[Object]) -> Object:
    """Return the Endpoints object of a service with a selector."""
    everyone = service["spec"].get("publishNotReadyAddresses")
    groups: dict[Ports, tuple[list[Object], list[Object]]] = defaultdict(lambda: ([], []))
    for pod, ports in _members(service, pods):
        if metadata.is_deleting(pod) and not everyone:
            continue
        address: Object = {"ip": pod["status"]["podIP"], "targetRef": _target(pod)}
        if pod["spec"].get("nodeName"):
            address["nodeName"] = pod["spec"]["nodeName"]
        if _hostname(service, pod):
            address["hostname"] = _hostname(service, pod)
        ready, not_ready = groups[ports]
        (ready if is_ready(service, pod) else not_ready).append(address)
    subsets = []
    for ports, (ready, not_ready) in sorted(groups.items()):
        subset: Object = {"addresses": ready} if ready else {}
        if not_ready:
            subset["notReadyAddresses"] = not_ready
        if ports:
            subset["ports"] = [_endpoint_port(port) for port in ports]
        subsets.append(subset)
    fields = _metadata(service)
    fields["labels"] = {**fields.get("labels", {}), _ENDPOINTS_MANAGED_BY: _ENDPOINTS_CONTROLLER}
    result: Object = {"apiVersion": "v1", "kind": "Endpoints", "metadata": fields}
    if subsets:
        result["subsets"] = subsets
    return result


def _endpoint_port(port: tuple[str, str, int, str]) -> Object:
    name, protocol, number, app_protocol = port
    result: Object = {"port": number, "protocol": protocol}
    if name:
        result["name"] = name
    if app_protocol:
        result["appProtocol"] = app_protocol
    return result


def _metadata(service: Object) -> Object:
    namespace, name = metadata.namespaced_name(service)
    labels = dict(metadata.labels(service))
    if service["spec"].get("clusterIP") == "None":
        labels[_HEADLESS] = ""
    result: Object = {"name": name, "namespace": namespace}
    if labels:
        result["labels"] = labels
    return result


def slices_of(service: Object, pods: Iterable[Object]) -> list[Object]:
    """Return the EndpointSlices of a service with a selector, at most 100 endpoints each."""
    groups: dict[Ports, list[Object]] = defaultdict(list)
    for pod, ports in _members(service, pods):
        terminating = metadata.is_deleting(pod)
        serving = conditions.is_true(pod, "Ready")
        endpoint: Object = {
            "addresses": [pod["status"]["podIP"]],
            "conditions": {
                "ready": is_ready(service, pod),
                "serving": serving,
                "terminating": terminating,
            },
            "targetRef": _target(pod),
        }
        if pod["spec"].get("nodeName"):
            endpoint["nodeName"] = pod["spec"]["nodeName"]
        if _hostname(service, pod):
            endpoint["hostname"] = _hostname(service, pod)
        groups[ports].append(endpoint)
    return _slices(service, groups, SLICE_CONTROLLER)


def mirrored_slices(service: Object, endpoints: Object) -> list[Object]:
    """Return the EndpointSlices that say what a hand-made Endpoints object says."""
    if metadata.labels(endpoints).get(_SKIP_MIRROR) == "true":
        return []
    groups: dict[Ports, list[Object]] = defaultdict(list)
    for subset in endpoints.get("subsets") or ():
        ports = tuple(
            (
                port.get("name", ""),
                port.get("protocol", "TCP"),
                port["port"],
                port.get("appProtocol", ""),
            )
            for port in subset.get("ports") or ()
        )
        for field, ready in (("addresses", True), ("notReadyAddresses", False)):
            for address in subset.get(field) or ():
                groups[ports].append({"addresses": [address["ip"]], "conditions": {"ready": ready}})
    return _slices(service, groups, MIRRORING_CONTROLLER)


def _slices(
    service: Object, groups: Mapping[Ports, Sequence[Object]], manager: str
) -> list[Object]:
    slices = []
    for ports, members in sorted(groups.items()) or [((), [])]:
        starts = range(0, max(len(members), 1), _SLICE_SIZE)
        slices += [
            _slice(service, ports, members[start : start + _SLICE_SIZE], manager)
            for start in starts
        ]
    for number, made in enumerate(slices):
        seed = f"{metadata.uid(service)}/{number}"
        made["metadata"]["name"] = f"{metadata.name(service)[:57]}-{names.suffix(seed)}"
    return slices


def _slice(service: Object, ports: Ports, members: Sequence[Object], manager: str) -> Object:
    fields = _metadata(service)
    fields["labels"] = {
        **fields.get("labels", {}),
        SERVICE_NAME: metadata.name(service),
        MANAGED_BY: manager,
    }
    fields["ownerReferences"] = [metadata.owner_reference(service)]
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": fields,
        "addressType": "IPv4",
        "endpoints": list(members),
        "ports": [{"name": port[0], **_endpoint_port(port)} for port in ports],
    }
