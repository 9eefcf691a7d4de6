import asyncio
import time
from collections import Counter
from pathlib import Path

import pytest

from wherry.kubelet import hosts


def service(name: str, ip: str, **spec: object) -> dict[str, object]:
    return {"metadata": {"name": name, "namespace": "team"}, "spec": {"clusterIP": ip, **spec}}


def read(file: Path) -> str:
    return file.read_text()


async def wait_for(file: Path, text: str) -> str:
    deadline = time.monotonic() + 60
    while text not in read(file):
        assert time.monotonic() < deadline, read(file)
        await asyncio.sleep(0.01)
    return read(file)


def test_services_have_all_their_names() -> None:
    short, full = hosts.service_lines(service("web", "127.96.0.7"), [], "cluster.local")
    assert short == "127.96.0.7 web\n"
    assert full.split() == ["127.96.0.7", "web.team.svc.cluster.local", "web.team.svc", "web.team"]


def test_headless_services_name_their_pods() -> None:
    endpoints = [
        {"addresses": ["127.32.0.2"], "hostname": "db-0", "conditions": {"ready": True}},
        {"addresses": ["127.32.0.3"], "hostname": "db-1", "conditions": {"ready": False}},
    ]
    short, full = hosts.service_lines(service("db", "None"), [{"endpoints": endpoints}], "c.l")
    assert short == "127.32.0.2 db\n127.32.0.2 db-0.db\n"
    assert "127.32.0.2 db-0.db.team.svc.c.l db-0.db.team.svc db-0.db.team\n" in full
    assert "127.32.0.3" not in full


def test_external_names_are_left_out() -> None:
    assert hosts.service_lines(service("x", "", type="ExternalName"), [], "c.l") == ("", "")


async def test_files_are_rewritten_in_place_and_only_their_namespace_is_short(
    tmp_path: Path,
) -> None:
    keeper = hosts.Hosts(debounce_seconds=0.01)
    files = {name: tmp_path / name for name in ("team", "other")}
    for name, file in files.items():
        keeper.add(name, hosts.PodHosts(file, name, f"127.32.0.9 {name}-pod\n"))
    inode = files["team"].stat().st_ino
    pair = hosts.service_lines(service("web", "127.96.0.7"), [], "c.l")
    keeper.set_service("team", "web", pair)
    text = await wait_for(files["team"], "127.96.0.7 web\n")
    assert "team-pod" in text
    assert files["team"].stat().st_ino == inode
    assert "127.96.0.7 web\n" not in await wait_for(files["other"], "web.team.svc")
    keeper.set_service("team", "web", ("", ""))
    deadline = time.monotonic() + 60
    while "web" in files["team"].read_text():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)
    await keeper.close()


async def test_five_hundred_pods_and_two_hundred_services_take_one_rewrite(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: Counter[str] = Counter()
    write = hosts._write_in_place

    def counted(file: Path, content: bytes) -> bool:
        written[file.name] += 1
        return write(file, content)

    monkeypatch.setattr(hosts, "_write_in_place", counted)
    keeper = hosts.Hosts(debounce_seconds=0.01)
    for number in range(500):
        keeper.add(f"u{number}", hosts.PodHosts(tmp_path / f"h{number}", "team", "127.0.0.9 p\n"))
    written.clear()
    for number in range(200):
        found = service(f"svc-{number}", f"127.96.0.{number}")
        keeper.set_service("team", f"svc-{number}", hosts.service_lines(found, [], "cluster.local"))
    await wait_for(tmp_path / "h499", "svc-199")
    await keeper.close()
    assert written == {f"h{number}": 1 for number in range(500)}


def test_a_pod_knows_its_own_names_and_aliases() -> None:
    pod = {
        "metadata": {"name": "p", "namespace": "team"},
        "spec": {"subdomain": "sub", "hostAliases": [{"ip": "10.1.1.1", "hostnames": ["a", "b"]}]},
    }
    text = hosts.pod_lines(pod, "127.32.0.4", "p", "c.l")
    assert text == "127.32.0.4 p.sub.team.svc.c.l p\n10.1.1.1 a b\n"
