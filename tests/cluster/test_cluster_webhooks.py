"""Checks of an object against others, asked over HTTP: what can be looked up decides."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
from aiohttp.test_utils import TestClient, TestServer

from wherry.client.client import Client
from wherry.client.connections import Connection
from wherry.client.transports.http import HttpTransport
from wherry.cluster import webhooks
from wherry.controller.component import Component
from wherry.embedded import in_memory
from wherry.objects import kinds
from wherry.objects.declared.fields import about
from wherry.objects.declared.kind import Kind, Reference, Related, Seen, Version
from wherry.objects.errors import Cause
from wherry.objects.requests import Object
from wherry.objects.resources import Resource

BOATS = Resource("x.dev", "v1", "boats", "Boat", "boat")


@dataclass(frozen=True)
class BoatSpec:
    """A boat."""

    plan: str = about("ConfigMap with its plan.", "")


def _plan(boat: Object) -> Reference:
    return Reference(kinds.CONFIG_MAPS, boat["spec"]["plan"], "default")


def _validate(boat: Object, old: Object | None, seen: Seen) -> list[Cause]:
    wanted = _plan(boat)
    if wanted not in seen:
        return []
    plan = seen[wanted]
    if plan is None:
        return [Cause("spec.plan", f"{wanted.name}: there is no such ConfigMap")]
    return [] if "oars" in plan["data"] else [Cause("spec.plan", f"{wanted.name}: has no oars")]


KIND = Kind(
    resource=BOATS,
    versions=(Version(name="v1", spec=BoatSpec),),
    validate=lambda boat, _: [] if boat["spec"]["plan"] else [Cause("spec.plan", "is empty")],
    related=Related(lambda boat, _: [_plan(boat)], _validate),
)


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    async with in_memory.api() as api:
        made = Client(api.transport(in_memory.ADMIN))
        await made.create(kinds.NAMESPACES, {"metadata": {"name": "default"}})
        for name, data in (("good", {"oars": "2"}), ("odd", {"sail": "1"})):
            meta = {"name": name, "namespace": "default"}
            await made.create(kinds.CONFIG_MAPS, {"metadata": meta, "data": data})
        yield made


async def refused(client: Client, plan: str) -> str:
    """Return why a boat is refused; empty where it is taken."""
    component = Component(name="yard", kinds=(KIND,), controllers=lambda _: [])
    obj = {"metadata": {"name": "a", "namespace": "default"}, "spec": {"plan": plan}}
    asked = {"request": {"uid": "1", "object": obj, "oldObject": None}}
    async with TestClient(TestServer(webhooks.application([component], client))) as http:
        answer = await http.post(f"/validate/{BOATS.key}", json=asked)
        told = (await answer.json())["response"]
    return "" if told["allowed"] else str(told["status"]["message"])


async def test_what_it_refers_to_is_looked_up(client):
    assert await refused(client, "good") == ""
    assert await refused(client, "odd") == "spec.plan: odd: has no oars"
    assert await refused(client, "none") == "spec.plan: none: there is no such ConfigMap"


async def test_what_is_wrong_by_itself_is_not_looked_up(client):
    assert await refused(client, "") == "spec.plan: is empty"


async def test_what_cannot_be_looked_up_refuses_nothing():
    nowhere = Client(HttpTransport(Connection(server="https://127.0.0.1:1")))
    try:
        assert await refused(nowhere, "none") == ""
    finally:
        await nowhere.close()


async def test_metrics_are_told_beside_the_webhooks(client):
    app = webhooks.application([], client, lambda: ["# TYPE a counter", "a 1"])
    async with TestClient(TestServer(app)) as http:
        answer = await http.get("/metrics")
        assert await answer.text() == "# TYPE a counter\na 1\n"
        assert answer.content_type == "text/plain"
