"""Nothing is lost: `kill -9` of the control plane, of the launcher and of both, under load."""

import asyncio
import collections
import contextlib
import dataclasses
import itertools
import json
import logging
import os
import random
import signal
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from wherry.client.client import Client
from wherry.client.transports.http import HttpTransport
from wherry.objects import errors, kinds
from wherry.objects.requests import Object
from wherry.testing import builders
from wherry.testing.running import RunningPlatform
from wherry.testing.waiting import eventually

SPACE = "default"
WRITERS = 8
SERVER = """
import http.server, os
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers(); self.wfile.write(str(os.getpid()).encode())
    def log_message(self, *_):
        pass
http.server.ThreadingHTTPServer(("0.0.0.0", 8080), Handler).serve_forever()
"""
TICKS = "echo pid $$$$; n=0; while :; do echo tick $n; n=$((n+1)); sleep 0.05; done"

ROUNDS = [
    pytest.param(5, marks=pytest.mark.timeout(400)),
    pytest.param(50, marks=[pytest.mark.slow, pytest.mark.timeout(900)]),
]


@contextlib.asynccontextmanager
async def connected(running: RunningPlatform) -> AsyncIterator[Client]:
    transport = HttpTransport(running.connection)
    try:
        yield Client(transport)
    finally:
        await transport.close()


class Ledger:
    """What writers were told, and what a watcher saw."""

    def __init__(self) -> None:
        self.allowed: dict[str, set[str | None]] = {}
        self.acknowledged: dict[str, set[int]] = collections.defaultdict(set)
        self.highest = 0
        self.seen: dict[str, set[int]] = collections.defaultdict(set)
        self.model: dict[str, str] = {}
        self.relists = 0
        self.reconnects = 0

    def took(self, name: str, obj: Object, before: int) -> None:
        """Note an acknowledged write; ``before`` was the highest revision when it was sent."""
        revision = int(obj["metadata"]["resourceVersion"])
        assert revision > before, f"{name}: revision {revision} after {before} was acknowledged"
        self.acknowledged[name].add(revision)
        self.highest = max(self.highest, revision)


async def write(client: Client, ledger: Ledger, names: Callable[[], str]) -> None:
    """Create, change and delete ConfigMaps until cancelled; note what was acknowledged."""
    while True:
        name = names()
        allowed = ledger.allowed[name] = {None}
        revision = ""
        try:
            for count in range(4):
                allowed.add(str(count))  # from here on it may be there, acknowledged or not
                obj = builders.config_map(name, count=str(count))
                before = ledger.highest
                if count == 0:
                    made = await client.create(kinds.CONFIG_MAPS, obj)
                    revision = made["metadata"]["resourceVersion"]
                elif count == 2:
                    obj["metadata"]["resourceVersion"] = revision
                    made = await client.update(kinds.CONFIG_MAPS, obj)
                else:
                    made = await client.patch(kinds.CONFIG_MAPS, name, {"data": obj["data"]}, SPACE)
                    revision = made["metadata"]["resourceVersion"]
                ledger.took(name, made, before)
                allowed.intersection_update({str(count)})
            if name.endswith("0"):
                allowed.add(None)
                await client.delete(kinds.CONFIG_MAPS, name, SPACE)
                allowed.intersection_update({None})
        except errors.ApiError:
            # Killed in between: who knows. The next try is under another name.
            await asyncio.sleep(0.01)


async def watch(client: Client, ledger: Ledger) -> None:
    """Keep a model of the ConfigMaps by list and watch, reconnecting where the last one ended."""
    revision = ""
    while True:
        try:
            if not revision:
                listed = await client.list(kinds.CONFIG_MAPS, SPACE)
                revision = listed.resource_version
                ledger.model = {
                    obj["metadata"]["name"]: obj["data"].get("count", "") for obj in listed
                }
            async for event in client.watch(kinds.CONFIG_MAPS, SPACE, resource_version=revision):
                meta = event.object["metadata"]
                assert int(meta["resourceVersion"]) >= int(revision), "a watch went back"
                revision = meta["resourceVersion"]
                if event.type != "BOOKMARK":
                    see(ledger, event.type, event.object)
        except errors.GoneError:
            revision = ""
            ledger.relists += 1
        except errors.ApiError:
            await asyncio.sleep(0.01)
        ledger.reconnects += 1


