"""Rows of volumes, claims and the ``storage.k8s.io`` group."""

import datetime
from typing import Any

from wherry.apiserver.tables import texts
from wherry.apiserver.tables.layout import AGE, NAME, Layout, column, named
from wherry.objects.requests import Object

_CLASS_ANNOTATION = "volume.beta.kubernetes.io/storage-class"
_DEFAULT_ANNOTATIONS = (
    "storageclass.kubernetes.io/is-default-class",
    "storageclass.beta.kubernetes.io/is-default-class",
)
_VOLUME_MODE = column("VolumeMode", "Filesystem or block device.", priority=1)


def _annotation(obj: Object, key: str) -> str:
    return str((obj["metadata"].get("annotations") or {}).get(key, ""))


def _class_name(obj: Object) -> str:
    spec = obj.get("spec") or {}
    return _annotation(obj, _CLASS_ANNOTATION) or str(spec.get("storageClassName") or "")


def _phase(obj: Object) -> str:
    if obj["metadata"].get("deletionTimestamp"):
        return "Terminating"
    return str((obj.get("status") or {}).get("phase", ""))


def _volume(obj: Object, now: datetime.datetime) -> list[Any]:
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    claim = spec.get("claimRef")
    return [
        obj["metadata"]["name"],
        (spec.get("capacity") or {}).get("storage", "0"),
        texts.access_modes(spec.get("accessModes")),
        spec.get("persistentVolumeReclaimPolicy", ""),
        _phase(obj),
        f"{claim.get('namespace', '')}/{claim.get('name', '')}" if claim else "",
        _class_name(obj),
        spec.get("volumeAttributesClassName") or texts.UNSET,
        status.get("reason", ""),
        texts.age(obj, now),
        spec.get("volumeMode") or texts.UNSET,
    ]


def _claim(obj: Object, now: datetime.datetime) -> list[Any]:
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    bound = bool(spec.get("volumeName"))
    return [
        obj["metadata"]["name"],
        _phase(obj),
        spec.get("volumeName", ""),
        (status.get("capacity") or {}).get("storage", "0") if bound else "",
        texts.access_modes(status.get("accessModes")) if bound else "",
        _class_name(obj),
        spec.get("volumeAttributesClassName") or texts.UNSET,
        texts.age(obj, now),
        spec.get("volumeMode") or texts.UNSET,
    ]


def _class(obj: Object, now: datetime.datetime) -> list[Any]:
    default = any(_annotation(obj, key) == "true" for key in _DEFAULT_ANNOTATIONS)
    return [
        obj["metadata"]["name"] + (" (default)" if default else ""),
        obj.get("provisioner", ""),
        obj.get("reclaimPolicy") or "Delete",
        obj.get("volumeBindingMode") or "Immediate",
        bool(obj.get("allowVolumeExpansion")),
        texts.age(obj, now),
    ]


def _attributes_class(obj: Object, now: datetime.datetime) -> list[Any]:
    return [obj.get("driverName", "")]


def _attachment(obj: Object, now: datetime.datetime) -> list[Any]:
    spec = obj.get("spec") or {}
    return [
        spec.get("attacher", ""),
        (spec.get("source") or {}).get("persistentVolumeName") or "",
        spec.get("nodeName", ""),
        bool((obj.get("status") or {}).get("attached")),
    ]


def _csi_node(obj: Object, now: datetime.datetime) -> list[Any]:
    return [len((obj.get("spec") or {}).get("drivers") or ())]


def _csi_driver(obj: Object, now: datetime.datetime) -> list[Any]:
    spec = obj.get("spec") or {}
    requests = spec.get("tokenRequests")
    return [
        spec.get("attachRequired", True),
        bool(spec.get("podInfoOnMount")),
        bool(spec.get("storageCapacity")),
        texts.UNSET if requests is None else ",".join(r.get("audience", "") for r in requests),
        bool(spec.get("requiresRepublish")),
        ",".join(spec.get("volumeLifecycleModes") or ()) or texts.NONE,
    ]


def _csi_capacity(obj: Object, now: datetime.datetime) -> list[Any]:
    capacity = obj.get("capacity") or texts.UNSET
    return [obj["metadata"]["name"], obj.get("storageClassName", ""), capacity]


TABLES = {
    "persistentvolumes": Layout(
        (
            NAME,
            column("Capacity", "Size."),
            column("Access Modes", "Ways in which it can be mounted."),
            column("Reclaim Policy", "What happens when its claim is deleted."),
            column("Status", "Phase."),
            column("Claim", "Namespace and name of its claim."),
            column("StorageClass", "Its storage class."),
            column("VolumeAttributesClass", "Its volume attributes class."),
            column("Reason", "Why it is in its phase."),
            AGE,
            _VOLUME_MODE,
        ),
        _volume,
    ),
    "persistentvolumeclaims": Layout(
        (
            NAME,
            column("Status", "Phase."),
            column("Volume", "The volume it is bound to."),
            column("Capacity", "Size of that volume."),
            column("Access Modes", "Ways in which it can be mounted."),
            column("StorageClass", "Its storage class."),
            column("VolumeAttributesClass", "Its volume attributes class."),
            AGE,
            _VOLUME_MODE,
        ),
        _claim,
    ),
    "storageclasses.storage.k8s.io": Layout(
        (
            NAME,
            column("Provisioner", "What makes its volumes."),
            column("ReclaimPolicy", "Reclaim policy of its volumes."),
            column("VolumeBindingMode", "When a claim is bound."),
            column("AllowVolumeExpansion", "Whether its volumes can grow."),
            AGE,
        ),
        _class,
    ),
    "volumeattributesclasses.storage.k8s.io": named(
        column("DriverName", "Name of the CSI driver."), cells_of=_attributes_class
    ),
    "volumeattachments.storage.k8s.io": named(
        column("Attacher", "What attaches the volume.", form="name"),
        column("PV", "The volume."),
        column("Node", "The node."),
        column("Attached", "Whether it is attached.", kind="boolean"),
        cells_of=_attachment,
    ),
    "csinodes.storage.k8s.io": named(
        column("Drivers", "Number of CSI drivers on the node.", kind="integer"),
        cells_of=_csi_node,
    ),
    "csidrivers.storage.k8s.io": named(
        column("AttachRequired", "Whether volumes are attached.", kind="boolean"),
        column("PodInfoOnMount", "Whether it is told of the pod.", kind="boolean"),
        column("StorageCapacity", "Whether it reports capacity.", kind="boolean"),
        column("TokenRequests", "Audiences of the tokens it gets."),
        column("RequiresRepublish", "Whether it is called again.", kind="boolean"),
        column("Modes", "Volume lifecycles it supports."),
        cells_of=_csi_driver,
    ),
    "csistoragecapacities.storage.k8s.io": Layout(
        (
            NAME,
            column("StorageClassName", "The storage class."),
            column("Capacity", "Space that is left."),
        ),
        _csi_capacity,
    ),
}
