"""A control plane in memory with a kubelet that plays pods: the world that controllers are tried in.

API and manager are the real ones; nothing is started as a process. The clock may be a test's own.
"""

import asyncio
import contextlib
import datetime
import itertools
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from typing import Any

from wherry.builtin import component as builtin
from wherry.builtin.gangs import component as gangs
from wherry.builtin.garbage_collector import GarbageCollector
from wherry.builtin.service_proxy import ServiceProxy
from wherry.builtin.settings import BuiltinSettings
from wherry.client.client import Client
from wherry.controller import installing
from wherry.controller.clock import Clock, SystemClock
from wherry.controller.component import Component
from wherry.controller.controller import Controller
from wherry.controller.manager import Manager
from wherry.controller.surroundings import Surroundings
from wherry.embedded import in_memory
from wherry.objects import conditions, errors, kinds, metadata
from wherry.objects.requests import Object, Transport
from wherry.objects.resources import Resource
from wherry.testing.clock import FakeClock
from wherry.testing.played_logs import SAYS, PlayedLogs

PLAY = "test/play"
"""Annotation of a pod that tells how it is played; see `PlayKubelet`."""
IP = "test/ip"
"""Annotation of a pod: the address that it gets."""

_POLL_SECONDS = 0.01

Controllers = Callable[[Manager], Iterable[Controller]]


class PlayKubelet:
    """Plays the pods that are bound to a node.

    The annotation ``test/play`` tells how: ``run`` (also without one) runs and is ready, ``unready``
    runs only, ``pending`` never starts, ``succeed`` and ``fail`` end at once, ``fail=42`` with a code,
    ``linger`` runs and does not go until `release` is called.

    Attributes:
        client: What it writes with.
        clock: What its times are taken from.
        started: The pods that it has started, in order.
        playing: While this is not set, it looks away.
        logs: What the pods print.
    """

    def __init__(
        self, client: Client, clock: Clock | None = None, logs: PlayedLogs | None = None
    ) -> None:
        """Take what it works with.

        Args:
            client: With all rights.
            clock: The machine's by default.
            logs: What the pods print; by default nobody reads it.
        """
        self.client = client
        self.logs = logs or PlayedLogs(clock)
        self.clock: Clock = clock or SystemClock()
        self.started: list[Object] = []
        self.playing = asyncio.Event()
        self.playing.set()
        self._seen: set[str] = set()
        self._numbers = itertools.count(1)
        self._tasks: set[asyncio.Task[None]] = set()
        self._released = asyncio.Event()

    async def run(self) -> None:
        """Play until cancelled."""
        try:
            while True:
                with contextlib.suppress(errors.ApiError):
                    await self._watch()
        finally:
            for task in self._tasks:
                task.cancel()

    async def _watch(self) -> None:
        async for event in self.client.watch(kinds.PODS):
            if event.type in {"ADDED", "MODIFIED"} and event.object["spec"].get("nodeName"):
                task = asyncio.create_task(self._play(event.object))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)

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
        namespace, name = metadata.namespaced_name(pod)
        self.logs.begin(namespace, name)
        if says := metadata.annotations(pod).get(SAYS):
            self.logs.say(name, says, namespace)
        if play.startswith(("succeed", "fail")):
            code = int(play.partition("=")[2] or 1) if play.startswith("fail") else 0
            await self.finish(name, namespace or "", code)
            return
        change = self._running(ready=play != "unready")

        def begin(pod: Object) -> None:
            if pod["status"].get("phase", "Pending") == "Pending":  # a test may have been quicker
                change(pod)

        await self.write(name, namespace or "", begin)

    async def _stop(self, pod: Object) -> None:
        if not pod["metadata"].get("deletionGracePeriodSeconds"):
            return
        if metadata.annotations(pod).get(PLAY) == "linger":
            await self._released.wait()
        name, namespace = metadata.name(pod), metadata.namespace(pod)
        if pod["spec"].get("restartPolicy") != "Always" and pod["status"]["phase"] == "Running":
            await self.finish(name, namespace, 143)
        await self.client.delete(
            kinds.PODS, name, namespace, grace_period_seconds=0, uid=metadata.uid(pod)
        )

    async def set_ready(self, name: str, namespace: str = "default", *, ready: bool = True) -> None:
        """Have a pod run.

        Args:
            name: Of the pod.
            namespace: Of the pod.
            ready: Whether it takes requests.
        """
        await self.write(name, namespace, self._running(ready=ready))

    def _running(self, *, ready: bool) -> Callable[[Object], None]:
        now = self.clock.now()

        def change(pod: Object) -> None:
            status = pod["status"]
            status["phase"] = "Running"
            status.setdefault("startTime", metadata.format_time(now))
            ip = metadata.annotations(pod).get(IP) or f"127.32.0.{next(self._numbers) % 250}"
            status.setdefault("podIP", ip)
            status["podIPs"] = [{"ip": status["podIP"]}]
            _set_ready(status, now, ready=ready)
            status["containerStatuses"] = [_container(pod, {"running": {}}, ready=ready)]

        return change

    async def finish(
        self, name: str, namespace: str = "default", code: int = 0, *, message: str = ""
    ) -> None:
        """End a pod.

        Args:
            name: Of the pod.
            namespace: Of the pod.
            code: What its first container ends with; 0 is success.
            message: Its last words.
        """
        now = self.clock.now()

        def change(pod: Object) -> None:
            status = pod["status"]
            status["phase"] = "Failed" if code else "Succeeded"
            _set_ready(status, now, ready=False)
            ended = {"exitCode": code, "finishedAt": metadata.format_time(now)}
            if message:
                ended["message"] = message
            status["containerStatuses"] = [_container(pod, {"terminated": ended}, ready=False)]

        self.logs.end(namespace, name)
        await self.write(name, namespace, change)

    async def evict(self, name: str, namespace: str = "default") -> None:
        """Fail a pod as a node does that needs its memory."""

        def change(pod: Object) -> None:
            told = {"reason": "Evicted", "message": "The node was low on resource: memory."}
            pod["status"] |= {"phase": "Failed", **told}
            pod["status"].pop("containerStatuses", None)

        await self.write(name, namespace, change)

    async def restart(self, name: str, namespace: str = "default", *, times: int = 1) -> None:
        """Have a pod's container restarted within the pod, ``times`` times in all."""

        def change(pod: Object) -> None:
            for status in pod["status"]["containerStatuses"]:
                status["restartCount"] = times

        await self.write(name, namespace, change)

    async def write(self, name: str, namespace: str, change: Callable[[Object], None]) -> None:
        """Change a pod's status, in place, whoever else writes to it."""
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


