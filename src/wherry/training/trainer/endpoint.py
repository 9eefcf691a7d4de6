"""The address that training jobs send their state to: a Service without pods that leads here.

Only what leads serves it, so the Service's EndpointSlice is the leader's.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Final, TypeVar

from wherry.controller import installing
from wherry.controller.manager import Manager
from wherry.controller.serving import certificates
from wherry.controller.serving.keeping import Keeping
from wherry.objects import errors
from wherry.objects import kinds as core
from wherry.objects.requests import Object
from wherry.training.trainer import reporting

OPTION: Final = "training-status-address"
"""Where it listens, ``host:port``, as pods reach it; port 0 is any."""
_LOCAL: Final = "127.0.0.1:0"
_NAMES: Final = (reporting.HOST, f"{reporting.HOST}.cluster.local")
_KEPT: Final = Keeping(reporting.NAMESPACE, "wherry-trainer-status")
_AGAIN_SECONDS: Final = 5.0
_LAST_PORT: Final = 65535
_LOG = logging.getLogger("wherry.training.status")
_Given = TypeVar("_Given")


class Endpoint:
    """Where it is served, and with which certificate.

    Attributes:
        place: Host and port to listen on; None where nobody has said how pods reach this process.
    """

    def __init__(self, manager: Manager) -> None:
        """Take what it works with: the client and the surroundings of a manager.

        Raises:
            ValueError: the option is no address.
        """
        self._client = manager.client
        around = manager.surroundings
        self.place = _place(around.options.get(OPTION, _LOCAL if around.local else ""))
        self._pair: certificates.Pair | None = None
        self._turn = asyncio.Lock()

    @property
    def is_served(self) -> bool:
        """Whether training jobs are given the address."""
        return self.place is not None

    async def pair(self) -> certificates.Pair:
        """Return the certificate, the same for all replicas and at every start.

        Raises:
            ApiError: the Secret in which it is kept cannot be read or written.
        """
        async with self._turn:
            if self._pair is None:
                await self._make_namespace()
                self._pair = await _KEPT.pair(self._client, _NAMES)
            return self._pair

    async def _make_namespace(self) -> None:
        try:
            await self._client.get(core.NAMESPACES, reporting.NAMESPACE)
        except errors.NotFoundError:
            namespace = _head(
                core.NAMESPACES.api_version, core.NAMESPACES.kind, reporting.NAMESPACE
            )
            del namespace["metadata"]["namespace"]
            await installing.ensure(self._client, core.NAMESPACES, namespace)

    async def publish(self, host: str, port: int) -> None:
        """Lead the Service to an address.

        Raises:
            ApiError: the API refused it.
        """
        await installing.ensure(self._client, core.SERVICES, _service())
        await installing.ensure(self._client, core.ENDPOINT_SLICES, _slice(host, port))


async def done(what: str, step: Callable[[], Awaitable[_Given]]) -> _Given:
    """Return what a step gives, tried again and again until the API lets it.

    Args:
        what: Is told meanwhile.
        step: Makes one try.
    """
    while True:
        try:
            return await step()
        except errors.ApiError as error:
            _LOG.error("%s: %s; trying again", what, error.message)
        await asyncio.sleep(_AGAIN_SECONDS)


def _place(address: str) -> tuple[str, int] | None:
    if not address:
        return None
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal() or int(port) > _LAST_PORT:
        raise ValueError(f"{OPTION}: {address!r}: want HOST:PORT")
    return host.strip("[]"), int(port)


def _head(
    api_version: str, kind: str, name: str, labels: Mapping[str, str] | None = None
) -> Object:
    metadata = {"name": name, "namespace": reporting.NAMESPACE, "labels": dict(labels or {})}
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata}


def _service() -> Object:
    port = {"name": "status", "port": reporting.PORT, "protocol": "TCP"}
    return {
        **_head("v1", core.SERVICES.kind, reporting.SERVICE),
        "spec": {"ports": [{**port, "targetPort": reporting.PORT}]},
    }


def _slice(host: str, port: int) -> Object:
    resource = core.ENDPOINT_SLICES
    labels = {
        "kubernetes.io/service-name": reporting.SERVICE,
        "endpointslice.kubernetes.io/managed-by": "training.wherry.dev",
    }
    return {
        **_head(resource.api_version, resource.kind, f"{reporting.SERVICE}-wherry", labels),
        "addressType": "IPv6" if ":" in host else "IPv4",
        "endpoints": [{"addresses": [host], "conditions": {"ready": True}}],
        "ports": [{"name": "status", "port": port, "protocol": "TCP"}],
    }
