"""Deletes what has lost its owners, and carries out foreground and orphan deletion.

One watch a resource feeds the graph (`ownership`); workers look at one object at a time and put
right what they find. The graph may lag behind, so nothing is deleted on its word alone: an owner is
looked up before a child dies of its absence, and deletions name the uid they mean.
"""

import asyncio
import contextlib
import dataclasses
import logging

from wherry.builtin import served
from wherry.builtin.ownership import FOREGROUND, ORPHAN, Graph, Item, blocking
from wherry.client.client import Client
from wherry.controller.clock import Clock
from wherry.controller.events import Recorder
from wherry.controller.manager import Manager
from wherry.controller.queue import QueueClosed, WorkQueue
from wherry.objects import errors, kinds, metadata
from wherry.objects.requests import Object
from wherry.objects.resources import Resource

_LOG = logging.getLogger("wherry.builtin.garbage_collector")
_WORKERS = 4
_WATCH_AGAIN_SECONDS = 1.0
_READ_SECONDS = 5.0
"""How long the first look at anything waits for a cache of objects, which may be owners."""
_UNWATCHED = frozenset({kinds.EVENTS.key, kinds.LEASES.key})
"""Resources that own nothing and are owned by nothing in practice, and change all the time.

Leases can have owners (a Node's); they are few, and go with their namespace."""


@dataclasses.dataclass(frozen=True)
class _Watched:
    """A watch that runs, and whether its resource has been read once (or could not be)."""

    task: asyncio.Task[None]
    read: asyncio.Event


def _own_policy(item: Item) -> str:
    if ORPHAN in item.finalizers:
        return "Orphan"
    return "Foreground" if FOREGROUND in item.finalizers else "Background"


