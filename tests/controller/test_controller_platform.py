"""The loop on the real API server, in process and over HTTPS."""

import asyncio
import contextlib
import datetime
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from wherry.apiserver import bootstrap
from wherry.apiserver.authentication import user_of_certificate
from wherry.apiserver.authorization import RoleAuthorizer
from wherry.apiserver.certificates import Pki, load_or_create
from wherry.apiserver.identity import MASTERS, User
from wherry.apiserver.roles import StoredRoles
from wherry.apiserver.server import ApiServer
from wherry.client import kubeconfig
from wherry.client.client import Client
from wherry.client.connections import Connection
from wherry.client.resources import Resources
from wherry.client.transports.http import HttpTransport
from wherry.controller import finalizers
from wherry.controller.apply import create_or_update, delete_if_present
from wherry.controller.controller import Controller
from wherry.controller.leader import LeaderElection
from wherry.controller.manager import Manager
from wherry.controller.owners import set_controller
from wherry.controller.requests import Request, Result
from wherry.objects import errors, kinds, metadata
from wherry.objects.requests import Object
from wherry.store import Store

Eventually = Callable[..., Awaitable[None]]
HOLD = "wherry.dev/test"


class ByCertificate:
    """Knows people by their client certificates only."""

    async def authenticate(
        self, _headers: Mapping[str, str], peer_certificate: dict[str, Any] | None
    ) -> User | None:
        return user_of_certificate(peer_certificate) if peer_certificate else None


@contextlib.asynccontextmanager
async def in_process(server: ApiServer, _pki: Pki) -> AsyncIterator[Client]:
    yield Client(server.transport(User("admin", groups=(MASTERS,))))


@contextlib.asynccontextmanager
async def over_https(server: ApiServer, pki: Pki) -> AsyncIterator[Client]:
    await server.start()
    connection = Connection(
        server=f"https://127.0.0.1:{server.port}",
        certificate_authority=pki.authority.certificate,
        client_certificate=pki.admin.certificate,
        client_key=pki.admin.key,
    )
    # Through the file that a user would have.
    config = pki.directory / "config"
    kubeconfig.write(config, kubeconfig.entry("wherry", connection))
    client = Client(HttpTransport(kubeconfig.load([config])))
    yield client
    await client.close()
    await server.stop()


@pytest.fixture(params=[in_process, over_https])
async def platform(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Client]:
    pki = load_or_create(tmp_path, ["127.0.0.1"], datetime.datetime.now(datetime.UTC))
    async with Store.in_memory() as store:
        server = ApiServer(
            store,
            authenticator=ByCertificate(),
            authorizer=RoleAuthorizer(StoredRoles(store)),
            ssl_context=pki.ssl_context(),
        )
        async with request.param(server, pki) as client:
            for namespace in bootstrap.namespaces():
                await client.create(kinds.NAMESPACES, namespace)
            yield client


@contextlib.asynccontextmanager
async def running(manager: Manager) -> AsyncIterator[None]:
    task = asyncio.create_task(manager.run())
    try:
        async with asyncio.timeout(60):
            await manager.ready.wait()
        yield
    finally:
        await manager.stop()
        await task


def config_map(name: str, **data: str) -> Object:
    fields = {"name": name, "namespace": "default"}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": fields, "data": data}


class Exposer:
    """Each ConfigMap named `app-…` gets a Service on the port it names; held until that is gone."""

    def __init__(self, manager: Manager) -> None:
        self.client = manager.client
        self.config_maps = manager.cache(kinds.CONFIG_MAPS)
        self.services = manager.cache(kinds.SERVICES)
        self.recorder = manager.recorder("exposer")
        self.outcomes: list[str] = []
        manager.add(Controller("exposer", kinds.CONFIG_MAPS, self, owns=(kinds.SERVICES,)))

    async def reconcile(self, request: Request) -> Result | None:
        app = self.config_maps.get(*request)
        if app is None or not request.name.startswith("app-"):
            return None
        if metadata.is_deleting(app):
            return await self._clean_up(request, app)
        app = await finalizers.add_finalizer(self.client, kinds.CONFIG_MAPS, app, HOLD)
        service = {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": request.name, "namespace": request.namespace},
            "spec": {
                "ports": [{"name": "web", "port": int(app["data"]["port"])}],
                "selector": {"app": request.name},
            },
        }
        desired = set_controller(service, app)
        applied = await create_or_update(self.client, self.services, kinds.SERVICES, desired)
        self.outcomes.append(applied.outcome)
        await self.recorder.event(app, "Normal", "Exposed", applied.outcome)
        return None

    async def _clean_up(self, request: Request, app: Object) -> Result | None:
        service = self.services.get(*request)
        if service is not None:
            await delete_if_present(self.client, kinds.SERVICES, service)
            return Result(requeue_after_seconds=0)
        await finalizers.remove_finalizer(self.client, kinds.CONFIG_MAPS, app, HOLD)
        return None


