"""The custom definitions at work: served as soon as they are stored, and gone with their objects."""

import asyncio
import logging
from collections.abc import Sequence

from wherry.apiserver import deleting, updating, writing
from wherry.apiserver.call import Call
from wherry.apiserver.core import Core
from wherry.apiserver.crds import serving
from wherry.apiserver.crds.strategy import CLEANUP
from wherry.apiserver.identity import MASTERS, User
from wherry.apiserver.resources import Served
from wherry.objects import errors, kinds
from wherry.objects.requests import Object, Request
from wherry.store import Key, Record, StoreError

_LOG = logging.getLogger(__name__)
_USER = User("system:apiserver", groups=(MASTERS,))
_RETRY_SECONDS = 1.0


class CustomResources:
    """Keeps the resource map in step with the stored definitions.

    Args:
        core: The state; its hook for written definitions is taken.
        known: What the server knows of kinds beyond their definitions.
    """

    def __init__(self, core: Core, known: serving.Known) -> None:
        self._core = core
        self._known = known
        self._serving: dict[str, list[Served]] = {}
        self._cleaning: dict[str, asyncio.Task[None]] = {}
        self._running = False
        core.written[kinds.CUSTOM_RESOURCE_DEFINITIONS.key] = self._written

    def load(self) -> None:
        """Serve what the store holds."""
        for record in self._core.store.list(kinds.CUSTOM_RESOURCE_DEFINITIONS.key).records:
            self._serve(record, record.value())

    def start(self) -> None:
        """Go on with deletions that were under way."""
        self._running = True
        for record in self._core.store.list(kinds.CUSTOM_RESOURCE_DEFINITIONS.key).records:
            self._clean_if_deleting(record.value())

    async def stop(self) -> None:
        """Stop deletions where they are. Idempotent."""
        self._running = False
        tasks = list(self._cleaning.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _written(self, before: Record | None, after: Record | None) -> None:
        if after is None:
            if before is not None:
                self._withdraw(before.key.name)
            return
        definition = after.value()
        self._serve(after, definition)
        self._clean_if_deleting(definition)

    def _serve(self, record: Record, definition: Object) -> None:
        name = definition["metadata"]["name"]
        self._withdraw(name)
        self._serving[name] = serving.served_by(
            definition, record.value, self._known, self._core.admission.client
        )
        for served in self._serving[name]:
            self._core.resources.add(served)

    def _withdraw(self, name: str) -> None:
        for served in self._serving.pop(name, ()):
            self._core.resources.remove(served.resource)

    def _clean_if_deleting(self, definition: Object) -> None:
        metadata = definition["metadata"]
        name = metadata["name"]
        if "deletionTimestamp" not in metadata or CLEANUP not in metadata.get("finalizers", ()):
            return
        if self._running and name not in self._cleaning:
            task = asyncio.get_running_loop().create_task(self._clean(name))
            self._cleaning[name] = task
            task.add_done_callback(lambda _: self._cleaning.pop(name, None))

    async def _clean(self, name: str) -> None:
        """Delete a definition's objects, wait until they are gone, then let go of it."""
        store = self._core.store
        while True:
            try:
                served = _in_storage_version(self._serving.get(name, ()))
                since = store.revision
                if served is None or await self._emptied(served):
                    await self._let_go(name)
                    return
                changes = store.watch(served.storage.key, since=since)
                try:
                    async with asyncio.timeout(_RETRY_SECONDS):
                        await anext(changes, None)
                except TimeoutError:
                    continue
                finally:
                    changes.close()
            except (errors.ApiError, StoreError):
                _LOG.exception("the objects of %s could not be deleted yet", name)
                await asyncio.sleep(_RETRY_SECONDS)

    async def _emptied(self, served: Served) -> bool:
        """Ask for the deletion of what is left; return whether nothing is."""
        left = self._core.store.list(served.storage.key).records
        for record in left:
            head = self._core.store.head(record.key)
            if head is None or b'"deletionTimestamp"' in head.raw:
                continue
            request = Request(
                "delete", served.resource, namespace=record.key.namespace, name=record.key.name
            )
            call = Call(request, _USER)
            options = deleting.options(call)
            write = writing.Write.of(self._core, call, served)
            await deleting.delete_record(write, head, options)
        return not self._core.store.list(served.storage.key).records

    async def _let_go(self, name: str) -> None:
        resource = kinds.CUSTOM_RESOURCE_DEFINITIONS
        served = self._core.resources.by_key(resource.key)
        record = self._core.store.head(Key(resource.key, "", name))
        if served is None or record is None:
            return
        definition = record.value()
        finalizers = definition["metadata"].get("finalizers") or []
        definition["metadata"]["finalizers"] = [each for each in finalizers if each != CLEANUP]
        call = Call(Request("update", resource, name=name), _USER)
        await updating.replace(writing.Write.of(self._core, call, served), record, definition)


def _in_storage_version(serving_now: Sequence[Served]) -> Served | None:
    """Return how objects are served as they are stored, so that no webhook is asked about them."""
    found = [each for each in serving_now if each.resource == each.storage]
    return next(iter((*found, *serving_now)), None)
