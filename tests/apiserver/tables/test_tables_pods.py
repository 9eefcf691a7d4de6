"""What ``kubectl get pods`` prints; the expected rows are those of a real cluster."""

import datetime
from typing import Any

import pytest

from wherry.apiserver import tables
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


def running(**extra: Any) -> dict[str, Any]:
    return {"name": "c", "ready": True, "restartCount": 0, "state": {"running": {}}, **extra}


def waiting(reason: str) -> dict[str, Any]:
    return {"name": "c", "restartCount": 0, "state": {"waiting": {"reason": reason}}}


def ended(code: int = 0, **extra: Any) -> dict[str, Any]:
    return {"name": "c", "restartCount": 0, "state": {"terminated": {"exitCode": code, **extra}}}


RESTARTED = {
    "restartCount": 2,
    "lastState": {"terminated": {"exitCode": 1, "finishedAt": "2026-03-01T11:50:00Z"}},
}
ONE = {"containers": [{"name": "c", "image": "x"}]}
INIT = ONE | {"initContainers": [{"name": "c", "image": "x"}, {"name": "e", "image": "x"}]}
SIDECAR = ONE | {"initContainers": [{"name": "c", "image": "x", "restartPolicy": "Always"}]}


@pytest.mark.parametrize(
    ("spec", "status", "ready", "state", "restarts"),
    [
        (ONE, {"phase": "Pending"}, "0/1", "Pending", "0"),
        (ONE, {"phase": "Running", "containerStatuses": [running()]}, "1/1", "Running", "0"),
        (
            ONE,
            {"phase": "Running", "containerStatuses": [running(**RESTARTED)]},
            "1/1",
            "Running",
            "2 (10m ago)",
        ),
        (
            ONE,
            {"phase": "Running", "containerStatuses": [waiting("CrashLoopBackOff") | RESTARTED]},
            "0/1",
            "CrashLoopBackOff",
            "2 (10m ago)",
        ),
        (
            ONE,
            {"phase": "Pending", "containerStatuses": [waiting("ContainerCreating")]},
            "0/1",
            "ContainerCreating",
            "0",
        ),
        (
            ONE,
            {"phase": "Succeeded", "containerStatuses": [ended(reason="Completed")]},
            "0/1",
            "Completed",
            "0",
        ),
        (
            ONE,
            {"phase": "Failed", "containerStatuses": [ended(1, reason="Error")]},
            "0/1",
            "Error",
            "0",
        ),
        (ONE, {"phase": "Failed", "containerStatuses": [ended(3)]}, "0/1", "ExitCode:3", "0"),
        (
            ONE,
            {"phase": "Failed", "containerStatuses": [ended(137, signal=9)]},
            "0/1",
            "Signal:9",
            "0",
        ),
        (ONE, {"phase": "Failed", "reason": "Evicted"}, "0/1", "Evicted", "0"),
        (
            INIT,
            {"phase": "Pending", "initContainerStatuses": [{"state": {"running": {}}}]},
            "0/1",
            "Init:0/2",
            "0",
        ),
        (
            INIT,
            {
                "phase": "Pending",
                "initContainerStatuses": [ended(), waiting("PodInitializing")],
            },
            "0/1",
            "Init:1/2",
            "0",
        ),
        (
            INIT,
            {"phase": "Pending", "initContainerStatuses": [waiting("ImagePullBackOff")]},
            "0/1",
            "Init:ImagePullBackOff",
            "0",
        ),
        (
            INIT,
            {"phase": "Pending", "initContainerStatuses": [ended(1, reason="Error")]},
            "0/1",
            "Init:Error",
            "0",
        ),
        (
            INIT,
            {
                "phase": "Pending",
                "initContainerStatuses": [ended(), ended()],
                "containerStatuses": [waiting("PodInitializing")],
            },
            "0/1",
            "PodInitializing",
            "0",
        ),
        (
            SIDECAR,
            {
                "phase": "Running",
                "initContainerStatuses": [running(started=True, **RESTARTED)],
                "containerStatuses": [running(restartCount=1)],
            },
            "2/2",
            "Running",
            "3 (10m ago)",
        ),
        (
            POD,
            {
                "phase": "Running",
                "containerStatuses": [ended(reason="Completed"), running()],
                "conditions": [{"type": "Ready", "status": "True"}],
            },
            "1/2",
            "Running",
            "0",
        ),
        (
            POD,
            {
                "phase": "Running",
                "containerStatuses": [ended(reason="Completed"), running()],
            },
            "1/2",
            "NotReady",
            "0",
        ),
        (
            ONE,
            {
                "phase": "Pending",
                "conditions": [{"type": "PodScheduled", "reason": "SchedulingGated"}],
            },
            "0/1",
            "SchedulingGated",
            "0",
        ),
    ],
)
def test_pods(spec, status, ready, state, restarts):
    assert row(kinds.PODS, {"spec": spec, "status": status})[:5] == [
        "thing",
        ready,
        state,
        restarts,
        "5m",
    ]


def test_pods_that_are_deleted():
    def state(**status: Any) -> str:
        meta = META | {"deletionTimestamp": "2026-03-01T12:00:00Z"}
        return str(row(kinds.PODS, {"metadata": meta, "spec": ONE, "status": status})[2])

    assert state(phase="Running") == "Terminating"
    assert state(phase="Running", reason="NodeLost") == "Unknown"
    assert state(phase="Succeeded") == "Succeeded"


def test_wide_pods():
    spec = ONE | {"nodeName": "n", "readinessGates": [{"conditionType": "a"}]}
    status = {"podIPs": [{"ip": "1.2.3.4"}], "conditions": [{"type": "a", "status": "True"}]}
    wide = row(kinds.PODS, {"spec": spec, "status": status})[5:]
    assert wide == ["1.2.3.4", "n", "<none>", "1/1"]
    assert row(kinds.PODS, {"spec": ONE})[5:] == ["<none>"] * 4
