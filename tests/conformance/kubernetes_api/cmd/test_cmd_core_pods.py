"""Pods: described, deleted, labelled, patched, edited and replaced."""

import functools
import json
from pathlib import Path
from typing import Any

import pytest
import yaml

case = functools.partial(pytest.mark.conformance, "kubernetes-api", group="test/cmd")

IMAGES = "{{range .items}}{{(index .spec.containers 0).image}}:{{end}}"
LABELS = "{{range .metadata.labels}}{{.}}:{{end}}"
NAME = "{{.metadata.labels.name}}"
CAUSE = "kubernetes.io/change-cause"
LAST = "kubectl.kubernetes.io/last-applied-configuration"
FORCE = ("--grace-period=0", "--force")


@case(name="core: run_pod_tests")
@pytest.mark.timeout(400)
@pytest.mark.slow
def test_pods(cmd):
    describes_pods(cmd)
    deletes_and_recreates(cmd)
    does_not_delete_by_mistake(cmd)
    describes_environments(cmd)
    creates_disruption_budgets(cmd)
    creates_priorities(cmd)
    labels_and_annotates(cmd)
    records_its_causes(cmd)
    keeps_precision(cmd)
    annotates_files(cmd)
    edits_while_creating(cmd)
    patches_pods(cmd)
    patches_at_a_version(cmd)
    replaces_pods(cmd)
    replaces_nodes(cmd)
    edits_pods(cmd)
    overwrites_labels(cmd)
    creates_and_deletes_files(cmd)
    keeps_what_was_applied(cmd)


def describes_pods(cmd):
    made = cmd.at("valid-pod.yaml")
    cmd.lists("pods")
    cmd("create", "-f", made)
    for what in ("pod valid-pod", "pod/valid-pod", "pods/valid-pod"):
        cmd.shows(what, "{{.metadata.name}}", "valid-pod")
        name = ("-o", "jsonpath={.metadata.name}")
        assert cmd.out("get", *what.split(), *name) == "valid-pod"
    assert cmd.out("get", "pods", "-o", "jsonpath={.items[*].metadata.name}") == "valid-pod"
    assert "kubectl-create" in cmd.managers(f"-f {made}")
    for what in ("pods valid-pod", "pods"):
        cmd.describes(what, "Name:", "Image:", "Node:", "Labels:", "Status:")
        cmd.describes_events(what)
    cmd.describes_in_chunks("pods", "events")


def deletes_and_recreates(cmd):
    made = cmd.at("valid-pod.yaml")
    dump = cmd.out("get", "pod", "valid-pod", "-o", "yaml")
    cmd("delete", "pod", "valid-pod", *FORCE)
    cmd.lists("pods")
    for flag in ("--now", "--grace-period=0"):
        cmd("create", "-f", made)
        cmd.lists("pods", "valid-pod")
        cmd("delete", "pod", "valid-pod", flag)
        cmd.lists("pods")
    cmd.anew()
    lines = [line for line in dump.splitlines() if not line.startswith("  namespace:")]
    cmd("create", "-f", "-", text="\n".join(lines))
    cmd.lists("pods", "valid-pod")
    cmd("delete", "-f", made, *FORCE)
    cmd.lists("pods")
    cmd("create", "-f", made)
    selected = "pods -l'name in (valid-pod)'"
    cmd.lists(selected, "valid-pod")
    cmd("delete", "pods", "-lname in (valid-pod)", *FORCE)
    cmd.lists(selected)


def does_not_delete_by_mistake(cmd):
    cmd("create", "-f", cmd.at("valid-pod.yaml"))
    assert "valid-pod" in cmd("get", "pods", "--field-selector=metadata.name=valid-pod")
    phase = cmd.seen("pod valid-pod", "{{.status.phase}}")
    assert "valid-pod" in cmd("get", "pods", f"--field-selector=status.phase={phase}")
    cmd.fails("delete", "pods")
    cmd.lists("pods", "valid-pod")
    cmd.fails("delete", "--all", "pods", "-lname in (valid-pod)")
    cmd.lists("pods", "valid-pod")
    cmd("delete", "--all", "pods", *FORCE)
    cmd.lists("pods")


