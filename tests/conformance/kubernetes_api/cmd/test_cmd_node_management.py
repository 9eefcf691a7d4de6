"""Nodes: tainted, cordoned and drained.

The node here is one that nobody runs, as upstream has it: what is bound to it stays as it is."""

import functools

import pytest

case = functools.partial(pytest.mark.conformance, "kubernetes-api", group="test/cmd")

TAINTS = (
    '{{range .spec.taints}}{{if eq .key "dedicated"}}{{.key}}={{.value}}:{{.effect}}{{end}}{{end}}'
)
CLOSED = "{{.spec.unschedulable}}"


@pytest.fixture
def node(cmd):
    """Give a node that no kubelet speaks for, with two pods."""
    name = f"{cmd.namespace}-node"
    made = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": {"by": "cmd"}}}
    cmd("create", "-f", cmd.file("node.yaml", made))
    cmd.file("pods.yaml", pod(name, "test-pod-1", e="f"), pod(name, "test-pod-2", c="d"))
    cmd("create", "-f", "pods.yaml")
    yield name
    cmd("delete", "--force", "--ignore-not-found", "-f", "pods.yaml")
    cmd("delete", "node", name)


def pod(node, name, **labels):
    spec = {"nodeName": node, "containers": [{"name": "main", "image": "example.com/web:1"}]}
    # It may stay, though its node does not answer.
    spec["tolerations"] = [{"operator": "Exists"}]
    spec["terminationGracePeriodSeconds"] = 1
    metadata = {"name": name, "labels": {"type": "test-pod", **labels}}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


@case(name="node-management: run_cluster_management_tests")
@pytest.mark.timeout(400)
@pytest.mark.slow
def test_cluster_management(cmd, node):
    taints(cmd, node)
    dry_runs_leave_it_open(cmd, node)
    drains_by_selector(cmd, node)
    uncordons_what_is_open(cmd, node)
    drains_in_chunks(cmd, node)
    cordons_by_selector(cmd, node)


def taints(cmd, node):
    what = f"nodes {node}"
    cmd.shows(what, TAINTS, "")
    cmd.dry("taint", "node", node, "dedicated=foo:PreferNoSchedule")
    cmd.shows(what, TAINTS, "")
    cmd("taint", "node", node, "dedicated=foo:PreferNoSchedule")
    cmd.shows(what, TAINTS, "dedicated=foo:PreferNoSchedule")
    cmd("taint", "node", node, "dedicated-")
    cmd("taint", "node", node, "dedicated:PreferNoSchedule")
    cmd.shows(what, TAINTS, "dedicated=<no value>:PreferNoSchedule")
    assert "kubectl-taint" in cmd.managers(f"node {node}")
    cmd.dry("taint", "node", node, "dedicated-")
    cmd.shows(what, TAINTS, "dedicated=<no value>:PreferNoSchedule")
    cmd("taint", "node", node, "dedicated-")
    cmd.shows(what, TAINTS, "")


def dry_runs_leave_it_open(cmd, node):
    cmd.shows(f"nodes {node}", CLOSED, "<no value>")
    cmd.dry("cordon", node)
    cmd.shows(f"nodes {node}", CLOSED, "<no value>")
    cmd.dry("drain", node, "--force")
    cmd.shows(f"nodes {node}", CLOSED, "<no value>")


def drains_by_selector(cmd, node):
    cmd.lists("pods", "test-pod-1", "test-pod-2")
    drain = ("drain", node, "--force", "--pod-selector", "e in (f)")
    cmd.dry(*drain)
    cmd.lists("pods", "test-pod-1", "test-pod-2")
    # Nobody ends the pod: what has a time of deletion is not waited for.
    assert "/test-pod-1" in cmd(*drain, "--skip-wait-for-delete-timeout=1")
    cmd.shows("pods/test-pod-2", "{{.metadata.deletionTimestamp}}", "<no value>")
    cmd("delete", "--force", "--ignore-not-found", "-f", "pods.yaml")
    cmd("create", "-f", "pods.yaml")
    cmd("uncordon", node)
    cmd.shows(f"nodes {node}", CLOSED, "<no value>")


def uncordons_what_is_open(cmd, node):
    for how in ("client", "server"):
        assert "already uncordoned" in cmd("uncordon", node, f"--dry-run={how}")
    cmd.shows(f"nodes {node}", CLOSED, "<no value>")


def drains_in_chunks(cmd, node):
    cmd("label", "node", node, "test=label")
    said = cmd.fails("drain", node, "--selector", "test=label")
    assert "cannot specify both a node name" in said
    drain = ("drain", "-v=6", "--force", "--selector", "test=label", "--dry-run=client")
    said = cmd(*drain, "--pod-selector=type=test-pod", "--chunk-size=1")
    asked = [line.split('url="')[1].split('"')[0] for line in said.splitlines() if "url=" in line]
    pods = f"fieldSelector=spec.nodeName%3D{node}&labelSelector=type%3Dtest-pod&limit=1"
    assert any(url.endswith("/v1/nodes?labelSelector=test%3Dlabel&limit=1") for url in asked)
    assert any(url.endswith(f"/v1/pods?{pods}") for url in asked)
    assert any("/v1/pods?continue=" in url and url.endswith(pods) for url in asked)
    for name in ("test-pod-1", "test-pod-2"):
        assert f"evicting pod {cmd.namespace}/{name}" in said
    cmd("uncordon", node)
    cmd.shows(f"nodes {node}", CLOSED, "<no value>")
    said = cmd(*drain)
    assert "/v1/nodes?labelSelector=test%3Dlabel&limit=500" in said
    assert f"/v1/pods?fieldSelector=spec.nodeName%3D{node}&limit=500" in said


def cordons_by_selector(cmd, node):
    assert "error: USAGE: cordon NODE" in cmd.fails("cordon")
    cmd("uncordon", node)
    assert "must provide one or more resources" in cmd.fails("cordon", "--selector=")
    assert f"node/{node} cordoned" in cmd("cordon", "--selector", "test=label")
    assert "cordoned" not in cmd("cordon", "--selector", "nothing=label")
    cmd.shows(f"nodes {node}", CLOSED, "true")
