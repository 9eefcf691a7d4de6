"""PersistentVolumes: what state they are in, and what becomes of them once their claim is gone.

Source: persistentvolume-binder and pv-protection controllers of Kubernetes. A volume goes only
after its claim; the folder of one that was made for a claim goes with it.
"""

import asyncio
import shutil
from collections.abc import Iterable
from pathlib import Path

from wherry.builtin import volume_binding
from wherry.builtin.settings import BuiltinSettings
from wherry.controller.controller import Controller, Watch
from wherry.controller.finalizers import add_finalizer, remove_finalizer
from wherry.controller.manager import Manager
from wherry.controller.requests import Request, Result
from wherry.controller.status import write_status
from wherry.objects import errors, kinds, metadata
from wherry.objects.requests import Object

_BY_REFERENCE = "claim"


class VolumeReconciler:
    """Tells what state a volume is in, and reclaims one whose claim is gone."""

    def __init__(self, manager: Manager, settings: BuiltinSettings) -> None:
        self._client = manager.client
        self._recorder = manager.recorder("persistentvolume-controller")
        self._directory = settings.volumes_directory
        self._volumes = manager.cache(kinds.PERSISTENT_VOLUMES)

    async def reconcile(self, request: Request) -> Result | None:
        """Keep the phase; release and reclaim."""
        volume = self._volumes.get("", request.name)
        if volume is None:
            return None
        reference = volume["spec"].get("claimRef") or {}
        in_use = bool(reference.get("uid")) and await self._is_there(reference)
        if metadata.is_deleting(volume):
            if not in_use:
                await self._let_go(volume)
            return None
        volume = await add_finalizer(
            self._client, kinds.PERSISTENT_VOLUMES, volume, volume_binding.VOLUME_PROTECTION
        )
        if not reference.get("uid"):
            await self._set_phase(volume, "Available")
        elif not in_use:
            await self._release(volume)
        return None

    async def _is_there(self, reference: Object) -> bool:
        """Return whether the very claim is there; asked of the API, since a folder depends on it."""
        try:
            claim = await self._client.get(
                kinds.PERSISTENT_VOLUME_CLAIMS, reference["name"], reference["namespace"]
            )
        except errors.NotFoundError:
            return False
        return metadata.uid(claim) == str(reference["uid"])

    async def _set_phase(self, volume: Object, phase: str) -> None:
        status = {**(volume.get("status") or {}), "phase": phase}
        await write_status(self._client, kinds.PERSISTENT_VOLUMES, volume, status)

    async def _release(self, volume: Object) -> None:
        if not _is_disposable(volume):
            await self._set_phase(volume, "Released")
            return
        problem = await asyncio.to_thread(self._remove_folder, volume)
        if problem:
            await self._set_phase(volume, "Failed")
            await self._recorder.event(volume, "Warning", "VolumeFailedDelete", problem)
            return
        name, uid = metadata.name(volume), metadata.uid(volume)
        await self._client.delete(kinds.PERSISTENT_VOLUMES, name, uid=uid)

    async def _let_go(self, volume: Object) -> None:
        if _is_disposable(volume) and volume["spec"].get("claimRef"):
            problem = await asyncio.to_thread(self._remove_folder, volume)
            if problem:
                await self._recorder.event(volume, "Warning", "VolumeFailedDelete", problem)
        await remove_finalizer(
            self._client, kinds.PERSISTENT_VOLUMES, volume, volume_binding.VOLUME_PROTECTION
        )

    def _remove_folder(self, volume: Object) -> str:
        path = Path(volume["spec"].get("hostPath", {}).get("path", ""))
        # Whoever may edit volumes must not be able to have any other folder removed.
        if path.parent != self._directory or path.name in {"", ".."} or path.is_symlink():
            return f"{path} is not a folder directly below {self._directory}; it is left alone"
        try:
            shutil.rmtree(path)
        except FileNotFoundError:
            return ""
        except OSError as error:
            return f"{path} cannot be removed: {error}"
        return ""


def _is_disposable(volume: Object) -> bool:
    policy = volume["spec"].get("persistentVolumeReclaimPolicy", "Retain")
    return policy == "Delete" and volume_binding.is_ours(volume)


def _reference(volume: Object) -> Iterable[str]:
    reference = volume["spec"].get("claimRef")
    if reference:
        yield f"{reference.get('namespace')}/{reference.get('name')}"


def controller(manager: Manager, settings: BuiltinSettings) -> Controller:
    """Return the controller of volumes."""
    volumes = manager.cache(kinds.PERSISTENT_VOLUMES)
    volumes.add_index(_BY_REFERENCE, _reference)

    def of_claim(claim: Object) -> Iterable[Request]:
        found = volumes.by_index(_BY_REFERENCE, "/".join(metadata.namespaced_name(claim)))
        return [Request("", metadata.name(volume)) for volume in found]

    return Controller(
        "persistentvolume",
        kinds.PERSISTENT_VOLUMES,
        VolumeReconciler(manager, settings),
        watches=(Watch(kinds.PERSISTENT_VOLUME_CLAIMS, of_claim),),
        workers=2,
    )
