"""The real API in memory, the real manager, and a kubelet that plays pods instead of running them."""

import asyncio
import contextlib
import datetime
import itertools
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from wherry.apiserver.identity import Attributes, Decision, User
from wherry.apiserver.server import ApiServer, Extensions
from wherry.builtin import component
from wherry.builtin.gangs import component as gangs
from wherry.builtin.garbage_collector import GarbageCollector
from wherry.builtin.service_proxy import ServiceProxy
from wherry.builtin.settings import BuiltinSettings
from wherry.client.client import Client
from wherry.controller import installing
from wherry.controller.clock import Clock
from wherry.controller.manager import Manager
from wherry.objects import conditions, errors, kinds, metadata
from wherry.objects.requests import Object
from wherry.store import Store

PLAY = "test/play"
IP = "test/ip"
ADMIN = User("admin", groups=("system:masters", "system:authenticated"))


class NobodyByHttp:
    async def authenticate(
        self, headers: Mapping[str, str], peer_certificate: dict[str, Any] | None
    ) -> User | None:
        return None


class AllowAll:
    def authorize(self, attributes: Attributes) -> Decision:
        return Decision(allowed=True)


class PlayKubelet:
    """Plays the pods that are bound to a node.

    The annotation ``test/play`` tells how: ``run`` (also without one) runs and is ready, ``unready``
    runs only, ``pending`` never starts, ``succeed`` and ``fail`` end at once, ``fail=42`` with a code,
    ``linger`` runs and does not go until `release` is called.
    """

    def __init__(self, client: Client) -> None:
        self.client = client
        self.started: list[Object] = []
        self.playing = asyncio.Event()
        self.playing.set()
        self._seen: set[str] = set()
        self._numbers = itertools.count(1)
        self._tasks: set[asyncio.Task[None]] = set()
        self._released = asyncio.Event()

    async def run(self) -> None:
        try:
            while True:
                with contextlib.suppress(errors.ApiError):
                    async for event in self.client.watch(kinds.PODS):
                        if event.type in {"ADDED", "MODIFIED"} and event.object["spec"].get(
                            "nodeName"
                        ):
                            task = asyncio.create_task(self._play(event.object))
                            self._tasks.add(task)
                            task.add_done_callback(self._tasks.discard)
        finally:
            for task in self._tasks:
                task.cancel()

    def release(self) -> None:
        """Let lingering pods go."""
        self._released.set()

    async def _play(self, pod: Object) -> None:
        await self.playing.wait()
        with contextlib.suppress(errors.NotFoundError, errors.ConflictError):
            if metadata.is_deleting(pod):
                await self._stop(pod)
            elif metadata.uid(pod) not in self._seen:
                self._seen.add(metadata.uid(pod))
                await self._begin(pod)

    async def _begin(self, pod: Object) -> None:
        play = metadata.annotations(pod).get(PLAY, "run")
        if play == "pending":
            return
        self.started.append(pod)
        if play.startswith(("succeed", "fail")):
            code = int(play.partition("=")[2] or 1) if play.startswith("fail") else 0
            await self.finish(metadata.name(pod), metadata.namespace(pod), code)
            return
        await self.set_ready(metadata.name(pod), metadata.namespace(pod), play != "unready")

    async def _stop(self, pod: Object) -> None:
        if not pod["metadata"].get("deletionGracePeriodSeconds"):
            return
        if metadata.annotations(pod).get(PLAY) == "linger":
            await self._released.wait()
        namespace, name = metadata.namespaced_name(pod)
        if pod["spec"].get("restartPolicy") != "Always" and pod["status"]["phase"] == "Running":
            await self.finish(name, namespace, 143)
        await self.client.delete(
            kinds.PODS, name, namespace, grace_period_seconds=0, uid=metadata.uid(pod)
        )

    async def set_ready(self, name: str, namespace: str, ready: bool = True) -> None:
        now = _now()

        def change(pod: Object) -> None:
            status = pod["status"]
            status["phase"] = "Running"
            status.setdefault("startTime", metadata.format_time(now))
            ip = metadata.annotations(pod).get(IP) or f"127.32.0.{next(self._numbers) % 250}"
            status.setdefault("podIP", ip)
            status["podIPs"] = [{"ip": status["podIP"]}]
            text = "True" if ready else "False"
            listed = status.setdefault("conditions", [])
            conditions.set(listed, "Ready", text, reason="", message="", now=now)
            status["containerStatuses"] = [_container(pod, {"running": {}}, ready)]

        await self._write(name, namespace, change)

    async def finish(self, name: str, namespace: str = "default", code: int = 0) -> None:
        """End a pod."""
        now = _now()

        def change(pod: Object) -> None:
            status = pod["status"]
            status["phase"] = "Failed" if code else "Succeeded"
            listed = status.setdefault("conditions", [])
            conditions.set(listed, "Ready", "False", reason="", message="", now=now)
            ended = {"exitCode": code, "finishedAt": metadata.format_time(now)}
            status["containerStatuses"] = [_container(pod, {"terminated": ended}, False)]

        await self._write(name, namespace, change)

    async def _write(self, name: str, namespace: str, change: Callable[[Object], None]) -> None:
        while True:
            pod = await self.client.get(kinds.PODS, name, namespace)
            change(pod)
            try:
                await self.client.update(kinds.PODS, pod, subresource="status")
            except errors.ConflictError:
                # What we conflict with is not on disk yet; in one process nothing else waits for it.
                await asyncio.sleep(0.001)
                continue
            return


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)


