"""Volumes, configuration, namespaces, roles, networking, scaling and what extends the API."""

import copy
from typing import Any

import pytest

from wherry.objects import kinds

RBAC = "rbac.authorization.k8s.io"
CLAIM = {
    "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1024Mi"}}}
}
VOLUME = {
    "spec": {
        "capacity": {"storage": "1Gi"},
        "accessModes": ["ReadWriteOnce"],
        "hostPath": {"path": "/data"},
    }
}
ROLE_REF = {"kind": "ClusterRole", "name": "view"}


def patched(obj: dict[str, Any], **spec: Any) -> dict[str, Any]:
    return {**obj, "spec": {**copy.deepcopy(obj["spec"]), **spec}}


@pytest.mark.parametrize(
    ("resource", "obj", "filled"),
    [
        (
            kinds.PERSISTENT_VOLUME_CLAIMS,
            CLAIM,
            {
                "spec": {
                    "accessModes": ["ReadWriteOnce"],
                    "resources": {"requests": {"storage": "1Gi"}},
                    "volumeMode": "Filesystem",
                },
                "status": {"phase": "Pending"},
            },
        ),
        (
            kinds.PERSISTENT_VOLUMES,
            VOLUME,
            {
                "spec": {
                    **VOLUME["spec"],
                    "hostPath": {"path": "/data", "type": ""},
                    "persistentVolumeReclaimPolicy": "Retain",
                    "volumeMode": "Filesystem",
                },
                "status": {"phase": "Pending"},
            },
        ),
        (
            kinds.STORAGE_CLASSES,
            {"provisioner": "p"},
            {"provisioner": "p", "reclaimPolicy": "Delete", "volumeBindingMode": "Immediate"},
        ),
        (
            kinds.SECRETS,
            {"stringData": {"a": "b"}, "data": {"c": "ZA=="}},
            {"type": "Opaque", "data": {"a": "Yg==", "c": "ZA=="}},
        ),
        (
            kinds.ROLE_BINDINGS,
            {
                "roleRef": ROLE_REF,
                "subjects": [
                    {"kind": "User", "name": "ann"},
                    {"kind": "ServiceAccount", "name": "bot", "namespace": "x"},
                ],
            },
            {
                "roleRef": {**ROLE_REF, "apiGroup": RBAC},
                "subjects": [
                    {"kind": "User", "name": "ann", "apiGroup": RBAC},
                    {"kind": "ServiceAccount", "name": "bot", "namespace": "x"},
                ],
            },
        ),
        (
            kinds.NETWORK_POLICIES,
            {"spec": {"podSelector": {}, "egress": [{"ports": [{"port": 1}]}]}},
            {
                "spec": {
                    "podSelector": {},
                    "egress": [{"ports": [{"port": 1, "protocol": "TCP"}]}],
                    "policyTypes": ["Ingress", "Egress"],
                }
            },
        ),
        (
            kinds.PRIORITY_CLASSES,
            {"value": 1},
            {"value": 1, "preemptionPolicy": "PreemptLowerPriority"},
        ),
        (
            kinds.LIMIT_RANGES,
            {"spec": {"limits": [{"type": "Container", "max": {"cpu": "2"}, "min": {"cpu": "1"}}]}},
            {
                "spec": {
                    "limits": [
                        {
                            "type": "Container",
                            "max": {"cpu": "2"},
                            "min": {"cpu": "1"},
                            "default": {"cpu": "2"},
                            "defaultRequest": {"cpu": "2"},
                        }
                    ]
                }
            },
        ),
        (
            kinds.RESOURCE_QUOTAS,
            {"spec": {"hard": {"cpu": "1000m", "pods": 5}}},
            {"spec": {"hard": {"cpu": "1", "pods": "5"}}},
        ),
        (
            kinds.NODES,
            {"status": {"capacity": {"cpu": "2000m"}}},
            {"status": {"capacity": {"cpu": "2"}, "allocatable": {"cpu": "2"}}},
        ),
        (
            kinds.HORIZONTAL_POD_AUTOSCALERS,
            {"spec": {"maxReplicas": 3}},
            {
                "spec": {
                    "maxReplicas": 3,
                    "minReplicas": 1,
                    "metrics": [
                        {
                            "type": "Resource",
                            "resource": {
                                "name": "cpu",
                                "target": {"type": "Utilization", "averageUtilization": 80},
                            },
                        }
                    ],
                }
            },
        ),
        (
            kinds.HORIZONTAL_POD_AUTOSCALERS_V1,
            {"spec": {"maxReplicas": 3}},
            {"spec": {"maxReplicas": 3, "minReplicas": 1}},
        ),
        (
            kinds.MUTATING_WEBHOOK_CONFIGURATIONS,
            {"webhooks": [{"name": "a.b.c", "rules": [{}], "clientConfig": {"service": {}}}]},
            {
                "webhooks": [
                    {
                        "name": "a.b.c",
                        "rules": [{"scope": "*"}],
                        "clientConfig": {"service": {"port": 443}},
                        "failurePolicy": "Fail",
                        "matchPolicy": "Equivalent",
                        "timeoutSeconds": 10,
                        "namespaceSelector": {},
                        "objectSelector": {},
                        "reinvocationPolicy": "Never",
                    }
                ]
            },
        ),
    ],
)
async def test_defaults(writer, resource, obj, filled):
    made = writer.default(resource, obj)
    shared = {"apiVersion", "kind", "metadata"}
    assert {key: value for key, value in made.items() if key not in shared} == filled
    again = copy.deepcopy(made)
    writer.strategy(resource).default(again)
    assert again == made