class GarbageCollector:
    """Watches every resource and keeps ownership true."""

    def __init__(self, manager: Manager) -> None:
        self._manager = manager
        self._client: Client = manager.client
        self._clock: Clock = manager.clock
        self._recorder: Recorder = manager.recorder("garbage-collector-controller")
        self._definitions = manager.cache(kinds.CUSTOM_RESOURCE_DEFINITIONS)
        self._graph = Graph()
        self._queue: WorkQueue[str] = WorkQueue(manager.clock)
        self._watched: dict[str, _Watched] = {}
        self._resources: dict[tuple[str, str], Resource] = {}

    async def run(self) -> None:
        """Collect until cancelled."""
        await self._definitions.synced.wait()
        working: list[asyncio.Task[None]] = []
        try:
            self._follow_definitions()
            # An owner is best known before its children are looked at; who is not is looked up.
            await asyncio.gather(*(one.read.wait() for one in self._watched.values()))
            working += [
                asyncio.create_task(self._work(), name="gc-worker") for _ in range(_WORKERS)
            ]
            while True:
                await self._clock.sleep(_WATCH_AGAIN_SECONDS)
                self._follow_definitions()
        finally:
            self._queue.close()
            tasks = [*working, *(one.task for one in self._watched.values())]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def _follow_definitions(self) -> None:
        present = {
            resource.key: resource
            for resource in served.stored_resources(self._definitions.list())
            if resource.key not in _UNWATCHED
        }
        for key in self._watched.keys() - present.keys():
            self._watched.pop(key).task.cancel()
            for item in self._graph.items():
                if item.resource.key == key:
                    self._forget(item.uid)
        for key, resource in present.items():
            # Not dropped with its definition: an owner of it is looked up, and found to be gone.
            self._resources[resource.group, resource.kind] = resource
            if key not in self._watched:
                read = asyncio.Event()
                follow = self._listen if self._manager.has_cache(resource) else self._watch
                task = asyncio.create_task(follow(resource, read), name=f"gc-watch-{key}")
                self._watched[key] = _Watched(task, read)

    async def _listen(self, resource: Resource, read: asyncio.Event) -> None:
        """Follow a resource in the watch that others need, too: pods are most of what changes."""

        def heard(old: Object | None, new: Object | None) -> None:
            if old is not None and (new is None or metadata.uid(new) != metadata.uid(old)):
                self._forget(metadata.uid(old))
            if new is not None:
                self._see(Item.of(resource, new))

        synced = self._manager.cache(resource).synced
        self._manager.listen(resource, heard)
        try:
            # A kind whose objects cannot be read keeps the collector from none of the others.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_READ_SECONDS):
                    await synced.wait()
            read.set()
            await synced.wait()
            self._look_for_owners()
            await asyncio.Event().wait()
        finally:
            self._manager.unlisten(resource, heard)

    async def _watch(self, resource: Resource, read: asyncio.Event) -> None:
        while True:
            try:
                revision = await self._read_all(resource)
                read.set()
                async for event in self._client.watch(resource, resource_version=revision):
                    if event.type in {"ADDED", "MODIFIED"}:
                        self._see(Item.of(resource, event.object))
                    elif event.type == "DELETED":
                        self._forget(metadata.uid(event.object))
                    elif event.type == "ERROR":
                        break
            except errors.ApiError as error:
                _LOG.debug("watch of %s ended: %s", resource.key, error.message)
            except Exception:  # noqa: BLE001 - without its watch a resource would never be collected
                _LOG.exception("watch of %s failed", resource.key)
            read.set()
            await self._clock.sleep(_WATCH_AGAIN_SECONDS)

    async def _read_all(self, resource: Resource) -> str:
        listed = await self._client.list(resource)
        present = {metadata.uid(obj) for obj in listed}
        for item in self._graph.items():
            if item.resource.key == resource.key and item.uid not in present:
                self._forget(item.uid)
        for obj in listed:
            self._see(Item.of(resource, obj))
        self._look_for_owners()
        return listed.resource_version

    def _look_for_owners(self) -> None:
        """Look at children that may have been seen before anybody knew their owners' kind."""
        for uid in self._graph.with_unknown_owners():
            self._queue.add(uid)

    def _see(self, item: Item) -> None:
        before = self._graph.get(item.uid)
        if before == item:
            return  # nothing that matters here has changed
        self._graph.put(item)
        if item.owners or item.deleting:
            for uid in list(self._graph.affected_by(item)):
                self._queue.add(uid)
        # An owner that is named no more may have waited for this very child.
        for uid in self._graph.left_by(item, before):
            self._queue.add(uid)

    def _forget(self, uid: str) -> None:
        item = self._graph.remove(uid)
        if item is not None:
            for affected in list(self._graph.affected_by(item)):
                self._queue.add(affected)

    async def _work(self) -> None:
        while True:
            try:
                uid = await self._queue.get()
            except QueueClosed:
                return
            try:
                await self._look_at(uid)
                self._queue.forget(uid)
            except (errors.ConflictError, errors.NotFoundError):
                self._queue.add_rate_limited(uid)
            except errors.ApiError as error:
                _LOG.warning("%s: %s; trying again", uid, error.message)
                self._queue.add_rate_limited(uid)
            except Exception:  # noqa: BLE001 - one odd object must not end a worker
                _LOG.exception("%s: cannot be looked at; trying again", uid)
                self._queue.add_rate_limited(uid)
            finally:
                self._queue.done(uid)

    async def _look_at(self, uid: str) -> None:
        item = self._graph.get(uid)
        if item is None:
            return
        if item.deleting:
            await self._finish_deletion(item)
        elif item.owners:
            await self._check_owners(item)

    async def _finish_deletion(self, owner: Item) -> None:
        dependents = self._graph.dependents(owner.uid)
        if ORPHAN in owner.finalizers:
            for dependent in dependents:
                await self._drop_references(dependent, {owner.uid})
            await self._drop_finalizer(owner, ORPHAN)
        elif FOREGROUND in owner.finalizers:
            waited_for = blocking(dependents, owner.uid)
            if not waited_for:
                await self._drop_finalizer(owner, FOREGROUND)
            for dependent in dependents:
                if not dependent.deleting:
                    self._queue.add(dependent.uid)

    async def _check_owners(self, item: Item) -> None:
        gone: set[str] = set()
        leaving: set[str] = set()
        for reference in item.owners:
            state = await self._state_of_owner(item, reference)
            if state == "gone":
                gone.add(reference["uid"])
            elif state == "leaving":
                leaving.add(reference["uid"])
        remaining = {reference["uid"] for reference in item.owners} - gone - leaving
        if remaining:
            if gone or leaving:
                await self._drop_references(item, gone | leaving)
        elif leaving and self._graph.dependents(item.uid):
            await self._unblock_cycle(item)
            await self._delete(item, "Foreground")
        else:
            await self._delete(item, _own_policy(item))

    async def _unblock_cycle(self, item: Item) -> None:
        """Where a child of the item waits for it in turn, let the item's owners not wait for it."""
        children = self._graph.dependents(item.uid)
        if not any(child.deleting and FOREGROUND in child.finalizers for child in children):
            return
        obj = await self._read(item)
        if obj is not None:
            freed = [{**one, "blockOwnerDeletion": False} for one in metadata.owner_references(obj)]
            await self._patch_metadata(item, obj, {"ownerReferences": freed})

    async def _state_of_owner(self, item: Item, reference: dict[str, str]) -> str:
        """Return ``present``, ``gone``, or ``leaving`` when it waits for this very item."""
        owner = self._graph.get(reference.get("uid", ""))
        if owner is None:
            return await self._look_up(item, reference)
        if owner.resource.namespaced and owner.namespace != item.namespace:
            return await self._wrong_namespace(item, reference)
        blocks = bool(reference.get("blockOwnerDeletion"))
        waits = owner.deleting and FOREGROUND in owner.finalizers and blocks
        return "leaving" if waits else "present"

    async def _look_up(self, item: Item, reference: dict[str, str]) -> str:
        group = reference.get("apiVersion", "").rpartition("/")[0]
        resource = self._resources.get((group, reference.get("kind", "")))
        if resource is None:
            return "present"  # of a kind nobody serves: it may come, so nothing is concluded
        if resource.namespaced and not item.namespace:
            return await self._wrong_namespace(item, reference)
        namespace = item.namespace if resource.namespaced else None
        try:
            found = await self._client.get(resource, reference["name"], namespace)
        except errors.NotFoundError:
            return "gone"
        return "present" if metadata.uid(found) == reference["uid"] else "gone"

    async def _wrong_namespace(self, item: Item, reference: dict[str, str]) -> str:
        """A namespaced owner elsewhere does not count; for cluster-scoped items nothing is done."""
        obj: Object = {
            "apiVersion": item.resource.api_version,
            "kind": item.resource.kind,
            "metadata": {"name": item.name, "namespace": item.namespace, "uid": item.uid},
        }
        message = (
            f"ownerRef [{reference.get('apiVersion')}/{reference.get('kind')}, "
            f"name: {reference.get('name')}, uid: {reference.get('uid')}] does not exist in "
            f'namespace "{item.namespace}"'
        )
        await self._recorder.event(obj, "Warning", "OwnerRefInvalidNamespace", message)
        return "gone" if item.namespace else "present"

    async def _delete(self, item: Item, policy: str) -> None:
        namespace = item.namespace or None
        with contextlib.suppress(errors.NotFoundError, errors.ConflictError):
            await self._client.delete(
                item.resource, item.name, namespace, propagation_policy=policy, uid=item.uid
            )

    async def _drop_references(self, item: Item, owners: set[str]) -> None:
        obj = await self._read(item)
        if obj is None:
            return
        kept = [one for one in metadata.owner_references(obj) if one.get("uid") not in owners]
        if len(kept) < len(metadata.owner_references(obj)):
            await self._patch_metadata(item, obj, {"ownerReferences": kept or None})

    async def _drop_finalizer(self, item: Item, finalizer: str) -> None:
        obj = await self._read(item)
        if obj is None:
            return
        present = obj["metadata"].get("finalizers") or []
        kept = [one for one in present if one != finalizer]
        if len(kept) < len(present):
            await self._patch_metadata(item, obj, {"finalizers": kept or None})

    async def _read(self, item: Item) -> Object | None:
        try:
            obj = await self._client.get(item.resource, item.name, item.namespace or None)
        except errors.NotFoundError:
            return None
        return obj if metadata.uid(obj) == item.uid else None

    async def _patch_metadata(self, item: Item, read: Object, changes: Object) -> None:
        # With the version that was read: a list is replaced whole, and somebody may have added to it.
        patch = {
            "metadata": {
                "uid": item.uid,
                "resourceVersion": read["metadata"]["resourceVersion"],
                **changes,
            }
        }
        await self._client.patch(item.resource, item.name, patch, item.namespace or None)
