"""What all pods of an agent share: the API's objects, the runtime, addresses, hosts, events."""

import asyncio
import contextvars
import logging
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from wherry.client.client import Client
from wherry.controller.cache import Cache
from wherry.controller.clock import Clock
from wherry.controller.events import EventType, Recorder
from wherry.kubelet import fields
from wherry.kubelet.addresses import Addresses
from wherry.kubelet.caches import Caches
from wherry.kubelet.devices import Devices
from wherry.kubelet.hosts import Hosts
from wherry.kubelet.names import Names
from wherry.kubelet.runtime import PodRuntime
from wherry.kubelet.settings import KubeletSettings
from wherry.kubelet.tokens import Tokens
from wherry.kubelet.volume import NotReadyError
from wherry.objects import errors, kinds, metadata
from wherry.objects.requests import Object
from wherry.objects.resources import Resource

logger = logging.getLogger("wherry.kubelet")

_CONFIG = {"configMap": kinds.CONFIG_MAPS, "secret": kinds.SECRETS}


@dataclass(slots=True, kw_only=True)
class Shared:
    """What pods share. One per agent.

    Attributes:
        settings: The agent's.
        client: For reads that caches may be too old for, and for writes.
        caches: For all other reads.
        runtime: Runs containers.
        recorder: Says events.
        clock: Tells the time of day.
        addresses: Pod addresses.
        hosts: `/etc/hosts` files.
        names: What is in them.
        tokens: Service account tokens.
        devices: GPUs.
        session: For HTTP probes.
        node_name: This node.
        host_ip: Its address.
        allocatable: Its amounts.
    """

    settings: KubeletSettings
    client: Client
    caches: Caches
    runtime: PodRuntime
    recorder: Recorder
    clock: Clock
    addresses: Addresses
    hosts: Hosts
    names: Names
    tokens: Tokens
    devices: Devices
    session: aiohttp.ClientSession
    node_name: str
    host_ip: str
    allocatable: Mapping[str, str]
    _tasks: set[asyncio.Task[Any]] = field(default_factory=set)

    def now(self) -> float:
        """Return the time of day, seconds since the epoch."""
        return self.clock.now().timestamp()

    def spawn(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        """Run something beside the caller, in a context of its own, until done or `close`.

        A controller remembers what is written in its context; what pods do is not its doing.
        """
        task = asyncio.get_running_loop().create_task(
            work, name=name, context=contextvars.Context()
        )
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.error("%s failed", task.get_name(), exc_info=error)

    def event(self, obj: Object, kind: EventType, reason: str, message: str) -> None:
        """Say an event; see `Recorder.event`."""
        self.spawn(self.recorder.event(obj, kind, reason, message), "event")

    async def lookup(self, namespace: str, kind: str, name: str) -> Object | None:
        """Return a ConfigMap or Secret (``configMap``/``secret``), None where there is none."""
        cache = self.caches.config_maps if kind == "configMap" else self.caches.secrets
        return await self._read(cache, _CONFIG[kind], namespace, name)

    async def claimed(self, namespace: str, name: str, owner: str) -> Object:
        """Return the PersistentVolume that a claim is bound to.

        Args:
            namespace: Of the claim.
            name: Its name.
            owner: Uid of the pod that it must have been made for; empty for any claim.

        Raises:
            NotReadyError: no such claim, or it is not bound, or another's.
        """
        resource = kinds.PERSISTENT_VOLUME_CLAIMS
        claim = await self._read(self.caches.claims, resource, namespace, name)
        if claim is None:
            raise NotReadyError(f'persistentvolumeclaim "{name}" not found')
        reference = metadata.controller_of(claim) or {}
        if owner and reference.get("uid") != owner:
            text = f'PVC "{namespace}/{name}" was not created for pod (pod is not owner)'
            raise NotReadyError(text)
        volume_name = str((claim.get("spec") or {}).get("volumeName") or "")
        phase = (claim.get("status") or {}).get("phase")
        if not volume_name or phase != "Bound":
            raise NotReadyError(f'persistentvolumeclaim "{name}" is not bound yet (it is {phase})')
        volume = await self._read(self.caches.volumes, kinds.PERSISTENT_VOLUMES, "", volume_name)
        if volume is None:
            raise NotReadyError(f'persistentvolume "{volume_name}" not found')
        return volume

    def surroundings(self, pod_ip: str) -> fields.Surroundings:
        """Return what the downward API needs beside the pod."""
        return fields.Surroundings(pod_ip, self.host_ip, self.node_name, self.allocatable)

    async def close(self) -> None:
        """End everything that was spawned. Containers go on."""
        tasks = [task for task in self._tasks if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _read(
        self, cache: Cache, resource: Resource, namespace: str, name: str
    ) -> Object | None:
        found = cache.get(namespace, name)
        if found is not None:
            return found
        # Caches of different resources are not in step: what a pod names may be there already.
        try:
            return await self.client.get(resource, name, namespace or None)
        except errors.NotFoundError:
            return None