async def test_namespaces_get_label_phase_and_finalizer(writer):
    made = writer.good(kinds.NAMESPACES, {"metadata": {"name": "lab"}})
    assert made["metadata"]["labels"] == {"kubernetes.io/metadata.name": "lab"}
    assert made["spec"] == {"finalizers": ["kubernetes"]}
    assert made["status"] == {"phase": "Active"}


async def test_claims_get_the_newest_default_class(writer):
    annotation = {"storageclass.kubernetes.io/is-default-class": "true"}
    for name, made, default in (("old", "01", True), ("new", "02", True), ("other", "03", False)):
        meta = {"name": name, "creationTimestamp": f"2026-01-{made}T00:00:00Z"}
        obj = {"metadata": meta | ({"annotations": annotation} if default else {})}
        await writer.store(kinds.STORAGE_CLASSES, obj)
    assert writer.good(kinds.PERSISTENT_VOLUME_CLAIMS, CLAIM)["spec"]["storageClassName"] == "new"
    none = patched(CLAIM, storageClassName="")
    assert writer.good(kinds.PERSISTENT_VOLUME_CLAIMS, none)["spec"]["storageClassName"] == ""


async def test_who_asks_for_a_certificate_is_told_by_the_connection(writer):
    obj = {"spec": {"username": "root", "groups": ["system:masters"], "request": "eA=="}}
    made, found = writer.create(kinds.CERTIFICATE_SIGNING_REQUESTS, obj)
    assert made["spec"]["username"] == "ann"
    assert made["spec"]["groups"] == ["system:authenticated"]
    assert {cause.field for cause in found} == {"spec.signerName", "spec.request"}