def see(ledger: Ledger, type_: str, obj: Object) -> None:
    name = obj["metadata"]["name"]
    assert (name in ledger.model) is (type_ != "ADDED"), f"{type_} of {name}"
    ledger.seen[name].add(int(obj["metadata"]["resourceVersion"]))
    if type_ == "DELETED":
        del ledger.model[name]
    else:
        ledger.model[name] = obj["data"].get("count", "")


def acknowledged(ledger: Ledger) -> int:
    """Return how many writes were."""
    return sum(map(len, ledger.acknowledged.values()))


@contextlib.asynccontextmanager
async def tasks(*work: Any) -> AsyncIterator[None]:
    """Run coroutines in the background; their failure is that of the test."""
    started = [asyncio.create_task(one) for one in work]
    try:
        yield
        for one in started:
            if one.done():
                one.result()
    finally:
        for one in started:
            one.cancel()
        await asyncio.gather(*started, return_exceptions=True)


async def kill_at_random_moments(
    running: RunningPlatform, rounds: int, seed: int, loaded: Callable[[int], bool] = bool
) -> None:
    """Kill and start again so many times, each once ``loaded`` says that enough was done by that round."""
    dice = random.Random(seed)
    for number in range(rounds):
        await asyncio.sleep(dice.uniform(0.02, 0.6))
        async with asyncio.timeout(60):
            while not loaded(number + 1):  # noqa: ASYNC110 - a slow machine has not got so far
                await asyncio.sleep(0.02)
        await asyncio.to_thread(running.kill)
        await asyncio.sleep(dice.uniform(0, 0.1))
        await asyncio.to_thread(running.start)


@pytest.mark.parametrize("rounds", ROUNDS)
async def test_every_acknowledged_write_is_there(running: RunningPlatform, rounds: int) -> None:
    ledger = Ledger()
    numbers = itertools.count()
    async with connected(running) as client:
        writers = [write(client, ledger, lambda: f"w-{next(numbers)}") for _ in range(WRITERS)]
        watching = asyncio.create_task(watch(client, ledger))
        async with tasks(*writers):
            await kill_at_random_moments(
                running, rounds, rounds, lambda round_: acknowledged(ledger) > 20 * round_
            )

        async def differences() -> tuple[Any, dict[str, str]]:
            listed = await client.list(kinds.CONFIG_MAPS, SPACE)
            there = {obj["metadata"]["name"]: obj["data"].get("count", "") for obj in listed}
            differ = dict(there.items() ^ ledger.model.items())
            return (listed, there), differ

        async with asyncio.timeout(60):
            # Anew each time: what a writer had sent when it was stopped may land a little later.
            while (found := await differences())[1]:
                assert not watching.done(), watching.exception()
                logging.getLogger(__name__).info("not yet seen by the watcher: %s", found[1])
                await asyncio.sleep(0.2)
        listed, there = found[0]
        watching.cancel()
    assert acknowledged(ledger) > 20 * rounds, "hardly a load"
    lost = {
        name: (there.get(name), allowed)
        for name, allowed in ledger.allowed.items()
        if there.get(name) not in allowed
    }
    assert lost == {}
    assert int(listed.resource_version) >= ledger.highest
    assert ledger.reconnects >= rounds
    if not ledger.relists:
        missed = {
            n: had - ledger.seen[n]
            for n, had in ledger.acknowledged.items()
            if had - ledger.seen[n]
        }
        assert missed == {}


@dataclasses.dataclass
class Found:
    """What is known of a pod that must not notice anything."""

    uid: str
    container: str
    address: str
    pid: int


