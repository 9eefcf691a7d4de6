"""Which names pods find, and where cluster IPs lead: kept in step with services, their endpoints, and pods.

On a cluster a pod may start long before its peers have names, and some images therefore wait for them. Here the address
of a pod is known as soon as the pod is: a headless service that also publishes pods that are not ready names them from
then on, so that the processes of a job find one another however soon they look.
"""

import ipaddress
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

from wherry.controller.requests import Request, Result
from wherry.kubelet import hosts, specs
from wherry.kubelet.addresses import Addresses
from wherry.kubelet.caches import SERVICE_LABEL, Caches
from wherry.kubelet.service_addresses import ServiceAddresses, services_of
from wherry.kubelet.settings import KubeletSettings
from wherry.objects import metadata
from wherry.objects.requests import Object

_EARLY, _LIVING = "kubelet-early", "kubelet-living"
_NO_NODE = ("", None)


class Names:
    """Keeps `/etc/hosts` of all pods, and the launcher's table of cluster IPs.

    Attributes:
        files: The pods' files.
    """

    def __init__(
        self,
        caches: Caches,
        settings: KubeletSettings,
        addresses: Addresses,
        *,
        launcher: Path,
        node_name: str,
    ) -> None:
        """Begin to watch nothing yet: `reconcile` is called for services and endpoints.

        Args:
            caches: Of services, endpoints and pods; indexes are added.
            settings: The agent's.
            addresses: Of pods.
            launcher: The launcher's folder.
            node_name: This node.
        """
        self._caches = caches
        self._domain = settings.cluster_domain
        self._range = ipaddress.IPv4Network(settings.pod_cidr)
        self._addresses = addresses
        self.files = hosts.Hosts(debounce_seconds=settings.hosts_debounce_seconds)
        self._table = ServiceAddresses(launcher)
        self._node_name = node_name
        self._named: dict[str, set[str]] = defaultdict(set)
        self._begun = False
        caches.services.add_index(_EARLY, _early)
        caches.pods.add_index(_LIVING, self._living)

    async def reconcile(self, request: Request) -> Result | None:
        """Work out anew how pods find a service and where it leads."""
        if not self._begun:
            # At once, so that the table of the control plane before this one is not replaced by a part of it.
            self._begun = True
            for service in self._caches.services.list():
                self._note(Request(*metadata.namespaced_name(service)))
        self._note(request)
        return None

    def meet(self, namespace: str) -> None:
        """Name the pods of a namespace that have come since this was asked last; for a pod that is about to start."""
        pods = self._caches.pods.by_index(_LIVING, namespace)
        known = self._named[namespace]
        fresh = [pod for pod in pods if metadata.uid(pod) not in known]
        self._named[namespace] = {metadata.uid(pod) for pod in pods}
        if not fresh:
            return
        for service in self._caches.services.by_index(_EARLY, namespace):
            if any(_selects(service, pod) for pod in fresh):
                self._note(Request(*metadata.namespaced_name(service)))

    async def close(self) -> None:
        """Write what is not written yet, and no more."""
        await self.files.close()
        await self._table.close()

    def _note(self, request: Request) -> None:
        service = self._caches.services.get(*request)
        slices = self._caches.endpoint_slices.by_index(SERVICE_LABEL, request.path)
        lines = ("", "")
        if service is not None:
            soon = self._expected(service)
            lines = hosts.service_lines(service, [*slices, soon], self._domain)
        self.files.set_service(request.namespace, request.name, lines)
        services = services_of(service, slices, self._range) if service is not None else {}
        self._table.set(request, services)

    def _expected(self, service: Object) -> Object:
        """Return, as an EndpointSlice, the pods that a service names before it has heard of them."""
        found: list[Object] = []
        if _early(service):
            name = metadata.name(service)
            for pod in self._caches.pods.by_index(_LIVING, metadata.namespace(service)):
                if _selects(service, pod):
                    own = pod["spec"].get("subdomain") == name and pod["spec"].get("hostname")
                    endpoint: Object = {"hostname": own} if own else {}
                    found.append({**endpoint, "addresses": [self._address(pod)]})
        return {"endpoints": found}

    def _address(self, pod: Object) -> str:
        known = (pod.get("status") or {}).get("podIP")
        return str(known or self._addresses.foresee(metadata.uid(pod)))

    def _living(self, pod: Object) -> Iterable[str]:
        ours = pod["spec"].get("nodeName") in {*_NO_NODE, self._node_name}
        if not ours or specs.is_finished(pod) or specs.uses_host_network(pod):
            return ()
        return () if metadata.is_deleting(pod) else (metadata.namespace(pod),)


def _early(service: Object) -> Iterable[str]:
    spec = service.get("spec") or {}
    early = spec.get("clusterIP") == "None" and spec.get("publishNotReadyAddresses")
    return (metadata.namespace(service),) if early and spec.get("selector") else ()


def _selects(service: Object, pod: Object) -> bool:
    selector: dict[str, str] = service["spec"]["selector"]
    return selector.items() <= metadata.labels(pod).items()
