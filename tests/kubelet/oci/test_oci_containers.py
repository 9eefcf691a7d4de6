"""Pods of real images, run by runc."""

import asyncio
import dataclasses
import json
import os
import signal
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from wherry.kubelet import wrapping
from wherry.objects import kinds
from wherry.objects.requests import Object
from wherry.testing.images import TestImage, TestRegistry, files

pytestmark = pytest.mark.slow


Tool = Callable[..., Awaitable[Object]]
Said = Callable[..., Awaitable[tuple[int, str]]]
Commands = Callable[..., int]


async def test_an_image_runs_what_it_says(
    node: Any, runc: str, registry: TestRegistry, image: str, tool: Tool
) -> None:
    pod = await tool(image)
    done = await node.wait_phase(pod, "Succeeded")
    assert await node.log(pod) == "made by a test\n"
    status = done["status"]["containerStatuses"][0]
    assert status["imageID"].startswith(f"{registry.host}/team/tool@sha256:")
    events = await node.events(pod)
    assert events["Pulling"] == f'Pulling image "{image}"\n'
    assert "Successfully pulled image" in events["Pulled"]


async def test_a_pod_may_have_the_images_command_run_by_another(
    node: Any, runc: str, image: str, tool: Tool
) -> None:
    told = json.dumps(["sh", "-c", 'echo before; exec "$@"', "sh"])
    pod = await tool(image, metadata={"annotations": {f"{wrapping.ANNOTATION}.main": told}})
    await node.wait_phase(pod, "Succeeded")
    assert await node.log(pod) == "before\nmade by a test\n"


def leftovers(node: Any) -> list[str]:
    """Return what is there of containers: files, records, mounts, control groups."""
    data = node.settings.data / "oci"
    found = [*(data / "containers").iterdir(), *(data / "run").iterdir()]
    # Logs stay, and their folders end in the pod's uid.
    ours = {entry.name[-36:] for entry in node.settings.container_logs.iterdir()}
    # Unlike a glob, it does not mind what goes meanwhile.
    groups = [Path(at) for at, _, _ in os.walk("/sys/fs/cgroup")]
    found += [one for one in groups if one.name.removeprefix("wherry-")[:36] in ours]
    mounts = Path("/proc/self/mountinfo").read_text()
    return [*map(str, found), *(["a mount"] if str(data) in mounts else [])]


async def until(condition: Callable[[], Any], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)


