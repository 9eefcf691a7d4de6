"""The API under the name that Katib's clients know: ``katib-db-manager.kubeflow:6789``.

A Service without pods: its EndpointSlice leads to the relay of this process.
"""

import logging
from typing import Final

from wherry.controller.manager import Manager
from wherry.controller.serving import services
from wherry.controller.serving.relay import Relay
from wherry.controller.serving.services import HostedService, Place
from wherry.tuning import kinds
from wherry.tuning.collecting import Collecting

OPTION: Final = "tuning-api-address"
"""Where the relay listens, ``host:port``, as pods reach it; by default a port of this machine."""
_PORT: Final = "api"
_SERVICE: Final = HostedService(
    namespace=kinds.NAMESPACE,
    name="katib-db-manager",
    ports={_PORT: 6789},
    manager="tuning.wherry.dev",
)
_LOG = logging.getLogger("wherry.tuning.api")


def serve(manager: Manager, metrics: Collecting) -> None:
    """Have the API be served beside a manager's controllers, where its database can be shared.

    Args:
        manager: Whose.
        metrics: Is told what is reported.

    Raises:
        ValueError: the option is no address.
    """
    database = metrics.database
    place = services.place(manager.surroundings, OPTION)
    if database and place is not None:
        manager.beside("Katib's API", lambda: _run(manager, database, metrics, place))


async def _run(manager: Manager, database: str, metrics: Collecting, place: Place) -> None:
    relay = Relay(
        "wherry.tuning.api", {"WHERRY_TUNING_DATABASE": database}, told=metrics.told, log=_LOG
    )
    try:
        port = await relay.listen(place.host, place.port)
        await _SERVICE.keep(manager.client, place.host, {_PORT: port}, _LOG)
    finally:
        await relay.close()
