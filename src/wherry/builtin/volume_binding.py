"""Which volume suits which claim, and what a volume made for a claim looks like. Pure.

Source: persistent volume controller of Kubernetes (`pkg/controller/volume/persistentvolume`).
"""

from collections.abc import Iterable

from wherry.objects import metadata, quantities, selectors
from wherry.objects.requests import Object

PROVISIONER = "wherry.dev/local"
DEFAULT_CLASS = "standard"
CLAIM_PROTECTION = "kubernetes.io/pvc-protection"
VOLUME_PROTECTION = "kubernetes.io/pv-protection"
_IS_DEFAULT = "storageclass.kubernetes.io/is-default-class"
BOUND_BY_CONTROLLER = "pv.kubernetes.io/bound-by-controller"
_BIND_COMPLETED = "pv.kubernetes.io/bind-completed"
_PROVISIONED_BY = "pv.kubernetes.io/provisioned-by"


def default_storage_class() -> Object:
    """Return the class that claims without one get: a folder on this machine, there at once."""
    return {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {"name": DEFAULT_CLASS, "annotations": {_IS_DEFAULT: "true"}},
        "provisioner": PROVISIONER,
        "reclaimPolicy": "Delete",
        "volumeBindingMode": "Immediate",
        "allowVolumeExpansion": True,
    }


def requested_bytes(claim: Object) -> int:
    """Return how much a claim asks for, in bytes."""
    requests = (claim["spec"].get("resources") or {}).get("requests") or {}
    return quantities.bytes_(requests.get("storage", "0"))


def class_of(obj: Object) -> str:
    """Return the storage class of a claim or volume, empty for none."""
    return str(obj["spec"].get("storageClassName") or "")


def find(claim: Object, volumes: Iterable[Object]) -> Object | None:
    """Return the volume to bind a claim to: the one reserved for it, else the smallest that suits."""
    reserved, suitable = [], []
    for volume in volumes:
        if metadata.is_deleting(volume):
            continue
        reference = volume["spec"].get("claimRef")
        if reference:
            if is_reserved_for(volume, claim):
                reserved.append(volume)
        elif suits(volume, claim):
            suitable.append(volume)
    if reserved:
        return reserved[0]
    by_size = sorted(suitable, key=lambda one: (capacity_bytes(one), metadata.name(one)))
    return by_size[0] if by_size else None


def is_reserved_for(volume: Object, claim: Object) -> bool:
    """Return whether a volume's `claimRef` names this claim (and not a former one of its name)."""
    reference = volume["spec"].get("claimRef") or {}
    if (reference.get("namespace"), reference.get("name")) != metadata.namespaced_name(claim):
        return False
    return not reference.get("uid") or reference["uid"] == metadata.uid(claim)


def capacity_bytes(volume: Object) -> int:
    """Return a volume's capacity in bytes."""
    return quantities.bytes_((volume["spec"].get("capacity") or {}).get("storage", "0"))


def suits(volume: Object, claim: Object) -> bool:
    """Return whether a free volume meets what a claim asks for."""
    wanted, offered = claim["spec"], volume["spec"]
    if wanted.get("volumeName"):
        return bool(wanted["volumeName"] == metadata.name(volume))
    selector = wanted.get("selector")
    return (
        class_of(volume) == class_of(claim)
        and set(wanted.get("accessModes") or ()) <= set(offered.get("accessModes") or ())
        and wanted.get("volumeMode", "Filesystem") == offered.get("volumeMode", "Filesystem")
        and capacity_bytes(volume) >= requested_bytes(claim)
        and (not selector or selectors.from_object(selector).matches(metadata.labels(volume)))
    )


def claim_reference(claim: Object) -> Object:
    """Return the `claimRef` that binds a volume to a claim."""
    namespace, name = metadata.namespaced_name(claim)
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "namespace": namespace,
        "name": name,
        "uid": metadata.uid(claim),
    }


def folder_name(claim: Object) -> str:
    """Return the name of the folder that a claim's volume is: readable, and never given twice."""
    namespace, name = metadata.namespaced_name(claim)
    # The longest name a file system takes is 255 bytes; the uid at the end must survive.
    return f"{namespace}_{name}"[:200] + f"_{metadata.uid(claim)}"


def provision(claim: Object, storage_class: Object, path: str) -> Object:
    """Return the volume to create for a claim.

    Args:
        claim: An unbound claim.
        storage_class: Its class, whose provisioner is `PROVISIONER`.
        path: Where the folder will be.
    """
    requests = (claim["spec"].get("resources") or {}).get("requests") or {}
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {
            "name": f"pvc-{metadata.uid(claim)}",
            "annotations": {_PROVISIONED_BY: PROVISIONER},
            "finalizers": [VOLUME_PROTECTION],
        },
        "spec": {
            "capacity": {"storage": requests.get("storage", "1Gi")},
            "accessModes": list(claim["spec"].get("accessModes") or ["ReadWriteOnce"]),
            "persistentVolumeReclaimPolicy": storage_class.get("reclaimPolicy", "Delete"),
            "storageClassName": metadata.name(storage_class),
            "volumeMode": "Filesystem",
            "hostPath": {"path": path, "type": "DirectoryOrCreate"},
            "claimRef": claim_reference(claim),
        },
    }


def bound(claim: Object, volume: Object) -> Object:
    """Return a claim with its volume named in it."""
    fields = claim["metadata"]
    notes = {**metadata.annotations(claim), _BIND_COMPLETED: "yes"}
    if not claim["spec"].get("volumeName"):
        notes[BOUND_BY_CONTROLLER] = "yes"
    spec = {**claim["spec"], "volumeName": metadata.name(volume)}
    return {**claim, "metadata": {**fields, "annotations": notes}, "spec": spec}


def bound_status(claim: Object, volume: Object) -> Object:
    """Return the status of a claim that is bound to a volume."""
    return {
        **(claim.get("status") or {}),
        "phase": "Bound",
        "accessModes": volume["spec"].get("accessModes") or [],
        "capacity": volume["spec"].get("capacity") or {},
    }


def is_ours(volume: Object) -> bool:
    """Return whether the default provisioner made the volume."""
    return metadata.annotations(volume).get(_PROVISIONED_BY) == PROVISIONER