def _set_ready(status: dict[str, Any], now: datetime.datetime, *, ready: bool) -> None:
    text = "True" if ready else "False"
    listed = status.setdefault("conditions", [])
    conditions.set(listed, "Ready", text, reason="", message="", now=now)


def _container(pod: Object, state: Object, *, ready: bool) -> Object:
    return {
        "name": pod["spec"]["containers"][0]["name"],
        "image": "python:3.11",
        "imageID": "",
        "ready": ready,
        "restartCount": 0,
        "state": state,
    }


def condition(obj: Object, type_: str) -> conditions.Condition:
    """Return a condition that the object must have."""
    found = conditions.get(obj, type_)
    assert found is not None, f"no condition {type_}; status {obj.get('status')}"
    return found


def held(obj: Object) -> dict[str, str]:
    """Return the conditions of an object, type → status."""
    return {one["type"]: one["status"] for one in obj["status"]["conditions"]}


NODE: Object = {
    "metadata": {"name": "node", "labels": {"kubernetes.io/hostname": "node"}},
    "status": {"allocatable": {"cpu": "4", "memory": "8Gi", "pods": "2000"}},
}


class World:
    """A control plane that can be killed and started again, with one node.

    Attributes:
        client: The administrator's.
        clock: The controllers' and the kubelet's.
        kubelet: Plays the node.
        manager: Runs the controllers; None while they do not run.
    """

    def __init__(
        self,
        transport: Transport,
        controllers: Controllers,
        *,
        clock: Clock | None = None,
        logs: PlayedLogs | None = None,
        surroundings: Surroundings | None = None,
    ) -> None:
        """Take what it works with; nothing is started.

        Args:
            transport: Leads to the API, with all rights.
            controllers: Makes the controllers that run.
            clock: The machine's by default. With a `FakeClock`, `until` lets time pass as it does
                in the world, so that what is tried again is; `FakeClock.advance` puts it forward.
            logs: What the pods print, where the API reads it.
            surroundings: Of the controllers; by default those of a cluster, without options.
        """
        self.client = Client(transport)
        self.clock: Clock = clock or SystemClock()
        self.kubelet = PlayKubelet(Client(transport), self.clock, logs)
        self.manager: Manager | None = None
        self._transport = transport
        self._controllers = controllers
        self._surroundings = surroundings or Surroundings()
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Start the controllers."""
        client = Client(self._transport, field_manager="controllers")
        manager = self.manager = Manager(
            client, clock=self.clock, stop_seconds=1, surroundings=self._surroundings
        )
        for controller in self._controllers(manager):
            manager.add(controller)
        collector = GarbageCollector(manager)
        self._tasks = [asyncio.create_task(manager.run()), asyncio.create_task(collector.run())]
        await manager.ready.wait()

    async def kill(self) -> None:
        """End the controllers wherever they are."""
        assert self.manager is not None, "they do not run"
        # What a process that dies leaves: no reconcile is finished, and nothing is wound up.
        left = {*self.manager._tasks.values(), *self.manager._background, *self._tasks}  # noqa: SLF001 - as said
        while left:
            for task in left:
                task.cancel()
            _, left = await asyncio.wait(left, timeout=0.005)
        self.manager, self._tasks = None, []

    async def stop(self) -> None:
        """End the controllers in order. Idempotent."""
        if self.manager is not None:
            self._tasks[1].cancel()
            await self.manager.stop()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            self.manager, self._tasks = None, []

    async def advance(self, seconds: float) -> None:
        """Put the clock forward.

        Args:
            seconds: How far. The clock has to be a `FakeClock`.
        """
        assert isinstance(self.clock, FakeClock), "this world has the machine's clock"
        await self.clock.advance(seconds)

    async def create(self, resource: Resource, obj: Object) -> Object:
        """Create an object, in the namespace ``default`` where it names none."""
        obj.setdefault("metadata", {}).setdefault("namespace", "default")
        if not resource.namespaced:
            del obj["metadata"]["namespace"]
        return await self.client.create(
            resource, {"apiVersion": resource.api_version, "kind": resource.kind, **obj}
        )

    async def get(self, resource: Resource, name: str, namespace: str = "default") -> Object:
        """Return an object."""
        return await self.client.get(resource, name, namespace if resource.namespaced else None)

    async def find(
        self, resource: Resource, name: str, namespace: str = "default"
    ) -> Object | None:
        """Return an object; None where there is none."""
        try:
            return await self.get(resource, name, namespace)
        except errors.NotFoundError:
            return None

    async def list(self, resource: Resource, labels: str = "", namespace: str = "default") -> Any:
        """Return the objects with these labels."""
        where = namespace if resource.namespaced else None
        return (await self.client.list(resource, where, labels=labels)).items

    async def names(self, resource: Resource, labels: str = "") -> Sequence[str]:
        """Return the names of the objects with these labels that are not on their way out, sorted."""
        found = await self.list(resource, labels)
        return sorted(metadata.name(obj) for obj in found if not metadata.is_deleting(obj))

    async def patch(self, resource: Resource, name: str, patch: Object) -> Object:
        """Patch an object."""
        where = "default" if resource.namespaced else None
        return await self.client.patch(resource, name, patch, where)

    async def delete(self, resource: Resource, name: str, policy: str = "Background") -> None:
        """Delete an object."""
        where = "default" if resource.namespaced else None
        await self.client.delete(resource, name, where, propagation_policy=policy)

    async def flush_events(self) -> None:
        """Return once the events that the controllers have told are there."""
        assert self.manager is not None, "they do not run"
        await self.manager.flush_events()

    async def events(self, name: str) -> dict[str, str]:
        """Return reason → message of the events about an object that have been told until now."""
        if self.manager is not None:
            await self.flush_events()
        found = (await self.client.list(kinds.EVENTS)).items
        return {
            one["reason"]: one["message"] for one in found if one["involvedObject"]["name"] == name
        }

    async def until(
        self, condition: Callable[[], Awaitable[Any]], what: str = "", seconds: float = 90
    ) -> Any:
        """Return the first true result of a condition.

        Raises:
            AssertionError: there was none within ``seconds``.
        """
        deadline = time.monotonic() + seconds
        while True:
            found = await condition()
            if found:
                return found
            assert time.monotonic() < deadline, f"it did not happen in time: {what}"
            await asyncio.sleep(_POLL_SECONDS)
            if isinstance(self.clock, FakeClock):
                await self.clock.advance(_POLL_SECONDS, turns=1)

    async def until_gone(self, resource: Resource, name: str) -> None:
        """Wait until an object is gone."""

        async def gone() -> bool:
            return await self.find(resource, name) is None

        await self.until(gone, f"{resource.kind} {name} gone")

    async def until_names(
        self, resource: Resource, wanted: Iterable[str], labels: str = ""
    ) -> None:
        """Wait until these objects are there, and no others."""
        names = sorted(wanted)
        seen: list[Sequence[str]] = []

        async def agrees() -> bool:
            seen[:] = [await self.names(resource, labels)]
            return seen[0] == names

        try:
            await self.until(agrees)
        except AssertionError as error:
            raise AssertionError(f"{resource.kind}: wanted {names}, there are {seen[0]}") from error

    async def until_status(self, resource: Resource, name: str, **wanted: Any) -> Object:
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
        self, resource: Resource, name: str, kind: str, reason: str = ""
    ) -> Object:
        """Wait until a condition is true, for this reason where one is given."""
        seen: Object = {}

        async def has() -> Object | None:
            obj = await self.find(resource, name)
            seen.update(obj or {})
            if obj is None or not conditions.is_true(obj, kind):
                return None
            return obj if not reason or condition(obj, kind)["reason"] == reason else None

        try:
            found: Object = await self.until(has, f"{name} {kind} {reason}")
        except AssertionError as error:
            raise AssertionError(f"{error}; status {seen.get('status')}") from error
        return found


@contextlib.asynccontextmanager
async def world(
    components: Sequence[Component],
    *,
    settings: BuiltinSettings,
    clock: Clock | None = None,
    surroundings: Surroundings | None = None,
) -> AsyncIterator[World]:
    """Give a world in which products run beside Kubernetes' own controllers, started.

    Args:
        components: The products.
        settings: Of Kubernetes' own controllers.
        clock: The machine's by default.
        surroundings: As in `World`.
    """
    proxy = ServiceProxy()
    run = (gangs.COMPONENT, *components)

    def controllers(manager: Manager) -> Iterable[Controller]:
        yield from builtin.controllers(manager, settings, proxy)
        for one in run:
            yield from one.controllers(manager)

    logs = PlayedLogs(clock)
    async with in_memory.api(run, logs=logs) as server:
        made = World(
            server.transport(in_memory.ADMIN),
            controllers,
            clock=clock,
            logs=logs,
            surroundings=surroundings,
        )
        async with played(made):
            for one in run:
                await installing.define(made.client, [kind.definition() for kind in one.kinds])
                await installing.make_objects(made.client, one, roles=True)
            await made.start()
            yield made
        await proxy.close()


@contextlib.asynccontextmanager
async def played(world: World) -> AsyncIterator[World]:
    """Give a world its first objects and its kubelet; end both, and the controllers, afterwards."""
    await world.create(kinds.NAMESPACES, {"metadata": {"name": "default"}})
    for obj in builtin.bootstrap_objects():
        await world.client.create(kinds.STORAGE_CLASSES, obj)
    await world.create(kinds.NODES, {**NODE, "metadata": dict(NODE["metadata"])})
    playing = asyncio.create_task(world.kubelet.run())
    try:
        yield world
    finally:
        await world.stop()
        playing.cancel()
        await asyncio.gather(playing, return_exceptions=True)
