"""Whatever is killed while pods start and run (warm, by a shell, of an image): none is lost, run twice, left behind."""

import asyncio
import base64
import contextlib
import json
import os
import random
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from wherry.client.client import Client
from wherry.client.transports.http import HttpTransport
from wherry.kubelet.environments import kinds as environment_kinds
from wherry.objects import errors, kinds
from wherry.objects.requests import Object
from wherry.testing.registries import base, image, registry
from wherry.testing.running import RunningPlatform
from wherry.testing.waiting import eventually

__all__ = ["base", "image", "registry"]

_SPACE = "default"
_ONCE = """
import fractions, os, socket, time
socket.if_nameindex()
descriptor = os.open(os.environ["MARK"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
os.write(descriptor, b"a")
time.sleep(0.2)
os.write(descriptor, b"z")
"""
_SHELL = 'printf a >> "$MARK"; sleep 0.2; printf z >> "$MARK"'
_ENDS = {"Succeeded", "Failed"}
_TURNS = (
    "plane",
    "launcher",
    "warmed",
    "child",
    "plane launcher",
    "warmed child",
    "plane launcher warmed child",
)


class Chaos:
    """A running platform, pods of all kinds in it, and the means to kill any part."""

    def __init__(self, running: RunningPlatform, marks: Path, image: str) -> None:
        self.running = running
        self.marks = marks
        self.image = image
        self.names: list[str] = []
        self.finished: set[str] = set()
        self.without_launcher: set[str] = set()
        """Pods that had not finished when a launcher was killed, which ends all that it holds."""
        self.exposed: set[str] = set()
        """Pods that had not finished when single processes were killed."""
        self.killed = 0
        """How many single processes were."""
        self.random = random.Random(4)
        self.client = Client(HttpTransport(running.connection))

    def _pod(self, name: str, kind: str) -> Object:
        command = {
            "warm": ["python", "-c", _ONCE],
            "shell": ["sh", "-c", 'python -c "$0"', _ONCE],
            "image": ["sh", "-c", _SHELL],
        }[kind]
        container = {
            "name": "main",
            "image": self.image if kind == "image" else "chaos:1",
            "command": command,
            "env": [{"name": "MARK", "value": f"/marks/{name}"}],
            "volumeMounts": [{"name": "marks", "mountPath": "/marks"}],
            "resources": {"limits": {"memory": "256Mi"}},
        }
        volume = {"name": "marks", "hostPath": {"path": str(self.marks)}}
        spec: Object = {"imagePullSecrets": [{"name": "pull"}]} if kind == "image" else {}
        spec |= {"restartPolicy": "Never", "containers": [container], "volumes": [volume]}
        return {"metadata": {"name": name, "namespace": _SPACE}, "spec": spec}

    async def log_in(self, host: str, login: tuple[str, str]) -> None:
        """Give pods of images what they need to pull them."""
        auth = base64.b64encode(":".join(login).encode()).decode()
        document = json.dumps({"auths": {host: {"auth": auth}}})
        secret: Object = {"metadata": {"name": "pull", "namespace": _SPACE}}
        secret |= {
            "type": "kubernetes.io/dockerconfigjson",
            "stringData": {".dockerconfigjson": document},
        }
        await self.client.create(kinds.SECRETS, secret)

    async def add(self, number: int) -> None:
        """Make some pods; what is killed meanwhile is asked again."""
        for kind in (
            ("warm", "shell", "image") if self.image and number % 4 == 0 else ("warm", "shell")
        ):
            name = f"{kind}-{number}"
            self.names.append(name)
            await self._until_told(self._pod(name, kind))

    async def _until_told(self, pod: Object) -> None:
        async with asyncio.timeout(60):
            while True:
                try:
                    await self.client.create(kinds.PODS, pod)
                except errors.AlreadyExistsError:
                    return
                except (errors.ApiError, OSError):
                    await asyncio.sleep(0.05)
                else:
                    return

    def victims(self, what: str) -> list[int]:
        """Return processes to be killed."""
        own = os.fsencode(self.running.directory)
        found = []
        for pid, line in commands():
            is_warmed = b"warm-cpython" in line and own in line
            is_child = b"MARK" in line or b"$MARK" in line
            if (what == "warmed" and is_warmed) or (what == "child" and is_child and not is_warmed):
                found.append(pid)
        return self.random.sample(found, min(len(found), 2))

    async def strike(self, what: str) -> None:
        """Kill all that `what` names, and start the control plane again if it was among them."""
        await self._take_note()
        unfinished = set(self.names) - self.finished
        for part in what.split():
            if part == "plane":
                os.kill(self.running.pid, signal.SIGKILL)
            elif part == "launcher":
                with contextlib.suppress(LookupError):
                    if _kill(self.running.launcher_pid):
                        self.without_launcher |= unfinished
            else:
                killed = sum(map(_kill, self.victims(part)))
                self.killed += killed
                self.exposed |= unfinished if killed else set()
        if "plane" in what:
            await asyncio.to_thread(self.running.kill)
            await asyncio.to_thread(self.running.start)

    async def _take_note(self) -> None:
        with contextlib.suppress(errors.ApiError, OSError):
            phases = await self.phases()
            self.finished |= {name for name in phases if phases[name] in _ENDS}

    async def phases(self) -> dict[str, str]:
        """Return the phases of all pods."""
        pods = await self.client.list(kinds.PODS, _SPACE)
        return {str(pod["metadata"]["name"]): str(pod["status"].get("phase")) for pod in pods}


