"""What ``kubectl get`` prints of each kind; the expected rows are those of a real cluster."""

import datetime
from typing import Any

import pytest

from wherry.apiserver import tables
from wherry.apiserver.tables import texts
from wherry.objects import kinds
from wherry.objects.resources import Resource

NOW = datetime.datetime(2026, 3, 1, 12, tzinfo=datetime.UTC)
META = {"name": "thing", "namespace": "default", "creationTimestamp": "2026-03-01T11:55:00Z"}
POD = {"containers": [{"name": "c", "image": "x:1"}, {"name": "d", "image": "y"}]}
SELECTOR = {"matchLabels": {"app": "a"}}
TEMPLATE = {"metadata": {"labels": {"app": "a"}}, "spec": POD}


def row(resource: Resource, obj: dict[str, Any]) -> list[Any]:
    obj = {"apiVersion": resource.api_version, "kind": resource.kind, "metadata": META, **obj}
    cells = tables.cells(resource, obj, NOW, None)
    assert len(cells) == len(tables.columns(resource, None))
    return cells


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-5, "<invalid>"),
        (-1, "0s"),
        (0, "0s"),
        (119.9, "119s"),
        (120, "2m"),
        (125, "2m5s"),
        (599, "9m59s"),
        (600, "10m"),
        (3600, "60m"),
        (3 * 3600 - 1, "179m"),
        (3 * 3600, "3h"),
        (7 * 3600 + 59 * 60, "7h59m"),
        (8 * 3600 + 59 * 60, "8h"),
        (47 * 3600, "47h"),
        (48 * 3600, "2d"),
        (51 * 3600, "2d3h"),
        (8 * 86400 + 3600, "8d"),
        (365 * 86400, "365d"),
        (2 * 365 * 86400, "2y"),
        (3 * 365 * 86400 + 86400, "3y1d"),
        (8 * 365 * 86400 + 86400, "8y"),
    ],
)
def test_durations(seconds, text):
    assert texts.human_duration(seconds) == text


def workload(**status: Any) -> dict[str, Any]:
    return {"spec": {"replicas": 3, "selector": SELECTOR, "template": TEMPLATE}, "status": status}


JOB = {"spec": {"completions": 2, "parallelism": 1, "selector": SELECTOR, "template": TEMPLATE}}
STARTED = {"startTime": "2026-03-01T11:56:00Z"}
HPA = {"scaleTargetRef": {"kind": "Deployment", "name": "d"}, "maxReplicas": 4}
CPU = {
    "type": "Resource",
    "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 80}},
}
NODE = {
    "metadata": META | {"labels": {"node-role.kubernetes.io/control-plane": "", "a": "b"}},
    "status": {
        "conditions": [{"type": "Ready", "status": "True"}],
        "nodeInfo": {"kubeletVersion": "v1.37.0", "osImage": "Linux"},
        "addresses": [{"type": "InternalIP", "address": "127.0.0.1"}],
    },
}
SUBJECTS = [
    {"kind": "User", "name": "ann"},
    {"kind": "User", "name": "bob"},
    {"kind": "ServiceAccount", "namespace": "x", "name": "bot"},
]
LAST = "2026-03-01T11:59:00Z"


