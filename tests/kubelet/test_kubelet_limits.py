"""Limits that the node sets for pods."""

import dataclasses
import os
import pathlib
from typing import Any

import pytest

from wherry.kubelet import users
from wherry.kubelet.launcher.client import Launcher
from wherry.kubelet.runtime import ContainerStart, Image
from wherry.kubelet.runtimes import process
from wherry.kubelet.settings import KubeletSettings

CODE = "import resource; print(open('/proc/self/cgroup').read(), resource.getrlimit(resource.RLIMIT_DATA))"


def test_memory_is_bound_by_process_if_the_setting_says_so(tmp_path: pathlib.Path) -> None:
    container = ContainerStart(
        id="one",
        spec={"command": ["true"], "resources": {"limits": {"memory": "64Mi"}}},
        image=Image("i", "i", "", {"PATH": "/bin"}, (), "", (), tmp_path),
        environment={},
        mounts=(),
        hostname="pod",
        address=None,
        home=tmp_path,
        log=tmp_path / "log",
        identity=users.OWN,
    )
    plain = KubeletSettings(data=tmp_path)
    asked = dataclasses.replace(plain, memory_rlimit=True)
    assert process.process_spec(container, plain).rlimits == {}
    assert process.process_spec(container, asked).rlimits == {"data": 64 << 20}


async def _features(node: Any) -> Any:
    launcher = await Launcher.connect(node.settings.data / "launcher")
    await launcher.close()
    return launcher.features


async def _restart(node: Any, **settings: Any) -> None:
    await node.stop()
    node.settings = dataclasses.replace(node.settings, **settings)
    await node.start()


def _found(name: str) -> list[pathlib.Path]:
    """Return the groups of this name; others come and go meanwhile."""
    return [pathlib.Path(at, name) for at, inner, _ in os.walk("/sys/fs/cgroup") if name in inner]


async def test_all_containers_of_a_pod_share_its_limit_of_processes(node: Any) -> None:
    features = await _features(node)
    if not features.pids_limits:
        pytest.skip(features.reasons["pids_limits"])
    await _restart(node, pod_pids_limit=20)
    command = ["python", "-c", CODE]
    names = ("one", "two")
    pod = await node.pod_of([{"name": name, "command": command} for name in names])
    await node.wait_phase(pod, "Succeeded")
    for name in names:
        assert f"/wherry-{pod['metadata']['uid']}/" in await node.log(pod, name)
    assert _found(f"wherry-{pod['metadata']['uid']}") == []


async def test_memory_is_bound_by_process_only_where_groups_cannot_be_had(node: Any) -> None:
    grouped = (await _features(node)).memory_limits
    await _restart(node, memory_rlimit=True)
    limits = {"resources": {"limits": {"memory": "256Mi"}}}
    pod = await node.pod("python", "-c", CODE, container=limits)
    await node.wait_phase(pod, "Succeeded")
    bound = -1 if grouped else 256 << 20
    assert str((bound, bound)) in await node.log(pod)
