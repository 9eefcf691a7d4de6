"""Containers that are added to a running pod: started once, logged, attached to, ended with the pod."""

import asyncio

import pytest

from wherry.objects import errors, kinds
from wherry.objects.requests import Object

NAMESPACE = "team"


async def debug(node, pod: Object, *command: str, name: str = "debugger", **more: object) -> Object:
    found = await node.get(pod)
    added = {"name": name, "image": "python", "command": list(command), **more}
    found["spec"].setdefault("ephemeralContainers", []).append(added)
    updated: Object = await node.client.update(kinds.PODS, found, subresource="ephemeralcontainers")
    return updated


def state(pod: Object, name: str = "debugger") -> Object:
    listed = pod["status"]["ephemeralContainerStatuses"]
    found: Object = {entry["name"]: entry["state"] for entry in listed}[name]
    return found


async def test_it_runs_once_beside_the_others(node):
    pod = await node.pod("sleep", "1000")
    await node.wait_phase(pod, "Running")
    await debug(node, pod, "sh", "-c", "echo looking; exit 3")

    found = await node.wait(pod, lambda p: state(p)["terminated"])

    assert state(found)["terminated"]["exitCode"] == 3
    assert found["status"]["phase"] == "Running"
    assert found["status"]["containerStatuses"][0]["ready"]
    assert any(
        c["type"] == "Ready" and c["status"] == "True" for c in found["status"]["conditions"]
    )
    assert await node.log(pod, "debugger") == "looking\n"
    assert (await node.events(pod))["Started"].count("debugger") == 1


async def test_several_are_added_and_each_is_attached_to(node):
    pod = await node.pod("sleep", "1000")
    await node.wait_phase(pod, "Running")
    await debug(node, pod, "cat", name="one", stdin=True)
    await debug(node, pod, "sleep", "1000", name="two", targetContainerName="main")
    found = await node.wait(
        pod, lambda p: state(p, "one")["running"] and state(p, "two")["running"]
    )

    session = await node.agent.streams.attach(found, "one", stdin=True)
    await session.write(b"hello\n")
    async with asyncio.timeout(60):
        first = await anext(session.output())
    await session.close()

    assert b"hello" in first[-1]


async def test_it_starts_while_an_init_container_still_runs(node):
    waits = {"name": "first", "image": "python", "command": ["sleep", "1000"]}
    pod = await node.pod("true", initContainers=[waits])
    await node.wait(pod, lambda p: p["status"]["initContainerStatuses"][0]["state"]["running"])
    await debug(node, pod, "true")

    found = await node.wait(pod, lambda p: state(p)["terminated"])

    assert found["status"]["phase"] == "Pending"


async def test_the_pod_does_not_wait_for_it(node):
    pod = await node.pod(
        "sh",
        "-c",
        "while [ ! -e /tmp/over ]; do sleep 0.05; done",
        container={
            "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],
        },
        volumes=[{"name": "tmp", "emptyDir": {}}],
    )
    await node.wait_phase(pod, "Running")
    mounts = [{"name": "tmp", "mountPath": "/work"}]
    await debug(node, pod, "sh", "-c", "touch /work/over; exec sleep 1000", volumeMounts=mounts)

    found = await node.wait_phase(pod, "Succeeded")

    await node.wait(pod, lambda p: state(p)["terminated"])
    assert found["status"]["containerStatuses"][0]["state"]["terminated"]["exitCode"] == 0


async def test_it_is_adopted_by_the_next_agent(node):
    pod = await node.pod("sleep", "1000")
    await node.wait_phase(pod, "Running")
    await debug(node, pod, "sleep", "1000")
    before = await node.wait(pod, lambda p: state(p)["running"])

    await node.stop()
    await node.start()
    await debug(node, pod, "true", name="second")
    after = await node.wait(pod, lambda p: state(p, "second")["terminated"])

    assert state(after) == state(before)
    await node.client.delete(kinds.PODS, pod["metadata"]["name"], NAMESPACE, grace_period_seconds=1)
    await node.wait_gone(pod, 25)  # sooner than with the 30 seconds that others have


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        (
            "ports",
            [{"containerPort": 80}],
            "ports: Forbidden: cannot be set for an Ephemeral Container",
        ),
        ("resources", {"limits": {"cpu": "1"}}, "resources: Forbidden: cannot be set"),
        ("livenessProbe", {"tcpSocket": {"port": 80}}, "livenessProbe: Forbidden: cannot be set"),
        (
            "lifecycle",
            {"preStop": {"sleep": {"seconds": 1}}},
            "lifecycle: Forbidden: cannot be set",
        ),
        ("targetContainerName", "nobody", 'targetContainerName: Not found: "nobody"'),
        ("name", "main", 'name: Duplicate value: "main"'),
        (
            "volumeMounts",
            [{"name": "v", "mountPath": "/v", "subPath": "x"}],
            "volumeMounts[0].subPath: Forbidden: cannot be set",
        ),
    ],
)
async def test_what_it_may_not_have(node, field, value, message):
    pod = await node.pod("sleep", "1000", volumes=[{"name": "v", "emptyDir": {}}])
    changes = {field: value}
    with pytest.raises(errors.InvalidError) as caught:
        await debug(node, pod, "true", **changes)
    assert message in str(caught.value)


async def test_it_is_never_changed_or_removed(node):
    pod = await node.pod("sleep", "1000")
    await debug(node, pod, "true")
    with pytest.raises(errors.InvalidError, match="may not be removed"):
        await node.client.patch(
            kinds.PODS,
            pod["metadata"]["name"],
            {"spec": {"ephemeralContainers": None}},
            NAMESPACE,
            subresource="ephemeralcontainers",
        )
    found = await node.get(pod)
    found["spec"]["ephemeralContainers"][0]["image"] = "other"
    with pytest.raises(errors.InvalidError, match="may not be changed"):
        await node.client.update(kinds.PODS, found, subresource="ephemeralcontainers")
