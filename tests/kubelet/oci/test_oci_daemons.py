"""Pods of real images where Docker or Podman is all that there is."""

import asyncio
import os
import signal
import socket
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from wherry.kubelet.oci import leftovers
from wherry.objects import kinds
from wherry.objects.requests import Object
from wherry.testing.daemons import TestDaemon
from wherry.testing.images import TestImage, TestRegistry

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

REFUSAL = {"docker": "no basic auth credentials", "podman": "authentication required"}
Tool = Callable[..., Awaitable[Object]]
Said = Callable[..., Awaitable[tuple[int, str]]]
Commands = Callable[..., int]


def left(node: Any, daemon: TestDaemon) -> list[str]:
    """Return the containers that are there, and what lies about for them."""
    folders = (node.settings.data / "oci" / "containers").iterdir()
    return daemon.call("ps", "--all", "--format", "{{.Names}}").split() + [str(f) for f in folders]


async def gone(node: Any, daemon: TestDaemon) -> None:
    deadline = time.monotonic() + 20
    while found := left(node, daemon):
        assert time.monotonic() < deadline, found
        await asyncio.sleep(0.1)


def ending(pod: Object) -> Object:
    found: Object = pod["status"]["containerStatuses"][0]["state"]["terminated"]
    return found


async def test_the_pod_decides_over_the_image(
    daemon: TestDaemon, node: Any, registry: TestRegistry, image: str, tool: Tool
) -> None:
    """By digest, with a pull secret; and the limits, users, files and variables that the pod says."""
    by_tag = await tool(image)
    done = await node.wait_phase(by_tag, "Succeeded")
    assert await node.log(by_tag) == "made by a test\n"
    digest = done["status"]["containerStatuses"][0]["imageID"]
    assert digest.startswith(f"{registry.host}/team/tool@sha256:")
    daemon.call("image", "rm", "--force", image)

    text = {"metadata": {"name": "text", "namespace": "team"}, "data": {"a.txt": "of a map"}}
    await node.create(kinds.CONFIG_MAPS, text)
    # Podman does not make it.
    folder = "/some/where" if daemon.kind == "docker" else "/usr"
    # In one stream, or the order of what is said would be left to the engine.
    script = (
        'exec 2>&1; id; hostname; pwd; echo $A $B $HOME; echo "$LINES"; cat /data/a.txt; echo; cat /etc/hosts;'
        "echo x > /root.txt || echo read-only; echo y > /scratch/y && cat /scratch/y;"
        "echo bye > /dev/termination-log"
    )
    pod = await tool(
        digest,
        *("sh", "-c", script),
        container={
            "env": [{"name": "B", "value": "pod # x"}, {"name": "LINES", "value": "1\n 2"}],
            "workingDir": folder,
            "securityContext": {"readOnlyRootFilesystem": True, "runAsUser": 1234},
            "volumeMounts": [
                {"name": "text", "mountPath": "/data"},
                {"name": "scratch", "mountPath": "/scratch"},
            ],
        },
        name="boxed",
        securityContext={"supplementalGroups": [77]},
        volumes=[
            {"name": "text", "configMap": {"name": "text"}},
            {"name": "scratch", "emptyDir": {}},
        ],
    )
    done = await node.wait_phase(pod, "Succeeded")
    log = await node.log(pod)
    assert "uid=1234(worker) gid=1235(workers) groups=1235(workers),77,1300(extra)\n" in log
    assert f"\nboxed\n{folder}\nimage pod # x /home/worker\n1\n 2\nof a map\n" in log
    assert "read-only" in log
    assert "\ny\n" in log
    assert f"{done['status']['podIP']}\tboxed" in log.replace(" ", "\t")
    assert ending(done)["message"] == "bye\n"
    await gone(node, daemon)


