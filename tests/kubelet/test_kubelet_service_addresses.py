"""Which of a Service's ports the launcher hears of, and when."""

import asyncio
import ipaddress
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from wherry.controller.requests import Request
from wherry.kubelet.launcher.service_table import Address, Service, ServiceTable
from wherry.kubelet.service_addresses import ServiceAddresses, services_of
from wherry.testing.waiting import eventually

PODS = ipaddress.IPv4Network("127.32.0.0/11")
WEB = Address("127.96.0.7", 80)
ONE, TWO = Address("127.32.0.2", 8080), Address("127.32.0.3", 8080)


def service(**spec: Any) -> dict[str, Any]:
    ports = [{"name": "http", "port": 80}, {"name": "dns", "port": 53, "protocol": "UDP"}]
    spec = {"clusterIP": WEB.ip, "ports": ports, **spec}
    return {"metadata": {"name": "web", "namespace": "team"}, "spec": spec}


def part(*addresses: str, ready: bool | None = True) -> dict[str, Any]:
    ports = [{"name": "http", "port": 8080}, {"name": "dns", "port": 5353, "protocol": "UDP"}]
    endpoints = [{"addresses": [one], "conditions": {"ready": ready}} for one in addresses]
    return {"addressType": "IPv4", "ports": ports, "endpoints": endpoints}


async def until(condition: Callable[[], bool]) -> None:
    await asyncio.to_thread(eventually, condition)


def test_ready_endpoints_of_tcp_ports_count() -> None:
    slices = [part(TWO.ip), part(ONE.ip, ready=None), part("127.32.0.4", ready=False)]
    assert services_of(service(), slices, PODS) == {WEB: Service((ONE, TWO))}
    sticky = service(sessionAffinity="ClientIP")
    assert services_of(sticky, slices, PODS) == {WEB: Service((ONE, TWO), by_client=True)}
    assert services_of(service(), [part(ONE.ip, ready=False)], PODS) == {}


@pytest.mark.parametrize("address", ["10.0.0.1", "example.org"])
def test_what_leads_out_of_the_pods_is_left_to_the_relay(address: str) -> None:
    assert services_of(service(), [part(ONE.ip, address)], PODS) == {}


@pytest.mark.parametrize("spec", [{"clusterIP": "None"}, {"type": "ExternalName"}])
def test_services_without_an_address_are_left_out(spec: dict[str, str]) -> None:
    assert services_of(service(**spec), [part(ONE.ip)], PODS) == {}


async def test_the_table_follows(tmp_path: Path) -> None:
    table = ServiceTable(str(tmp_path))

    def leads_to() -> list[Address]:
        return table.candidates(WEB, "127.32.0.9")

    before = ServiceAddresses(tmp_path)
    before.set(Request("team", "web"), {WEB: Service((ONE,))})
    await before.close()
    assert leads_to() == [ONE]
    # The next control plane forgets what it does not find again, and nothing before it has looked.
    now = ServiceAddresses(tmp_path)
    await now.close()
    assert leads_to() == [ONE]
    now.set(Request("team", "web"), {})
    await until(lambda: leads_to() == [])
    now.set(Request("team", "web"), {WEB: Service((TWO,))})
    await until(lambda: leads_to() == [TWO])
    await now.close()
