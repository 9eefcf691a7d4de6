"""Kinds of storage: they live, are labelled, and die."""

import functools

import pytest

from wherry.objects import kinds
from wherry.testing import builders
from wherry.testing.waiting import eventually

case = functools.partial(pytest.mark.conformance, "kubernetes-api", group="sig-storage")


@case(name="CSIInlineVolumes should run through the lifecycle of a CSIDriver")
def test_csi_drivers(supports_operations, unique):
    made = [
        {
            "metadata": {"name": f"{unique}-{n}.example.com"},
            "spec": {"attachRequired": False, "volumeLifecycleModes": ["Ephemeral"]},
        }
        for n in range(2)
    ]
    supports_operations(kinds.CSI_DRIVERS, made)


@case(name="CSIInlineVolumes should support CSIVolumeSource in Pod API")
def test_pods_may_have_csi_volumes(api, namespace):
    csi = {"driver": "nobody.example.com", "volumeAttributes": {"a": "b"}}
    listed = [{"name": "v", "csi": csi}]
    made = builders.pod("p", volumes=listed, nodeSelector={"no": "where"})
    api.create(kinds.PODS, made, namespace)
    pod = api.get(kinds.PODS, "p", namespace)
    assert {"name": "v", "csi": csi} in pod["spec"]["volumes"]
    api.patch(kinds.PODS, "p", {"metadata": {"labels": {"a": "b"}}}, namespace)
    assert api.names(kinds.PODS, namespace, labelSelector="a=b") == ["p"]
    api.delete(kinds.PODS, "p", namespace)
    api.wait_gone(kinds.PODS, "p", namespace)


@case(name="CSINodes CSI Conformance should run through the lifecycle of a csinode")
def test_csi_nodes(supports_operations, unique):
    made = [{"metadata": {"name": f"{unique}-{n}"}, "spec": {"drivers": []}} for n in range(2)]
    supports_operations(kinds.CSI_NODES, made)


@case(name="CSIStorageCapacity should support CSIStorageCapacities API operations")
def test_storage_capacities(supports_operations, namespace):
    made = [{"metadata": {"name": f"c-{n}"}, "storageClassName": "any"} for n in range(3)]
    supports_operations(kinds.CSI_STORAGE_CAPACITIES, made, namespace)


@case(name="StorageClasses CSI Conformance should run through the lifecycle of a StorageClass")
def test_storage_classes(supports_operations, unique):
    fields = {"provisioner": "nobody.example.com", "reclaimPolicy": "Delete"}
    made = [{"metadata": {"name": f"{unique}-{n}"}, **fields} for n in range(2)]
    supports_operations(kinds.STORAGE_CLASSES, made)


def _attachment(name):
    source = {"persistentVolumeName": f"pv-{name}"}
    spec = {"attacher": "nobody.example.com", "nodeName": "no-node", "source": source}
    return {"metadata": {"name": name}, "spec": spec}


@case(name="VolumeAttachment Conformance should run through the lifecycle of a VolumeAttachment")
def test_volume_attachments(supports_operations, unique):
    made = [_attachment(f"{unique}-{n}") for n in range(3)]
    supports_operations(kinds.VOLUME_ATTACHMENTS, made)


@case(name="VolumeAttachment Conformance should apply changes to a volumeattachment status")
def test_the_status_of_an_attachment(api, unique, cleanup):
    api.create(kinds.VOLUME_ATTACHMENTS, _attachment(unique))
    cleanup.callback(api.delete, kinds.VOLUME_ATTACHMENTS, unique)
    read = api.get(kinds.VOLUME_ATTACHMENTS, unique, subresource="status")
    assert not read.get("status", {}).get("attached")
    change = {"status": {"attached": True}}
    patched = api.patch(kinds.VOLUME_ATTACHMENTS, unique, change, subresource="status")
    assert patched["status"]["attached"] is True

    def detach(obj):
        obj["status"]["attached"] = False

    detached = api.change(kinds.VOLUME_ATTACHMENTS, unique, detach, subresource="status")
    assert detached["status"]["attached"] is False


