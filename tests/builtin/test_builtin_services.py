"""Services: endpoints of all sorts, and connections that go through."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from typing import Any

import pytest

from wherry.builtin import service_proxy
from wherry.objects import kinds, metadata


@pytest.fixture
async def echo() -> AsyncIterator[tuple[str, int]]:
    """A server that answers with what it got once the client has said all."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"echo:" + await reader.read())
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    yield server.sockets[0].getsockname()
    server.close()


def free_port() -> int:
    """Return a port for addresses that nobody is given by chance, unlike 127.0.0.1."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def pod(make: Any, name: str, ip: str, port: int) -> Any:
    spec = make.template()["spec"]
    spec["containers"][0]["ports"] = [{"name": "http", "containerPort": port}]
    annotations = {"test/ip": ip}
    return {
        "metadata": {"name": name, "labels": {"app": "web"}, "annotations": annotations},
        "spec": spec,
    }


def service(name: str, port: int = 80, **spec: Any) -> Any:
    ports = [{"name": "http", "port": port, "targetPort": "http"}]
    return {
        "metadata": {"name": name},
        "spec": {"ports": ports, "selector": {"app": "web"}, **spec},
    }


async def slices(world: Any, name: str) -> Any:
    return await world.list(kinds.ENDPOINT_SLICES, f"kubernetes.io/service-name={name}")


async def ready_addresses(world: Any, name: str) -> list[str]:
    return sorted(
        address
        for one in await slices(world, name)
        for endpoint in one.get("endpoints") or ()
        if endpoint["conditions"]["ready"]
        for address in endpoint["addresses"]
    )


async def talk(ip: str, port: int, text: bytes) -> bytes:
    reader, writer = await asyncio.open_connection(ip, port)
    writer.write(text)
    writer.write_eof()
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    return answer


async def test_a_connection_goes_through(world: Any, make: Any, echo: Any) -> None:
    port = free_port()
    made = await world.create(kinds.SERVICES, service("web", port))
    await world.create(kinds.PODS, pod(make, "a", *echo))
    await world.until(lambda: ready_addresses(world, "web"))
    address = service_proxy.Address(made["spec"]["clusterIP"], port)

    async def listening() -> bool:
        return address in world.proxy.listening()

    await world.until(listening)
    assert await talk(*address, b"hello" * 100_000) == b"echo:" + b"hello" * 100_000
    await world.delete(kinds.SERVICES, "web")

    async def silent() -> bool:
        return address not in world.proxy.listening()

    await world.until(silent)
    with pytest.raises(ConnectionRefusedError):
        await talk(*address, b"")
    await world.until_gone(kinds.ENDPOINTS, "web")
    await world.until(lambda: _none(slices(world, "web")))


async def _none(found: Any) -> bool:
    return not await found


async def test_endpoints_follow_readiness(world: Any, make: Any) -> None:
    await world.create(kinds.SERVICES, service("web"))
    await world.create(kinds.PODS, pod(make, "a", "127.32.0.8", 8080))
    await world.create(kinds.PODS, pod(make, "b", "127.32.0.9", 8080))

    async def are(*wanted: str) -> None:
        async def same() -> bool:
            return await ready_addresses(world, "web") == list(wanted)

        await world.until(same, f"{wanted}")

    await are("127.32.0.8", "127.32.0.9")
    await world.kubelet.set_ready("a", "default", ready=False)
    await are("127.32.0.9")
    subset = (await world.get(kinds.ENDPOINTS, "web"))["subsets"][0]
    assert [one["ip"] for one in subset["notReadyAddresses"]] == ["127.32.0.8"]
    assert subset["ports"] == [{"name": "http", "port": 8080, "protocol": "TCP"}]
    await world.delete(kinds.PODS, "b")
    await are()
    await world.patch(kinds.SERVICES, "web", {"spec": {"publishNotReadyAddresses": True}})
    await are("127.32.0.8")


async def test_hand_made_endpoints_are_mirrored_and_kept(world: Any) -> None:
    subsets = [{"addresses": [{"ip": "127.0.0.5"}], "ports": [{"name": "http", "port": 99}]}]
    await world.create(kinds.ENDPOINTS, {"metadata": {"name": "db"}, "subsets": subsets})
    await asyncio.sleep(0.05)
    assert await world.find(kinds.ENDPOINTS, "db")
    body = service("db")
    del body["spec"]["selector"]
    await world.create(kinds.SERVICES, body)

    async def mirrored() -> bool:
        return await ready_addresses(world, "db") == ["127.0.0.5"]

    await world.until(mirrored)
    labels = metadata.labels((await slices(world, "db"))[0])
    assert labels["endpointslice.kubernetes.io/managed-by"].startswith("endpointslicemirroring")


async def test_a_port_that_is_taken_is_told(world: Any) -> None:
    port = free_port()
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(("127.100.0.1", port))
        taken.listen()
        await world.create(kinds.SERVICES, service("web", port, clusterIP="127.100.0.1"))

        async def told() -> Any:
            return (await world.events("web")).get("ServiceNotReachable")

        assert f"127.100.0.1:{port}" in await world.until(told)


async def test_nobody_behind_it_closes_the_connection() -> None:
    proxy = service_proxy.ServiceProxy()
    address = service_proxy.Address("127.100.1.1", free_port())
    assert await proxy.listen(address, (), by_client=False) == ""
    reader, writer = await asyncio.open_connection(*address)
    with contextlib.suppress(ConnectionResetError):
        assert await reader.read() == b""
    writer.close()
    with contextlib.suppress(ConnectionResetError):
        await writer.wait_closed()
    await proxy.close()


async def test_a_dead_endpoint_is_passed_over(echo: Any) -> None:
    proxy = service_proxy.ServiceProxy()
    address = service_proxy.Address("127.100.1.1", free_port())
    dead = service_proxy.Address("127.100.1.1", free_port())
    endpoints = (dead, service_proxy.Address(*echo))
    assert await proxy.listen(address, endpoints, by_client=False) == ""
    for _ in range(4):
        assert await talk(*address, b"x") == b"echo:x"
    await proxy.close()


async def test_connections_that_are_open_end_with_the_proxy(echo: Any) -> None:
    proxy, address = service_proxy.ServiceProxy(), service_proxy.Address("127.0.0.1", free_port())
    backend = service_proxy.Address(*echo)
    assert await proxy.listen(address, (backend,), by_client=False) == ""
    reader, writer = await asyncio.open_connection(*address)
    writer.write(b"not all")
    await writer.drain()
    await proxy.close()
    async with asyncio.timeout(60):
        with contextlib.suppress(ConnectionResetError):
            assert await reader.read() == b""
    writer.close()
