"""Controllers and webhooks of a product beside an API that does not know it."""

import asyncio
import contextlib
import dataclasses
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest

from wherry.client.client import Client
from wherry.client.transports.http import HttpTransport
from wherry.cluster import registration, running
from wherry.controller.component import Component
from wherry.controller.controller import Controller
from wherry.controller.manager import Manager
from wherry.controller.requests import Request
from wherry.controller.status import write_status
from wherry.objects import errors, kinds
from wherry.objects.copies import copied
from wherry.objects.declared.fields import about
from wherry.objects.declared.kind import Kind, Version
from wherry.objects.resources import Resource
from wherry.testing.in_process import InProcessPlatform

BOATS = Resource("x.dev", "v1", "boats", "Boat", "boat", subresources=("status",))


@dataclass(frozen=True)
class BoatSpec:
    """A boat."""

    oars: int | None = about("How many.", minimum=0)


@dataclass(frozen=True)
class BoatStatus:
    """How it is."""

    built_by: str = about("Who built it.", "")


def _default(boat):
    made = copied(boat)
    made.setdefault("spec", {}).setdefault("oars", 2)
    return made


def _validate(boat, old):
    odd = boat["spec"]["oars"] % 2
    return [errors.Cause("spec.oars", f"{boat['spec']['oars']}: want an even number")] * odd


class Builder:
    def __init__(self, manager: Manager, name: str) -> None:
        self._client, self._boats = manager.client, manager.cache(BOATS)
        self._name = name

    async def reconcile(self, request: Request) -> None:
        boat = self._boats.get(*request)
        if boat is not None and not boat.get("status"):
            await write_status(self._client, BOATS, boat, {"builtBy": self._name})


def component(name: str = "yard") -> Component:
    kind = Kind(
        resource=BOATS,
        versions=(Version(name="v1", spec=BoatSpec, status=BoatStatus),),
        default=_default,
        validate=_validate,
        warnings=lambda boat: ["too many oars"] if boat["spec"]["oars"] > 8 else [],
    )
    return Component(
        name="boats",
        kinds=(kind,),
        controllers=lambda manager: [Controller("boats", BOATS, Builder(manager, name))],
        objects=lambda: [boat("first")],
    )


def boat(name: str, **spec):
    meta = {"name": name, "namespace": "default"}
    return {"apiVersion": "x.dev/v1", "kind": "Boat", "metadata": meta, "spec": spec}


@pytest.fixture
async def client(platform: InProcessPlatform) -> AsyncIterator[Client]:
    over_https = Client(HttpTransport(platform.connection))
    yield over_https
    await over_https.close()


@contextlib.asynccontextmanager
async def replica(client: Client, name: str, **settings):
    """Run one replica of the controllers, as long as the block."""
    chosen = running.Settings(
        namespace="default",
        identity=name,
        webhooks=running.WebhookSettings(port=0),
        lease=(90.0, 60.0, 0.2),  # given back at the end: nobody waits for it to run out
        **settings,
    )
    work = asyncio.create_task(running.run(client, [component(name)], chosen))
    try:
        yield work
    finally:
        work.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await work


async def built_by(client: Client, name: str) -> str:
    async with asyncio.timeout(90):
        while True:
            with contextlib.suppress(errors.NotFoundError):
                found = await client.get(BOATS, name, "default")
                if found.get("status"):
                    told: str = found["status"]["builtBy"]
                    return told
            await asyncio.sleep(0.05)


async def launch(client: Client, name: str, **spec) -> None:
    """Create a boat as soon as the webhooks are those of a replica that runs."""
    async with asyncio.timeout(90):
        while True:
            with contextlib.suppress(errors.InternalError):
                await client.create(BOATS, boat(name, **spec))
                return
            await asyncio.sleep(0.05)


async def refused(client: Client, name: str, **spec) -> str:
    """Return why a boat is refused, once the webhooks are registered."""
    async with asyncio.timeout(90):
        while True:
            try:
                await client.create(BOATS, boat(name, **spec), dry_run=True)
            except errors.InternalError:
                pass
            except errors.ApiError as error:
                return str(error)
            await asyncio.sleep(0.05)


async def test_kinds_are_installed_defaulted_checked_and_worked_on(client):
    async with replica(client, "a"):
        assert await built_by(client, "first") == "a"
        assert "spec.oars: 3: want an even number" in await refused(client, "odd", oars=3)
        await launch(client, "later")
        assert (await client.get(BOATS, "later", "default"))["spec"] == {"oars": 2}


async def test_when_the_leader_ends_the_other_goes_on(client):
    async with contextlib.AsyncExitStack() as both:
        first = await both.enter_async_context(contextlib.AsyncExitStack())
        await first.enter_async_context(replica(client, "a"))
        assert await built_by(client, "first") == "a"
        await both.enter_async_context(replica(client, "b"))
        await launch(client, "second")
        assert await built_by(client, "second") == "a"
        await first.aclose()
        await launch(client, "third")
        assert await built_by(client, "third") == "b"


async def test_objects_from_the_start_are_made_once(client):
    async with replica(client, "a", leader_election=False):
        await built_by(client, "first")
        await client.delete(BOATS, "first", "default")
    async with replica(client, "a", leader_election=False):
        await launch(client, "after")
        await built_by(client, "after")
        with pytest.raises(errors.NotFoundError):
            await client.get(BOATS, "first", "default")


async def test_replicas_share_one_certificate_which_covers_their_name(client):
    async with replica(client, "a"):
        await built_by(client, "first")
        before = await client.get(kinds.SECRETS, "wherry-webhooks", "default")
    async with replica(client, "b"):
        await launch(client, "next")
        await built_by(client, "next")
        after = await client.get(kinds.SECRETS, "wherry-webhooks", "default")
    assert before["data"] == after["data"]


async def test_a_missing_right_is_named(platform: InProcessPlatform):
    nobody = dataclasses.replace(
        platform.connection, client_certificate=None, client_key=None, token="not-known"
    )
    client = Client(HttpTransport(nobody))
    settings = running.Settings(namespace="default", identity="a")
    with pytest.raises(errors.UnauthorizedError):
        await running.run(client, [component()], settings)
    await client.close()


def test_the_rights_name_the_kinds_and_nothing_with_a_star():
    role = registration.access([component()], "yard")[2]
    mine = [rule for rule in role["rules"] if rule["apiGroups"] == ["x.dev"]]
    assert [rule["resources"] for rule in mine] == [
        ["boats"],
        ["boats/status", "boats/finalizers"],
    ]
    assert not [rule for rule in role["rules"] if "*" in str(rule)]


def test_names_of_the_certificate_follow_how_the_api_gets_there():
    settings = running.WebhookSettings(host="10.0.0.1", port=1)
    assert settings.names() == ["10.0.0.1"]
    assert dataclasses.replace(settings, url="https://h.example:8443/x").names() == ["h.example"]
    assert dataclasses.replace(settings, url="https://[::1]:8443").names() == ["::1"]
    assert dataclasses.replace(settings, url="https://[::1]").names() == ["::1"]
    assert dataclasses.replace(settings, service="ns/hooks").names()[0] == "hooks.ns.svc"
