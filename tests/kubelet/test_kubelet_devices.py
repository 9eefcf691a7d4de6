"""GPUs: given to one pod at a time, remembered across agents, told to programs by variables."""

import asyncio
import dataclasses
import itertools
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wherry.kubelet import devices, node
from wherry.kubelet.devices import Devices, NoDeviceError
from wherry.kubelet.settings import KubeletSettings
from wherry.objects import kinds
from wherry.objects.requests import Object

SHOW = "echo cuda=$CUDA_VISIBLE_DEVICES nvidia=$NVIDIA_VISIBLE_DEVICES order=$CUDA_DEVICE_ORDER"


def container(name: str, count: int, **more: object) -> Object:
    return {"name": name, "resources": {"limits": {devices.RESOURCE: str(count)}}, **more}


def pod(uid: str, *main: Object, init: tuple[Object, ...] = ()) -> Object:
    return {"metadata": {"uid": uid}, "spec": {"containers": main, "initContainers": init}}


OPERATION = st.tuples(
    st.sampled_from(["assign", "assign", "assign", "release", "restart"]),
    st.integers(0, 4),
    st.integers(0, 1),
    st.integers(1, 3),
)


@given(st.lists(OPERATION, max_size=40))
def test_no_device_is_given_twice(tmp_path_factory, operations):
    """However the agent is killed between the steps."""
    file: Path = tmp_path_factory.mktemp("gpus") / "devices.json"
    ids = ("0", "1", "2", "3")
    found, given_out = Devices(ids, file), dict[tuple[str, str], tuple[str, ...]]()
    for what, number, place, asked in operations:
        uid, name = f"pod-{number}", f"c{place}"
        if what == "restart":
            found = Devices(ids, file)
        elif what == "release":
            found.release(uid)
            given_out = {key: held for key, held in given_out.items() if key[0] != uid}
        else:
            count = len(given_out.get((uid, name), ())) or asked
            free = len(ids) - sum(map(len, given_out.values()))
            try:
                held = found.assign(pod(uid, container(name, count)), container(name, count))
            except NoDeviceError:
                assert count > free
                continue
            assert len(held) == count
            assert given_out.setdefault((uid, name), held) == held
        for one, other in itertools.combinations(given_out.values(), 2):
            assert not set(one) & set(other)


def test_init_containers_leave_theirs_to_the_main_ones_and_sidecars_do_not(tmp_path):
    first = container("first", 2)
    sidecar = container("sidecar", 1, restartPolicy="Always")
    a, b = container("a", 1), container("b", 1)
    whole = pod("p", a, b, init=(first, sidecar))
    found = Devices(("0", "1", "2"), tmp_path / "devices.json")

    assert found.assign(whole, first) == ("0", "1")
    given_out = [found.assign(whole, one)[0] for one in (sidecar, a, b)]

    assert sorted(given_out) == ["0", "1", "2"]
    with pytest.raises(
        NoDeviceError, match=r"1 nvidia\.com/gpu wanted, 0 of 3 free: pod p container"
    ):
        found.assign(pod("q", container("c", 1)), container("c", 1))


def test_a_spoilt_file_counts_as_empty_and_pods_that_are_gone_are_dropped(tmp_path):
    file = tmp_path / "devices.json"
    file.write_text("{")
    found = Devices(("0",), file)
    found.assign(pod("p", container("c", 1)), container("c", 1))
    assert json.loads(file.read_text()) == {"p": {"c": ["0"]}}
    Devices(("0",), file).keep_only({"q"})
    assert json.loads(file.read_text()) == {}


async def test_they_are_counted_by_nvidia_smi_or_by_the_setting(tmp_path, monkeypatch):
    program = tmp_path / "nvidia-smi"
    program.write_text("#!/bin/sh\nprintf '0\\n1\\n'\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    settings = KubeletSettings(data=tmp_path)
    assert await devices.find(settings) == ("0", "1")
    assert await devices.find(dataclasses.replace(settings, gpus=3)) == ("0", "1", "2")
    assert node.capacity(settings, gpus=2)[devices.RESOURCE] == "2"
    program.write_text("#!/bin/sh\nexit 9\n")
    assert await devices.find(settings) == ()


@pytest.fixture
async def gpus(node):
    """The node with two devices."""
    await node.stop()
    node.settings = dataclasses.replace(node.settings, gpus=2)
    await node.start()
    return node


def limits(count: int) -> Object:
    return {"resources": {"limits": {devices.RESOURCE: str(count)}}}


async def test_programs_see_their_own_and_others_none(gpus):
    one = await gpus.pod("sh", "-c", f"{SHOW}; sleep 1000", container=limits(1))
    other = await gpus.pod("sh", "-c", f"{SHOW}; sleep 1000", container=limits(1))
    none = await gpus.pod("sh", "-c", SHOW)
    for each in (one, other):
        await gpus.wait_phase(each, "Running")
    await gpus.wait_phase(none, "Succeeded")

    async def said(of: Object) -> str:
        text = ""
        async with asyncio.timeout(60):
            while not text:
                await asyncio.sleep(0.02)
                text = await gpus.log(of)
        return text

    assert {await said(one), await said(other)} == {
        f"cuda={n} nvidia={n} order=PCI_BUS_ID\n" for n in ("0", "1")
    }
    assert await said(none) == "cuda= nvidia=void order=PCI_BUS_ID\n"
    found = await gpus.client.get(kinds.NODES, gpus.agent.node_name)
    assert found["status"]["allocatable"][devices.RESOURCE] == "2"


async def test_they_stay_with_their_pod_over_a_restart_and_are_freed_at_its_end(gpus):
    holder = await gpus.pod("sleep", "1000", container=limits(2))
    await gpus.wait_phase(holder, "Running")
    await gpus.stop()
    await gpus.start()
    refused = await gpus.pod("sh", "-c", SHOW, container=limits(1))

    status = (await gpus.wait_phase(refused, "Failed"))["status"]
    assert status["reason"] == "UnexpectedAdmissionError"
    assert "nvidia.com/gpu. Requested: 1, Available: 0" in status["message"]
    await gpus.client.delete(kinds.PODS, holder["metadata"]["name"], "team", grace_period_seconds=0)
    # The node has room by then; the devices may be freed a little later, and the pod waits for them.
    await gpus.wait_phase(await gpus.pod("sh", "-c", SHOW, container=limits(1)), "Succeeded")
    deadline = asyncio.get_running_loop().time() + 60
    while json.loads((gpus.settings.data / "devices.json").read_text()):
        assert asyncio.get_running_loop().time() < deadline, "the devices are not freed"
        await asyncio.sleep(0.02)
