"""`kubectl exec`: which pod it takes, and which it refuses."""

import functools

import pytest

case = functools.partial(pytest.mark.conformance, "kubernetes-api", group="test/cmd")

TWO = """
apiVersion: v1
kind: Pod
metadata: {name: test}
spec: {containers: [{name: main, image: example.com/web:1}]}
---
apiVersion: v1
kind: Pod
metadata: {name: test2}
spec: {containers: [{name: main, image: example.com/web:1}]}
"""


@case(name="exec: run_kubectl_exec_pod_tests")
def test_exec_pod(cmd):
    assert 'pods "abc" not found' in cmd.fails("exec", "abc", "--", "date")
    said = cmd.fails("exec", "-f", "-", "--", "echo", "test", text=TWO)
    assert "cannot exec into multiple objects at a time" in said
    cmd("create", "-f", cmd.at("pod.yaml"))
    said = cmd.fails("exec", "test-pod", "--", "date")
    assert 'pods "test-pod" not found' not in said
    assert "pod or type/name must be specified" not in said
    cmd("delete", "pods", "test-pod")


@case(name="exec: run_kubectl_exec_resource_name_tests")
def test_exec_resource(cmd):
    assert "error:" in cmd.fails("exec", "foo/bar", "--", "date")
    assert '"bar" not found' in cmd.fails("exec", "deployments/bar", "--", "date")
    cmd("create", "-f", cmd.at("pod.yaml"))
    cmd("create", "-f", cmd.at("replicaset.yaml"))
    cmd("create", "configmap", "settings")
    cmd.becomes("rs frontend", "{{.status.replicas}}", "3")
    assert "not implemented" in cmd.fails("exec", "configmap/settings", "--", "date")
    for target in ("pods/test-pod", "replicaset/frontend"):
        said = cmd.fails("exec", target, "--", "date")
        assert "not found" not in said
        assert "pod, type/name or --filename must be specified" not in said
    cmd("delete", "pods/test-pod", "replicaset/frontend", "configmap/settings")
