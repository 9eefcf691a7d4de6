"""PersistentVolumeClaims get volumes: one that suits, or a folder made for them.

Source: persistentvolume-binder, pvc-protection and resize controllers of Kubernetes. A claim that
waits says why in an event, and one that a pod uses is not let go.
"""

from collections.abc import Iterable
from typing import NamedTuple

from wherry.builtin import placement, volume_binding
from wherry.builtin.settings import BuiltinSettings
from wherry.controller.controller import Controller, Watch
from wherry.controller.events import EventType
from wherry.controller.finalizers import add_finalizer, has_finalizer, remove_finalizer
from wherry.controller.manager import Manager
from wherry.controller.requests import Request, Result
from wherry.controller.status import write_status
from wherry.objects import errors, kinds, metadata
from wherry.objects.copies import copied
from wherry.objects.requests import Object

_BY_CLAIM = "claim"
_LOOK_AGAIN_SECONDS = 15.0


class _Waits(NamedTuple):
    """Why a claim has no volume yet."""

    type: EventType
    reason: str
    message: str


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
        protection = volume_binding.CLAIM_PROTECTION
        if metadata.is_deleting(claim):
            if has_finalizer(claim, protection) and not self._users(claim):
                await remove_finalizer(
                    self._client, kinds.PERSISTENT_VOLUME_CLAIMS, claim, protection
                )
            return None
        claim = await add_finalizer(self._client, kinds.PERSISTENT_VOLUME_CLAIMS, claim, protection)
        if (claim.get("status") or {}).get("phase") == "Bound":
            await self._keep_bound(claim)
            return None
        volume = volume_binding.find(claim, self._volumes.list())
        found = volume or await self._provision(claim)
        if isinstance(found, _Waits):
            await self._recorder.event(claim, *found)
            return Result(requeue_after_seconds=_LOOK_AGAIN_SECONDS)
        await self._bind(claim, found)
        return None

    def _users(self, claim: Object) -> list[Object]:
        place = "/".join(metadata.namespaced_name(claim))
        pods = self._pods.by_index(_BY_CLAIM, place)
        return [pod for pod in pods if not placement.is_finished(pod)]

    async def _keep_bound(self, claim: Object) -> None:
        """Tell of a volume that is lost; let one of ours grow with its claim."""
        name = claim["spec"].get("volumeName", "")
        volume = self._volumes.get("", name)
        if volume is None:
            try:
                volume = await self._client.get(kinds.PERSISTENT_VOLUMES, name)
            except errors.NotFoundError:
                await self._lose(claim)
                return
        wanted = volume_binding.requested_bytes(claim)
        if volume_binding.is_ours(volume) and wanted > volume_binding.capacity_bytes(volume):
            volume = copied(volume)
            volume["spec"]["capacity"] = {
                "storage": claim["spec"]["resources"]["requests"]["storage"]
            }
            volume = await self._client.update(kinds.PERSISTENT_VOLUMES, volume)
            status = volume_binding.bound_status(claim, volume)
            await write_status(self._client, kinds.PERSISTENT_VOLUME_CLAIMS, claim, status)

    async def _lose(self, claim: Object) -> None:
        status = {**claim["status"], "phase": "Lost"}
        await write_status(self._client, kinds.PERSISTENT_VOLUME_CLAIMS, claim, status)
        message = "Bound claim has lost its PersistentVolume. Data on the volume is lost!"
        await self._recorder.event(claim, "Warning", "ClaimLost", message)

    def _obstacle(self, claim: Object) -> _Waits | None:
        """Return why no volume can be made for the claim now; None where one can."""
        class_name = volume_binding.class_of(claim)
        if not class_name or claim["spec"].get("volumeName"):
            message = "no persistent volumes available for this claim and no storage class is set"
            return _Waits("Normal", "FailedBinding", message)
        storage_class = self._classes.get("", class_name)
        if storage_class is None:
            known = ", ".join(sorted(metadata.name(one) for one in self._classes.list()))
            message = f'storageclass.storage.k8s.io "{class_name}" not found; there are: {known}'
            return _Waits("Warning", "ProvisioningFailed", message)
        provisioner = storage_class["provisioner"]
        if provisioner != volume_binding.PROVISIONER:
            message = (
                f"Waiting for a volume to be created by the external provisioner '{provisioner}'; "
                f"here only '{volume_binding.PROVISIONER}' makes volumes (class "
                f'"{volume_binding.DEFAULT_CLASS}")'
            )
            return _Waits("Normal", "ExternalProvisioning", message)
        waits = storage_class.get("volumeBindingMode") == "WaitForFirstConsumer"
        if waits and not self._users(claim):
            message = "waiting for first consumer to be created before binding"
            return _Waits("Normal", "WaitForFirstConsumer", message)
        return None

    async def _provision(self, claim: Object) -> Object | _Waits:
        obstacle = self._obstacle(claim)
        if obstacle is not None:
            return obstacle
        storage_class = self._classes.get("", volume_binding.class_of(claim))
        assert storage_class is not None
        path = self._directory / volume_binding.folder_name(claim)
        wanted = volume_binding.provision(claim, storage_class, str(path))
        try:
            volume = await self._client.create(kinds.PERSISTENT_VOLUMES, wanted)
        except errors.AlreadyExistsError:
            volume = await self._client.get(kinds.PERSISTENT_VOLUMES, wanted["metadata"]["name"])
        message = f"Successfully provisioned volume {metadata.name(volume)}"
        await self._recorder.event(claim, "Normal", "ProvisioningSucceeded", message)
        return volume

    async def _bind(self, claim: Object, volume: Object) -> None:
        """Write both sides, the volume's first: from it the rest can be found again."""
        wanted = volume_binding.claim_reference(claim)
        reference = volume["spec"].get("claimRef") or {}
        if reference.get("uid") != wanted["uid"]:
            volume = copied(volume)
            if not reference:
                notes = volume["metadata"].setdefault("annotations", {})
                notes[volume_binding.BOUND_BY_CONTROLLER] = "yes"
            volume["spec"]["claimRef"] = wanted
            volume = await self._client.update(kinds.PERSISTENT_VOLUMES, volume)
        status = {**(volume.get("status") or {}), "phase": "Bound"}
        await write_status(self._client, kinds.PERSISTENT_VOLUMES, volume, status)
        named = volume_binding.bound(claim, volume)
        if named != claim:
            claim = await self._client.update(kinds.PERSISTENT_VOLUME_CLAIMS, named)
        bound = volume_binding.bound_status(claim, volume)
        await write_status(self._client, kinds.PERSISTENT_VOLUME_CLAIMS, claim, bound)


def _claims_of(pod: Object) -> Iterable[str]:
    namespace = metadata.namespace(pod)
    for volume in pod["spec"].get("volumes") or ():
        if volume.get("persistentVolumeClaim"):
            yield f"{namespace}/{volume['persistentVolumeClaim']['claimName']}"
        elif volume.get("ephemeral"):
            yield f"{namespace}/{metadata.name(pod)}-{volume['name']}"


def controller(manager: Manager, settings: BuiltinSettings) -> Controller:
    """Return the controller of claims."""
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

    return Controller(
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
    )