async def running_pod(client: Client, running: RunningPlatform, name: str) -> Found:
    async def found() -> Object | None:
        pod = await client.get(kinds.PODS, name, SPACE)
        return pod if pod["status"].get("phase") == "Running" else None

    pod = await soon(found)
    [status] = pod["status"]["containerStatuses"]
    assert status["restartCount"] == 0
    return Found(
        pod["metadata"]["uid"],
        status["containerID"],
        pod["status"]["podIP"],
        written_pid(running, pod),
    )


def written_pid(running: RunningPlatform, pod: Object) -> int:
    meta = pod["metadata"]
    folder = running.directory / "logs" / f"{meta['namespace']}_{meta['name']}_{meta['uid']}"

    def read() -> int:
        for path in folder.glob("main/*.log"):
            for line in path.read_text().splitlines():
                if " pid " in line:
                    return int(line.rsplit(" ", 1)[1])
        return 0

    return eventually(read)


async def soon(check: Callable[[], Any], seconds: float = 90) -> Any:
    """Wait until an asynchronous check gives something true."""
    async with asyncio.timeout(seconds):
        while True:
            if found := await check():
                return found
            await asyncio.sleep(0.05)


async def get(address: str) -> bytes:
    reader, writer = await asyncio.open_connection(address, 8080)
    try:
        writer.write(b"GET / HTTP/1.0\r\n\r\n")
        return await reader.read()
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


async def ask(address: str, failures: list[str]) -> None:
    """Ask a server again and again; note each time it does not answer."""
    while True:
        try:
            async with asyncio.timeout(60):
                answer = await get(address)
            if b"200 OK" not in answer:
                failures.append(f"answered {answer!r}")
        except (OSError, TimeoutError) as error:
            failures.append(repr(error))
        await asyncio.sleep(0.02)


@pytest.mark.parametrize("rounds", ROUNDS)
async def test_pods_do_not_notice(running: RunningPlatform, tmp_path: Path, rounds: int) -> None:
    serve = builders.container(python=SERVER)
    completions = 4 * rounds
    book = tmp_path / "book"
    script = f"echo $JOB_COMPLETION_INDEX >> {book}; sleep 0.4"
    index: dict[str, Any] = {
        "completions": completions,
        "parallelism": 4,
        "completionMode": "Indexed",
        "backoffLimit": 0,
    }
    failures: list[str] = []
    async with connected(running) as client:
        await client.create(kinds.PODS, builders.pod("ticks", script=TICKS))
        await client.create(
            kinds.DEPLOYMENTS, builders.deployment("web", template={"containers": [serve]})
        )
        before = await running_pod(client, running, "ticks")
        [web] = await soon(lambda: available(client))
        await client.create(kinds.JOBS, builders.job("indexed", script=script, **index))
        address = web["status"]["podIP"]
        await soon(lambda: answers(address))
        async with tasks(ask(address, failures)):
            await kill_at_random_moments(running, rounds, seed=rounds + 1)
            await soon(lambda: complete(client, "indexed"))
        assert await running_pod(client, running, "ticks") == before
        os.kill(before.pid, 0)
        [still] = await soon(lambda: available(client))
        assert still["metadata"]["uid"] == web["metadata"]["uid"]
        logs = [line async for line in read_log(client, "ticks")]
        pods = await client.list(kinds.PODS, SPACE, labels="batch.kubernetes.io/job-name=indexed")
    assert failures == []
    ticks = [int(line.split()[1]) for line in logs if line.startswith("tick")]
    assert ticks == list(range(len(ticks)))
    assert len(ticks) > 5 * rounds
    ran = sorted(int(line) for line in book.read_text().split())
    assert ran == list(range(completions)), "an index ran twice, or never"
    assert len(pods) == completions


async def available(client: Client) -> list[Object]:
    deployment = await client.get(kinds.DEPLOYMENTS, "web", SPACE)
    if deployment.get("status", {}).get("availableReplicas") != 1:
        return []
    return (await client.list(kinds.PODS, SPACE, labels="app=web")).items


