"""What containers use: whose process is whose, rates between two looks, and real processes."""

import asyncio
import os
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wherry.kubelet.usage import control_groups, process_table, sampler
from wherry.kubelet.usage.process_table import Process
from wherry.kubelet.usage.sampler import Look, Reading, Running
from wherry.objects import quantities, usage

LAUNCHER = 10
POD: dict[str, Any] = {"metadata": {"name": "p", "namespace": "team", "uid": "u"}}


def process(parent: int, session: int = 0) -> Process:
    return Process(parent, session, 1.0, 1)


def test_a_line_of_proc_whose_name_has_brackets():
    numbers = "S 7 8 9 0 -1 4 0 0 0 0 150 50 20 30 20 0 1 0 999 4096 3 0"
    found = process_table.parse(f"42 (a) b) {numbers}".encode())
    ticks = os.sysconf("SC_CLK_TCK")
    assert found == Process(7, 9, 250 / ticks, 3 * os.sysconf("SC_PAGE_SIZE"))


def test_children_sessions_and_strangers():
    table = {
        1: process(0),
        LAUNCHER: process(1),
        100: process(LAUNCHER, 100),
        101: process(100, 100),
        102: process(101, 555),
        103: process(LAUNCHER, 100),
        104: process(103, 777),
        200: process(LAUNCHER, 200),
        300: process(1, 300),
    }
    found = process_table.members(table, {100: "a", 200: "b"}, LAUNCHER)
    assert {name: sorted(pids) for name, pids in found.items()} == {
        "a": [100, 101, 102, 103, 104],
        "b": [200],
    }


@given(st.lists(st.integers(0, 30), min_size=1, max_size=30))
def test_each_process_belongs_to_one_container_at_most(parents):
    """And the walk ends, whatever the table says: it is read while processes come and go."""
    table = {pid: process(parent) for pid, parent in enumerate(parents) if pid != parent}
    mains = {pid: f"c{pid}" for pid in list(table)[::4]}
    acyclic = {pid: one for pid, one in table.items() if one.parent < pid}
    kept = {pid: name for pid, name in mains.items() if pid in acyclic}
    found = process_table.members(acyclic, kept, LAUNCHER)
    listed = [pid for pids in found.values() for pid in pids]
    assert len(listed) == len(set(listed))
    assert set(kept) <= set(listed)


def look(at: float, **seconds: float) -> Look:
    return Look(at, Reading(at, 7), {name: Reading(used, 100) for name, used in seconds.items()})


def running(process_id: str, started_at: float = 0.0) -> Running:
    return Running(POD, process_id, process_id, 1, started_at)


def test_rates():
    before = look(1000.0, old=50.0, fell=9.0)
    after = look(1010.0, old=55.0, fell=8.0, fresh=3.0, young=0.4)
    each = [
        running("old"),
        running("fell"),
        running("fresh", 1004.0),
        running("young", 1009.5),
        running("gone"),
    ]
    found = sampler.report(before, after, each)
    cores = {one.name: used.cpu_cores for one, used in found.containers}
    assert cores == {"old": 0.5, "fell": 0.0, "fresh": 0.5}
    assert found.machine == usage.Usage(1.0, 7)


def test_control_groups_of_both_versions(tmp_path, monkeypatch):
    (tmp_path / "v1").mkdir()
    (tmp_path / "v1" / "memory.usage_in_bytes").write_text("500\n")
    (tmp_path / "v1" / "memory.stat").write_text("cache 1\ntotal_inactive_file 200\n")
    (tmp_path / "v1" / "cpuacct.usage").write_text("2500000000\n")
    (tmp_path / "v2").mkdir()
    (tmp_path / "v2" / "memory.current").write_text("900\n")
    (tmp_path / "v2" / "memory.stat").write_text("anon 1\ninactive_file 100\n")
    (tmp_path / "v2" / "cpu.stat").write_text("usage_usec 1500000\nuser_usec 1\n")
    groups = {1: {"memory": "/v1", "cpuacct": "/v1"}, 2: {"": "/v2"}, 3: {"": "/", "memory": "/"}}
    monkeypatch.setattr(control_groups, "_groups", groups.__getitem__)
    mounts = dict.fromkeys(("", "memory", "cpuacct"), tmp_path)
    around = control_groups.Places(mounts, {"": "/", "memory": "/"})
    found = [
        (control_groups.cpu_seconds(n, around), control_groups.memory_bytes(n, around))
        for n in (1, 2, 3)
    ]
    assert found == [(2.5, 300), (1.5, 800), (None, None)]


async def test_a_whole_tree_is_counted(node):
    script = (
        "import subprocess, sys, time\n"
        "children = [subprocess.Popen([sys.executable, '-c', 'while True: pass']) for _ in range(1)]\n"
        "held = b'x' * (64 * 2**20)\n"
        "print('ready', flush=True)\n"
        "time.sleep(1000)\n"
    )
    busy = await node.pod("python", "-c", script, name="busy", metadata={"labels": {"app": "busy"}})
    idle = await node.pod("sleep", "1000", name="idle")
    for each in (busy, idle):
        await node.wait_phase(each, "Running")
    deadline = asyncio.get_running_loop().time() + 60
    while not await node.log(busy):
        assert asyncio.get_running_loop().time() < deadline, "it never became ready"
        await asyncio.sleep(0.02)

    async def told() -> dict[str, Any]:
        return {
            one["metadata"]["name"]: one for one in await node.agent.pod_usage.objects(None, None)
        }

    def cpu(found: dict[str, Any], name: str) -> float:
        return float(quantities.parse(found[name]["containers"][0]["usage"]["cpu"]))

    # Where the machine has little time for it, or its start was slow, the first figures say something else.
    found: dict[str, Any] = {}
    async with asyncio.timeout(100):
        while len(found) < 2 or not cpu(found, "busy") > 0.1 > cpu(found, "idle"):
            found = await told()
            await asyncio.sleep(0.1)
    (machine,) = await node.agent.node_usage.objects(None, None)

    used = {name: one["containers"][0]["usage"] for name, one in found.items()}
    assert found["busy"]["metadata"]["labels"] == {"app": "busy"}
    assert quantities.bytes_(used["busy"]["memory"]) > 64 * 2**20
    assert quantities.bytes_(used["idle"]["memory"]) < 16 * 2**20
    assert quantities.parse(machine["usage"]["cpu"]) >= quantities.parse(used["busy"]["cpu"]) / 2
    assert await node.agent.pod_usage.objects("other", None) == []
    assert len(await node.agent.pod_usage.objects("team", "idle")) == 1


async def test_what_is_fresh_is_not_measured_again():
    looks: list[int] = []

    def measure(_: Any) -> Look:
        looks.append(1)
        return sampler.Look(time.time(), Reading(0.0, 0), {})

    async def no_wait(_: float) -> None:
        return None

    found = sampler.Sampler(list, measure, sleep=no_wait)
    await found.report()
    await found.report()
    assert len(looks) == 2


@pytest.mark.parametrize(
    ("cores", "size", "expected"),
    [
        (0.0, 0, {"cpu": "0", "memory": "0"}),
        (1.5, 1, {"cpu": "1500000000n", "memory": "1Ki"}),
        (0.0000001, 2**20, {"cpu": "100n", "memory": "1024Ki"}),
    ],
)
def test_amounts(cores, size, expected):
    assert usage.amounts(usage.Usage(cores, size)) == expected
