"""A Service without pods: its endpoints are a process that runs controllers.

Only what leads serves, so the Service's EndpointSlice is the leader's.
"""

import asyncio
import ipaddress
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple, NoReturn, TypeVar

from wherry.client.client import Client
from wherry.controller import installing
from wherry.controller.surroundings import Surroundings
from wherry.objects import errors, kinds
from wherry.objects.requests import Object

_LOCAL: Final = "127.0.0.1:0"
_AGAIN_SECONDS: Final = 5.0
_LAST_PORT: Final = 65535
_Given = TypeVar("_Given")


class Place(NamedTuple):
    """Where to listen.

    Attributes:
        host: An IP address by which pods reach this process.
        port: 0 is any.
    """

    host: str
    port: int


def place(around: Surroundings, option: str) -> Place | None:
    """Return where a Service's server has to listen; None where nobody has said how pods reach it.

    Args:
        around: Where this process runs; pods that are processes of this machine need not be told.
        option: Name of the setting, whose value is ``host:port``.

    Raises:
        ValueError: the value is no address.
    """
    address = around.options.get(option, _LOCAL if around.local else "")
    if not address:
        return None
    host, _, port = address.rpartition(":")
    host = host.strip("[]")
    if not _is_reached(host) or not port.isdecimal() or int(port) > _LAST_PORT:
        raise ValueError(
            f"{option}: {address!r}: want HOST:PORT, the host an IP address by which pods reach this process"
        )
    return Place(host, int(port))


def _is_reached(host: str) -> bool:
    # An EndpointSlice takes no names, and nobody is reached at 0.0.0.0.
    try:
        return not ipaddress.ip_address(host).is_unspecified
    except ValueError:
        return False


async def done(what: str, step: Callable[[], Awaitable[_Given]], log: logging.Logger) -> _Given:
    """Return what a step gives, tried again and again until the API lets it.

    Args:
        what: Is told meanwhile.
        step: Makes one try.
        log: Where it is told.
    """
    while True:
        try:
            return await step()
        except errors.ApiError as error:
            log.error("%s: %s; trying again", what, error.message)
        await asyncio.sleep(_AGAIN_SECONDS)


async def ensure_namespace(client: Client, name: str) -> None:
    """Make a namespace where it is missing.

    Raises:
        ApiError: the API refused it.
    """
    try:
        await client.get(kinds.NAMESPACES, name)
    except errors.NotFoundError:
        namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
        await installing.ensure(client, kinds.NAMESPACES, namespace)


@dataclass(frozen=True, slots=True, kw_only=True)
class HostedService:
    """A Service that leads to this process.

    Attributes:
        namespace: Of it; made where it is missing.
        name: Of it.
        ports: Its ports by name.
        manager: Who keeps its endpoints, such as ``training.wherry.dev``.
        look_seconds: How long it may stay changed or deleted.
    """

    namespace: str
    name: str
    ports: Mapping[str, int]
    manager: str
    look_seconds: float = 10.0

    async def keep(
        self, client: Client, host: str, ports: Mapping[str, int], log: logging.Logger
    ) -> NoReturn:
        """Lead the Service to an address until cancelled, whatever others make of its objects.

        It is looked at now and then: a watch would take rights on all Services of a cluster.

        Args:
            client: May get and create namespaces, and get, create and update Services and EndpointSlices.
            host: An IP address.
            ports: Where each of its ports is served.
            log: Where it is told that the API refuses it.
        """
        while True:
            await done(f"Service {self.name}", lambda: self._publish(client, host, ports), log)
            await asyncio.sleep(self.look_seconds)

    async def _publish(self, client: Client, host: str, ports: Mapping[str, int]) -> None:
        await ensure_namespace(client, self.namespace)
        await installing.ensure(client, kinds.SERVICES, self._service())
        await installing.ensure(client, kinds.ENDPOINT_SLICES, self._slice(host, ports))

    def _service(self) -> Object:
        ports = [
            {"name": name, "port": port, "protocol": "TCP", "targetPort": port}
            for name, port in self.ports.items()
        ]
        return {
            "apiVersion": kinds.SERVICES.api_version,
            "kind": kinds.SERVICES.kind,
            "metadata": {"name": self.name, "namespace": self.namespace},
            # Pods that somebody has it lead to would get half of the connections.
            "spec": {"ports": ports, "selector": None},
        }

    def _slice(self, host: str, ports: Mapping[str, int]) -> Object:
        labels = {
            "kubernetes.io/service-name": self.name,
            "endpointslice.kubernetes.io/managed-by": self.manager,
        }
        return {
            "apiVersion": kinds.ENDPOINT_SLICES.api_version,
            "kind": kinds.ENDPOINT_SLICES.kind,
            "metadata": {
                "name": f"{self.name}-wherry",
                "namespace": self.namespace,
                "labels": labels,
            },
            "addressType": "IPv6" if ":" in host else "IPv4",
            "endpoints": [{"addresses": [host], "conditions": {"ready": True}}],
            "ports": [
                {"name": name, "port": port, "protocol": "TCP"} for name, port in ports.items()
            ],
        }
