"""PersistentVolumeClaims get volumes: one that suits, or a folder made for them.

Source: persistentvolume-binder, pvc-protection and pv-protection controllers of Kubernetes. A claim
that waits says why in an event; a volume goes only after its claim, and its folder with it.
"""

import asyncio
import copy
import shutil
from collections.abc import Iterable
from pathlib import Path

from wherry.builtin import placement, volume_binding
from wherry.builtin.settings import BuiltinSettings
from wherry.controller.controller import Controller, Watch
from wherry.controller.manager import Manager
from wherry.controller.requests import Request, Result
from wherry.controller.status import write_status
from wherry.objects import errors, kinds, metadata
from wherry.objects.requests import Object

_PROTECTION = "kubernetes.io/pvc-protection"
_BOUND_BY_CONTROLLER = "pv.kubernetes.io/bound-by-controller"
_BY_CLAIM = "claim"
_LOOK_AGAIN_SECONDS = 15.0


class ClaimReconciler:
    """Binds a claim to a volume."""

    def __init__(self, manager: Manager, settings: BuiltinSettings) -> None:
        self._client = manager.client
        self._recorder = manager.recorder("persistentvolume-controller")
        self._directory = settings.volumes_directory
        self._claims = manager.cache(kinds.PERSISTENT_VOLUME_CLAIMS)
        self._volumes = manager.cache(kinds.PERSISTENT_VOLUMES)
        self._classes = manager.cache(kinds.STORAGE_CLASSES)
        self._pods = manager.cache(kinds.PODS)
        self._pods.add_index(_BY_CLAIM, _claims_of)

    async def reconcile(self, request: Request) -> Result | None:
        """Take the next step from Pending to Bound, or let go of a claim that nobody uses."""
        claim = self._claims.get(request.namespace, request.name)
        if claim is None:
            return None
        if metadata.is_deleting(claim):
            await self._unprotect(claim)
            return None
        phase = (claim.get("status") or {}).get("phase")
        if phase == "Bound":
            await self._check_bound(claim)
            return None
        volume = volume_binding.find(claim, self._volumes.list())
        if volume is None:
            volume, why = await self._provision(claim)
            if volume is None:
                await self._recorder.event(claim, "Normal", *why)
                return Result(requeue_after_seconds=_LOOK_AGAIN_SECONDS)
        await self._bind(claim, volume)
        return None

    def _users(self, claim: Object) -> list[Object]:
        place = "/".join(metadata.namespaced_name(claim))
        pods = self._pods.by_index(_BY_CLAIM, place)
        return [pod for pod in pods if not placement.is_finished(pod)]

    async def _unprotect(self, claim: Object) -> None:
        finalizers = claim["metadata"].get("finalizers") or []
        if _PROTECTION not in finalizers or self._users(claim):
            return
        freed = copy.deepcopy(claim)
        freed["metadata"]["finalizers"] = [one for one in finalizers if one != _PROTECTION]
        await self._client.update(kinds.PERSISTENT_VOLUME_CLAIMS, freed)

    async def _check_bound(self, claim: Object) -> None:
        name = claim["spec"].get("volumeName", "")
        if self._volumes.get("", name) is not None:
            return
        status = {**claim["status"], "phase": "Lost"}
        await write_status(self._client, kinds.PERSISTENT_VOLUME_CLAIMS, claim, status)
        message = "Bound claim has lost its PersistentVolume. Data on the volume is lost!"
        await self._recorder.event(claim, "Warning", "ClaimLost", message)

    async def _provision(self, claim: Object) -> tuple[Object | None, tuple[str, str]]:
        """Make a volume for the claim, or return the reason and sentence of why there is none."""
        class_name = volume_binding.class_of(claim)
        if not class_name or claim["spec"].get("volumeName"):
            return None, (
                "FailedBinding",
                "no persistent volumes available for this claim and no storage class is set",
            )
        storage_class = self._classes.get("", class_name)
        if storage_class is None:
            known = ", ".join(sorted(metadata.name(one) for one in self._classes.list()))
            return None, (
                "ProvisioningFailed",
                f'storageclass.storage.k8s.io "{class_name}" not found; there are: {known}',
            )
        provisioner = storage_class["provisioner"]
        if provisioner != volume_binding.PROVISIONER:
            return None, (
                "ExternalProvisioning",
                f"Waiting for a volume to be created by the external provisioner '{provisioner}'; "
                f"here only '{volume_binding.PROVISIONER}' makes volumes (class "
                f'"{volume_binding.DEFAULT_CLASS}")',
            )
        waits = storage_class.get("volumeBindingMode") == "WaitForFirstConsumer"
        if waits and not self._users(claim):
            message = "waiting for first consumer to be created before binding"
            return None, ("WaitForFirstConsumer", message)
        path = self._directory / volume_binding.folder_name(claim)
        wanted = volume_binding.provision(claim, storage_class, str(path))
        try:
            volume = await self._client.create(kinds.PERSISTENT_VOLUMES, wanted)
        except errors.AlreadyExistsError:
            volume = await self._client.get(kinds.PERSISTENT_VOLUMES, wanted["metadata"]["name"])
        message = f"Successfully provisioned volume {metadata.name(volume)}"
        await self._recorder.event(claim, "Normal", "ProvisioningSucceeded", message)
        return volume, ("", "")

    async def _bind(self, claim: Object, volume: Object) -> None:
        name = metadata.name(volume)
        wanted = volume_binding.claim_reference(claim)
        reference = volume["spec"].get("claimRef") or {}
        if reference.get("uid") != wanted["uid"]:
            volume = copy.deepcopy(volume)
            volume["spec"]["claimRef"] = wanted
            notes = volume["metadata"].setdefault("annotations", {})
            notes[_BOUND_BY_CONTROLLER] = "yes"
            volume = await self._client.update(kinds.PERSISTENT_VOLUMES, volume)
        status = {**(volume.get("status") or {}), "phase": "Bound"}
        await write_status(self._client, kinds.PERSISTENT_VOLUMES, volume, status)
        if claim["spec"].get("volumeName") != name:
            claim = copy.deepcopy(claim)
            claim["spec"]["volumeName"] = name
            claim = await self._client.update(kinds.PERSISTENT_VOLUME_CLAIMS, claim)
        bound = {
            **(claim.get("status") or {}),
            "phase": "Bound",
            "accessModes": volume["spec"].get("accessModes") or [],
            "capacity": volume["spec"].get("capacity") or {},
        }
        await write_status(self._client, kinds.PERSISTENT_VOLUME_CLAIMS, claim, bound)


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
        if volume is None or metadata.is_deleting(volume):
            return None
        reference = volume["spec"].get("claimRef")
        if not reference or not reference.get("uid"):
            await self._set_phase(volume, "Available")
            return None
        try:
            claim = await self._client.get(
                kinds.PERSISTENT_VOLUME_CLAIMS, reference["name"], reference["namespace"]
            )
        except errors.NotFoundError:
            claim = None
        if claim is not None and metadata.uid(claim) == reference["uid"]:
            return None
        await self._release(volume)
        return None

    async def _set_phase(self, volume: Object, phase: str) -> None:
        status = {**(volume.get("status") or {}), "phase": phase}
        await write_status(self._client, kinds.PERSISTENT_VOLUMES, volume, status)

    async def _release(self, volume: Object) -> None:
        policy = volume["spec"].get("persistentVolumeReclaimPolicy", "Retain")
        if policy != "Delete" or not volume_binding.is_ours(volume):
            await self._set_phase(volume, "Released")
            return
        problem = await asyncio.to_thread(self._remove_folder, volume)
        if problem:
            await self._set_phase(volume, "Failed")
            await self._recorder.event(volume, "Warning", "VolumeFailedDelete", problem)
            return
        await self._client.delete(
            kinds.PERSISTENT_VOLUMES, metadata.name(volume), uid=metadata.uid(volume)
        )

    def _remove_folder(self, volume: Object) -> str:
        path = Path(volume["spec"].get("hostPath", {}).get("path", ""))
        # Whoever may edit volumes must not be able to have any other folder removed.
        if path.parent != self._directory or path.is_symlink():
            return f"{path} is not a folder directly below {self._directory}; it is left alone"
        try:
            shutil.rmtree(path)
        except FileNotFoundError:
            return ""
        except OSError as error:
            return f"{path} cannot be removed: {error}"
        return ""