@pytest.mark.parametrize(
    ("resource", "obj", "field", "text"),
    [
        (
            kinds.PERSISTENT_VOLUME_CLAIMS,
            {"spec": {"accessModes": []}},
            "spec.accessModes",
            "at least 1 access mode",
        ),
        (
            kinds.PERSISTENT_VOLUME_CLAIMS,
            patched(CLAIM, resources={"requests": {"storage": "0"}}),
            "spec.resources[storage]",
            "must be greater than zero",
        ),
        (kinds.PERSISTENT_VOLUMES, patched(VOLUME, hostPath=None), "spec", "volume type"),
        (
            kinds.PERSISTENT_VOLUMES,
            patched(VOLUME, nfs={"server": "a", "path": "/"}),
            "spec.nfs",
            "more than 1 volume type",
        ),
        (kinds.STORAGE_CLASSES, {}, "provisioner", "Required value"),
        (kinds.CONFIG_MAPS, {"data": {"a/b": "c"}}, "data[a/b]", "config key"),
        (kinds.CONFIG_MAPS, {"data": {"a": "x" * (1 << 20) + "y"}}, "", "Too long"),
        (kinds.SECRETS, {"type": "kubernetes.io/tls"}, "data[tls.crt]", "Required value"),
        (kinds.SECRETS, {"data": {"a": "%%"}}, "data[a]", "must be base64"),
        (
            kinds.ROLES,
            {"rules": [{"apiGroups": [""], "resources": ["pods"]}]},
            "rules[0].verbs",
            "at least one value",
        ),
        (
            kinds.ROLES,
            {"rules": [{"verbs": ["get"], "nonResourceURLs": ["/x"]}]},
            "rules[0].nonResourceURLs",
            "namespaced rules cannot apply",
        ),
        (
            kinds.CLUSTER_ROLES,
            {"rules": [{"verbs": ["get"], "apiGroups": [""]}]},
            "rules[0].resources",
            "at least one resource",
        ),
        (
            kinds.CLUSTER_ROLE_BINDINGS,
            {"roleRef": {"kind": "Role", "name": "a"}},
            "roleRef.kind",
            '"ClusterRole"',
        ),
        (
            kinds.CLUSTER_ROLE_BINDINGS,
            {"roleRef": ROLE_REF, "subjects": [{"kind": "ServiceAccount", "name": "a"}]},
            "subjects[0].namespace",
            "Required value",
        ),
        (kinds.INGRESSES, {"spec": {}}, "spec", "`defaultBackend` or `rules`"),
        (
            kinds.INGRESSES,
            {"spec": {"defaultBackend": {"service": {"name": "a"}}}},
            "spec.defaultBackend",
            "port name or number is required",
        ),
        (
            kinds.NETWORK_POLICIES,
            {"spec": {"ingress": [{"from": [{"ipBlock": {"cidr": "x"}}]}]}},
            "spec.ingress[0].from[0].ipBlock.cidr",
            "valid CIDR",
        ),
        (
            kinds.HORIZONTAL_POD_AUTOSCALERS,
            {
                "spec": {
                    "minReplicas": 3,
                    "maxReplicas": 2,
                    "scaleTargetRef": {"kind": "Deployment", "name": "a"},
                }
            },
            "spec.maxReplicas",
            "greater than or equal to `minReplicas`",
        ),
        (
            kinds.POD_DISRUPTION_BUDGETS,
            {"spec": {"minAvailable": 1, "maxUnavailable": 1}},
            "spec",
            "cannot be both set",
        ),
        (kinds.PRIORITY_CLASSES, {"value": 10**9 + 1}, "value", "maximum allowed value"),
        (
            kinds.PRIORITY_CLASSES,
            {"metadata": {"name": "system-mine"}, "value": 1},
            "metadata.name",
            "reserved for system use",
        ),
        (
            kinds.LEASES,
            {"spec": {"leaseDurationSeconds": 0}},
            "spec.leaseDurationSeconds",
            "greater than 0",
        ),
        (
            kinds.LIMIT_RANGES,
            {"spec": {"limits": [{"type": "Pod", "min": {"cpu": "2"}, "max": {"cpu": "1"}}]}},
            "spec.limits[0].min[cpu]",
            "is greater than max value",
        ),
        (
            kinds.RESOURCE_QUOTAS,
            {"spec": {"hard": {"pods": "-1"}}},
            "spec.hard[pods]",
            "greater than or equal to 0",
        ),
        (
            kinds.EVENTS,
            {"involvedObject": {"namespace": "other"}},
            "involvedObject.namespace",
            "does not match event.namespace",
        ),
        (
            kinds.VALIDATING_WEBHOOK_CONFIGURATIONS,
            {
                "webhooks": [
                    {
                        "name": "a.b.c",
                        "clientConfig": {"url": "http://x"},
                        "admissionReviewVersions": ["v1"],
                        "sideEffects": "None",
                    }
                ]
            },
            "webhooks[0].clientConfig.url",
            "only allowed URL scheme",
        ),
    ],
)
async def test_refused(writer, resource, obj, field, text):
    _, found = writer.create(resource, obj)
    assert [cause.field for cause in found][:1] == [field]
    assert text in found[0].message


