"""The address that training jobs send their state to: a Service without pods that leads here."""

import asyncio
import logging
from typing import Final, NoReturn

from wherry.controller.manager import Manager
from wherry.controller.serving import certificates, services
from wherry.controller.serving.keeping import Keeping
from wherry.controller.serving.services import HostedService
from wherry.training.trainer import reporting

OPTION: Final = "training-status-address"
"""Where it listens, ``host:port``, the host an IP address by which pods reach it; port 0 is any."""
LOG: Final = logging.getLogger("wherry.training.status")
_NAMES: Final = (reporting.HOST, f"{reporting.HOST}.cluster.local")
_KEPT: Final = Keeping(reporting.NAMESPACE, "wherry-trainer-status")
_PORT: Final = "status"
_SERVICE: Final = HostedService(
    namespace=reporting.NAMESPACE,
    name=reporting.SERVICE,
    ports={_PORT: reporting.PORT},
    manager="training.wherry.dev",
)


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
        self.place = services.place(manager.surroundings, OPTION)
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
                await services.ensure_namespace(self._client, reporting.NAMESPACE)
                self._pair = await _KEPT.pair(self._client, _NAMES)
            return self._pair

    async def keep_published(self, host: str, port: int) -> NoReturn:
        """Lead the Service to an address until cancelled."""
        await _SERVICE.keep(self._client, host, {_PORT: port}, LOG)
