"""Services: their Endpoints and EndpointSlices, and the addresses on which they connect.

Three controllers: one writes the endpoints of services with a selector, one mirrors hand-made
Endpoints into slices, and one keeps the relay (`service_proxy`) in step with services and slices.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from wherry.builtin import endpoints
from wherry.builtin.service_proxy import Address, ServiceProxy
from wherry.client.client import Client
from wherry.controller.apply import delete_if_present
from wherry.controller.cache import Cache
from wherry.controller.controller import Controller, Watch
from wherry.controller.manager import Manager
from wherry.controller.requests import Request, Result
from wherry.objects import errors, kinds, metadata, selectors
from wherry.objects.requests import Object

_LOOPBACK = "127.0.0.1"
_LISTEN_AGAIN_SECONDS = 15.0
_MANAGERS = frozenset({endpoints.SLICE_CONTROLLER, endpoints.MIRRORING_CONTROLLER})


async def _replace(client: Client, cache: Cache, wanted: Object, fields: Sequence[str]) -> None:
    """Create an object, or make these fields and the labels of it what they should be."""
    resource = cache.resource
    present = cache.get(*metadata.namespaced_name(wanted))
    if present is None:
        try:
            await client.create(resource, wanted)
        except errors.ForbiddenError:
            return  # its namespace is going
        return
    same = all((present.get(name) or []) == (wanted.get(name) or []) for name in fields)
    labels = dict(metadata.labels(wanted))
    if same and dict(metadata.labels(present)) == labels:
        return
    changed = {**present, **{name: wanted.get(name) for name in fields}}
    changed["metadata"] = {**present["metadata"], "labels": labels}
    await client.update(resource, changed)


class EndpointsReconciler:
    """Writes Endpoints and EndpointSlices of services."""

    def __init__(self, manager: Manager) -> None:
        self._client = manager.client
        self._services = manager.cache(kinds.SERVICES)
        self._pods = manager.cache(kinds.PODS)
        self._endpoints = manager.cache(kinds.ENDPOINTS)
        self._slices = manager.cache(kinds.ENDPOINT_SLICES)

    async def reconcile(self, request: Request) -> Result | None:
        """Make endpoints say where the service's pods are."""
        service = self._services.get(request.namespace, request.name)
        if service is None:
            await self._clean_up(request)
            return None
        if metadata.is_deleting(service) or service["spec"].get("type") == "ExternalName":
            return None
        selector = service["spec"].get("selector")
        if selector:
            matching = selectors.from_object({"matchLabels": selector})
            pods = self._pods.list(request.namespace, matching)
            wanted = endpoints.endpoints_of(service, pods)
            await _replace(self._client, self._endpoints, wanted, ("subsets",))
            slices = endpoints.slices_of(service, pods)
        else:
            by_hand = self._endpoints.get(request.namespace, request.name)
            slices = endpoints.mirrored_slices(service, by_hand) if by_hand else []
        await self._write_slices(service, slices)
        return None

    async def _write_slices(self, service: Object, wanted: list[Object]) -> None:
        for one in wanted:
            await _replace(self._client, self._slices, one, ("endpoints", "ports"))
        keep = {metadata.name(one) for one in wanted}
        for one in self._slices.owned_by(metadata.uid(service)):
            mine = metadata.labels(one).get(endpoints.MANAGED_BY) in _MANAGERS
            if mine and metadata.name(one) not in keep:
                await delete_if_present(self._client, kinds.ENDPOINT_SLICES, one)

    async def _clean_up(self, request: Request) -> None:
        left = self._endpoints.get(*request)
        # Those made by hand may be there before their service.
        if left is not None and endpoints.is_ours(left):
            await delete_if_present(self._client, kinds.ENDPOINTS, left)


class ProxyReconciler:
    """Keeps the relay in step with a service."""

    def __init__(self, manager: Manager, proxy: ServiceProxy) -> None:
        self._recorder = manager.recorder("service-proxy")
        self._proxy = proxy
        self._services = manager.cache(kinds.SERVICES)
        self._slices = manager.cache(kinds.ENDPOINT_SLICES)
        self._addresses: dict[Request, set[Address]] = {}

    async def reconcile(self, request: Request) -> Result | None:
        """Listen where the service wants to be reached, and nowhere else."""
        service = self._services.get(request.namespace, request.name)
        wanted: dict[Address, tuple[Address, ...]] = {}
        by_client = False
        if service is not None and not metadata.is_deleting(service):
            by_client = service["spec"].get("sessionAffinity") == "ClientIP"
            wanted = self._wanted(service)
        for address in self._addresses.get(request, set()) - wanted.keys():
            await self._proxy.unlisten(address)
        self._addresses[request] = set(wanted)
        problems = [
            await self._proxy.listen(address, backends, by_client=by_client)
            for address, backends in wanted.items()
        ]
        found = [problem for problem in problems if problem]
        if not wanted:
            del self._addresses[request]
        if found and service is not None:
            message = "; ".join(found)
            await self._recorder.event(service, "Warning", "ServiceNotReachable", message)
            return Result(requeue_after_seconds=_LISTEN_AGAIN_SECONDS)
        return None

    def _wanted(self, service: Object) -> dict[Address, tuple[Address, ...]]:
        spec = service["spec"]
        address = spec.get("clusterIP") or ""
        if address in {"", "None"} or spec.get("type") == "ExternalName":
            return {}
        slices = [
            one
            for one in self._slices.list(metadata.namespace(service))
            if metadata.labels(one).get(endpoints.SERVICE_NAME) == metadata.name(service)
        ]
        wanted = {}
        for port in spec.get("ports") or ():
            if port.get("protocol", "TCP") != "TCP":
                continue
            backends = _ready_addresses(slices, port.get("name", ""))
            wanted[Address(address, port["port"])] = backends
            if port.get("nodePort"):
                wanted[Address(_LOOPBACK, port["nodePort"])] = backends
        return wanted


def _ready_addresses(slices: Iterable[Object], port_name: str) -> tuple[Address, ...]:
    found = []
    for one in slices:
        numbers = [
            port["port"] for port in one.get("ports") or () if port.get("name", "") == port_name
        ]
        for endpoint in one.get("endpoints") or ():
            if (endpoint.get("conditions") or {}).get("ready") is not False:
                found += [Address(ip, n) for ip in endpoint["addresses"] for n in numbers]
    return tuple(found)


def controllers(manager: Manager, proxy: ServiceProxy) -> list[Controller]:
    """Return the controllers of endpoints and of the relay."""
    services = manager.cache(kinds.SERVICES)

    def selecting(pod: Object) -> Iterable[Request]:
        labels: Any = metadata.labels(pod)
        for service in services.list(metadata.namespace(pod)):
            selector = service["spec"].get("selector")
            if selector and selector.items() <= labels.items():
                yield Request(*metadata.namespaced_name(service))

    def of_slice(one: Object) -> Iterable[Request]:
        name = metadata.labels(one).get(endpoints.SERVICE_NAME)
        if name:
            yield Request(metadata.namespace(one), name)

    def same_name(obj: Object) -> Iterable[Request]:
        yield Request(*metadata.namespaced_name(obj))

    return [
        Controller(
            "endpoints",
            kinds.SERVICES,
            EndpointsReconciler(manager),
            owns=(kinds.ENDPOINT_SLICES,),
            watches=(Watch(kinds.PODS, selecting), Watch(kinds.ENDPOINTS, same_name)),
        ),
        Controller(
            "service-proxy",
            kinds.SERVICES,
            ProxyReconciler(manager, proxy),
            watches=(Watch(kinds.ENDPOINT_SLICES, of_slice),),
        ),
    ]