async def test_what_goes_wrong(
    daemon: TestDaemon, node: Any, registry: TestRegistry, image: str, tool: Tool
) -> None:
    hungry = await tool(
        image,
        *("python3.11", "-c", "x = bytearray(300 * 1024 * 1024); print(len(x))"),
        container={"resources": {"limits": {"memory": "64Mi", "cpu": "4"}}},
    )
    absent = await tool(image, "no-such-program")
    failing = await tool(image, "sh", "-c", "echo so; exit 127")
    unknown = await tool(f"{registry.host}/team/tool:nope")
    never = await tool(
        f"{registry.host}/team/other:v1",
        container={"imagePullPolicy": "Never"},
    )
    done = await node.wait_phase(hungry, "Failed")
    assert (ending(done)["reason"], ending(done)["exitCode"]) == ("OOMKilled", 137)
    done = await node.wait_phase(absent, "Failed")
    assert ending(done)["reason"] == "StartError"
    if daemon.kind == "docker":
        assert "no-such-program" in ending(done)["message"]
    done = await node.wait_phase(failing, "Failed")
    assert (ending(done)["reason"], ending(done)["exitCode"]) == ("Error", 127)
    assert await node.log(failing) == "so\n"
    held = await node.wait(unknown, lambda p: waiting(p)["reason"] == "ImagePullBackOff")
    assert "nope" in waiting(held)["message"]
    await node.wait(never, lambda p: waiting(p)["reason"] == "ErrImageNeverPull")
    await gone(node, daemon)


def waiting(pod: Object) -> Object:
    found: Object = pod["status"]["containerStatuses"][0]["state"]["waiting"]
    return found


async def test_a_secret_is_needed(
    daemon: TestDaemon, node: Any, registry: TestRegistry, base: bytes, tool: Tool
) -> None:
    # Not the tag of the others: an image that the engine has needs no secret.
    made = TestImage(layers=(base,), config={"Cmd": ["id"], "Env": ["PATH=/usr/bin"]})
    made.push(registry, "team/private", "v1")
    name = f"{registry.host}/team/private:v1"
    pod = await node.pod_of([{"name": "main", "image": name}])
    held = await node.wait(pod, lambda p: waiting(p)["reason"] == "ImagePullBackOff")
    assert REFUSAL[daemon.kind] in waiting(held)["message"]
    await node.wait_phase(await tool(name), "Succeeded")


async def test_probes_commands_and_terminals(
    daemon: TestDaemon, node: Any, image: str, tool: Tool, said: Said, commands: Commands
) -> None:
    probe = {"exec": {"command": ["cat", "/ready"]}, "periodSeconds": 1}
    hangs = {"exec": {"command": ["sleep", "777"]}, "periodSeconds": 1, "timeoutSeconds": 1}
    pod = await tool(
        image,
        *("sleep", "1000"),
        container={"readinessProbe": probe, "livenessProbe": {**hangs, "failureThreshold": 1000}},
    )
    await node.wait_phase(pod, "Running")
    assert await said(pod, "sh", "-c", "touch /ready; exit 3") == (3, "")
    await node.wait(pod, lambda p: p["status"]["containerStatuses"][0]["ready"])
    line = ("sh", "-c", "test -t 0 && hostname")
    hostname = f"{pod['metadata']['name']}\r\n"
    assert await said(pod, *line, terminal=True) == (0, hostname)
    await seen(lambda: commands("sleep", "777") == 1)
    await seen(lambda: commands("sleep", "777") == 0)
    await node.client.delete(kinds.PODS, pod["metadata"]["name"], "team", grace_period_seconds=0)
    await node.wait_gone(pod)
    await gone(node, daemon)


async def seen(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)


async def test_somebody_types_into_it(
    daemon: TestDaemon, node: Any, image: str, tool: Tool
) -> None:
    pod = await tool(image, "sh", container={"stdin": True, "tty": True})
    running = await node.wait_phase(pod, "Running")
    session = await node.agent.streams.attach(running, "main", stdin=True)
    await session.write(b"echo $((40 + 2)); exit 4\n")
    output = b"".join([piece async for _, piece in session.output()])
    await session.close()
    assert b"42" in output
    done = await node.wait_phase(pod, "Failed")
    assert ending(done)["exitCode"] == 4


