"""The node agent: hears of pods, configuration, services and exits, and hands each to whom it concerns."""

import asyncio
import contextlib
import dataclasses
import logging
from collections import defaultdict
from collections.abc import Iterable

import aiohttp

from wherry.client.client import Client
from wherry.controller import apply
from wherry.controller.controller import Controller, Watch, itself
from wherry.controller.manager import Manager
from wherry.controller.requests import Request, Result
from wherry.kubelet import (
    admission,
    caches,
    devices,
    engine_choice,
    logs,
    names,
    node,
    orphans,
    process_ids,
    specs,
)
from wherry.kubelet.addresses import Addresses
from wherry.kubelet.environments import builder, collection
from wherry.kubelet.environments import controller as environment_controller
from wherry.kubelet.environments import definition as environment_definition
from wherry.kubelet.environments import kinds as environment_kinds
from wherry.kubelet.launcher.client import Launcher
from wherry.kubelet.launcher.types import ProcessState
from wherry.kubelet.layout import private
from wherry.kubelet.pod_worker import PodWorker
from wherry.kubelet.runtimes.process import ProcessRuntime
from wherry.kubelet.selection import Runtimes
from wherry.kubelet.settings import KubeletSettings
from wherry.kubelet.shared import Shared
from wherry.kubelet.streams.node_pages import NodePages
from wherry.kubelet.streams.node_streams import NodeStreams
from wherry.kubelet.tokens import Tokens
from wherry.kubelet.usage.metrics import NodeUsage, PodUsage
from wherry.kubelet.usage.sampler import Running, Sampler, measure
from wherry.objects import errors, kinds, metadata
from wherry.objects.requests import Object

logger = logging.getLogger("wherry.kubelet")

_UID_INDEX = "kubelet-uid"
_READY_SECONDS = 30.0
_DEFAULT_MADE = "wherry.dev/default-environment-made"

_Processes = dict[str, dict[str, dict[int, ProcessState]]]


