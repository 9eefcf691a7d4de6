"""`kubectl scale` prints what it scaled."""

import functools

import pytest

case = functools.partial(pytest.mark.conformance, "kubernetes-api", group="test/cmd")


@case(name="scale: run_kubectl_scale_tests")
def test_scale(cmd):
    replicas = "{{.spec.replicas}}"
    cmd("create", "deployment", "d", "--image=example.com/web:1")
    scale = ("scale", "deployment", "d", "-o", "yaml")
    assert "replicas: 2" in cmd(*scale, "--replicas=2", "--dry-run=client")
    cmd.shows("deployment d", replicas, "1")
    assert "replicas: 3" in cmd(*scale, "--replicas=3", "--dry-run=server")
    cmd.shows("deployment d", replicas, "1")
    assert "replicas: 2" in cmd(*scale, "--replicas=2")
    cmd.shows("deployment d", replicas, "2")
    cmd("delete", "deployment", "d")

    made = cmd.at("replicaset.yaml")
    cmd("create", "-f", made)
    assert "replicas: 2" in cmd("scale", "-f", made, "--replicas=2", "-o", "yaml")
    cmd("delete", "rs", "frontend")
    cmd("create", "-f", cmd.at("controller.yaml"))
    assert "replicas: 5" in cmd("scale", "rc", "frontend", "--replicas=5", "-o", "yaml")
    cmd("delete", "rc", "frontend")
    cmd("create", "-f", cmd.at("statefulset.yaml"))
    assert "replicas: 2" in cmd("scale", "statefulset", "store", "--replicas=2", "-o", "yaml")
    cmd("delete", "statefulset", "store")
