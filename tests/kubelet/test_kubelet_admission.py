"""What the node does with pods that nobody asked the scheduler about."""

import pytest

from wherry.kubelet import admission
from wherry.objects.requests import Object


def _pod(uid: str, *, ports: tuple[int, ...] = (), **requests: str) -> Object:
    container = {
        "name": "c",
        "resources": {
            "requests": {
                name.replace("gpu", "nvidia.com/gpu"): amount for name, amount in requests.items()
            }
        },
        "ports": [{"containerPort": port, "hostPort": port} for port in ports],
    }
    return {"metadata": {"uid": uid, "name": uid}, "spec": {"containers": [container]}}


@pytest.mark.parametrize(
    ("first", "second", "reason", "words"),
    [
        ({"cpu": "3"}, {"cpu": "1500m"}, "OutOfcpu", "requested: 1500, used: 3000, capacity: 4000"),
        ({"memory": "1Gi"}, {"memory": "1"}, "OutOfmemory", "requested: 1, used: 1073741824"),
        ({"ports": (80,)}, {"ports": (80,)}, "NodePorts", "didn't have free ports"),
        ({"gpu": "1"}, {"gpu": "1"}, "UnexpectedAdmissionError", "Requested: 1, Available: 0"),
    ],
)
def test_what_does_not_fit_is_refused_until_there_is_room(
    first: Object, second: Object, reason: str, words: str
) -> None:
    ended: set[str] = set()
    amounts = {"cpu": "2", "memory": "1Gi", "pods": "3", "nvidia.com/gpu": "1"}
    node = admission.Admission(amounts, cpu_overcommit=2.0, counts=lambda uid: uid not in ended)
    assert node.admit(_pod("a", **first)) is None
    assert node.admit(_pod("a", **first)) is None
    refusal = node.admit(_pod("b", **second))
    assert refusal is not None
    assert refusal.reason == reason
    assert words in refusal.message
    ended.add("a")
    assert node.admit(_pod("b", **second)) is None


def test_the_node_takes_so_many_pods_and_no_more() -> None:
    node = admission.Admission({"cpu": "1", "pods": "2"}, cpu_overcommit=1.0, counts=lambda _: True)
    assert [node.admit(_pod(uid)) is None for uid in "abc"] == [True, True, False]
    node.forget("a")
    assert node.admit(_pod("c")) is None


async def test_a_pod_that_does_not_fit_fails_and_says_why(node):
    container = {"resources": {"requests": {"memory": "900Ti"}}}
    pod = await node.wait_phase(await node.pod("true", container=container), "Failed")
    assert pod["status"]["reason"] == "OutOfmemory"
    assert not any(each.get("containerID") for each in pod["status"]["containerStatuses"])
    await node.wait_phase(await node.pod("true"), "Succeeded")


async def test_pods_that_were_taken_stay_when_the_agent_comes_back(node):
    port = [{"containerPort": 21019, "hostPort": 21019}]
    taken = await node.wait_phase(
        await node.pod("sleep", "1000", container={"ports": port}), "Running"
    )
    await node.stop()
    other = await node.pod("true", container={"ports": port})
    await node.start()
    assert (await node.wait_phase(other, "Failed"))["status"]["reason"] == "NodePorts"
    assert (await node.get(taken))["status"]["phase"] == "Running"