class Agent:
    """The node agent of one machine.

    `start` registers the node and adopts what the launcher still runs, then adds its controllers to
    the manager; `close` leaves all containers running.

    Attributes:
        logs: Answers log requests.
        streams: Lets people into running pods.
        pages: What the node tells of itself.
        node_usage: What the machine uses.
        pod_usage: What the pods use.
        node_name: The Node's name.
    """

    def __init__(self, shared: Shared, launcher: Launcher, builds: builder.Builder) -> None:
        """Use `start`."""
        self._shared = shared
        self._launcher = launcher
        self._builds = builds
        self._workers: dict[str, PodWorker] = {}
        self._uids: dict[tuple[str, str], str] = {}
        self._references: dict[tuple[str, str, str], set[str]] = defaultdict(set)
        self._found: _Processes = {}
        self._admission = admission.Admission(
            shared.allocatable,
            cpu_overcommit=shared.settings.cpu_overcommit,
            counts=self._takes_room,
        )
        self.node_name = shared.node_name
        self.logs = logs.PodLogs(shared.settings, shared.caches.pods, self._writes, self._pause)
        sampler = Sampler(self._running, lambda found: measure(found, launcher.pid or 0))
        self.node_usage = NodeUsage(sampler, self._node)
        self.pod_usage = PodUsage(sampler)
        self.pages = NodePages(self.node_name, sampler, self._pods, shared.settings.container_logs)
        self.streams = NodeStreams(shared.runtime, self._process_id)

    @classmethod
    async def start(
        cls,
        manager: Manager,
        settings: KubeletSettings,
        *,
        launcher: Launcher | None = None,
        client: Client | None = None,
    ) -> "Agent":
        """Bring the node up.

        Args:
            manager: Supplies caches and runs the agent's controllers; may be running already.
            settings: The agent's.
            launcher: Connected already; None connects to the one below `settings.data`.
            client: For the agent's own calls; by default the manager's.

        Returns:
            The agent; pods are worked on as soon as the manager runs.

        Raises:
            ApiError: the node or the Environment kind could not be registered.
            LauncherError: the launcher cannot be reached.
        """
        for folder in (settings.data, settings.memory_pods):
            private(folder)
        settings.environments.mkdir(exist_ok=True)
        client = client or manager.client
        gpus = await devices.find(settings)
        amounts = node.capacity(settings, gpus=len(gpus))
        registered = node.NodeAgent(settings, client, manager.clock, amounts)
        await _define_environments(client)
        await registered.register()
        if launcher is None:
            launcher = await Launcher.connect(settings.data / "launcher")
        settings = _as_supported(settings, launcher)
        builds = _builder(settings)
        watched = caches.of(manager)
        addresses = Addresses(settings.pod_cidr)
        named = names.Names(
            watched, settings, addresses, launcher=launcher.directory, node_name=registered.name
        )
        shared = Shared(
            settings=settings,
            client=client,
            caches=watched,
            runtime=Runtimes(
                ProcessRuntime(launcher, builds, watched.environments.list, settings),
                engine_choice.runtime(launcher, settings),
                default=settings.images.runtime,
            ),
            recorder=manager.recorder("kubelet"),
            clock=manager.clock,
            addresses=addresses,
            hosts=named.files,
            names=named,
            tokens=Tokens(client, manager.clock),
            devices=devices.Devices(gpus, settings.data / "devices.json"),
            session=aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0, force_close=True)
            ),
            node_name=registered.name,
            host_ip=registered.address,
            allocatable=amounts,
        )
        agent = cls(shared, launcher, builds)
        await agent._adopt()
        shared.spawn(registered.run(), "node")
        shared.spawn(agent._listen(), "exits")
        shared.spawn(agent._watch_disks(), "disks")
        shared.spawn(
            collection.run(builds, settings.builds, manager.clock, agent._needed_builds), "builds"
        )
        for controller in agent._controllers(manager):
            manager.add(controller)
        return agent

    async def close(self) -> None:
        """Stop working and disconnect; containers go on. The manager must have stopped before."""
        for worker in self._workers.values():
            worker.close()
        await self._shared.close()
        await self._shared.names.close()
        await self._shared.runtime.close()
        await self._builds.close()
        await self._shared.session.close()
        await self._launcher.close()

    def _controllers(self, manager: Manager) -> list[Controller]:
        def configured(kind: str) -> Watch:
            resource = kinds.CONFIG_MAPS if kind == "configMap" else kinds.SECRETS
            return Watch(resource, lambda obj: self._touch(kind, obj))

        return [
            Controller(
                "kubelet",
                kinds.PODS,
                _PodReconciler(self),
                watches=(
                    configured("configMap"),
                    configured("secret"),
                    Watch(kinds.PERSISTENT_VOLUME_CLAIMS, lambda obj: self._touch("claim", obj)),
                    Watch(environment_kinds.ENVIRONMENTS, self._touch_images),
                ),
                workers=8,
                requests=self._of_ours,
            ),
            Controller(
                "kubelet-services",
                kinds.SERVICES,
                self._shared.names,
                watches=(Watch(kinds.ENDPOINT_SLICES, _service_of),),
                workers=1,
            ),
            environment_controller.controller(
                manager.client, self._shared.caches.environments, self._builds, manager.clock
            ),
        ]

    # Pods.

    def _of_ours(self, pod: Object) -> Iterable[Request]:
        return itself(pod) if pod["spec"].get("nodeName") == self.node_name else ()

    def sync(self, request: Request) -> None:
        """Hand a pod's present state to its worker, making or ending the worker as needed."""
        key = (request.namespace, request.name)
        pod = self._shared.caches.pods.get(*key)
        ours = pod is not None and pod["spec"].get("nodeName") == self.node_name
        uid = metadata.uid(pod) if pod is not None and ours else ""
        known = self._uids.get(key)
        if known is not None and known != uid:
            self._gone(known, key)
        if pod is None or not ours:
            return
        worker = self._workers.get(uid)
        if worker is None:
            worker = self._make(uid, key, pod)
            worker.wake()
        else:
            worker.update(pod)
        if specs.is_finished(pod):
            # What is known of all pods of long ago would be gone through for each new one.
            self._admission.forget(uid)

    def _make(self, uid: str, key: tuple[str, str], pod: Object) -> PodWorker:
        states = self._found.pop(uid, {})
        worker = PodWorker(pod, self._shared, states)
        if not states and not metadata.is_deleting(pod) and not specs.is_finished(pod):
            refusal = self._admission.admit(pod)
            if refusal is not None:
                worker.refuse(*refusal)
        self._workers[uid] = worker
        self._uids[key] = uid
        for kind, name in _references(pod):
            self._references[kind, key[0], name].add(uid)
        return worker

    def _gone(self, uid: str, key: tuple[str, str]) -> None:
        self._uids.pop(key, None)
        self._admission.forget(uid)
        worker = self._workers.get(uid)
        if worker is None:
            return
        for kind, name in _references(worker.pod):
            users = self._references.get((kind, key[0], name), set())
            users.discard(uid)
            if not users:
                self._references.pop((kind, key[0], name), None)
        worker.gone()
        self._shared.spawn(self._bury(uid, worker), "bury")

    def _takes_room(self, uid: str) -> bool:
        worker = self._workers.get(uid)
        if worker is None:
            return True  # the agent before this one has taken it
        where = metadata.namespaced_name(worker.pod)
        known = self._shared.caches.pods.get(*where)
        return (
            known is not None and metadata.uid(known) == uid and not specs.is_finished(worker.pod)
        )

    async def _bury(self, uid: str, worker: PodWorker) -> None:
        await worker.removed.wait()
        self._workers.pop(uid, None)

    def _touch(self, kind: str, obj: Object) -> Iterable[Request]:
        """Tell workers of a change of what their pods refer to; no request comes of it."""
        where = metadata.namespaced_name(obj)
        for uid in self._references.get((kind, where.namespace, where.name), ()):
            self._workers[uid].config_changed()
        return ()

    def _touch_images(self, _: Object) -> Iterable[Request]:
        for worker in self._workers.values():
            worker.images_changed()
        return ()

    # Processes.

    async def _adopt(self) -> None:
        """Learn what the launcher runs, and clear away what belongs to no pod."""
        found: _Processes = defaultdict(lambda: defaultdict(dict))
        await self._shared.runtime.open()
        for process in await self._shared.runtime.list():
            name = process_ids.parse(process.id)
            if name is not None:
                found[name.uid][name.container][name.attempt] = process
        self._found = found
        pods = await self._shared.client.list(kinds.PODS)
        mine = [pod for pod in pods if pod["spec"].get("nodeName") == self.node_name]
        self._claim_addresses(mine)
        for pod in mine:
            if (pod.get("status") or {}).get("startTime") and not specs.is_finished(pod):
                self._admission.take(pod)
        living = {metadata.uid(pod) for pod in mine}
        left_over = [uid for uid in found if uid not in living]
        for uid in left_over:
            states = found.pop(uid)
            processes = [one for of_container in states.values() for one in of_container.values()]
            self._shared.spawn(self._end_orphan(uid, processes), f"orphan {uid}")
        self._shared.devices.keep_only({*living, *left_over})
        # Looked for before the first new pod makes its folders, removed in its own time.
        folders = orphans.left_over(self._shared.settings, mine)
        self._shared.spawn(asyncio.to_thread(orphans.remove, folders), "clean")

    async def _end_orphan(self, uid: str, processes: list[ProcessState]) -> None:
        await orphans.end(processes, self._shared.runtime)
        self._shared.devices.release(uid)

    async def _listen(self) -> None:
        async for process in self._shared.runtime.exits():
            self._exited(process)

    def _claim_addresses(self, pods: Iterable[Object]) -> None:
        for pod in pods:
            address = (pod.get("status") or {}).get("podIP")
            if address and not specs.is_finished(pod) and not specs.uses_host_network(pod):
                self._shared.addresses.claim(metadata.uid(pod), str(address))

    def _exited(self, process: ProcessState) -> None:
        name = process_ids.parse(process.id)
        if name is None:
            return
        worker = self._workers.get(name.uid)
        if worker is not None:
            worker.exited(name, process)
        elif name.uid in self._found:
            self._found[name.uid][name.container][name.attempt] = process

    async def _watch_disks(self) -> None:
        while True:
            await self._shared.clock.sleep(self._shared.settings.disk_seconds)
            for worker in list(self._workers.values()):
                await worker.check_disk()

    def _needed_builds(self) -> set[str]:
        pods = [worker.pod for worker in self._workers.values()]
        return collection.needed(self._shared.caches.environments.list(), pods)

    def _running(self) -> list[Running]:
        return [one for worker in self._workers.values() for one in worker.processes()]

    def _pods(self) -> list[Object]:
        return [worker.pod for worker in self._workers.values()]

    async def _node(self) -> Object:
        return await self._shared.client.get(kinds.NODES, self.node_name)

    def _process_id(self, uid: str, container: str) -> str | None:
        worker = self._workers.get(uid)
        return None if worker is None else worker.process_id(container)

    def _writes(self, uid: str, container: str, attempt: int) -> bool:
        worker = self._workers.get(uid)
        return worker is not None and worker.running(container, attempt)

    async def _pause(self, uid: str, container: str, attempt: int, seconds: float) -> None:
        worker = self._workers.get(uid)
        if worker is None:
            await asyncio.sleep(seconds)
        else:
            await worker.pause(container, attempt, seconds)


