"""Stock kubectl with what pods use: top, autoscale, and containers added for debugging."""

import re

from wherry.objects import kinds
from wherry.testing import builders
from wherry.testing.waiting import eventually

FOREVER = "sleep 1000"


def test_top(kubectl, world):
    world.create(
        kinds.PODS,
        builders.pod(
            "p",
            metadata={"labels": {"app": "p"}},
            containers=[
                builders.container("a", script="exec python -c 'while True: pass'"),
                builders.container("b", script=FOREVER),
            ],
        ),
    )
    world.wait_for_phase("p", "Running")

    def measured() -> bool:
        # A container that has just started has no figures yet, or those of its start.
        told = kubectl.run("top", "pod", "-l", "app=p", "--containers")
        rows = {row["NAME"]: row for row in told.table} if told.code == 0 else {}
        assert rows.keys() == {"a", "b"}, told.out
        busy, idle = (int(rows[name]["CPU(cores)"].removesuffix("m")) for name in ("a", "b"))
        return busy > 100 > idle

    eventually(measured)
    (machine,) = kubectl("top", "node").table
    assert re.fullmatch(
        r"\d+%", machine["MEMORY(%)"] if "MEMORY(%)" in machine else machine["MEMORY%"]
    )
    assert (
        kubectl("get", "pods.metrics.k8s.io", "p", "-o", "jsonpath={.containers[0].name}").out
        == "a"
    )
    listed = kubectl("api-resources", "--api-group=metrics.k8s.io", "-o", "name").lines
    assert sorted(listed) == ["nodes.metrics.k8s.io", "pods.metrics.k8s.io"]


def test_autoscale(kubectl, world):
    world.create(kinds.DEPLOYMENTS, builders.deployment("web", script=FOREVER, replicas=4))
    kubectl("autoscale", "deployment", "web", "--cpu-percent=80", "--min=1", "--max=3")

    def brought_back() -> bool:
        found = kubectl("get", "deployment", "web", "-o", "jsonpath={.spec.replicas}").out
        return bool(found == "3")

    eventually(brought_back)
    (row,) = kubectl("get", "hpa", "web").table
    assert (row["REFERENCE"], row["MAXPODS"]) == ("Deployment/web", "3")
    assert row["TARGETS"].endswith("/80%")
    assert (
        "Current number of replicas above Spec.MaxReplicas" in kubectl("describe", "hpa", "web").out
    )


def test_debug(kubectl, world):
    world.create(kinds.PODS, builders.pod("p", script=FOREVER))
    world.wait_for_phase("p", "Running")
    image = world.get(kinds.PODS, "p")["spec"]["containers"][0]["image"]
    script = "echo looking; sleep 1000"
    arguments = ("--target=main", "--container=look", "--profile=general")
    kubectl("debug", "p", f"--image={image}", *arguments, "--", "sh", "-c", script)
    eventually(lambda: kubectl.run("logs", "p", "-c", "look").out == "looking\n")
    assert kubectl("exec", "p", "-c", "look", "--", "echo", "inside").out == "inside\n"
    copied = ("--copy-to=q", "--container=look")
    kubectl("debug", "p", f"--image={image}", *copied, "--", "sh", "-c", script)
    world.wait_for_phase("q", "Running")
    eventually(lambda: kubectl.run("logs", "q", "-c", "look").out == "looking\n")
