"""Argo's server under the name that clients know: ``argo-server.argo``.

A Service without pods: its EndpointSlice leads to this process. What answers is made for the first who calls.
"""

import logging
import secrets
from typing import Final

from wherry.controller.manager import Manager
from wherry.controller.serving import fronting, services
from wherry.controller.serving.fronting import Make
from wherry.controller.serving.services import HostedService, Place

OPTION: Final = "pipelines-argo-address"
"""Where it listens, ``host:port``, the host an IP address by which pods reach it; port 0 is any."""
NAMESPACE: Final = "argo"
NAME: Final = "argo-server"
_PORT: Final = "web"
_SERVICE: Final = HostedService(
    namespace=NAMESPACE, name=NAME, ports={_PORT: 2746}, manager="pipelines.wherry.dev"
)
_LOG = logging.getLogger("wherry.pipelines.workflows.server")


def serve(manager: Manager, make: Make) -> None:
    """Have the server be there beside a manager's controllers, where pods reach this process.

    Args:
        manager: Whose.
        make: Makes what answers.

    Raises:
        ValueError: the option is no address.
    """
    place = services.place(manager.surroundings, OPTION)
    if place is not None:
        manager.beside("Argo's server", lambda: _run(manager, make, place))


async def _run(manager: Manager, make: Make, place: Place) -> None:
    """Serve until cancelled."""
    secret = secrets.token_urlsafe()
    async with fronting.serving(manager.surroundings, make, place, secret) as (_, port):
        await _SERVICE.keep(manager.client, place.host, {_PORT: port}, _LOG)
