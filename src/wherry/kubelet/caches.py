"""The parts of the API that the node agent watches."""

from collections.abc import Iterable
from dataclasses import dataclass

from wherry.controller.cache import Cache
from wherry.controller.manager import Manager
from wherry.kubelet.environments import kinds as environment_kinds
from wherry.objects import kinds, metadata
from wherry.objects.requests import Object

SERVICE_LABEL = "kubernetes.io/service-name"
"""Label of an EndpointSlice, and the index of slices by the service's namespace and name."""


@dataclass(frozen=True, slots=True)
class Caches:
    """One of each kind."""

    pods: Cache
    config_maps: Cache
    secrets: Cache
    services: Cache
    endpoint_slices: Cache
    claims: Cache
    volumes: Cache
    environments: Cache


def of(manager: Manager) -> Caches:
    """Return a manager's caches."""
    slices = manager.cache(kinds.ENDPOINT_SLICES)
    slices.add_index(SERVICE_LABEL, _service)
    return Caches(
        pods=manager.cache(kinds.PODS),
        config_maps=manager.cache(kinds.CONFIG_MAPS),
        secrets=manager.cache(kinds.SECRETS),
        services=manager.cache(kinds.SERVICES),
        endpoint_slices=slices,
        claims=manager.cache(kinds.PERSISTENT_VOLUME_CLAIMS),
        volumes=manager.cache(kinds.PERSISTENT_VOLUMES),
        environments=manager.cache(environment_kinds.ENVIRONMENTS),
    )


def _service(part: Object) -> Iterable[str]:
    name = metadata.labels(part).get(SERVICE_LABEL)
    return (f"{metadata.namespace(part)}/{name}",) if name else ()