async def complete(client: Client, name: str) -> bool:
    job = await client.get(kinds.JOBS, name, SPACE)
    conditions = job.get("status", {}).get("conditions", ())
    assert not [c for c in conditions if c["type"] == "Failed" and c["status"] == "True"], job
    return any(c["type"] == "Complete" and c["status"] == "True" for c in conditions)


async def answers(address: str) -> bool:
    try:
        async with asyncio.timeout(60):
            return b"200 OK" in await get(address)
    except OSError:
        return False


async def read_log(client: Client, pod: str) -> AsyncIterator[str]:
    assert isinstance(client.transport, HttpTransport)
    whole = b""
    async for chunk in client.transport.stream(f"/api/v1/namespaces/{SPACE}/pods/{pod}/log"):
        whole += chunk
    for line in whole.decode().splitlines():
        yield line


@pytest.mark.timeout(400)
async def test_what_ended_meanwhile_is_reported(running: RunningPlatform, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    script = (
        f"echo before; until [ -e {gate} ]; do sleep 0.02; done; echo after; touch {tmp_path}/$0"
    )

    def ends(name: str, code: int) -> Object:
        return builders.pod(name, script=f"{script.replace('$0', name)}; exit {code}")

    async with connected(running) as client:
        await client.create(kinds.PODS, ends("well", 0))
        await client.create(kinds.PODS, ends("badly", 7))
        for name in ("well", "badly"):
            await running_phase(client, name, "Running")
        running.kill()
        gate.touch()
        for name in ("well", "badly"):
            await asyncio.to_thread(eventually, (tmp_path / name).exists)
        await asyncio.to_thread(running.start)
        for name, phase, code in (("well", "Succeeded", 0), ("badly", "Failed", 7)):
            pod = await running_phase(client, name, phase)
            [status] = pod["status"]["containerStatuses"]
            assert status["state"]["terminated"]["exitCode"] == code
            assert [line async for line in read_log(client, name)] == ["before", "after"]


async def running_phase(client: Client, name: str, phase: str) -> Object:
    async def check() -> Object | None:
        pod = await client.get(kinds.PODS, name, SPACE)
        return pod if pod["status"].get("phase") == phase else None

    found: Object = await soon(check)
    return found


@pytest.mark.parametrize("both", [False, True], ids=["launcher", "launcher and control plane"])
async def test_the_launcher_is_killed(running: RunningPlatform, *, both: bool) -> None:
    async with connected(running) as client:
        await client.create(kinds.PODS, builders.pod("never", script=TICKS))
        await client.create(kinds.PODS, builders.pod("always", script=TICKS, restart="Always"))
        await client.create(kinds.JOBS, builders.job("job", script="exec sleep 1000000"))
        pids = [(await running_pod(client, running, name)).pid for name in ("never", "always")]
        launcher = running.launcher_pid
        if both:
            running.kill()
        os.kill(launcher, signal.SIGKILL)
        if both:
            await asyncio.to_thread(running.start)
        never = await running_phase(client, "never", "Failed")
        [status] = never["status"]["containerStatuses"]
        assert "launcher" in json.dumps(status["state"]["terminated"]), status

        async def restarted() -> bool:
            pod = await client.get(kinds.PODS, "always", SPACE)
            [status] = pod["status"]["containerStatuses"]
            return bool(status["restartCount"] == 1 and status["ready"])

        await soon(restarted)

        async def replaced() -> bool:
            pods = await client.list(kinds.PODS, SPACE, labels="batch.kubernetes.io/job-name=job")
            phases = sorted(pod["status"].get("phase", "") for pod in pods)
            return phases == ["Failed", "Running"]

        await soon(replaced)
        # What the dead launcher had started has not been left running beside its successor.
        await asyncio.to_thread(eventually, lambda: not any(alive(pid) for pid in pids))
        assert running.launcher_pid != launcher


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def test_a_second_process_on_the_same_folder_is_refused(running: RunningPlatform) -> None:
    with pytest.raises(RuntimeError, match="did not start") as refused:
        RunningPlatform(running.directory).start()
    assert "another" in str(refused.value) or "in use" in str(refused.value)
