"""`--save-config` of the commands that have it."""

import functools
from typing import Any

import pytest

case = functools.partial(pytest.mark.conformance, "kubernetes-api", group="test/cmd")

LAST = "kubectl.kubernetes.io/last-applied-configuration"


def has_annotation(cmd, what):
    return LAST in cmd.get(what)["metadata"].get("annotations", {})


@case(name="save-config: run_save_config_tests")
@pytest.mark.slow
def test_save_config(cmd):
    saves_on_pods(cmd)
    saves_on_what_belongs_to_a_controller(cmd)


def saves_on_pods(cmd):
    pod = cmd.at("pod.yaml")
    cmd.lists("pods")
    cmd("create", "-f", pod, "--save-config")
    assert has_annotation(cmd, "pods test-pod")
    cmd("delete", "-f", pod)
    changes: tuple[tuple[tuple[str, ...], dict[str, Any]], ...] = (
        (("edit", "pod", "test-pod"), {"environment": cmd.editor("-pod-label", "-pod-edited")}),
        (("replace", "-f", pod), {}),
    )
    for command, options in changes:
        cmd.lists("pods")
        cmd("create", "-f", pod)
        assert not has_annotation(cmd, "pods test-pod")
        cmd(*command, "--save-config", **options)
        assert has_annotation(cmd, "pods test-pod")
        cmd("delete", "-f", pod)
    cmd("run", "web", "--image=example.com/web:1", "--save-config")
    assert has_annotation(cmd, "pod web")
    cmd("expose", "pod", "web", "--save-config", "--port=80", "--target-port=8000")
    assert has_annotation(cmd, "svc web")
    cmd("delete", "pods,services", "web")


def saves_on_what_belongs_to_a_controller(cmd):
    cmd.lists("rc")
    made = cmd.at("controller.yaml")
    cmd("create", "-f", made)
    assert not has_annotation(cmd, "rc frontend")
    cmd("autoscale", "-f", made, "--save-config", "--max=2")
    assert has_annotation(cmd, "hpa frontend")
    # By its short name, its group, and the beginning of the group.
    for kind in ("hpa", "hpa.autoscaling", "hpa.autoscal"):
        found = cmd.out("get", kind, "-o=jsonpath={.items[0].apiVersion}")
        assert found.startswith("autoscaling/v")
    cmd("delete", "hpa", "frontend")
    cmd("delete", "rc", "frontend")