async def test_an_account_of_a_role_binding_may_be_of_its_own_namespace(writer):
    writer.good(
        kinds.ROLE_BINDINGS,
        {"roleRef": ROLE_REF, "subjects": [{"kind": "ServiceAccount", "name": "a"}]},
    )


@pytest.mark.parametrize(
    ("resource", "obj", "change", "fields"),
    [
        (
            kinds.SECRETS,
            {"immutable": True, "data": {"a": "Yg=="}},
            {"data": {"a": "Yw=="}},
            ["data"],
        ),
        (kinds.CONFIG_MAPS, {"immutable": True}, {"immutable": False}, ["immutable"]),
        (kinds.CONFIG_MAPS, {"data": {"a": "b"}}, {"data": {"a": "c"}}, []),
        (kinds.SECRETS, {}, {"type": "other"}, ["type"]),
        (
            kinds.CLUSTER_ROLE_BINDINGS,
            {"roleRef": ROLE_REF},
            {"roleRef": {**ROLE_REF, "name": "edit"}},
            ["roleRef"],
        ),
        (kinds.STORAGE_CLASSES, {"provisioner": "p"}, {"parameters": {"a": "b"}}, ["parameters"]),
        (kinds.STORAGE_CLASSES, {"provisioner": "p"}, {"allowVolumeExpansion": True}, []),
        (kinds.PRIORITY_CLASSES, {"value": 1}, {"value": 2}, ["value"]),
    ],
)
async def test_what_may_change(writer, resource, obj, change, fields):
    old = writer.good(resource, obj)
    _, found = writer.update(resource, {**old, **change}, old)
    assert [cause.field for cause in found] == fields


async def test_claims_grow_when_bound_and_change_nothing_else(writer):
    old = writer.good(kinds.PERSISTENT_VOLUME_CLAIMS, CLAIM)
    bigger = patched(old, resources={"requests": {"storage": "2Gi"}})
    assert writer.update(kinds.PERSISTENT_VOLUME_CLAIMS, bigger, old)[1][0].field == "spec"
    bound = {**old, "status": {"phase": "Bound", "capacity": {"storage": "1Gi"}}}
    assert writer.update(kinds.PERSISTENT_VOLUME_CLAIMS, bigger, bound)[1] == []
    smaller = patched(old, resources={"requests": {"storage": "1Mi"}})
    assert (
        "less than" in writer.update(kinds.PERSISTENT_VOLUME_CLAIMS, smaller, bound)[1][0].message
    )
    named = patched(old, volumeName="v")
    assert writer.update(kinds.PERSISTENT_VOLUME_CLAIMS, named, old)[1] == []
    moved = patched(named, volumeName="w")
    assert writer.update(kinds.PERSISTENT_VOLUME_CLAIMS, moved, named)[1][0].field == "spec"


async def test_volume_sources_are_immutable(writer):
    old = writer.good(kinds.PERSISTENT_VOLUMES, VOLUME)
    moved = patched(old, hostPath={"path": "/elsewhere", "type": ""})
    _, found = writer.update(kinds.PERSISTENT_VOLUMES, moved, old)
    assert [cause.field for cause in found] == ["spec.persistentvolumesource"]


async def test_event_fields(writer):
    obj = {"involvedObject": {"kind": "Pod", "name": "a"}, "reason": "Started", "type": "Normal"}
    obj = writer.default(kinds.EVENTS, {**obj, "source": {"component": "kubelet"}})
    fields = writer.strategy(kinds.EVENTS).selectable_fields(obj)
    assert fields["involvedObject.name"] == "a"
    assert fields["involvedObject.uid"] == ""
    assert (fields["reason"], fields["source"]) == ("Started", "kubelet")