def describes_environments(cmd):
    space = cmd.make_space()
    secret = ("create", "secret", "generic", "secret", "--from-literal=key-1=value1")
    flags = ("--type=test-type", "-n", space)
    cmd.has_not(f"secrets -n {space}", "secret")
    cmd.dry(*secret, *flags)
    cmd.has_not(f"secrets -n {space}", "secret")
    cmd(*secret, *flags)
    cmd.shows(f"secret/secret -n {space}", "{{.type}}", "test-type")
    cmd("create", "configmap", "map", "--from-literal=key-2=value2", "-n", space)

    def of(name, **source):
        return {"name": name, "valueFrom": source}

    env = [
        of("FROM_1", secretKeyRef={"name": "secret", "key": "key-1"}),
        of("FROM_2", configMapKeyRef={"name": "map", "key": "key-2"}),
        of("FROM_3", fieldRef={"fieldPath": "metadata.name"}),
    ]
    container = {"name": "main", "image": "example.com/web:1", "env": env}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "env-pod"}}
    pod |= {"spec": {"schedulerName": "nobody", "containers": [container]}}
    cmd("create", "-f", cmd.file("env.yaml", pod), "-n", space)
    words = (
        "FROM_1",
        "<set to the key 'key-1' in secret 'secret'>",
        "FROM_2",
        "<set to the key 'key-2' of config map 'map'>",
        "FROM_3",
        "env-pod (v1:metadata.name)",
    )
    cmd.describes(f"pods env-pod -n {space}", *words)
    cmd.describes(f"pods -n {space}", *words)


def creates_disruption_budgets(cmd):
    space = cmd.make_space()
    create = ("create", "pdb", "--selector=app=rails", "-n", space)
    cmd.dry(*create, "one", "--min-available=2")
    cmd.lists(f"pdb -n {space}")
    for field, flag in (
        ("minAvailable", "--min-available"),
        ("maxUnavailable", "--max-unavailable"),
    ):
        for value in ("2", "50%"):
            name = f"{field}-{value.rstrip('%')}".lower()
            cmd(*create, name, f"{flag}={value}")
            cmd.shows(f"pdb/{name} -n {space}", f"{{{{.spec.{field}}}}}", value)
    cmd.describes_in_chunks("poddisruptionbudgets", "events", "-n", space)
    cmd.fails(*create, "both", "--min-available=2", "--max-unavailable=3")


def creates_priorities(cmd):
    name = f"{cmd.namespace}-priority"
    cmd.has_not("priorityclasses", name)
    cmd.dry("create", "priorityclass", name)
    cmd.has_not("priorityclasses", name)
    cmd("create", "priorityclass", name)
    cmd.shows(f"priorityclass {name}", "{{.metadata.name}}", name)
    cmd.describes_in_chunks("priorityclasses", "events")
    cmd("delete", "priorityclass", name)


def labels_and_annotates(cmd):
    cmd("create", "-f", cmd.at("valid-pod.yaml"), "-f", cmd.at("pod.yaml"))
    cmd.lists("pods", "test-pod", "valid-pod")
    cmd("delete", "pods", "valid-pod", "test-pod", *FORCE)
    cmd.lists("pods")
    cmd("create", "-f", cmd.at("valid-pod.yaml"))
    what, label = "pod valid-pod", ("label", "pods", "valid-pod")
    cmd.dry(*label, "new-name=new-valid-pod")
    cmd.shows(what, LABELS, "valid-pod:")
    cmd(*label, "new-name=new-valid-pod")
    cmd.shows(what, LABELS, "valid-pod:new-valid-pod:")
    cmd(*label, "emptylabel=")
    cmd.shows(what, "{{.metadata.labels.emptylabel}}", "")
    empty = "{{.metadata.annotations.emptyannotation}}"
    annotate = ("annotate", "pods", "valid-pod", "emptyannotation=")
    cmd.shows(what, empty, "<no value>")
    cmd.dry(*annotate)
    cmd.shows(what, empty, "<no value>")
    cmd(*annotate)
    cmd.shows(what, empty, "")
    assert "kubectl-annotate" in cmd.managers(what)


def cause(cmd, what):
    return cmd.get(what)["metadata"].get("annotations", {}).get(CAUSE, "")


def records_its_causes(cmd):
    what, label = "pod valid-pod", ("label", "pods", "valid-pod")
    assert cause(cmd, what) == ""
    cmd(*label, "record-change=true", "--record=true")
    assert "--record=true" in cause(cmd, what)
    assert "kubectl-label" in cmd.managers(what)
    cmd(*label, "no-record-change=true", "--record=false")
    assert "--record=true" in cause(cmd, what)
    cmd(*label, "new-record-change=true", "--record=true")
    assert "new-record-change=true" in cause(cmd, what)
    cmd("delete", "pods", "-lnew-name=new-valid-pod", *FORCE)
    cmd.lists("pods")


