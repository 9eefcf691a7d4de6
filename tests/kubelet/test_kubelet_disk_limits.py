"""Pods that put more on the disk than they may are evicted, and say which limit it was."""

import asyncio
import dataclasses

import pytest

from wherry.kubelet import disk_limits
from wherry.objects import kinds
from wherry.objects.requests import Object

MOUNT = {"volumeMounts": [{"name": "cache", "mountPath": "/cache"}]}
FILL = "head -c 3000000 /dev/zero > /cache/file; sleep 1000"


@pytest.fixture
async def quick(node):
    """The node, looking at disks all the time."""
    await node.stop()
    node.settings = dataclasses.replace(node.settings, disk_seconds=0.1)
    await node.start()
    return node


def storage(limit: str) -> Object:
    return {"resources": {"limits": {"ephemeral-storage": limit}}}


@pytest.mark.parametrize(
    ("source", "container", "message"),
    [
        ({"sizeLimit": "1Mi"}, MOUNT, 'Usage of EmptyDir volume "cache" exceeds the limit "1Mi". '),
        (
            {"sizeLimit": "1Mi", "medium": "Memory"},
            MOUNT,
            'Usage of EmptyDir volume "cache" exceeds the limit "1Mi". ',
        ),
        (
            {},
            MOUNT | storage("2Mi"),
            "Pod ephemeral local storage usage exceeds the total limit of containers 2Mi. ",
        ),
    ],
)
async def test_volumes(quick, source, container, message):
    volumes = [{"name": "cache", "emptyDir": source}]
    pod = await quick.pod("sh", "-c", FILL, container=container, volumes=volumes)

    found = await quick.wait_phase(pod, "Failed")

    assert (found["status"]["reason"], found["status"]["message"]) == ("Evicted", message)
    assert (await quick.events(pod))["Evicted"].startswith(message)


async def test_a_containers_own_folder(quick):
    script = "head -c 3000000 /dev/zero > file; sleep 1000"
    pod = await quick.pod("sh", "-c", script, container=storage("1Mi"))
    found = await quick.wait_phase(pod, "Failed")
    assert found["status"]["message"] == (
        'Container main exceeded its local ephemeral storage limit "1Mi". '
    )


async def test_who_stays_within_is_left_alone(quick):
    volumes = [{"name": "cache", "emptyDir": {"sizeLimit": "10Mi"}}]
    script = "head -c 3000000 /dev/zero > /cache/file; sleep 0.5"
    pod = await quick.pod("sh", "-c", script, container=MOUNT | storage("20Mi"), volumes=volumes)
    await quick.wait_phase(pod, "Succeeded")


def test_without_limits_nothing_is_watched():
    pod: Object = {
        "spec": {"containers": [{"name": "c"}], "volumes": [{"name": "v", "emptyDir": {}}]}
    }
    assert not disk_limits.any_set(pod)


async def test_a_claim_of_another_is_not_used(node):
    """Its name would fit; whoever may create pods could read any claim else."""
    claim = {
        "metadata": {"name": "pod-x-data", "namespace": "team"},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Mi"}}},
    }
    await node.create(kinds.PERSISTENT_VOLUME_CLAIMS, claim)
    template = {"spec": claim["spec"]}
    volumes = [{"name": "data", "ephemeral": {"volumeClaimTemplate": template}}]
    mounts = {"volumeMounts": [{"name": "data", "mountPath": "/data"}]}
    pod = await node.pod("true", name="pod-x", container=mounts, volumes=volumes)

    deadline = asyncio.get_running_loop().time() + 60
    while "FailedMount" not in (found := await node.events(pod)):
        assert asyncio.get_running_loop().time() < deadline, (found, await node.get(pod))
        await asyncio.sleep(0.02)
    assert "was not created for pod (pod is not owner)" in found["FailedMount"]
