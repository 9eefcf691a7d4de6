"""Creates what every cluster is born with, once, and keeps the default roles up to date."""

import asyncio
from collections.abc import Sequence

from wherry.apiserver import bootstrap
from wherry.apiserver.fairness import defaults as fairness
from wherry.client.client import Client
from wherry.objects import errors, kinds, metadata
from wherry.objects.requests import Object

_SERVICE = "kubernetes"
_PORT_NAME = "https"


async def bootstrap_cluster(
    client: Client, *, address: str, host: str, port: int, extra: Sequence[Object]
) -> None:
    """Make the namespaces, roles, priority classes, flow schemas and the `kubernetes` Service exist.

    Args:
        client: As a superuser.
        address: Cluster IP of the `kubernetes` Service.
        host: Where the API server listens.
        port: On which port.
        extra: Objects that other rooms want from the start; those that exist are left alone.

    Raises:
        ApiError: the API refused one of them.
    """
    # At once, so that they share commits: one after the other they would be half of a start.
    first = (*bootstrap.namespaces(), *bootstrap.priority_classes())
    await asyncio.gather(*(_create(client, obj) for obj in first))
    defaults = (*bootstrap.roles(), *bootstrap.role_bindings())
    flow_control = (*fairness.priority_levels(), *fairness.flow_schemas())
    await asyncio.gather(*(_create(client, obj) for obj in flow_control))
    await asyncio.gather(*(_create_or_renew(client, obj) for obj in defaults))
    for obj in extra:
        await _create(client, obj)
    await _create(client, _service(address, port))
    await _keep_endpoints(client, host, port)


async def _create(client: Client, obj: Object) -> bool:
    """Create an object that is not there; return whether it was not."""
    resource = kinds.by_kind(obj["apiVersion"], obj["kind"])
    assert resource is not None
    try:
        # Asked for first: a Service that exists would be refused for its address, not its name.
        await client.get(resource, *reversed(metadata.namespaced_name(obj)))
    except errors.NotFoundError:
        await client.create(resource, obj)
        return True
    return False


async def _create_or_renew(client: Client, obj: Object) -> None:
    """Create a default role, or bring one up to date that nobody has taken over."""
    if await _create(client, obj):
        return
    resource = kinds.by_kind(obj["apiVersion"], obj["kind"])
    assert resource is not None
    present = await client.get(resource, metadata.name(obj))
    autoupdate = "rbac.authorization.kubernetes.io/autoupdate"
    if metadata.annotations(present).get(autoupdate) != "true" or "aggregationRule" in obj:
        return
    # Only what is missing: what people have added to a default role is theirs.
    wanted: Object = {}
    for field in ("rules", "subjects"):
        before = present.get(field) or []
        if missing := [each for each in obj.get(field) or () if each not in before]:
            wanted[field] = before + missing
    if wanted:
        await client.update(resource, {**present, **wanted})


def _service(address: str, port: int) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {
            "name": _SERVICE,
            "namespace": "default",
            "labels": {"component": "apiserver", "provider": "kubernetes"},
        },
        "spec": {
            "clusterIP": address,
            "ports": [
                {"name": _PORT_NAME, "port": 443, "protocol": "TCP", "targetPort": port},
            ],
        },
    }


async def _keep_endpoints(client: Client, host: str, port: int) -> None:
    wanted: Object = {
        "apiVersion": "v1",
        "kind": "Endpoints",
        "metadata": {"name": _SERVICE, "namespace": "default"},
        "subsets": [
            {
                "addresses": [{"ip": host}],
                "ports": [{"name": _PORT_NAME, "port": port, "protocol": "TCP"}],
            }
        ],
    }
    try:
        present = await client.get(kinds.ENDPOINTS, _SERVICE, "default")
    except errors.NotFoundError:
        await client.create(kinds.ENDPOINTS, wanted)
        return
    if present.get("subsets") != wanted["subsets"]:
        await client.update(kinds.ENDPOINTS, {**present, "subsets": wanted["subsets"]})
