"""From a reference to an image that is there: manifest, configuration, layers; what is shared is fetched once."""

import asyncio
import contextvars
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from wherry.kubelet.oci import (
    credentials,
    image_config,
    manifests,
    references,
    transfers,
    unpacking,
)
from wherry.kubelet.oci.registry import Access, Document, Registry, RegistryError
from wherry.kubelet.oci.store import ImageRecord, ImageStore

_LAYERS_AT_ONCE = 3
_MAX_CONFIG_BYTES = 4 * 1024 * 1024


class PullError(Exception):
    """The image cannot be had; the message says why."""


class Puller:
    """Pulls images into a store; calls for the same layer share the work."""

    def __init__(self, registry: Registry, store: ImageStore, most_layer_bytes: int) -> None:
        """Take what it works with.

        Args:
            registry: Where from.
            store: Where to; open.
            most_layer_bytes: Of one layer, compressed as well as unpacked.
        """
        self._registry = registry
        self._store = store
        self._bounds = unpacking.Bounds(most_layer_bytes)
        self._slots = asyncio.Semaphore(_LAYERS_AT_ONCE)
        self._layers: dict[str, asyncio.Task[int]] = {}
        self._under_way = 0

    @property
    def busy(self) -> bool:
        """Whether anything is on its way to the store."""
        return bool(self._under_way or self._layers)

    async def close(self) -> None:
        """End what is under way; downloads go on from there next time."""
        tasks = list(self._layers.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def pull(
        self,
        reference: references.Reference,
        identities: Sequence[credentials.Credentials],
        progress: Callable[[str], None],
    ) -> ImageRecord:
        """Make an image be there as the registry has it now.

        Args:
            reference: Which.
            identities: To be tried in turn; none: anonymously.
            progress: Told what is being done.

        Raises:
            PullError: it cannot be had.
        """
        self._under_way += 1
        try:
            access, top = await self._top(reference, identities or [credentials.ANONYMOUS])
            record = await self._image(access, top, progress)
            self._store.add(record)
        except (RegistryError, manifests.ManifestError, unpacking.LayerError, OSError) as error:
            raise PullError(str(error)) from error
        finally:
            self._under_way -= 1
        return record

    async def _top(
        self, reference: references.Reference, identities: Sequence[credentials.Credentials]
    ) -> tuple[Access, Document]:
        refusal: RegistryError | None = None
        for identity in identities:
            access = Access(reference, identity)
            try:
                return access, await self._manifest(access)
            except RegistryError as error:
                if not error.refused:
                    raise
                refusal = refusal or error
        raise refusal or RegistryError("there is nobody to ask as")

    async def _manifest(self, access: Access, wanted: str = "") -> Document:
        try:
            return await self._registry.manifest(access, wanted)
        except RegistryError as error:
            if not error.passing:
                raise
            return await self._registry.manifest(access, wanted)

    async def _image(
        self, access: Access, top: Document, progress: Callable[[str], None]
    ) -> ImageRecord:
        name, image_id = access.reference.text, f"{access.reference.name}@{top.digest}"
        known = self._store.find(name)
        if known is not None and known.image_id == image_id:
            return known
        found = manifests.read(top.content, top.media_type)
        if not isinstance(found, manifests.Manifest):
            found = await self._selected(access, found)
        if found.config.size > _MAX_CONFIG_BYTES:
            raise manifests.ManifestError(f"the configuration has {found.config.size} bytes")
        config = image_config.read(await self._registry.blob(access, found.config))
        if len(config.diff_ids) != len(found.layers):
            raise manifests.ManifestError(
                f"{len(found.layers)} layers, but {len(config.diff_ids)} in the configuration"
            )
        progress(f"{len(found.layers)} layers, {found.size} bytes")
        pairs = zip(found.layers, config.diff_ids, strict=True)
        # By digest: the same layer may stand in an image twice.
        tasks = {diff_id: self._layer(access, blob, diff_id) for blob, diff_id in pairs}
        sizes = await asyncio.gather(*(asyncio.shield(task) for task in tasks.values()))
        return ImageRecord(
            name=name,
            image_id=image_id,
            config=config,
            size_bytes=found.size,
            unpacked_bytes=sum(sizes),
            used_at=time.time(),
        )

    async def _selected(
        self, access: Access, entries: tuple[Mapping[str, object], ...]
    ) -> manifests.Manifest:
        chosen = manifests.select(entries)
        document = await self._manifest(access, chosen.digest)
        found = manifests.read(document.content, document.media_type)
        if not isinstance(found, manifests.Manifest):
            raise manifests.ManifestError(f"{chosen.digest} is an index within an index")
        return found

    def _layer(self, access: Access, blob: manifests.Descriptor, diff_id: str) -> asyncio.Task[int]:
        task = self._layers.get(diff_id)
        if task is None:
            work = self._bring(access, blob, diff_id)
            task = asyncio.get_running_loop().create_task(work, context=contextvars.Context())
            self._layers[diff_id] = task
            task.add_done_callback(lambda done: self._ended(diff_id, done))
        return task

    def _ended(self, diff_id: str, task: asyncio.Task[int]) -> None:
        self._layers.pop(diff_id, None)
        if not task.cancelled():
            task.exception()  # seen: whoever waited for it may have gone

    async def _bring(self, access: Access, blob: manifests.Descriptor, diff_id: str) -> int:
        size = self._store.layer_size(diff_id)
        if size is not None:
            return size
        if blob.size > self._bounds.size_bytes:
            raise unpacking.LayerError(
                f"layer {blob.digest} has {blob.size} bytes, more than the {self._bounds.size_bytes} allowed"
            )
        async with self._slots:
            archive = self._store.downloads / blob.digest.replace(":", "-")
            await transfers.fetch(self._registry, access, blob, archive)
            return await asyncio.to_thread(self._unpack, diff_id, archive)

    def _unpack(self, diff_id: str, archive: Path) -> int:
        folder = self._store.prepare(diff_id)
        try:
            found, size = unpacking.unpack(archive, folder, self._bounds)
        except unpacking.LayerError:
            archive.unlink()
            raise
        if found != diff_id:
            archive.unlink()
            raise unpacking.LayerError(f"the layer's content is {found}, not {diff_id} as it says")
        self._store.keep(diff_id, folder, size)
        archive.unlink()
        return size