def keeps_precision(cmd):
    what, number = "pod precise", 2**53 + 1
    container = {"name": "main", "image": "example.com/web:1"}
    spec: dict[str, Any] = {"schedulerName": "nobody", "containers": [container]}
    # A number that no double holds.
    spec["securityContext"] = {"runAsUser": 2**31 - 1}
    spec["activeDeadlineSeconds"] = 2**31 - 1
    note = {"precise": str(number)}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "precise", "annotations": note}}
    cmd("create", "-f", cmd.file("precise.yaml", pod | {"spec": spec}))
    cmd("patch", *what.split(), '-p={"metadata":{"annotations":{"patchkey":"patchvalue"}}}')
    cmd("label", *what.split(), "labelkey=labelvalue")
    cmd("annotate", *what.split(), "annotatekey=annotatevalue")
    found = cmd.get(what)
    wanted = {"patchkey": "patchvalue", "annotatekey": "annotatevalue", **note}
    assert found["metadata"]["annotations"] == wanted
    assert found["metadata"]["labels"] == {"labelkey": "labelvalue"}
    assert found["spec"]["activeDeadlineSeconds"] == 2**31 - 1
    cmd("delete", *what.split())


def annotates_files(cmd):
    made, noted = cmd.at("pod.yaml"), "{{.metadata.annotations.annotatekey}}"
    cmd("create", "-f", made)
    cmd("annotate", "-f", made, "annotatekey=annotatevalue")
    cmd.shows("pod test-pod", noted, "annotatevalue")
    said = cmd("annotate", "--local", "-f", made, "annotatekey=localvalue", "-o", "yaml")
    assert "localvalue" in said
    cmd.shows("pod test-pod", noted, "annotatevalue")
    cmd("delete", "-f", made)


def edits_while_creating(cmd):
    cmd.lists("services")
    cmd.lists("rc")
    spec = {"selector": {"app": "mock"}, "ports": [{"port": 99}]}
    service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "mock"}, "spec": spec}
    controller = cmd.manifests / "controller.yaml"
    controller = yaml.safe_load(controller.read_text().replace("frontend", "mock"))
    both = [service, controller]
    several = cmd.file("several.json", "\n".join(json.dumps(one) for one in both))
    whole = {"apiVersion": "v1", "kind": "List", "items": both}
    listed = cmd.file("list.json", json.dumps(whole))
    for file in (several, listed):
        cmd("create", "--edit", "-f", file, environment=cmd.editor("mock", "modified"))
        cmd.lists("service", "modified")
        cmd.lists("rc", "modified")
        for what in ("service/modified", "rc/modified"):
            assert "kubectl-create" in cmd.managers(what)
        cmd("delete", "service/modified", "rc/modified")
    unchanged = ("create", "--edit", "-f", cmd.at("valid-pod.yaml"), "-o", "json")
    done = cmd.run(*unchanged, environment={"EDITOR": "cat"})
    assert "Edit cancelled" in done.err + done.out


def patches_pods(cmd):
    made = cmd.at("valid-pod.yaml")
    patch = ("patch", "pod", "valid-pod")

    def image(value):
        return json.dumps({"spec": {"containers": [{"name": "serve", "image": value}]}})

    def runs(value):
        cmd.shows("pods", IMAGES, f"{value}:")

    cmd.comes_to("pods")
    cmd("create", "-f", made)
    never = '--patch={"spec": {"restartPolicy":"Never"}}'
    assert "Never" in cmd("patch", "--local", "-f", made, never, "-o", "yaml")
    said = cmd.fails(*patch, '-p={"metadata":{"labels":"invalid"}}')
    assert "cannot restore map from string" in said
    same = cmd(*patch, '-p={"metadata":{"labels":{"name":"valid-pod"}}}')
    assert "patched (no change)" in same
    cmd(*patch, "--record", f"-p={image('nginx')}")
    runs("nginx")
    assert "--record" in cause(cmd, "pod valid-pod")
    for value in ("nginx2", "nginx"):
        step = {"op": "replace", "path": "/spec/containers/0/image", "value": value}
        cmd(*patch, "--type=json", f"-p={json.dumps([step])}")
        runs(value)
    cmd.dry(*patch, "--record", f"-p={image('not-nginx')}")
    runs("nginx")
    cmd(*patch, "-p=spec:\n  containers:\n  - name: serve\n    image: by-yaml\n")
    runs("by-yaml")
    cmd("patch", "-f", made, f"-p={image('example.com/pause:2')}")
    runs("example.com/pause:2")
    assert "kubectl-patch" in cmd.managers("pod valid-pod")


def patches_at_a_version(cmd):
    def change(version):
        metadata = {"resourceVersion": version}
        containers = [{"name": "serve", "image": "nginx"}]
        return json.dumps({"metadata": metadata, "spec": {"containers": containers}})

    patch = ("patch", "pod", "valid-pod")
    version = cmd.seen("pod valid-pod", "{{.metadata.resourceVersion}}")
    cmd(*patch, f"-p={change(version)}")
    cmd.shows("pods", IMAGES, "nginx:")
    version = cmd.seen("pod valid-pod", "{{.metadata.resourceVersion}}")
    said = cmd.fails(*patch, f"-p={change(str(int(version) + 100))}")
    assert "please apply your changes to the latest version and try again" in said