@pytest.mark.parametrize(
    ("resource", "obj", "cells"),
    [
        (
            kinds.DEPLOYMENTS,
            workload(readyReplicas=2, updatedReplicas=3, availableReplicas=1),
            ["thing", "2/3", 3, 1, "5m", "c,d", "x:1,y", "app=a"],
        ),
        (kinds.DEPLOYMENTS, workload(), ["thing", "0/3", 0, 0, "5m", "c,d", "x:1,y", "app=a"]),
        (
            kinds.REPLICA_SETS,
            workload(replicas=3, readyReplicas=2),
            ["thing", 3, 3, 2, "5m", "c,d", "x:1,y", "app=a"],
        ),
        (
            kinds.REPLICATION_CONTROLLERS,
            {"spec": {"replicas": 1, "selector": {"b": "c", "a": "b"}, "template": TEMPLATE}},
            ["thing", 1, 0, 0, "5m", "c,d", "x:1,y", "a=b,b=c"],
        ),
        (kinds.STATEFUL_SETS, workload(readyReplicas=1), ["thing", "1/3", "5m", "c,d", "x:1,y"]),
        (
            kinds.DAEMON_SETS,
            workload(desiredNumberScheduled=1, numberReady=1),
            ["thing", 1, 0, 1, 0, 0, "<none>", "5m", "c,d", "x:1,y", "app=a"],
        ),
        (
            kinds.CONTROLLER_REVISIONS,
            {
                "revision": 3,
                "metadata": META
                | {
                    "ownerReferences": [
                        {
                            "apiVersion": "apps/v1",
                            "kind": "StatefulSet",
                            "name": "s",
                            "controller": True,
                        }
                    ]
                },
            },
            ["thing", "statefulset.apps/s", 3, "5m"],
        ),
        (
            kinds.JOBS,
            JOB | {"status": {**STARTED, "succeeded": 1}},
            ["thing", "Running", "1/2", "4m", "5m", "c,d", "x:1,y", "app=a"],
        ),
        (
            kinds.JOBS,
            JOB
            | {
                "status": {
                    **STARTED,
                    "completionTime": "2026-03-01T11:56:10Z",
                    "succeeded": 2,
                    "conditions": [{"type": "Complete", "status": "True"}],
                }
            },
            ["thing", "Complete", "2/2", "10s", "5m", "c,d", "x:1,y", "app=a"],
        ),
        (
            kinds.JOBS,
            {"spec": {"parallelism": 3, "template": TEMPLATE}},
            ["thing", "Running", "0/1 of 3", "", "5m", "c,d", "x:1,y", "<none>"],
        ),
        (
            kinds.CRON_JOBS,
            {
                "spec": {"schedule": "@daily", "suspend": False, "jobTemplate": JOB},
                "status": {"active": [{}], "lastScheduleTime": LAST},
            },
            [
                "thing",
                "@daily",
                "<none>",
                "False",
                1,
                "60s",
                "5m",
                "c,d",
                "x:1,y",
                "app=a",
            ],
        ),
        (
            kinds.SERVICES,
            {
                "spec": {
                    "type": "NodePort",
                    "clusterIP": "127.96.0.1",
                    "clusterIPs": ["127.96.0.1"],
                    "ports": [{"port": 80, "nodePort": 30000, "protocol": "TCP"}, {"port": 81}],
                    "selector": {"app": "a"},
                }
            },
            ["thing", "NodePort", "127.96.0.1", "<none>", "80:30000/TCP,81/TCP", "5m", "app=a"],
        ),
        (
            kinds.SERVICES,
            {"spec": {"type": "LoadBalancer", "clusterIPs": ["None"], "ports": []}},
            ["thing", "LoadBalancer", "None", "<pending>", "<none>", "5m", "<none>"],
        ),
        (
            kinds.SERVICES,
            {"spec": {"type": "ExternalName", "externalName": "example.com"}},
            ["thing", "ExternalName", "<none>", "example.com", "<none>", "5m", "<none>"],
        ),
        (
            kinds.ENDPOINTS,
            {
                "subsets": [
                    {
                        "addresses": [{"ip": f"1.1.1.{n}"} for n in range(5)],
                        "ports": [{"port": 80}],
                    }
                ]
            },
            ["thing", "1.1.1.0:80,1.1.1.1:80,1.1.1.2:80 + 2 more...", "5m"],
        ),
        (kinds.ENDPOINTS, {}, ["thing", "<none>", "5m"]),
        (
            kinds.ENDPOINT_SLICES,
            {"addressType": "IPv4", "ports": [{"port": 80}], "endpoints": [{"addresses": ["a"]}]},
            ["thing", "IPv4", "80", "a", "5m"],
        ),
        (
            kinds.ENDPOINT_SLICES,
            {"addressType": "IPv4"},
            ["thing", "IPv4", "<unset>", "<unset>", "5m"],
        ),
        (
            kinds.NODES,
            NODE,
            [
                "thing",
                "Ready",
                "control-plane",
                "5m",
                "v1.37.0",
                "127.0.0.1",
                "<none>",
                "Linux",
                "<unknown>",
                "<unknown>",
            ],
        ),
        (kinds.NAMESPACES, {"status": {"phase": "Active"}}, ["thing", "Active", "5m"]),
        (
            kinds.PERSISTENT_VOLUMES,
            {
                "spec": {
                    "capacity": {"storage": "1Gi"},
                    "accessModes": ["ReadWriteMany", "ReadWriteOnce"],
                    "persistentVolumeReclaimPolicy": "Delete",
                    "claimRef": {"namespace": "n", "name": "c"},
                    "storageClassName": "local",
                },
                "status": {"phase": "Bound"},
            },
            [
                "thing",
                "1Gi",
                "RWO,RWX",
                "Delete",
                "Bound",
                "n/c",
                "local",
                "<unset>",
                "",
                "5m",
                "<unset>",
            ],
        ),
        (
            kinds.PERSISTENT_VOLUME_CLAIMS,
            {
                "spec": {"volumeName": "v", "storageClassName": "l", "volumeMode": "Filesystem"},
                "status": {
                    "phase": "Bound",
                    "capacity": {"storage": "1Gi"},
                    "accessModes": ["ReadWriteOnce"],
                },
            },
            ["thing", "Bound", "v", "1Gi", "RWO", "l", "<unset>", "5m", "Filesystem"],
        ),
        (
            kinds.PERSISTENT_VOLUME_CLAIMS,
            {"spec": {}, "status": {"phase": "Pending"}},
            ["thing", "Pending", "", "", "", "", "<unset>", "5m", "<unset>"],
        ),
        (
            kinds.STORAGE_CLASSES,
            {
                "metadata": META
                | {"annotations": {"storageclass.kubernetes.io/is-default-class": "true"}},
                "provisioner": "p",
            },
            ["thing (default)", "p", "Delete", "Immediate", False, "5m"],
        ),
        (kinds.CONFIG_MAPS, {"data": {"a": "b"}, "binaryData": {"c": ""}}, ["thing", 2, "5m"]),
        (kinds.SECRETS, {"type": "Opaque", "data": {"a": "b"}}, ["thing", "Opaque", 1, "5m"]),
        (kinds.SERVICE_ACCOUNTS, {}, ["thing", 0, "5m"]),
        (
            kinds.EVENTS,
            {
                "type": "Normal",
                "reason": "Started",
                "involvedObject": {"kind": "Pod", "name": "p", "fieldPath": "f"},
                "source": {"component": "kubelet", "host": "n"},
                "message": " hello\n",
                "firstTimestamp": META["creationTimestamp"],
                "lastTimestamp": LAST,
                "count": 4,
            },
            [
                "60s",
                "Normal",
                "Started",
                "pod/p",
                "f",
                "kubelet, n",
                "hello",
                "5m",
                4,
                "thing",
            ],
        ),
        (
            kinds.EVENTS_K8S_IO,
            {
                "type": "Warning",
                "reason": "Failed",
                "regarding": {"kind": "Pod", "name": "p"},
                "reportingController": "scheduler",
                "note": "no",
                "eventTime": LAST,
            },
            [
                "60s",
                "Warning",
                "Failed",
                "pod/p",
                "",
                "scheduler",
                "no",
                "60s",
                1,
                "thing",
            ],
        ),
        (kinds.ROLES, {}, ["thing", META["creationTimestamp"]]),
        (kinds.CUSTOM_RESOURCE_DEFINITIONS, {}, ["thing", META["creationTimestamp"]]),
        (kinds.LIMIT_RANGES, {}, ["thing", META["creationTimestamp"]]),
        (
            kinds.ROLE_BINDINGS,
            {"roleRef": {"kind": "Role", "name": "r"}, "subjects": SUBJECTS},
            ["thing", "Role/r", "5m", "ann, bob", "", "x/bot"],
        ),
        (
            kinds.RESOURCE_QUOTAS,
            {
                "status": {
                    "hard": {"pods": "4", "limits.cpu": "2", "cpu": "1"},
                    "used": {"pods": "1"},
                }
            },
            ["thing", "cpu: 0/1, pods: 1/4", "limits.cpu: 0/2", "5m"],
        ),
        (
            kinds.HORIZONTAL_POD_AUTOSCALERS,
            {
                "spec": HPA | {"minReplicas": 2, "metrics": [CPU]},
                "status": {
                    "currentReplicas": 3,
                    "currentMetrics": [
                        {"type": "Resource", "resource": {"current": {"averageUtilization": 5}}}
                    ],
                },
            },
            ["thing", "Deployment/d", "cpu: 5%/80%", "2", 4, 3, "5m"],
        ),
        (
            kinds.HORIZONTAL_POD_AUTOSCALERS,
            {"spec": HPA | {"metrics": [CPU, CPU, CPU]}},
            [
                "thing",
                "Deployment/d",
                "cpu: <unknown>/80%, cpu: <unknown>/80% + 1 more...",
                "<unset>",
                4,
                0,
                "5m",
            ],
        ),
        (
            kinds.HORIZONTAL_POD_AUTOSCALERS_V1,
            {"spec": HPA | {"targetCPUUtilizationPercentage": 50}},
            ["thing", "Deployment/d", "cpu: <unknown>/50%", "<unset>", 4, 0, "5m"],
        ),
        (
            kinds.POD_DISRUPTION_BUDGETS,
            {"spec": {"minAvailable": "50%"}, "status": {"disruptionsAllowed": 1}},
            ["thing", "50%", "N/A", 1, "5m"],
        ),
        (
            kinds.INGRESSES,
            {
                "spec": {"rules": [{"host": "a"}, {"host": "b"}], "tls": [{}]},
                "status": {"loadBalancer": {"ingress": [{"ip": "1.1.1.1"}]}},
            },
            ["thing", "<none>", "a,b", "1.1.1.1", "80, 443", "5m"],
        ),
        (
            kinds.INGRESS_CLASSES,
            {
                "spec": {
                    "controller": "c",
                    "parameters": {"kind": "K", "name": "n", "apiGroup": "g"},
                }
            },
            ["thing", "c", "K.g/n", "5m"],
        ),
        (
            kinds.NETWORK_POLICIES,
            {
                "spec": {
                    "podSelector": {
                        "matchExpressions": [
                            {"key": "b", "operator": "In", "values": ["y", "x"]},
                            {"key": "a", "operator": "DoesNotExist"},
                        ]
                    }
                }
            },
            ["thing", "!a,b in (x,y)", "5m"],
        ),
        (kinds.LEASES, {"spec": {"holderIdentity": "me"}}, ["thing", "me", "5m"]),
        (
            kinds.PRIORITY_CLASSES,
            {"value": 5, "preemptionPolicy": "Never"},
            ["thing", 5, False, "5m", "Never"],
        ),
        (kinds.RUNTIME_CLASSES, {"handler": "crun"}, ["thing", "crun", "5m"]),
        (
            kinds.CERTIFICATE_SIGNING_REQUESTS,
            {
                "spec": {"signerName": "s", "username": "u", "expirationSeconds": 3600},
                "status": {"conditions": [{"type": "Approved"}], "certificate": "x"},
            },
            ["thing", "5m", "s", "u", "60m", "Approved,Issued"],
        ),
        (kinds.MUTATING_WEBHOOK_CONFIGURATIONS, {"webhooks": [{}]}, ["thing", 1, "5m"]),
        (
            kinds.POD_TEMPLATES,
            {"template": TEMPLATE},
            ["thing", "c,d", "x:1,y", "app=a"],
        ),
        (
            kinds.COMPONENT_STATUSES,
            {"conditions": [{"type": "Healthy", "status": "True", "message": "ok"}]},
            ["thing", "Healthy", "ok", ""],
        ),
        (
            kinds.VOLUME_ATTACHMENTS,
            {"spec": {"attacher": "a", "nodeName": "n", "source": {"persistentVolumeName": "v"}}},
            ["thing", "a", "v", "n", False, "5m"],
        ),
        (
            kinds.CSI_DRIVERS,
            {"spec": {}},
            ["thing", True, False, False, "<unset>", False, "<none>", "5m"],
        ),
        (kinds.CSI_NODES, {"spec": {"drivers": [{}]}}, ["thing", 1, "5m"]),
        (
            kinds.API_SERVICES,
            {"spec": {}, "status": {"conditions": [{"type": "Available", "status": "True"}]}},
            ["thing", "Local", "True", "5m"],
        ),
        (
            kinds.FLOW_SCHEMAS,
            {"spec": {"priorityLevelConfiguration": {"name": "p"}, "matchingPrecedence": 7}},
            ["thing", "p", 7, "<none>", "5m", "?"],
        ),
        (
            kinds.PRIORITY_LEVEL_CONFIGURATIONS,
            {"spec": {"type": "Limited", "limited": {"nominalConcurrencyShares": 30}}},
            ["thing", "Limited", 30, "<none>", "<none>", "<none>", "5m"],
        ),
    ],
)
def test_rows(resource, obj, cells):
    assert row(resource, obj) == cells


