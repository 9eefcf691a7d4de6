"""Generic ephemeral volumes: a claim for each, named after the pod and owned by it.

The owner reference makes the claim go with the pod. A claim of that name that is not the pod's is left
alone, and the pod does not start: it would be using somebody else's data.

Source: `pkg/controller/volume/ephemeral` of Kubernetes.
"""

from collections.abc import Iterable

from wherry.controller.controller import Controller, Watch, itself
from wherry.controller.manager import Manager
from wherry.controller.requests import Request, Result
from wherry.objects import errors, kinds, metadata
from wherry.objects.requests import Object

_INDEX = "ephemeral-claims"


def claim_name(pod: Object, volume: Object) -> str:
    """Return the name of the claim that stands behind a volume."""
    return f"{metadata.name(pod)}-{volume['name']}"


def claim(pod: Object, volume: Object) -> Object:
    """Return the claim of a volume of a pod."""
    template = volume["ephemeral"]["volumeClaimTemplate"]
    given = template.get("metadata") or {}
    about = {key: given[key] for key in ("annotations", "labels") if given.get(key)}
    owner = metadata.owner_reference({**pod, "apiVersion": "v1", "kind": "Pod"})
    about |= {
        "name": claim_name(pod, volume),
        "namespace": metadata.namespace(pod),
        "ownerReferences": [owner],
    }
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": about,
        "spec": template["spec"],
    }


class EphemeralVolumeReconciler:
    """Makes the claims of pods that need some."""

    def __init__(self, manager: Manager) -> None:
        self._client = manager.client
        self._recorder = manager.recorder("ephemeral_volume")
        self._pods = manager.cache(kinds.PODS)
        self._claims = manager.cache(kinds.PERSISTENT_VOLUME_CLAIMS)

    async def reconcile(self, request: Request) -> Result | None:
        """Make what is missing."""
        pod = self._pods.get(request.namespace, request.name)
        if pod is None or metadata.is_deleting(pod):
            return None
        if (pod.get("status") or {}).get("phase") in {"Succeeded", "Failed"}:
            return None
        for volume in pod["spec"].get("volumes") or ():
            if volume.get("ephemeral"):
                await self._ensure(pod, volume)
        return None

    async def _ensure(self, pod: Object, volume: Object) -> None:
        name, namespace = claim_name(pod, volume), metadata.namespace(pod)
        found = self._claims.get(namespace, name)
        if found is None:
            try:
                await self._client.create(kinds.PERSISTENT_VOLUME_CLAIMS, claim(pod, volume))
            except errors.AlreadyExistsError:
                found = await self._client.get(kinds.PERSISTENT_VOLUME_CLAIMS, name, namespace)
        owner = metadata.controller_of(found) if found is not None else None
        if found is not None and (owner is None or owner["uid"] != metadata.uid(pod)):
            text = f'PVC "{namespace}/{name}" was not created for pod (pod is not owner)'
            await self._recorder.event(pod, "Warning", "FailedBinding", text)


def _with_claims(pod: Object) -> Iterable[Request]:
    """Return the request for a pod that needs claims: few do."""
    volumes = pod["spec"].get("volumes") or ()
    return itself(pod) if any(volume.get("ephemeral") for volume in volumes) else ()


def controller(manager: Manager) -> Controller:
    """Return the controller of generic ephemeral volumes."""
    pods = manager.cache(kinds.PODS)

    def names(pod: Object) -> list[str]:
        namespace = metadata.namespace(pod)
        return [
            f"{namespace}/{claim_name(pod, volume)}"
            for volume in pod["spec"].get("volumes") or ()
            if volume.get("ephemeral")
        ]

    pods.add_index(_INDEX, names)

    def of_claim(found: Object) -> Iterable[Request]:
        where = metadata.namespaced_name(found)
        users = pods.by_index(_INDEX, f"{where.namespace}/{where.name}")
        return [Request(*metadata.namespaced_name(pod)) for pod in users]

    return Controller(
        "ephemeral-volume",
        kinds.PODS,
        EphemeralVolumeReconciler(manager),
        watches=(Watch(kinds.PERSISTENT_VOLUME_CLAIMS, of_claim),),
        workers=2,
        requests=_with_claims,
    )