@pytest.mark.parametrize(("trap", "code"), [("trap 'exit 5' TERM;", 5), ("trap '' TERM;", 137)])
async def test_ends(
    daemon: TestDaemon, node: Any, image: str, trap: str, code: int, tool: Tool
) -> None:
    # Who heeds the signal has all the time that a busy daemon needs to pass it on.
    grace = 60 if code == 5 else 1
    probe = {"exec": {"command": ["false"]}, "failureThreshold": 1, "periodSeconds": 1}
    pod = await tool(
        image,
        *("sh", "-c", f"{trap} echo up; while true; do sleep 0.1; done"),
        container={"livenessProbe": probe | {"initialDelaySeconds": 1}},
        terminationGracePeriodSeconds=grace,
    )
    done = await node.wait_phase(pod, "Failed")
    assert ending(done)["exitCode"] == code
    await gone(node, daemon)


async def test_the_next_agent_finds_what_went_on_without_one(
    daemon: TestDaemon, node: Any, image: str, tool: Tool
) -> None:
    running = await tool(image, "sh", "-c", "echo one; sleep 4; echo two")
    hungry = await tool(
        image,
        *("python3.11", "-c", "import time; time.sleep(2); print(bytearray(300 * 1024 * 1024))"),
        container={"resources": {"limits": {"memory": "64Mi"}}},
    )
    for pod in (running, hungry):
        await node.wait_phase(pod, "Running")
    await node.stop()
    await asyncio.sleep(2.5)  # the one has to end while nobody looks
    await node.start()
    done = await node.wait_phase(hungry, "Failed")
    assert ending(done)["reason"] == "OOMKilled"
    done = await node.wait_phase(running, "Succeeded")
    assert done["status"]["containerStatuses"][0]["restartCount"] == 0
    assert await node.log(running) == "one\ntwo\n"
    await gone(node, daemon)


async def test_the_launcher_is_killed(
    daemon: TestDaemon, node: Any, image: str, tool: Tool
) -> None:
    pod = await tool(image, "sleep", "1000", restartPolicy="Always")
    await node.wait_phase(pod, "Running")
    launcher = node.agent._launcher.pid
    await node.stop()
    os.kill(launcher, signal.SIGKILL)
    await node.start()
    await node.wait(pod, lambda p: p["status"]["containerStatuses"][0]["restartCount"] == 1)
    await node.wait(pod, lambda p: p["status"]["containerStatuses"][0]["state"]["running"])
    assert len(daemon.call("ps", "--all", "--quiet").split()) == 1
    # As `wherry down` does it, when nothing else is left that knows.
    await node.stop()
    assert await asyncio.to_thread(leftovers.end, node.settings.data) == 1
    assert daemon.call("ps", "--all", "--quiet") == ""
    await node.start()


LISTEN = """
import socket, sys, time
time.sleep(float(sys.argv[2]))
with socket.create_server(("0.0.0.0", int(sys.argv[1]))) as server:
    time.sleep(1000)
"""


async def test_whoever_comes_second_to_a_port_is_told_who_was_first(
    daemon: TestDaemon, node: Any, image: str, tool: Tool
) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]

    async def listener(name: str, seconds: str) -> Object:
        return await tool(
            image,
            *("python3.11", "-c", LISTEN, str(port), seconds),
            container={
                "ports": [{"containerPort": port}],
                "readinessProbe": {"tcpSocket": {"port": port}, "periodSeconds": 1},
            },
            name=name,
            terminationGracePeriodSeconds=0,
        )

    # It comes before the other one listens, and finds the port taken when it wants to.
    late = await listener("late", "6")
    await node.wait_phase(late, "Running")
    first = await listener("first", "0")
    await node.wait(first, lambda p: p["status"]["containerStatuses"][0]["ready"])
    second = await listener("second", "0")
    expected = f"port {port} is taken by pod team/first (container main)"
    held = await node.wait(second, lambda p: waiting(p)["reason"] == "CreateContainerError")
    assert expected in waiting(held)["message"]
    done = await node.wait_phase(late, "Failed")
    assert (ending(done)["reason"], ending(done)["exitCode"]) == ("Error", 1)
    assert expected in ending(done)["message"]
    await node.client.delete(kinds.PODS, "first", "team")
    await node.wait(second, lambda p: p["status"]["containerStatuses"][0]["ready"])