@pytest.mark.parametrize("resource", kinds.BUILTIN, ids=lambda one: f"{one.key}/{one.version}")
def test_every_kind_can_be_printed_however_empty(resource):
    cells = row(resource, {})
    assert "thing" in cells
    columns = tables.columns(resource, None)
    assert [one["name"] for one in columns if one["format"] == "name"][:1] == ["Name"]


def test_headings_of_pods():
    headings = [(one["name"], one["priority"]) for one in tables.columns(kinds.PODS, None)]
    assert headings == [
        ("Name", 0),
        ("Ready", 0),
        ("Status", 0),
        ("Restarts", 0),
        ("Age", 0),
        ("IP", 1),
        ("Node", 1),
        ("Nominated Node", 1),
        ("Readiness Gates", 1),
    ]


CUSTOM = Resource("example.com", "v1", "things", "Thing")
PRINTER_COLUMNS: list[dict[str, Any]] = [
    {"name": "State", "type": "string", "jsonPath": ".status.state"},
    {"name": "Size", "type": "integer", "jsonPath": ".spec.size", "priority": 1},
    {"name": "On", "type": "boolean", "jsonPath": ".spec.on"},
    {"name": "Since", "type": "date", "jsonPath": ".status.since"},
    {
        "name": "Ready",
        "type": "string",
        "jsonPath": '.status.conditions[?(@.type=="Ready")].status',
    },
    {"name": "List", "type": "string", "jsonPath": ".spec.list"},
]