def _kill(pid: int) -> bool:
    """Kill a process; False if it is gone."""
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return False
    return True


def commands() -> Iterator[tuple[int, bytes]]:
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            yield int(path.parent.name), path.read_bytes()
        except OSError:
            continue


async def _until(holds: Callable[[], Any], seconds: float) -> None:
    """Wait until it holds; a control plane that has just been killed may not answer yet."""
    last: object = None
    try:
        async with asyncio.timeout(seconds):
            while True:
                try:
                    last = await holds()
                except (errors.ApiError, OSError) as error:
                    last = error
                if last == []:
                    return
                await asyncio.sleep(0.1)
    except TimeoutError:
        pytest.fail(f"still: {last!r}")


def _mounts() -> str:
    return Path("/proc/self/mountinfo").read_text()


def _groups(uids: set[str]) -> list[str]:
    """Return control groups of containers; those that runc makes for images are `wherry-…`."""
    # Unlike a glob, it does not mind what goes meanwhile.
    names = (Path(at).name for at, _, _ in os.walk("/sys/fs/cgroup"))
    return [name for name in names if name.removeprefix("wherry-").partition("_")[0] in uids]


def _keepers() -> list[int]:
    """Return processes that keep what pods see of the network, and whose launcher is gone."""
    left = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            name, _, rest = path.read_text(errors="replace").rpartition(")")
            parent = Path(f"/proc/{rest.split()[1]}/cmdline").read_bytes()
            if name.endswith("(wherry-links") and b"launcher" not in parent:
                left.append(int(path.parent.name))
    return left


@pytest.mark.parametrize(
    "rounds",
    [
        pytest.param(7, marks=[pytest.mark.slow, pytest.mark.timeout(200)]),
        pytest.param(100, marks=[pytest.mark.slow, pytest.mark.timeout(900)]),
    ],
)
async def test_no_pod_is_lost_run_twice_or_left_behind(
    running: RunningPlatform, tmp_path: Path, rounds: int, request: pytest.FixtureRequest
) -> None:
    named = request.getfixturevalue("image") if shutil.which("runc") else ""
    marks = tmp_path / "marks"
    marks.mkdir()
    chaos = Chaos(running, marks, named)
    if named:
        found = request.getfixturevalue("registry")
        await chaos.log_in(found.host, found.login)
    spec = {"images": ["chaos:*"], "preload": ["fractions"]}
    await chaos.client.create(
        environment_kinds.ENVIRONMENTS, {"metadata": {"name": "chaos"}, "spec": spec}
    )
    for number in range(rounds):
        adding = asyncio.create_task(chaos.add(number))
        await asyncio.sleep(chaos.random.random() / 3)
        await chaos.strike(_TURNS[number % len(_TURNS)])
        await adding
    await chaos.add(rounds)  # nothing is killed any more: these have to succeed

    async def unfinished() -> list[str]:
        phases = await chaos.phases()
        assert phases.keys() == set(chaos.names)
        return [name for name, phase in phases.items() if phase not in _ENDS]

    await _until(unfinished, 120)
    phases = await chaos.phases()
    ran = {name: (marks / name).read_text() if (marks / name).exists() else "" for name in phases}
    assert [name for name, text in ran.items() if text not in {"", "a", "az"}] == []  # twice
    assert [n for n, phase in phases.items() if phase == "Succeeded" and ran[n] != "az"] == []
    assert chaos.without_launcher
    # Who failed was killed: with its launcher, or as one of the processes.
    failed = {name for name, phase in phases.items() if phase == "Failed"}
    assert failed - chaos.without_launcher - chaos.exposed == set()
    assert len(failed - chaos.without_launcher) <= chaos.killed
    uids = {str(pod["metadata"]["uid"]) for pod in await chaos.client.list(kinds.PODS, _SPACE)}
    for name in chaos.names:
        await chaos.client.delete(kinds.PODS, name, _SPACE)

    async def pods() -> list[str]:
        return [*await chaos.phases()]

    await _until(pods, 60)
    eventually(lambda: not [pid for pid, line in commands() if b"MARK" in line])
    assert os.listdir(running.directory / "pods") == []  # noqa: PTH208 — names are all that is wanted
    eventually(lambda: not _groups(uids))
    assert str(running.directory) not in _mounts()
    eventually(lambda: not _keepers())
    if named:
        assert os.listdir(running.directory / "oci" / "run") == []  # noqa: PTH208 — as above
    await chaos.client.close()