def _volume(name, labels):
    spec = {
        "storageClassName": name,
        "capacity": {"storage": "1Mi"},
        "accessModes": ["ReadWriteOnce"],
        "persistentVolumeReclaimPolicy": "Retain",
        "hostPath": {"path": "/nowhere"},
        "claimRef": {"name": "elsewhere", "namespace": "nowhere"},
    }
    return {"metadata": {"name": name, "labels": labels}, "spec": spec}


@case(name="PersistentVolumes CSI Conformance should run through the lifecycle of a PV and a PVC")
def test_volumes_and_claims(supports_operations, namespace, unique):
    made = [_volume(f"{unique}-{n}", {}) for n in range(2)]
    supports_operations(kinds.PERSISTENT_VOLUMES, made)
    claims = [builders.claim(f"c-{n}", storageClassName=unique) for n in range(2)]
    for claim in claims:
        del claim["metadata"]["namespace"]
    supports_operations(kinds.PERSISTENT_VOLUME_CLAIMS, claims, namespace)


@case(name="PersistentVolumes CSI Conformance should apply changes to a pv/pvc status")
def test_the_status_of_volumes_and_claims(api, namespace, unique, cleanup):
    api.create(kinds.PERSISTENT_VOLUMES, _volume(unique, {}))
    cleanup.callback(api.delete, kinds.PERSISTENT_VOLUMES, unique)
    api.create(
        kinds.PERSISTENT_VOLUME_CLAIMS, builders.claim("c", storageClassName=unique), namespace
    )
    claims, volumes = kinds.PERSISTENT_VOLUME_CLAIMS, kinds.PERSISTENT_VOLUMES
    phases = {"Pending", "Available", "Bound", "Released"}
    assert api.get(claims, "c", namespace, "status")["status"]["phase"] in phases
    eventually(lambda: api.get(volumes, unique, None, "status")["status"]["phase"] in phases)
    condition = {"type": "StatusPatched", "status": "True", "reason": "E2E", "message": "m"}
    change = {"status": {"conditions": [condition]}}
    patched = api.patch(claims, "c", change, namespace, subresource="status")
    assert "StatusPatched" in [one["type"] for one in patched["status"]["conditions"]]
    told = {"status": {"message": "patched", "reason": "E2E"}}
    patched = api.patch(volumes, unique, told, subresource="status")
    assert patched["status"]["message"] == "patched"

    def condition_by_update(obj):
        obj["status"]["conditions"] = [{**condition, "type": "StatusUpdated"}]

    updated = api.change(claims, "c", condition_by_update, namespace, "status")
    assert "StatusUpdated" in [one["type"] for one in updated["status"]["conditions"]]


@pytest.mark.parametrize(
    ("resource", "make"),
    [
        pytest.param(
            kinds.CONFIG_MAPS,
            builders.config_map,
            marks=case(name="ConfigMap should be immutable if `immutable` field is set"),
        ),
        pytest.param(
            kinds.SECRETS,
            builders.secret,
            marks=case(name="Secrets should be immutable if `immutable` field is set"),
        ),
    ],
    ids=["configmap", "secret"],
)
def test_what_is_immutable(api, namespace, refused, resource, make):
    api.create(resource, make("it"), namespace)
    api.patch(resource, "it", {"data": {"k": "djE="}}, namespace)
    api.patch(resource, "it", {"immutable": True}, namespace)
    for change in ({"data": {"k": "djI="}}, {"immutable": False}):
        with refused(422, "Invalid", "immutable"):
            api.patch(resource, "it", change, namespace)
    api.patch(resource, "it", {"metadata": {"labels": {"a": "b"}}}, namespace)
    api.delete(resource, "it", namespace)
    api.wait_gone(resource, "it", namespace)