async def test_from_object_to_child_and_back(platform: Client, eventually: Eventually) -> None:
    manager = Manager(platform)
    exposer = Exposer(manager)
    async with running(manager):
        for number in range(20):
            await platform.create(kinds.CONFIG_MAPS, config_map(f"app-{number}", port="80"))
        await eventually(lambda: len(exposer.services) == 20 and manager.idle())
        assert exposer.outcomes.count("created") == 20
        assert exposer.outcomes.count("updated") == 0, "what the server adds is no difference"

        await platform.patch(kinds.CONFIG_MAPS, "app-3", {"data": {"port": "81"}}, "default")
        await eventually(lambda: exposer.outcomes.count("updated") == 1)
        service = await platform.get(kinds.SERVICES, "app-3", "default")
        assert [port["port"] for port in service["spec"]["ports"]] == [81]
        assert service["spec"]["clusterIP"]

        await platform.delete(kinds.SERVICES, "app-4", "default")
        await eventually(lambda: exposer.outcomes.count("created") == 21)

        await platform.delete(kinds.CONFIG_MAPS, "app-5", "default")
        await eventually(lambda: exposer.config_maps.get("default", "app-5") is None)
        with pytest.raises(errors.NotFoundError):
            await platform.get(kinds.SERVICES, "app-5", "default")

        await manager.flush_events()
        events = await platform.list(kinds.EVENTS, "default")
        about = [event for event in events if event["involvedObject"]["name"] == "app-4"]
        assert {event["message"]: event["count"] for event in about}["created"] == 2


async def test_a_manager_takes_up_where_another_stopped(
    platform: Client, eventually: Eventually
) -> None:
    first = Manager(platform)
    Exposer(first)
    async with running(first):
        await platform.create(kinds.CONFIG_MAPS, config_map("app-a", port="80"))
        await eventually(lambda: len(first.cache(kinds.SERVICES)) == 1)
    await platform.create(kinds.CONFIG_MAPS, config_map("app-b", port="80"))
    await platform.delete(kinds.SERVICES, "app-a", "default")
    second = Manager(platform)
    exposer = Exposer(second)
    async with running(second):
        await eventually(lambda: len(exposer.services) == 2)


async def test_the_lease_passes_on(platform: Client, eventually: Eventually) -> None:
    def election(identity: str) -> LeaderElection:
        return LeaderElection(
            identity,
            lease_duration_seconds=90,
            renew_deadline_seconds=60,
            retry_period_seconds=0.05,
        )

    first = Manager(platform, leader_election=election("first"))
    second = Manager(platform, leader_election=election("second"))
    exposers = [Exposer(first), Exposer(second)]
    task = asyncio.create_task(second.run())
    async with asyncio.timeout(60):
        await second.ready.wait()
    waiting = asyncio.create_task(first.run())
    await platform.create(kinds.CONFIG_MAPS, config_map("app-a", port="80"))
    await eventually(lambda: exposers[1].outcomes)
    assert not first.ready.is_set()
    await second.stop()
    await task
    async with asyncio.timeout(60):
        await first.ready.wait()
    await eventually(lambda: exposers[0].outcomes)
    await first.stop()
    await waiting
    lease = await platform.get(kinds.LEASES, "wherry", "kube-system")
    assert lease["spec"]["leaseTransitions"] >= 1


async def test_a_name_that_a_person_types_finds_its_resource(platform: Client) -> None:
    if not isinstance(platform.transport, HttpTransport):
        pytest.skip("discovery is read over HTTP")
    resources = Resources(platform.transport)
    assert (await resources.find("deploy")).key == "deployments.apps"
    assert (await resources.find("po")).kind == "Pod"
    assert "pods" in {resource.key for resource in await resources.category("all")}


async def test_a_server_that_restarts_is_followed(
    eventually: Eventually, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # How long a server waits for its clients when it stops is not what is tested here.
    monkeypatch.setattr("wherry.apiserver.server._GRACE_SECONDS", 0.2, raising=False)
    pki = load_or_create(tmp_path, ["127.0.0.1"], datetime.datetime.now(datetime.UTC))

    def make(store: Store) -> ApiServer:
        return ApiServer(
            store,
            authenticator=ByCertificate(),
            authorizer=RoleAuthorizer(StoredRoles(store)),
            ssl_context=pki.ssl_context(),
        )

    async with Store.in_memory() as store:
        server = make(store)
        direct = Client(server.transport(User("admin", groups=(MASTERS,))))
        for namespace in bootstrap.namespaces():
            await direct.create(kinds.NAMESPACES, namespace)
        async with over_https(server, pki) as client:
            port = server.port
            manager = Manager(client)
            exposer = Exposer(manager)
            async with running(manager):
                await direct.create(kinds.CONFIG_MAPS, config_map("app-a", port="80"))
                await eventually(lambda: len(exposer.services) == 1)
                await server.stop()
                await direct.create(kinds.CONFIG_MAPS, config_map("app-b", port="80"))
                again = make(store)
                await again.start(port=port)
                await eventually(lambda: len(exposer.services) == 2)
                assert exposer.outcomes.count("created") == 2
            await again.stop()
