"""Paths that try to leave where they belong: in volumes, in logs, through links."""

import json
from typing import Any
from urllib.parse import quote

import pytest

from wherry.objects import kinds
from wherry.testing import builders
from wherry.testing.waiting import eventually

pytestmark = pytest.mark.usefixtures("alive_and_unchanged")

PODS: dict[str, tuple[dict[str, Any], str]] = {
    "subPath": ({"mounts": {"subPath": "../.."}}, "subPath"),
    "absolute subPath": ({"mounts": {"subPath": "/etc"}}, "subPath"),
    "subPathExpr": ({"mounts": {"subPathExpr": "../$(HOSTNAME)"}}, "subPathExpr"),
    "relative mountPath": ({"mounts": {"mountPath": ""}}, "mountPath"),
    "colon": ({"mounts": {"mountPath": "/a:/etc"}}, "mountPath"),
    "hostPath": ({"source": {"hostPath": {"path": "/tmp/../../etc"}}}, "hostPath.path"),
    "item": (
        {"source": {"configMap": {"name": "c", "items": [{"key": "a", "path": "../../x"}]}}},
        "items[0].path",
    ),
    "absolute item": (
        {"source": {"secret": {"secretName": "s", "items": [{"key": "a", "path": "/etc/x"}]}}},
        "items[0].path",
    ),
    "downward item": (
        {
            "source": {
                "downwardAPI": {
                    "items": [{"path": "../x", "fieldRef": {"fieldPath": "metadata.name"}}]
                }
            }
        },
        "items[0].path",
    ),
    "token": (
        {"source": {"projected": {"sources": [{"serviceAccountToken": {"path": "../../t"}}]}}},
        "serviceAccountToken.path",
    ),
    "container name": ({"name": "../../x"}, "containers[0].name"),
    "volume name": ({"volume": "../v"}, "volumes[0].name"),
}


@pytest.mark.parametrize("name", PODS)
def test_path_tricks_in_pods(wire, space, name):
    change, field = PODS[name]
    mount = {"name": change.get("volume", "v"), "mountPath": "/data", **change.get("mounts", {})}
    source = change.get("source", {"emptyDir": {}})
    container = builders.container(change.get("name", "main"), volumeMounts=[mount])
    volume = {"name": change.get("volume", "v"), **source}
    pod = builders.pod("bad", containers=[container], volumes=[volume])
    del pod["metadata"]["namespace"]
    status = wire.send("POST", f"{space}/pods", json.dumps(pod)).is_refusal(422, "Invalid")
    assert any(field in cause["field"] for cause in status["details"]["causes"]), status


def test_path_tricks_in_logs(wire, world, space):
    world.create(kinds.PODS, builders.pod("p", script="echo hello"))
    world.wait_for_phase("p", "Succeeded")
    log = f"{space}/pods/p/log"
    assert wire.send("GET", log).text == "hello\n"
    for trick in ("../../../../../etc/passwd", "main/../../x", "main%00", ".", "..", "/etc/passwd"):
        answer = wire.send("GET", f"{log}?container={quote(trick, safe='%')}")
        answer.is_refusal(400, "BadRequest")
    for query in (
        "tailLines=-1",
        "tailLines=x",
        "sinceSeconds=0",
        "limitBytes=0",
        "sinceTime=yesterday",
        "sinceTime=2026-01-01T00:00:00Z&sinceSeconds=1",
    ):
        assert wire.send("GET", f"{log}?{query}").status["code"] in {400, 422}, query
    wire.send("DELETE", f"{space}/pods/p?gracePeriodSeconds=0")
    eventually(lambda: not world.names(kinds.PODS))


def test_a_link_that_leads_out_of_a_volume(wire, world, tmp_path, space):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "private").write_text("not yours")
    shared = tmp_path / "shared"
    shared.mkdir()
    (shared / "way").symlink_to(outside)
    pod = builders.pod(
        "p",
        containers=[
            builders.container(
                script="cat /data/private",
                volumeMounts=[{"name": "v", "mountPath": "/data", "subPath": "way"}],
            )
        ],
        volumes=[{"name": "v", "hostPath": {"path": str(shared)}}],
    )
    world.create(kinds.PODS, pod)

    def refused() -> bool:
        status = world.get(kinds.PODS, "p").get("status", {})
        assert status.get("phase") != "Succeeded"
        return status.get("phase") == "Failed" or "subPath" in json.dumps(status)

    eventually(refused)
    assert "not yours" not in wire.send("GET", f"{space}/pods/p/log").text
    wire.send("DELETE", f"{space}/pods/p?gracePeriodSeconds=0")
    eventually(lambda: not world.names(kinds.PODS))
