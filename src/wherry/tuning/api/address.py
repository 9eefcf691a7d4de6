"""The API under the name that Katib's clients know: ``katib-db-manager.kubeflow:6789``.

A Service without pods: its EndpointSlice leads to the relay of this process.
"""

import asyncio
import logging
from typing import Final

from wherry.client.client import Client
from wherry.controller import installing
from wherry.controller.manager import Manager
from wherry.objects import errors
from wherry.objects import kinds as core
from wherry.objects.requests import Object
from wherry.tuning import kinds
from wherry.tuning.api.relay import Relay
from wherry.tuning.collecting import Collecting

NAME: Final = "katib-db-manager"
PORT: Final = 6789
OPTION: Final = "tuning-api-address"
"""Where the relay listens, ``host:port``, as pods reach it; by default a port of this machine."""
_DEFAULT: Final = "127.0.0.1:0"
_LOG = logging.getLogger("wherry.tuning.api")
_AGAIN_SECONDS: Final = 5.0


def serve(manager: Manager, metrics: Collecting) -> None:
    """Have the API be served beside a manager's controllers, where its database can be shared.

    Args:
        manager: Whose.
        metrics: Is told what is reported.
    """
    database = metrics.database
    if database:
        manager.beside("Katib's API", lambda: _run(manager, database, metrics))


async def _run(manager: Manager, database: str, metrics: Collecting) -> None:
    host, _, port = manager.surroundings.options.get(OPTION, _DEFAULT).rpartition(":")
    relay = Relay(database, metrics.told)
    try:
        listening = await relay.listen(host.strip("[]"), int(port))
        await _publish(manager.client, host.strip("[]"), listening)
        await asyncio.Event().wait()
    finally:
        await relay.close()


async def _publish(client: Client, host: str, port: int) -> None:
    """Write where the API is; again and again until that works."""
    while True:
        try:
            await installing.ensure(client, core.SERVICES, _service())
            await installing.ensure(client, core.ENDPOINT_SLICES, _slice(host, port))
        except errors.ApiError as error:
            _LOG.error("Service %s: %s; trying again", NAME, error.message)
        else:
            return
        await asyncio.sleep(_AGAIN_SECONDS)


def _service() -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": NAME, "namespace": kinds.NAMESPACE},
        "spec": {"ports": [{"name": "api", "port": PORT, "protocol": "TCP", "targetPort": PORT}]},
    }


def _slice(host: str, port: int) -> Object:
    return {
        "apiVersion": core.ENDPOINT_SLICES.api_version,
        "kind": core.ENDPOINT_SLICES.kind,
        "metadata": {
            "name": f"{NAME}-wherry",
            "namespace": kinds.NAMESPACE,
            "labels": {
                "kubernetes.io/service-name": NAME,
                "endpointslice.kubernetes.io/managed-by": "tuning.wherry.dev",
            },
        },
        "addressType": "IPv6" if ":" in host else "IPv4",
        "endpoints": [{"addresses": [host], "conditions": {"ready": True}}],
        "ports": [{"name": "api", "port": port, "protocol": "TCP"}],
    }
