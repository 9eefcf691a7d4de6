"""Volumes, claims and classes of storage."""

import functools

import pytest

case = functools.partial(pytest.mark.conformance, "kubernetes-api", group="test/cmd")


def volume(name, source):
    spec = {"capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"], **source}
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": name},
        "spec": spec,
    }


@case(name="storage: run_persistent_volumes_tests")
def test_persistent_volumes(cmd):
    sources = {
        "pv0001": {"hostPath": {"path": "/tmp/data01"}},
        "pv0002": {"hostPath": {"path": "/tmp/data02"}},
        "pv0003": {"gcePersistentDisk": {"pdName": "a-disk", "fsType": "ext4"}},
    }
    cmd.lists("pv")
    for name, source in sources.items():
        cmd("create", "-f", cmd.file(f"{name}.yaml", volume(name, source)))
        cmd.lists("pv", name)
        if name == "pv0003":
            cmd.describes_in_chunks("persistentvolumes", "events")
        cmd("delete", "pv", name)
    cmd.lists("pv")
    cmd("create", "-f", cmd.file("again.yaml", volume("pv0001", sources["pv0001"])))
    cmd.lists("pv", "pv0001")
    said = cmd("delete", "pv", "-n", cmd.namespace, "--all")
    assert "deleting cluster-scoped resources" in said
    assert 'persistentvolume "pv0001" deleted' in said
    cmd.lists("pv")


def claim(name, size, **spec):
    spec = {
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": size}},
        "storageClassName": "nobody-provisions",
        **spec,
    }
    kind = "PersistentVolumeClaim"
    return {"apiVersion": "v1", "kind": kind, "metadata": {"name": name}, "spec": spec}


@case(name="storage: run_persistent_volume_claims_tests")
def test_persistent_volume_claims(cmd):
    cmd.lists("pvc")
    claims = (
        claim("myclaim-1", "3Gi"),
        claim("myclaim-2", "8Gi", selector={"matchLabels": {"service": "web"}}),
        claim("myclaim-3", "10G", accessModes=["ReadWriteOnce", "ReadOnlyMany"]),
    )
    for made in claims:
        name = made["metadata"]["name"]
        cmd("create", "-f", cmd.file(f"{name}.yaml", made))
        cmd.lists("pvc", name)
        if name == "myclaim-1":
            cmd.describes_in_chunks("persistentvolumeclaims", "pods,events")
        cmd("delete", "pvc", name)
    cmd.lists("pvc")


@case(name="storage: run_storage_class_tests")
def test_storage_classes(cmd):
    made = {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {"name": "fast-class", "labels": {"by": "cmd"}},
        "provisioner": "example.com/nobody",
        "parameters": {"zone": "here", "type": "ssd"},
    }
    # The class that every platform comes with bears no such label.
    cmd.lists("storageclass -l by=cmd")
    cmd("create", "-f", cmd.file("class.yaml", made))
    cmd.lists("storageclass -l by=cmd", "fast-class")
    cmd.lists("sc -l by=cmd", "fast-class")
    cmd.describes_in_chunks("storageclasses", "events")
    cmd("delete", "storageclass", "fast-class")
    cmd.lists("storageclass -l by=cmd")