def replaces_pods(cmd):
    dump = cmd.out("get", "pod", "valid-pod", "-o", "json").replace('"serve"', '"replaced"')
    file = cmd.file("dump.json", dump)
    cmd("replace", "--force", "-f", file)
    cmd.shows("pod valid-pod", "{{(index .spec.containers 0).name}}", "replaced")
    assert "kubectl-replace" in cmd.managers("pod valid-pod")
    for flag in ("--grace-period=1", "--timeout=1s"):
        said = cmd.fails("replace", flag, "-f", file)
        assert f"{flag.split('=')[0]} must have --force specified" in said


def replaces_nodes(cmd):
    name = f"{cmd.namespace}-node"
    node: dict[str, Any] = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}}
    noted = "{{.metadata.annotations.a}}"
    cmd("create", "-f", cmd.file("node.yaml", node))
    node["metadata"] |= {"annotations": {"a": "b"}, "resourceVersion": "0"}
    changed = cmd.file("changed.yaml", node)
    cmd.dry("replace", "-f", changed)
    assert cmd.get(f"node {name}")["metadata"].get("annotations", {}).get("a") is None
    cmd("replace", "-f", changed)
    cmd.shows(f"node {name}", noted, "b")
    cmd("delete", "node", name)


def edits_pods(cmd):
    cmd.shows("pods", IMAGES, "nginx:")
    edit = ("edit", "pods/valid-pod")
    editor = cmd.editor("nginx", "example.com/serve")
    assert "Patch:" in cmd(*edit, "--output-patch=true", environment=editor)
    cmd.shows("pods", IMAGES, "example.com/serve:")
    assert "kubectl-edit" in cmd.managers("pod valid-pod")
    cat = {"environment": {"EDITOR": "cat"}}
    said = cmd(*edit, **cat)
    assert "Edit cancelled" in said
    assert "name: valid-pod" in said
    # As bytes: what is read as text has lost its carriage returns.
    for value, there in (("true", True), ("false", False)):
        editor = cmd.editor("\\r$", "CARRIAGE")
        said = cmd.run(*edit, f"--windows-line-endings={value}", environment=watching(cmd, editor))
        assert ("CARRIAGE" in said.out) is there
    assert "kind: List" in cmd("edit", "ns", **cat)


def watching(cmd, editor):
    """Return an editor that shows what another would make of a file, and leaves it as it is."""
    script = cmd.file(
        "watching.sh", f'#!/bin/sh\ncp "$1" copy; {editor["EDITOR"]} copy; cat copy\n'
    )
    Path(script).chmod(0o755)
    return {"EDITOR": script}


def overwrites_labels(cmd):
    local = ("label", "--local", "--overwrite", "-f", cmd.at("pod.yaml"), "name=local")
    assert "name: local" in cmd(*local, "-o", "yaml")
    cmd.shows("pod valid-pod", NAME, "valid-pod")
    cmd.fails("label", "pods", "valid-pod", "name=other")
    cmd.shows("pod valid-pod", NAME, "valid-pod")
    cmd("label", "--overwrite", "pods", "--all", "name=other")
    cmd.shows("pod valid-pod", NAME, "other")
    cmd("delete", "pods", "-lname in (other)", *FORCE)
    cmd.lists("pods")


def creates_and_deletes_files(cmd):
    cmd("create", "-f", cmd.at("two-pods.yaml"))
    cmd.lists("pods", "first-pod", "valid-pod")
    cmd("delete", "-f", cmd.at("two-pods.yaml"))
    cmd.lists("pods")


def keeps_what_was_applied(cmd):
    def last():
        return cmd.get("pod test-pod")["metadata"].get("annotations", {}).get(LAST)

    def replaced(old):
        text = cmd.out("get", "pod", "test-pod", "-o", "yaml").replace(old, "test-pod-replaced")
        cmd("replace", "-f", cmd.file("replaced.yaml", text))
        cmd.shows("pods test-pod", NAME, "test-pod-replaced")

    cmd("create", "-f", cmd.at("pod.yaml"))
    assert last() is None
    replaced("test-pod-label")
    assert last() is None
    cmd("apply", "-f", cmd.at("pod-applied.yaml"))
    cmd.shows("pods test-pod", NAME, "test-pod-applied")
    applied = last()
    assert applied
    replaced("test-pod-applied")
    assert last() not in {None, applied}
    cmd("delete", "pods", "test-pod")
