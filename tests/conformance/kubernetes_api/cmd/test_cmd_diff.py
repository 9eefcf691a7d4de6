"""`kubectl diff`, against what the client or the server would make of it."""

import functools
from typing import Any

import pytest

case = functools.partial(pytest.mark.conformance, "kubernetes-api", group="test/cmd")

VERSION = "{{.metadata.resourceVersion}}"


@case(name="diff: run_kubectl_diff_tests")
@pytest.mark.slow
def test_diff(cmd):
    tells_changes(cmd)
    tells_changes_by_server(cmd)
    tells_what_is_pruned(cmd)


def differs(cmd, *arguments):
    """Return the differences; there must be some, which is not an error."""
    done = cmd.run("diff", *arguments)
    assert done.code == 1, done.err
    return done.out


def tells_changes(cmd):
    pod = cmd.at("pod.yaml")
    assert "test-pod" in differs(cmd, "-f", pod)
    cmd.lists("pod")
    cmd("apply", "-f", pod)
    version = cmd.seen("pod test-pod", VERSION)
    cmd("diff", "-f", pod)
    changed = cmd.change("pod.yaml", "pause:1", "pause:2")
    for flags in ((), ("--server-side",)):
        assert "example.com/pause:2" in differs(cmd, "-f", changed, *flags)
        cmd.shows("pod test-pod", VERSION, version)
    invalid = cmd.change("pod.yaml", "name: main", "name: Not_Valid")
    assert cmd.run("diff", "-f", invalid).code > 1
    cmd("delete", "-f", pod)


def tells_changes_by_server(cmd):
    pod = cmd.at("pod.yaml")
    assert "test-pod" in differs(cmd, "--server-side", "-f", pod)
    cmd.lists("pod")
    cmd("apply", "--server-side", "-f", pod)
    cmd("diff", "--server-side", "-f", pod)
    changed = cmd.change("pod.yaml", "pause:1", "pause:2")
    assert "example.com/pause:2" in differs(cmd, "--server-side", "-f", changed)
    cmd("delete", "-f", pod)


def tells_what_is_pruned(cmd):
    space, by = cmd.make_space(), ("-l", "prune-group=true")
    b = cmd.change("prune/a.yaml", "name: a", f"name: b\n  namespace: {space}")
    cmd("apply", "-n", space, *by, "-f", cmd.at("prune/a.yaml"))
    cmd.lists(f"pods -n {space}", "a")
    assert "name: a\n" not in differs(cmd, *by, "-f", b)
    assert "name: a\n" in differs(cmd, "--prune", *by, "-f", b)
    cmd("apply", "--prune", "-n", space, *by, "-f", b)
    cmd.comes_to(f"pods -n {space}", "b")
    cmd("diff", "--prune", *by, "-f", b)
    cmd("delete", "-f", b)


@case(name="diff: run_kubectl_diff_same_names")
def test_diff_of_the_same_name(cmd):
    spec = {"containers": [{"name": "main", "image": "example.com/pause:1"}]}
    labels = {"app": "test"}
    template = {"metadata": {"labels": labels}, "spec": spec}
    things: dict[str, dict[str, Any]] = {
        "v1 Pod": {"spec": spec},
        "apps/v1 Deployment": {"spec": {"selector": {"matchLabels": labels}, "template": template}},
        "v1 ConfigMap": {"data": {"a": "b"}},
        "v1 Secret": {"stringData": {"a": "b"}},
    }
    for number, (kind, fields) in enumerate(things.items()):
        version, name = kind.split()
        head = {"apiVersion": version, "kind": name, "metadata": {"name": "test"}}
        cmd.file(f"same/{number}.yaml", head | fields)
    # As the program that compares, one that lists the files it was given.
    options = {"environment": {"KUBECTL_EXTERNAL_DIFF": "find"}}
    said = cmd("diff", "-R", "-f", str(cmd.home / "same"), **options)
    for kind in ("v1.Pod.", "apps.v1.Deployment.", "v1.ConfigMap.", "v1.Secret."):
        assert f"/{kind}{cmd.namespace}.test" in said