def _claims_of(pod: Object) -> Iterable[str]:
    namespace = metadata.namespace(pod)
    for volume in pod["spec"].get("volumes") or ():
        if volume.get("persistentVolumeClaim"):
            yield f"{namespace}/{volume['persistentVolumeClaim']['claimName']}"
        elif volume.get("ephemeral"):
            yield f"{namespace}/{metadata.name(pod)}-{volume['name']}"


def controllers(manager: Manager, settings: BuiltinSettings) -> list[Controller]:
    """Return the controllers of claims and of volumes."""
    claims = manager.cache(kinds.PERSISTENT_VOLUME_CLAIMS)

    def of_pod(pod: Object) -> Iterable[Request]:
        for place in _claims_of(pod):
            yield Request(*place.split("/", 1))

    def pending(_: Object) -> Iterable[Request]:
        for claim in claims.list():
            if (claim.get("status") or {}).get("phase") != "Bound":
                yield Request(*metadata.namespaced_name(claim))

    def of_volume(volume: Object) -> Iterable[Request]:
        reference = volume["spec"].get("claimRef")
        if reference:
            return (Request(reference["namespace"], reference["name"]),)
        return pending(volume)

    def volume_of(claim: Object) -> Iterable[Request]:
        name = claim["spec"].get("volumeName")
        return (Request("", name),) if name else ()

    return [
        Controller(
            "persistentvolumeclaim",
            kinds.PERSISTENT_VOLUME_CLAIMS,
            ClaimReconciler(manager, settings),
            watches=(
                Watch(kinds.PERSISTENT_VOLUMES, of_volume),
                Watch(kinds.STORAGE_CLASSES, pending),
                Watch(kinds.PODS, of_pod),
            ),
            # One at a time: two claims must not be given one volume.
            workers=1,
        ),
        Controller(
            "persistentvolume",
            kinds.PERSISTENT_VOLUMES,
            VolumeReconciler(manager, settings),
            watches=(Watch(kinds.PERSISTENT_VOLUME_CLAIMS, volume_of),),
            workers=2,
        ),
    ]