class _PodReconciler:
    def __init__(self, agent: Agent) -> None:
        self._agent = agent

    async def reconcile(self, request: Request) -> Result | None:
        """Hand the pod on; its worker does the rest in its own time."""
        self._agent.sync(request)
        return None


def _service_of(obj: Object) -> Iterable[Request]:
    name = metadata.labels(obj).get(caches.SERVICE_LABEL)
    return (Request(metadata.namespace(obj), name),) if name else ()


def _references(pod: Object) -> set[tuple[str, str]]:
    return {
        *specs.config_references(pod),
        *(("claim", name) for name in specs.claim_references(pod)),
    }


def _builder(settings: KubeletSettings) -> builder.Builder:
    builds = builder.Builder(
        settings.environments,
        concurrency=settings.builds.concurrency,
        timeout_seconds=settings.builds.timeout_seconds,
    )
    builds.clean()
    return builds


def _as_supported(settings: KubeletSettings, launcher: Launcher) -> KubeletSettings:
    """Return the settings without what this machine does not allow, having said so in the log."""
    features = launcher.features
    if not features.interception:
        why = features.reasons.get("interception", "")
        logger.warning("pods that listen on the same port of 0.0.0.0 will clash: %s", why)
    if settings.pod_pids_limit is not None and not features.pids_limits:
        logger.warning("pod_pids_limit is not held: %s", features.reasons.get("pids_limits", ""))
    if features.memory_limits:  # they are what is meant, and break no program
        settings = dataclasses.replace(settings, memory_rlimit=False)
    if features.isolate or not settings.isolate:
        return settings
    logger.warning(
        "containers have no mount namespaces of their own, so volumes can only appear at paths "
        "that do not exist here: %s",
        features.reasons.get("isolate", ""),
    )
    return dataclasses.replace(settings, isolate=False)