def _container(pod: Object, state: Object, ready: bool) -> Object:
    return {
        "name": pod["spec"]["containers"][0]["name"],
        "image": "python:3.11",
        "imageID": "",
        "ready": ready,
        "restartCount": 0,
        "state": state,
    }


class World:
    """A control plane that can be killed and started again, with one node.

    Attributes:
        client: The administrator's.
        kubelet: Plays the node.
        proxy: Where services listen.
        volumes: The folder of the default class.
    """

    def __init__(self, server: ApiServer, volumes: Path) -> None:
        self.server = server
        self.client = Client(server.transport(ADMIN))
        self.kubelet = PlayKubelet(Client(server.transport(ADMIN)))
        self.proxy = ServiceProxy()
        self.volumes = volumes
        self.settings = BuiltinSettings(
            volumes_directory=volumes,
            certificate_authority="-----AUTHORITY-----",
            cpu_overcommit=1.0,
            job_backoff_seconds=0.01,
        )
        self.manager: Manager | None = None
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self, clock: Clock | None = None, *, settings: Any = None) -> None:
        """Start the controllers."""
        client = Client(self.server.transport(ADMIN), field_manager="controllers")
        manager = self.manager = Manager(client, clock=clock, stop_seconds=1)
        for controller in component.controllers(manager, settings or self.settings, self.proxy):
            manager.add(controller)
        for controller in gangs.COMPONENT.controllers(manager):
            manager.add(controller)
        collector = GarbageCollector(manager)
        self._tasks = [asyncio.create_task(manager.run()), asyncio.create_task(collector.run())]
        await manager.ready.wait()

    async def kill(self) -> None:
        """End the controllers wherever they are."""
        assert self.manager is not None
        # What a process that dies leaves: no reconcile is finished, and nothing is wound up.
        tasks = {*self.manager._tasks.values(), *self.manager._background, *self._tasks}
        while tasks:
            for task in tasks:
                task.cancel()
            _, tasks = await asyncio.wait(tasks, timeout=0.005)
        self.manager, self._tasks = None, []

    async def stop(self) -> None:
        if self.manager is not None:
            self._tasks[1].cancel()
            await self.manager.stop()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            self.manager, self._tasks = None, []

    async def create(self, resource: Any, obj: Object) -> Object:
        obj.setdefault("metadata", {}).setdefault("namespace", "default")
        if not resource.namespaced:
            del obj["metadata"]["namespace"]
        return await self.client.create(
            resource, {"apiVersion": resource.api_version, "kind": resource.kind, **obj}
        )

    async def get(self, resource: Any, name: str, namespace: str = "default") -> Object:
        return await self.client.get(resource, name, namespace if resource.namespaced else None)

    async def find(self, resource: Any, name: str, namespace: str = "default") -> Object | None:
        try:
            return await self.get(resource, name, namespace)
        except errors.NotFoundError:
            return None

    async def list(self, resource: Any, labels: str = "", namespace: str = "default") -> Any:
        where = namespace if resource.namespaced else None
        return (await self.client.list(resource, where, labels=labels)).items

    async def patch(self, resource: Any, name: str, patch: Object) -> Object:
        where = "default" if resource.namespaced else None
        return await self.client.patch(resource, name, patch, where)

    async def delete(self, resource: Any, name: str, policy: str = "Background") -> None:
        where = "default" if resource.namespaced else None
        await self.client.delete(resource, name, where, propagation_policy=policy)

    async def events(self, name: str) -> dict[str, str]:
        """Return reason → message of the events about an object."""
        found = (await self.client.list(kinds.EVENTS)).items
        return {
            one["reason"]: one["message"] for one in found if one["involvedObject"]["name"] == name
        }

    async def until(
        self, condition: Callable[[], Awaitable[Any]], what: str = "", seconds: float = 20
    ) -> Any:
        """Return the first true result of a condition."""
        deadline = time.monotonic() + seconds
        while True:
            found = await condition()
            if found:
                return found
            assert time.monotonic() < deadline, f"it did not happen in time: {what}"
            await asyncio.sleep(0.01)

    async def until_gone(self, resource: Any, name: str) -> None:
        async def gone() -> bool:
            return await self.find(resource, name) is None

        await self.until(gone, f"{resource.kind} {name} gone")

    async def until_status(self, resource: Any, name: str, **wanted: Any) -> Object:
        """Wait until these fields of the status are as wanted."""
        seen: Object = {}

        async def agrees() -> Object | None:
            obj = await self.find(resource, name) or {}
            seen.update(obj.get("status") or {})
            status = obj.get("status") or {}
            same = all((status.get(key) or 0) == value for key, value in wanted.items())
            return obj if same and obj else None

        try:
            found: Object = await self.until(agrees)
        except AssertionError as error:
            raise AssertionError(f"{name}: wanted {wanted}, status {seen}") from error
        return found

    async def until_condition(
        self, resource: Any, name: str, kind: str, reason: str = ""
    ) -> Object:
        async def has() -> Object | None:
            obj = await self.find(resource, name)
            if obj is None or not conditions.is_true(obj, kind):
                return None
            found = conditions.get(obj, kind) or {}
            return obj if not reason or found["reason"] == reason else None

        found: Object = await self.until(has, f"{name} {kind} {reason}")
        return found


