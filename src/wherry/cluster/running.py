"""Runs the products' controllers and webhooks against an API, until cancelled."""

import asyncio
import contextlib
import logging
import urllib.parse
from collections.abc import AsyncIterator, Coroutine, Sequence
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from wherry.client.client import Client
from wherry.cluster import registration, webhooks
from wherry.controller import installing
from wherry.controller.clock import Clock, SystemClock
from wherry.controller.component import Component
from wherry.controller.leader import LeaderElection
from wherry.controller.manager import Manager
from wherry.controller.serving import listening
from wherry.controller.serving.keeping import Keeping
from wherry.controller.surroundings import Surroundings
from wherry.objects import kinds

_LOG = logging.getLogger("wherry.cluster")
_SECRET = f"{registration.NAME}-webhooks"


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookSettings:
    """Where the webhooks listen, and how the API gets there.

    Attributes:
        host: Address to listen on.
        port: Port; 0 for any free one.
        url: ``https://host[:port]`` by which the API reaches it; empty: a `service`, or, where that
            is empty too, the address and port it listens on.
        service: ``namespace/name`` of a Service that leads to it.
    """

    host: str = "127.0.0.1"
    port: int = 9443
    url: str = ""
    service: str = ""

    def names(self) -> list[str]:
        """Return the names that its certificate must have."""
        if self.service:
            namespace, _, name = self.service.partition("/")
            return [f"{name}.{namespace}.svc", f"{name}.{namespace}.svc.cluster.local"]
        if self.url:
            return [urllib.parse.urlsplit(self.url).hostname or ""]
        return [self.host]


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What is run, and how.

    Attributes:
        namespace: Of the Lease and of the Secret with the webhooks' certificate.
        identity: Unique among replicas.
        leader_election: Whether to wait for the lease before working.
        webhooks: None: no webhooks; controllers fill in defaults on reading, nothing is refused.
        lease: Times of the lease, in seconds: duration, renew deadline, retry period.
        surroundings: What the products are given beyond the API.
        clock: What controllers ask for the time; None: the machine's. The lease goes by that in any case.
    """

    namespace: str
    identity: str
    leader_election: bool = True
    webhooks: WebhookSettings | None = None
    lease: tuple[float, float, float] = (15, 10, 2)
    surroundings: Surroundings = field(default_factory=Surroundings)
    clock: Clock | None = None

    def election(self) -> LeaderElection | None:
        """Return what is contended for; None where nothing is."""
        if not self.leader_election:
            return None
        duration, deadline, retry = self.lease
        return LeaderElection(
            identity=self.identity,
            name=f"{registration.NAME}-controllers",
            namespace=self.namespace,
            lease_duration_seconds=duration,
            renew_deadline_seconds=deadline,
            retry_period_seconds=retry,
            clock=SystemClock(),
        )


async def run(client: Client, components: Sequence[Component], settings: Settings) -> None:
    """Install the products, then work until cancelled.

    Raises:
        ApiError: the API refused what has to be installed; the message names the missing right.
        OSError: the webhooks' port is taken.
    """
    manager = Manager(
        client,
        clock=settings.clock,
        leader_election=settings.election(),
        surroundings=settings.surroundings,
    )
    app = webhooks.application(components, client, manager.metrics)
    async with _serving(client, app, settings) as endpoint:
        await installing.define(client, registration.definitions(components, None))
        for component in components:
            await installing.make_objects(client, component)
        for component in components:
            for controller in component.controllers(manager):
                manager.add(controller)
        await _together(manager.run(), _register(client, components, endpoint, manager))


async def _together(*works: Coroutine[Any, Any, None]) -> None:
    """Await all; the first that fails ends the others, and its error is raised as it is."""
    tasks = [asyncio.ensure_future(work) for work in works]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _register(
    client: Client,
    components: Sequence[Component],
    endpoint: registration.Endpoint | None,
    manager: Manager,
) -> None:
    """Lead the API to our webhooks once we lead: a replica that waits may have another URL."""
    if endpoint is None:
        return
    # Not later: what the controllers write has to pass the webhooks.
    await manager.leads.wait()
    await installing.define(client, registration.definitions(components, endpoint))
    for configuration in registration.webhooks(components, endpoint):
        resource = kinds.by_kind(configuration["apiVersion"], configuration["kind"])
        assert resource is not None
        await installing.ensure(client, resource, configuration)


@contextlib.asynccontextmanager
async def _serving(
    client: Client, app: web.Application, settings: Settings
) -> AsyncIterator[registration.Endpoint | None]:
    """Serve the webhooks while the block runs, and give where."""
    wanted = settings.webhooks
    if wanted is None:
        yield None
        return
    pair = await Keeping(settings.namespace, _SECRET).pair(client, wanted.names())
    async with listening.listening(app, wanted.host, wanted.port, pair.ssl_context()) as place:
        host, port = place
        _LOG.info("webhooks at %s:%s", host, port)
        shown = f"[{wanted.host}]" if ":" in wanted.host else wanted.host
        url = wanted.url or f"https://{shown}:{port}"
        yield registration.Endpoint(url, wanted.service, pair.certificate)
