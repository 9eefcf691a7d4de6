"""Connections of pods to cluster IPs: where the launcher leads them, with nobody listening on those."""

import dataclasses
import socket
from collections import Counter
from typing import Any

import pytest

from wherry.kubelet.launcher import service_table
from wherry.kubelet.launcher.service_table import Address, Service

SERVER = """
import socket, sys
s = socket.socket(); s.bind(("0.0.0.0", 0)); s.listen(); print(s.getsockname()[1], flush=True)
while True:
    c, _ = s.accept(); c.sendall(sys.argv[1].encode()); c.close()
"""
CLIENT = """
import socket, sys
def ask():
    try:
        with socket.socket(getattr(socket, family)) as c:
            c.settimeout(float(timeout) if timeout else None)
            c.connect((host, int(port))); return c.recv(99).decode()
    except OSError as error: return str(error.errno)
family, host, port, times, timeout = sys.argv[1:6]
for _ in range(int(times)): print(ask())
"""


class Street:
    """Pods that say their names, and clients in pods."""

    def __init__(self, box: Any, eventually: Any, new_address: Any) -> None:
        self.box = box
        self.cluster_ip = Address(new_address(), _free_port())
        self._eventually = eventually
        self._new_address = new_address

    async def server(self, name: str) -> Address:
        address = self._new_address()
        spec = _with(self.box.python(SERVER, address=address, id=name), name)
        await self.box.start(spec)
        return Address(address, int(await self._eventually(lambda: self.box.output(name))))

    def save(self, *endpoints: Address, by_client: bool = False) -> None:
        table = {self.cluster_ip: Service(endpoints, by_client)}
        service_table.save(self.box.directory, table)

    async def ask(
        self, times: int = 1, *, family: str = "AF_INET", timeout: str = "", **changes: Any
    ) -> list[str]:
        ip, port = self.cluster_ip
        host = f"::ffff:{ip}" if family == "AF_INET6" else ip
        spec = self.box.python(CLIENT, address=self._new_address(), **changes)
        output = await self.box.output_of(_with(spec, family, host, port, times, timeout))
        return list(output.split())


def _with(spec: Any, *argv: object) -> Any:
    return dataclasses.replace(spec, argv=(*spec.argv, *map(str, argv)))


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def street(addressed: Any, eventually: Any, new_address: Any) -> Street:
    return Street(addressed, eventually, new_address)


@pytest.mark.parametrize("timeout", ["", "60"])  # a blocking and a non-blocking connect
@pytest.mark.parametrize("family", ["AF_INET", "AF_INET6"])
async def test_endpoints_are_taken_in_turns(street: Street, family: str, timeout: str) -> None:
    street.save(await street.server("one"), await street.server("two"))
    seen = Counter(await street.ask(6, family=family, timeout=timeout))
    assert seen == {"one": 3, "two": 3}


async def test_changes_hold_from_the_next_connection_on(street: Street) -> None:
    one, two = await street.server("one"), await street.server("two")
    assert await street.ask() == ["111"]  # there is no table
    street.save(one)
    assert await street.ask(3) == ["one"] * 3
    street.save(two)
    assert await street.ask(3) == ["two"] * 3
    street.save()
    assert await street.ask() == ["111"]


async def test_an_endpoint_that_has_just_gone_is_passed_over(street: Street) -> None:
    one, gone = await street.server("one"), await street.server("gone")
    street.save(gone, one)
    await street.box.launcher.signal("gone", 9)
    await street.box.end_of("gone")
    assert await street.ask(4) == ["one"] * 4


async def test_where_no_endpoint_listens_the_address_is_left_as_it_is(street: Street) -> None:
    street.save(Address(street.cluster_ip.ip, _free_port()))
    with socket.create_server(street.cluster_ip) as relay:
        relay.settimeout(60)
        spec = street.box.python(CLIENT, address="127.20.0.1")
        await street.box.start(_with(spec, "AF_INET", *street.cluster_ip, 1, ""))
        with relay.accept()[0] as peer:
            peer.sendall(b"relay")
    await street.box.end_of(spec.id)
    assert street.box.output(spec.id) == "relay\n"


async def test_a_client_stays_with_its_endpoint(street: Street) -> None:
    servers = [await street.server(name) for name in ("one", "two", "three")]
    street.save(*servers, by_client=True)
    seen = set()
    for _ in range(12):
        answers = set(await street.ask(3))
        assert len(answers) == 1
        seen |= answers
        if len(seen) > 1:
            break
    assert len(seen) > 1  # and another client has another one: all twelve alike is one in 177,147


async def test_a_damaged_table_leads_nowhere_and_harms_nothing(street: Street) -> None:
    one = await street.server("one")
    for damage in ("{", "[]", '{"127.96.0.1": {}}', '{"127.96.0.1:x": {"endpoints": []}}'):
        (street.box.directory / "services.json").write_text(damage)
        assert await street.ask() == ["111"]
    street.save(one)
    assert await street.ask() == ["one"]
    assert "services.json" in (street.box.directory / "launcher.log").read_text()


async def test_datagrams_and_other_ports_are_left_alone(street: Street) -> None:
    code = """
import socket, sys
s = socket.socket(type=socket.SOCK_DGRAM); s.connect((sys.argv[1], int(sys.argv[2]))); print(s.getpeername()[0])
try: socket.create_connection((sys.argv[1], int(sys.argv[3])))
except OSError as error: print(error.errno)
"""
    street.save(await street.server("one"))
    spec = street.box.python(code, address="127.20.0.1")
    output = await street.box.output_of(_with(spec, *street.cluster_ip, _free_port()))
    assert output == f"{street.cluster_ip.ip}\n111\n"