def test_custom_columns():
    obj = {
        "metadata": META,
        "spec": {"size": 3, "on": True, "list": ["a", 1]},
        "status": {
            "state": "Good",
            "since": LAST,
            "conditions": [{"type": "Other", "status": "x"}, {"type": "Ready", "status": "True"}],
        },
    }
    cells = tables.cells(CUSTOM, obj, NOW, PRINTER_COLUMNS)
    assert cells == ["thing", "Good", 3, True, "60s", "True", '["a",1]']
    headings = tables.columns(CUSTOM, PRINTER_COLUMNS)
    assert headings[2]["priority"] == 1
    assert headings[1]["description"].endswith(".status.state")


def test_custom_columns_of_objects_that_lack_them():
    assert tables.cells(CUSTOM, {"metadata": META}, NOW, PRINTER_COLUMNS) == ["thing"] + [None] * 6
    wrong = {"metadata": META, "spec": {"size": "big", "on": 1}, "status": {"since": "once"}}
    cells = tables.cells(CUSTOM, wrong, NOW, PRINTER_COLUMNS)
    assert cells[2:5] == [None, None, "<invalid>"]


def test_custom_kinds_without_columns_show_their_age():
    assert [one["name"] for one in tables.columns(CUSTOM, [])] == ["Name", "Age"]
    assert tables.cells(CUSTOM, {"metadata": META}, NOW, []) == ["thing", "5m"]
