"""The service under the names that clients know: ``ml-pipeline.kubeflow``, and those of its metadata.

Services without pods: their EndpointSlices lead to this process. What answers is made for the first who calls.
"""

import asyncio
import logging
import secrets
from typing import Final

from wherry.controller.manager import Manager
from wherry.controller.serving import fronting, services
from wherry.controller.serving.fronting import Make
from wherry.controller.serving.relay import Relay
from wherry.controller.serving.services import HostedService, Place
from wherry.pipelines.definitions.kinds import SHARED

OPTION: Final = "pipelines-api-address"
"""Where it listens, ``host:port``, the host an IP address by which pods reach it; port 0 is any."""
GRPC_OPTION: Final = "pipelines-grpc-address"
"""Likewise for gRPC; without it, there is none."""
SECRET_OPTION: Final = "pipelines-front-secret"  # noqa: S105 - the name of it, not a secret
"""By which a gateway in front proves that it may say who calls; by default nobody outside can."""
NAME: Final = "ml-pipeline"
VARIABLE: Final = "WHERRY_PIPELINES_API"
"""Tells the process that serves gRPC where the service is."""
_LEAST_SECRET: Final = 16
_HTTP: Final = "http"
_GRPC: Final = "grpc"
_MANAGER: Final = "pipelines.wherry.dev"
_SERVICE: Final = HostedService(
    namespace=SHARED, name=NAME, ports={_HTTP: 8888, _GRPC: 8887}, manager=_MANAGER
)
_METADATA_WEB: Final = HostedService(
    namespace=SHARED, name="metadata-envoy-service", ports={"md-envoy": 9090}, manager=_MANAGER
)
"""The metadata service as browsers ask it: by gRPC-Web."""
_METADATA: Final = HostedService(
    namespace=SHARED, name="metadata-grpc-service", ports={"grpc-api": 8080}, manager=_MANAGER
)
_LOG = logging.getLogger("wherry.pipelines.api")


def serve(manager: Manager, make: Make) -> None:
    """Have the API be served beside a manager's controllers, where pods reach this process.

    Args:
        manager: Whose.
        make: Makes what answers.

    Raises:
        ValueError: an option is not what it should be.
    """
    around = manager.surroundings
    place, rpc_place = services.place(around, OPTION), services.place(around, GRPC_OPTION)
    secret = around.options.get(SECRET_OPTION) or secrets.token_urlsafe()
    if len(secret) < _LEAST_SECRET:
        raise ValueError(f"{SECRET_OPTION}: want at least {_LEAST_SECRET} characters")
    if place is not None:
        hosting = _Hosting(manager, make, secret)
        manager.beside("pipelines' API", lambda: hosting.run(place, rpc_place))


class _Hosting:
    def __init__(self, manager: Manager, make: Make, secret: str) -> None:
        self._manager = manager
        self._make = make
        self._secret = secret

    async def run(self, place: Place, rpc_place: Place | None) -> None:
        """Serve until cancelled."""
        around = self._manager.surroundings
        async with fronting.serving(around, self._make, place, self._secret) as (host, port):
            url = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
            relay = Relay("wherry.pipelines.api.rpc", {VARIABLE: url}, log=_LOG)
            try:
                rpc_port = 0 if rpc_place is None else await relay.listen(*rpc_place)
                await self._keep(place.host, port, rpc_port)
            finally:
                await relay.close()

    async def _keep(self, host: str, port: int, rpc_port: int) -> None:
        """Lead the Services here until cancelled."""
        wanted = [(_SERVICE, {_HTTP: port}), (_METADATA_WEB, {"md-envoy": port})]
        if rpc_port:
            wanted[0][1][_GRPC] = rpc_port
            wanted.append((_METADATA, {"grpc-api": rpc_port}))
        async with asyncio.TaskGroup() as group:
            for each, ports in wanted:
                group.create_task(each.keep(self._manager.client, host, ports, _LOG))