NODE: Object = {
    "metadata": {"name": "node", "labels": {"kubernetes.io/hostname": "node"}},
    "status": {"allocatable": {"cpu": "4", "memory": "8Gi", "pods": "2000"}},
}


@pytest.fixture
async def store() -> AsyncIterator[Store]:
    async with Store.in_memory() as store:
        yield store


@pytest.fixture
def extensions() -> Extensions:
    """What is added to the server; a test module may have its own."""
    return Extensions()


@pytest.fixture
async def bare(store: Store, tmp_path: Path, extensions: Extensions) -> AsyncIterator[World]:
    """A world whose controllers are not started."""
    server = ApiServer(
        store, authenticator=NobodyByHttp(), authorizer=AllowAll(), extensions=extensions
    )
    await server.start()
    volumes = tmp_path / "volumes"
    volumes.mkdir()
    world = World(server, volumes)
    await world.create(kinds.NAMESPACES, {"metadata": {"name": "default"}})
    for obj in component.bootstrap_objects():
        await world.client.create(kinds.STORAGE_CLASSES, obj)
    definitions = [kind.definition() for kind in gangs.COMPONENT.kinds]
    await installing.define(world.client, definitions)
    await world.create(kinds.NODES, {**NODE, "metadata": dict(NODE["metadata"])})
    playing = asyncio.create_task(world.kubelet.run())
    yield world
    await world.stop()
    playing.cancel()
    await asyncio.gather(playing, return_exceptions=True)
    await world.proxy.close()
    await server.stop()


@pytest.fixture
async def world(bare: World) -> World:
    """A world whose controllers run."""
    await bare.start()
    return bare


def template(play: str = "run", labels: Object | None = None, **spec: Any) -> Object:
    """Return a pod template."""
    return {
        "metadata": {"labels": labels or {"app": "web"}, "annotations": {PLAY: play}},
        "spec": {"containers": [{"name": "main", "image": "python:3.11"}], **spec},
    }


def workload(name: str, replicas: int = 3, play: str = "run", **spec: Any) -> Object:
    """Return a Deployment, ReplicaSet or StatefulSet."""
    return {
        "metadata": {"name": name},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": name}},
            "template": template(play, {"app": name}),
            **spec,
        },
    }


def job(name: str, play: str = "succeed", **spec: Any) -> Object:
    """Return a Job."""
    return {
        "metadata": {"name": name},
        "spec": {"template": template(play, restartPolicy="Never"), **spec},
    }


@pytest.fixture
def make() -> Any:
    """The builders, as attributes: fixtures are how files of a folder without package share."""

    class Make:
        template = staticmethod(template)
        workload = staticmethod(workload)
        job = staticmethod(job)

    return Make
