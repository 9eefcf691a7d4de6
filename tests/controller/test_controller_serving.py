"""A Service that leads to this process goes on leading there, whatever others make of it."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from wherry.client.client import Client
from wherry.controller.serving.services import HostedService
from wherry.embedded import in_memory
from wherry.objects import kinds, metadata
from wherry.objects.requests import Object

NAMESPACE, NAME, SLICE = "kubeflow", "told", "told-wherry"
SERVICE = HostedService(
    namespace=NAMESPACE, name=NAME, ports={"http": 80}, manager="test", look_seconds=0.02
)


@pytest.fixture
async def hosted() -> AsyncIterator[Client]:
    """A client of an API in which the Service is kept."""
    async with in_memory.api() as server:
        client = Client(server.transport(in_memory.ADMIN), field_manager="test")
        kept = SERVICE.keep(client, "127.0.0.1", {"http": 4711}, logging.getLogger("test"))
        task = asyncio.create_task(kept)
        yield client
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def until_right(client: Client) -> tuple[Object, Object]:
    """Return Service and EndpointSlice once they lead where they should."""

    def leads(service: Object, piece: Object) -> bool:
        (port,) = piece["ports"]
        (endpoint,) = piece["endpoints"]
        return (
            service["spec"]["ports"][0]["port"] == 80
            and not service["spec"].get("selector")
            and port["port"] == 4711
            and endpoint["addresses"] == ["127.0.0.1"]
            and metadata.labels(piece)["kubernetes.io/service-name"] == NAME
        )

    async with asyncio.timeout(30):
        while True:
            service = await _found(client, kinds.SERVICES, NAME)
            piece = await _found(client, kinds.ENDPOINT_SLICES, SLICE)
            if service and piece and leads(service, piece):
                return service, piece
            await asyncio.sleep(0.01)


async def _found(client: Client, resource: Any, name: str) -> Object | None:
    listed = await client.list(resource, NAMESPACE)
    return next((each for each in listed if metadata.name(each) == name), None)


async def _delete_both(client: Client) -> None:
    await client.delete(kinds.SERVICES, NAME, NAMESPACE)
    await client.delete(kinds.ENDPOINT_SLICES, SLICE, NAMESPACE)


async def _lead_astray(client: Client) -> None:
    endpoints = [{"addresses": ["10.1.2.3"]}]
    ports = [{"name": "http", "port": 1, "protocol": "TCP"}]
    changed = {"endpoints": endpoints, "ports": ports, "metadata": {"labels": None}}
    await client.patch(kinds.ENDPOINT_SLICES, SLICE, changed, NAMESPACE)


async def _select_pods(client: Client) -> None:
    changed = {"spec": {"selector": {"app": "other"}, "ports": [{"name": "http", "port": 81}]}}
    await client.patch(kinds.SERVICES, NAME, changed, NAMESPACE)


@pytest.mark.parametrize("done", [_delete_both, _lead_astray, _select_pods])
async def test_what_others_do_to_it_is_put_right(
    hosted: Client, done: Callable[[Client], Any]
) -> None:
    await until_right(hosted)
    await done(hosted)
    await until_right(hosted)


async def test_what_is_right_is_not_written_again(hosted: Client) -> None:
    before = await until_right(hosted)
    await asyncio.sleep(SERVICE.look_seconds * 5)
    after = await until_right(hosted)
    assert [metadata.resource_version(each) for each in after] == [
        metadata.resource_version(each) for each in before
    ]