async def test_the_pod_decides_over_the_image(node: Any, runc: str, image: str, tool: Tool) -> None:
    text = {"metadata": {"name": "text", "namespace": "team"}, "data": {"a.txt": "of a map"}}
    await node.create(kinds.CONFIG_MAPS, text)
    script = (
        "id; hostname; pwd; echo $A $B $HOME; cat /data/a.txt; echo; cat /etc/hosts;"
        "echo x > /root.txt || echo read-only; echo y > /scratch/y && cat /scratch/y;"
        "echo bye > /dev/termination-log"
    )
    pod = await tool(
        image,
        "sh",
        "-c",
        script,
        container={
            "env": [{"name": "B", "value": "pod"}],
            "workingDir": "/some/where",
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
    assert "\nboxed\n/some/where\nimage pod /home/worker\nof a map\n" in log
    assert "read-only" in log
    assert "\ny\n" in log
    assert f"{done['status']['podIP']}\tboxed" in log.replace(" ", "\t")
    ended = done["status"]["containerStatuses"][0]["state"]["terminated"]
    assert ended["message"] == "bye\n"


async def test_root_is_refused_where_the_pod_forbids_it(
    node: Any, runc: str, image: str, tool: Tool
) -> None:
    pod = await tool(image, securityContext={"runAsNonRoot": True})
    held = await node.wait(pod, lambda p: waiting(p)["reason"] == "CreateContainerConfigError")
    assert "runAsNonRoot" in waiting(held)["message"]


def waiting(pod: Object) -> Object:
    found: Object = pod["status"]["containerStatuses"][0]["state"]["waiting"]
    return found


async def test_limits_hold(node: Any, runc: str, image: str, tool: Tool) -> None:
    pod = await tool(
        image,
        "python3.11",
        "-c",
        "x = bytearray(300 * 1024 * 1024); print(len(x))",
        container={"resources": {"limits": {"memory": "64Mi", "cpu": "500m"}}},
    )
    done = await node.wait_phase(pod, "Failed")
    ended = done["status"]["containerStatuses"][0]["state"]["terminated"]
    assert (ended["reason"], ended["exitCode"]) == ("OOMKilled", 137)
    await until(lambda: not leftovers(node))


COUNT = """
import os
held = 1
try:
    while held < 100:
        if os.fork() == 0:
            os.read(os.pipe()[0], 1)
        held += 1
except OSError:
    print(held)
"""


async def test_processes_are_counted(node: Any, runc: str, image: str, tool: Tool) -> None:
    await node.stop()
    node.settings = dataclasses.replace(node.settings, pod_pids_limit=20)
    await node.start()
    pod = await tool(image, "python3.11", "-u", "-c", COUNT)
    await node.wait_phase(pod, "Succeeded")
    assert await node.log(pod) == "20\n"
    await until(lambda: not leftovers(node))


async def test_gpus_are_told_and_belong_to_one_pod(
    node: Any, runc: str, image: str, tool: Tool
) -> None:
    await node.stop()
    node.settings = dataclasses.replace(node.settings, gpus=2)
    await node.start()
    one_gpu = {"container": {"resources": {"limits": {"nvidia.com/gpu": 1}}}}
    script = "echo $CUDA_VISIBLE_DEVICES $NVIDIA_VISIBLE_DEVICES; sleep 1000"
    pods = [
        await tool(image, "sh", "-c", script, **one_gpu, terminationGracePeriodSeconds=0)
        for _ in range(2)
    ]
    for pod in pods:
        await node.wait_phase(pod, "Running")
    seen = set()
    for pod in pods:
        while not (log := await node.log(pod)):  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.05)
        seen.add(log)
    assert seen == {"0 0\n", "1 1\n"}


async def test_containers_of_a_pod_may_see_one_another(
    node: Any, runc: str, image: str, tool: Tool
) -> None:
    """The second ends the first."""
    await node.wait_phase(await tool(image), "Succeeded")
    look = (
        "import os, pathlib, signal, time\n"
        "while True:\n"
        "    for at in pathlib.Path('/proc').glob('[0-9]*/cmdline'):\n"
        "        try:\n"
        "            if at.read_bytes() == b'sleep\\x00774\\x00':\n"
        "                os.kill(int(at.parent.name), signal.SIGKILL)\n"
        "                raise SystemExit\n"
        "        except OSError:\n"
        "            pass\n"
        "    time.sleep(0.05)\n"
    )
    containers = [
        {"name": "main", "image": image, "command": ["sleep", "774"]},
        {"name": "other", "image": image, "command": ["python3.11", "-c", look]},
    ]
    pod = await node.pod_of(containers, shareProcessNamespace=True)
    done = await node.wait_phase(pod, "Failed")
    codes = {
        each["name"]: each["state"]["terminated"]["exitCode"]
        for each in done["status"]["containerStatuses"]
    }
    assert codes == {"main": 137, "other": 0}


async def test_programs_that_are_not_there(node: Any, runc: str, image: str, tool: Tool) -> None:
    pod = await tool(image, "no-such-program")
    done = await node.wait_phase(pod, "Failed")
    ended = done["status"]["containerStatuses"][0]["state"]["terminated"]
    assert ended["reason"] == "StartError"
    assert "no-such-program" in ended["message"]
    await until(lambda: not leftovers(node))


async def test_probes_commands_and_terminals(
    node: Any, runc: str, image: str, tool: Tool, said: Said
) -> None:
    probe = {"exec": {"command": ["cat", "/ready"]}, "periodSeconds": 1}
    pod = await tool(image, "sleep", "1000", container={"readinessProbe": probe})
    await node.wait_phase(pod, "Running")
    assert (await said(pod, "sh", "-c", "touch /ready; exit 3"))[0] == 3
    await node.wait(pod, lambda p: p["status"]["containerStatuses"][0]["ready"])
    hostname = f"{pod['metadata']['name']}\r\n"
    assert await said(pod, "sh", "-c", "test -t 0 && hostname", terminal=True) == (0, hostname)


async def test_a_probe_that_hangs_leaves_no_command_behind(
    node: Any, runc: str, image: str, tool: Tool, commands: Commands
) -> None:
    hangs = {"exec": {"command": ["sleep", "778"]}, "periodSeconds": 1, "timeoutSeconds": 1}
    probe = {"livenessProbe": hangs | {"failureThreshold": 1000}}
    pod = await tool(image, "sleep", "1000", container=probe)
    await node.wait_phase(pod, "Running")
    for count in (1, 0, 1, 0):
        await until(lambda count=count: commands("sleep", "778") == count)  # type: ignore[misc]  # a closure of the loop's value


@pytest.mark.parametrize(("trap", "code"), [("trap 'exit 5' TERM;", 5), ("trap '' TERM;", 137)])
async def test_ends(node: Any, runc: str, image: str, trap: str, code: int, tool: Tool) -> None:
    script = f"{trap} echo up; while true; do sleep 0.1; done"
    probe = {"exec": {"command": ["false"]}, "failureThreshold": 1, "periodSeconds": 1}
    pod = await tool(
        image,
        "sh",
        "-c",
        script,
        container={"livenessProbe": probe | {"initialDelaySeconds": 1}},
        terminationGracePeriodSeconds=1,
    )
    done = await node.wait(pod, lambda p: p["status"]["phase"] == "Failed")
    assert done["status"]["containerStatuses"][0]["state"]["terminated"]["exitCode"] == code
    await until(lambda: not leftovers(node))


SERVER = """
import http.server
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers(); self.wfile.write(b"%s")
    def log_message(self, *a): pass
http.server.HTTPServer(("0.0.0.0", 8080), Handler).serve_forever()
"""
CALL = (
    "import urllib.request as u\n"
    "for host in ('localhost', '%s'): print(u.urlopen('http://' + host + ':8080').read())\n"
)


async def test_each_pod_has_an_address_of_its_own(
    node: Any, runc: str, image: str, tool: Tool, said: Said
) -> None:
    """Both listen on 0.0.0.0:8080; each reaches itself as localhost and the other by address."""
    boxed = await tool(
        image,
        "python3.11",
        "-c",
        SERVER % "boxed",
        container={"readinessProbe": {"httpGet": {"port": 8080}, "periodSeconds": 1}},
    )
    plain = await node.pod(
        "python",
        "-c",
        SERVER % "plain",
        container={"readinessProbe": {"httpGet": {"port": 8080}, "periodSeconds": 1}},
    )
    addresses = []
    for pod in (boxed, plain):
        found = await node.wait(pod, lambda p: p["status"]["containerStatuses"][0]["ready"])
        addresses.append(found["status"]["podIP"])
    for pod, python, other, answers in (
        (boxed, "python3.11", addresses[1], "b'boxed'\nb'plain'\n"),
        (plain, "python", addresses[0], "b'plain'\nb'boxed'\n"),
    ):
        assert await said(pod, python, "-c", CALL % other) == (0, answers)


async def test_the_next_agent_finds_what_went_on_without_one(
    node: Any, runc: str, image: str, tool: Tool
) -> None:
    script = "import time; time.sleep(2)\n"
    running = await tool(image, "sh", "-c", "echo one; sleep 3; echo two")
    hungry = await tool(
        image,
        "python3.11",
        "-c",
        f"{script}x = bytearray(300 * 1024 * 1024); print(len(x))",
        container={"resources": {"limits": {"memory": "64Mi"}}},
    )
    for pod in (running, hungry):
        await node.wait_phase(pod, "Running")
    await node.stop()
    await asyncio.sleep(2.5)  # the one has to end while nobody looks
    await node.start()
    done = await node.wait_phase(hungry, "Failed")
    assert done["status"]["containerStatuses"][0]["state"]["terminated"]["reason"] == "OOMKilled"
    done = await node.wait_phase(running, "Succeeded")
    assert done["status"]["containerStatuses"][0]["restartCount"] == 0
    assert await node.log(running) == "one\ntwo\n"
    await until(lambda: not leftovers(node))


@pytest.mark.parametrize("away", [False, True])
async def test_nothing_is_left_when_the_launcher_is_killed(
    node: Any, runc: str, image: str, tool: Tool, *, away: bool
) -> None:
    pod = await tool(image, "sleep", "1000", restartPolicy="Always")
    await node.wait_phase(pod, "Running")
    launcher = node.agent._launcher.pid
    if away:
        await node.stop()
    os.kill(launcher, signal.SIGKILL)
    if away:
        await node.start()
    await node.wait(pod, lambda p: p["status"]["containerStatuses"][0]["restartCount"] == 1)
    await node.wait(pod, lambda p: p["status"]["containerStatuses"][0]["state"]["running"])
    assert len(list((node.settings.data / "oci" / "run").iterdir())) == 1
    await node.client.delete(kinds.PODS, pod["metadata"]["name"], "team", grace_period_seconds=0)
    await node.wait_gone(pod)
    await until(lambda: not leftovers(node))


@pytest.mark.parametrize(
    ("name", "policy", "reason", "event"),
    [
        ("team/UPPER", "Always", "InvalidImageName", "InspectFailed"),
        ("acme.invalid/tool:v1", "Never", "ErrImageNeverPull", "ErrImageNeverPull"),
        ("%s/team/tool:nope", "IfNotPresent", "ImagePullBackOff", "Failed"),
    ],
)
async def test_images_that_cannot_be_had(
    node: Any,
    runc: str,
    registry: TestRegistry,
    name: str,
    policy: str,
    reason: str,
    event: str,
    tool: Tool,
) -> None:
    image = name % registry.host if "%" in name else name
    pod = await tool(image, container={"imagePullPolicy": policy})
    held = await node.wait(pod, lambda p: waiting(p)["reason"] == reason)
    assert image in waiting(held)["message"]
    assert image in (await node.events(pod))[event]


async def test_a_secret_is_needed(node: Any, runc: str, image: str) -> None:
    pod = await node.pod_of(
        [{"name": "main", "image": image}], imagePullSecrets=[{"name": "missing"}]
    )
    held = await node.wait(
        pod, lambda p: waiting(p)["reason"] in {"ErrImagePull", "ImagePullBackOff"}
    )
    assert "pull access denied" in waiting(held)["message"]
    assert "missing" in (await node.events(pod))["FailedToRetrieveImagePullSecret"]


async def test_somebody_types_into_it(node: Any, runc: str, image: str, tool: Tool) -> None:
    pod = await tool(image, "sh", container={"stdin": True, "tty": True}, name="typed")
    running = await node.wait_phase(pod, "Running")
    session = await node.agent.streams.attach(running, "main", stdin=True)
    session.resize(97, 31)
    await session.write(b"python3.11 -c 'import os; print(*os.get_terminal_size())'; exit 4\n")
    seen = b"".join([piece async for _, piece in session.output()])
    await session.close()
    assert b"97 31" in seen
    done = await node.wait_phase(pod, "Failed")
    assert done["status"]["containerStatuses"][0]["state"]["terminated"]["exitCode"] == 4


async def test_copied_where_it_cannot_be_mounted(
    node: Any, runc: str, image: str, tool: Tool
) -> None:
    oci = node.agent._shared.runtime._oci
    oci._overlay = False
    pod = await tool(image)
    await node.wait_phase(pod, "Succeeded")
    assert await node.log(pod) == "made by a test\n"
    await until(lambda: not leftovers(node))


async def test_always_sees_that_a_tag_has_moved(
    node: Any, runc: str, registry: TestRegistry, base: bytes, tool: Tool
) -> None:
    seen: list[str] = []
    for text in ("first", "second"):
        made = TestImage(
            layers=(base, files({"text": text})),
            config={"Cmd": ["cat", "/text"], "Env": ["PATH=/bin"]},
        )
        made.push(registry, "team/moving", "v1")
        pod = await tool(
            f"{registry.host}/team/moving:v1",
            container={"imagePullPolicy": "Always"},
        )
        await node.wait_phase(pod, "Succeeded")
        seen.append(await node.log(pod))
    assert seen == ["first", "second"]