async def _define_environments(client: Client) -> None:
    """Make the kind `Environment` as this version has it and, once, the one for Python images.

    An environment that somebody has deleted or changed stays so: that it was made is noted on the
    kind, after it was made, so that a start that is cut off is made up for by the next.
    """
    applied = await apply.create_or_update(
        client, None, kinds.CUSTOM_RESOURCE_DEFINITIONS, environment_definition.crd()
    )
    definition = applied.object
    if _DEFAULT_MADE in metadata.annotations(definition):
        return
    with contextlib.suppress(errors.AlreadyExistsError):
        await _create_once_served(client, environment_kinds.default_environment())
    note = {"metadata": {"annotations": {_DEFAULT_MADE: "true"}}}
    name = metadata.name(definition)
    await client.patch(kinds.CUSTOM_RESOURCE_DEFINITIONS, name, note)


async def _create_once_served(client: Client, environment: Object) -> None:
    """Create the object; its definition is stored, but may not be served yet."""
    deadline = asyncio.get_running_loop().time() + _READY_SECONDS
    while asyncio.get_running_loop().time() < deadline:
        with contextlib.suppress(errors.NotFoundError):
            await client.create(environment_kinds.ENVIRONMENTS, environment)
            return
        await asyncio.sleep(0.02)
    await client.create(environment_kinds.ENVIRONMENTS, environment)
