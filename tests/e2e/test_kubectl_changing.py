"""Stock kubectl changes things: create, apply, edit, patch, label, replace, delete, nodes."""

import base64
import json
from typing import Any

import pytest
import yaml

from wherry.objects import kinds
from wherry.testing import builders
from wherry.testing.waiting import eventually


def config_map(name: str, **fields: Any) -> str:
    return json.dumps(
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, **fields}
    )


def test_create_configuration(kubectl, tmp_path):
    (tmp_path / "file.txt").write_text("from a file")
    (tmp_path / "raw.bin").write_bytes(b"\xff\x00\xfe")
    made = kubectl(
        "create",
        "configmap",
        "c",
        "--from-literal=a=1",
        f"--from-file={tmp_path / 'file.txt'}",
        f"--from-file=raw={tmp_path / 'raw.bin'}",
    )
    assert made.out == "configmap/c created\n"
    found = kubectl.get("cm", "c")
    assert found["data"] == {"a": "1", "file.txt": "from a file"}
    assert base64.b64decode(found["binaryData"]["raw"]) == b"\xff\x00\xfe"
    kubectl("create", "secret", "generic", "s", "--from-literal=p=word")
    assert base64.b64decode(kubectl.get("secret", "s")["data"]["p"]) == b"word"
    kubectl(
        "create",
        "secret",
        "docker-registry",
        "r",
        "--docker-server=registry.example.com",
        "--docker-username=u",
        "--docker-password=p",
    )
    assert kubectl.get("secret", "r")["type"] == "kubernetes.io/dockerconfigjson"
    assert "already exists" in kubectl.fails("create", "configmap", "c")
    assert "Invalid value" in kubectl.fails("create", "configmap", "Not_A_Name")


def test_create_the_rest(kubectl):
    space = f"{kubectl.namespace}-made"
    assert kubectl("create", "ns", space).out == f"namespace/{space} created\n"
    kubectl("create", "sa", "robot")
    kubectl("create", "role", "r", "--verb=get", "--resource=pods,pods/log", "--resource-name=a")
    assert kubectl.get("role", "r")["rules"][0]["resourceNames"] == ["a"]
    kubectl("create", "rolebinding", "b", "--role=r", f"--serviceaccount={kubectl.namespace}:robot")
    kubectl("create", "quota", "q", "--hard=pods=9,requests.cpu=4")
    assert kubectl.get("quota", "q")["spec"]["hard"] == {"pods": "9", "requests.cpu": "4"}
    kubectl("create", "service", "clusterip", "s", "--tcp=80:8080")
    assert kubectl.get("svc", "s")["spec"]["clusterIP"].startswith("127.")
    kubectl("create", "service", "nodeport", "n", "--tcp=80:8080")
    assert kubectl.get("svc", "n")["spec"]["ports"][0]["nodePort"] >= 30000
    kubectl("create", "service", "externalname", "x", "--external-name=example.com")
    kubectl("create", "priorityclass", f"{space}-high", "--value=7")
    kubectl("create", "pdb", "p", "--selector=app=d", "--min-available=1")
    kubectl("create", "ingress", "i", "--rule=example.com/*=s:80")
    kubectl("create", "cronjob", "c", "--image=python:3", "--schedule=0 0 1 1 *", "--", "true")
    assert kubectl("create", "token", "robot", "--duration=10m").out.count(".") == 2
    assert kubectl("create", "token", "robot", "--audience=other").out.count(".") == 2
    assert "not found" in kubectl.fails("create", "token", "nobody")
    kubectl("delete", "ns", space, "--wait=false")
    kubectl("delete", "priorityclass", f"{space}-high")


def test_create_workloads(kubectl, world):
    kubectl(
        "create", "deployment", "d", "--image=python:3", "--replicas=2", "--", "sleep", "1000000"
    )
    kubectl("create", "job", "j", "--image=python:3", "--", "true")
    world.wait_for_condition(kinds.JOBS, "j", "Complete")
    world.wait_for_condition(kinds.DEPLOYMENTS, "d", "Available")
    [row] = kubectl("get", "deploy").table
    assert (row["NAME"], row["READY"], row["UP-TO-DATE"], row["AVAILABLE"]) == (
        "d",
        "2/2",
        "2",
        "2",
    )
    [row] = kubectl("get", "jobs", "-o", "wide").table
    assert (row["STATUS"], row["COMPLETIONS"], row["IMAGES"]) == ("Complete", "1/1", "python:3")
    kubectl("create", "cronjob", "c", "--image=python:3", "--schedule=0 0 1 1 *", "--", "true")
    kubectl("create", "job", "by-hand", "--from=cronjob/c")
    world.wait_for_condition(kinds.JOBS, "by-hand", "Complete")
    kubectl("run", "once", "--image=python:3", "--restart=Never", "--env=A=b", "--", "env")
    world.wait_for_phase("once", "Succeeded")
    assert "A=b" in kubectl("logs", "once").lines


def test_dry_run(kubectl, world):
    asked = kubectl(
        "create", "deployment", "d", "--image=python:3", "--dry-run=server", "-o", "json"
    )
    assert asked.json["spec"]["strategy"]["type"] == "RollingUpdate"
    assert "server dry run" in kubectl("create", "cm", "c", "--dry-run=server").out
    assert "dry run" in kubectl("create", "cm", "c", "--dry-run=client").out
    assert (
        "server dry run"
        in kubectl("apply", "--dry-run=server", "-f", "-", text=config_map("c", data={})).out
    )
    assert world.names(kinds.DEPLOYMENTS) == []
    assert "c" not in world.names(kinds.CONFIG_MAPS)
    kubectl("create", "cm", "c")
    kubectl("delete", "cm", "c", "--dry-run=server")
    kubectl("label", "cm", "c", "x=y", "--dry-run=server")
    assert "labels" not in world.get(kinds.CONFIG_MAPS, "c")["metadata"]


def test_apply(kubectl, tmp_path):
    first = config_map("c", data={"a": "1", "b": "2"})
    assert kubectl("apply", "-f", "-", text=first).out == "configmap/c created\n"
    assert kubectl("apply", "-f", "-", text=first).out == "configmap/c unchanged\n"
    kubectl("patch", "cm", "c", "-p", '{"data": {"theirs": "kept"}}')
    second = config_map("c", data={"a": "one"})
    assert kubectl("apply", "-f", "-", text=second).out == "configmap/c configured\n"
    assert kubectl.get("cm", "c")["data"] == {"a": "one", "theirs": "kept"}
    assert '"a":"one"' in kubectl(
        "apply", "view-last-applied", "cm", "c", "-o", "json"
    ).out.replace(" ", "")
    (tmp_path / "a.yaml").write_text(
        yaml.safe_dump_all(json.loads(config_map(name)) for name in "uvx")
    )
    (tmp_path / "b.json").write_text(config_map("w"))
    applied = kubectl("apply", "-f", str(tmp_path)).lines
    assert sorted(applied) == [f"configmap/{name} created" for name in "uvwx"]
    assert len(kubectl("delete", "-f", str(tmp_path)).lines) == 4


def test_apply_a_deployment(kubectl, world):
    made = builders.deployment("d", namespace=kubectl.namespace)
    kubectl.apply(made)
    assert "unchanged" in kubectl.apply(made).out
    made["spec"]["template"]["spec"]["containers"].append(builders.container("second"))
    assert "configured" in kubectl.apply(made).out
    containers = kubectl.get("deploy", "d")["spec"]["template"]["spec"]["containers"]
    assert [each["name"] for each in containers] == ["main", "second"]
    made["spec"]["template"]["spec"]["containers"].pop(0)
    kubectl.apply(made)
    containers = kubectl.get("deploy", "d")["spec"]["template"]["spec"]["containers"]
    assert [each["name"] for each in containers] == ["second"]
    made["spec"]["selector"]["matchLabels"] = {"app": "other"}
    assert "field is immutable" in kubectl.run("apply", "-f", "-", text=json.dumps(made)).err


def test_prune(kubectl, world):
    def labelled(name: str) -> Any:
        made = builders.config_map(name, namespace=kubectl.namespace)
        made["metadata"]["labels"] = {"set": "one"}
        return made

    kubectl.apply(labelled("a"), labelled("b"))
    kept = json.dumps(labelled("a"))
    allow = ["--prune", "-l", "set=one", "--prune-allowlist=core/v1/ConfigMap"]
    assert "configmap/b pruned" in kubectl("apply", "-f", "-", *allow, text=kept).out
    assert world.names(kinds.CONFIG_MAPS, "set=one") == ["a"]


def test_edit(kubectl, tmp_path):
    kubectl("create", "cm", "c", "--from-literal=a=old")
    editor = tmp_path / "editor"
    editor.write_text('#!/bin/sh\nsed -i "s/a: old/a: new/" "$1"\n')
    editor.chmod(0o755)
    assert kubectl("edit", "cm", "c", environment={"EDITOR": str(editor)}).out == (
        "configmap/c edited\n"
    )
    assert kubectl.get("cm", "c")["data"] == {"a": "new"}
    editor.write_text("#!/bin/sh\ntrue\n")
    assert "no changes" in kubectl("edit", "cm", "c", environment={"EDITOR": str(editor)}).err
    kubectl.apply(builders.deployment("d", namespace=kubectl.namespace))
    editor.write_text('#!/bin/sh\nsed -i "s/replicas: 1/replicas: 0/" "$1"\n')
    kubectl("edit", "deployment", "d", environment={"EDITOR": str(editor)})
    assert kubectl.get("deploy", "d")["spec"]["replicas"] == 0


def test_patch(kubectl):
    kubectl.apply(builders.deployment("d", namespace=kubectl.namespace, replicas=0))
    strategic = {
        "spec": {"template": {"spec": {"containers": [{"name": "side", "image": "python:3"}]}}}
    }
    kubectl("patch", "deploy", "d", "-p", json.dumps(strategic))
    containers = kubectl.get("deploy", "d")["spec"]["template"]["spec"]["containers"]
    assert sorted(each["name"] for each in containers) == ["main", "side"]
    kubectl("patch", "deploy", "d", "--type=merge", "-p", '{"metadata": {"labels": {"a": "b"}}}')
    operations = [
        {"op": "test", "path": "/metadata/labels/a", "value": "b"},
        {"op": "replace", "path": "/metadata/labels/a", "value": "c"},
        {"op": "remove", "path": "/spec/template/spec/containers/1"},
    ]
    kubectl("patch", "deploy", "d", "--type=json", "-p", json.dumps(operations))
    found = kubectl.get("deploy", "d")
    assert found["metadata"]["labels"] == {"a": "c"}
    assert len(found["spec"]["template"]["spec"]["containers"]) == 1
    assert (
        "no change"
        in kubectl(
            "patch", "deploy", "d", "--type=merge", "-p", '{"metadata": {"labels": {"a": "c"}}}'
        ).out
    )
    assert kubectl.fails("patch", "deploy", "d", "--type=json", "-p", json.dumps(operations))
    assert "Invalid" in kubectl.fails("patch", "deploy", "d", "-p", '{"spec": {"replicas": -1}}')
    kubectl(
        "patch",
        "deploy",
        "d",
        "--subresource=scale",
        "--type=merge",
        "-p",
        '{"spec": {"replicas": 0}}',
    )


def test_label_and_annotate(kubectl):
    kubectl("create", "cm", "c")
    assert kubectl("label", "cm", "c", "a=1", "b=2").out == "configmap/c labeled\n"
    assert "--overwrite" in kubectl.fails("label", "cm", "c", "a=3")
    kubectl("label", "cm", "c", "a=3", "--overwrite")
    kubectl("label", "cm", "c", "b-")
    assert kubectl.get("cm", "c")["metadata"]["labels"] == {"a": "3"}
    assert kubectl("annotate", "cm", "c", "note=any text at all").out == "configmap/c annotated\n"
    assert kubectl.get("cm", "c")["metadata"]["annotations"] == {"note": "any text at all"}
    # Refused by kubectl itself; a patch leaves it to the server.
    assert "valid label" in kubectl.fails("label", "cm", "c", "a=not valid", "--overwrite")
    label = '{"metadata": {"labels": {"a": "not valid"}}}'
    assert "Invalid value" in kubectl.fails("patch", "cm", "c", "-p", label)
    assert "labeled" in kubectl("label", "cm", "--all", "all=yes").out
    kubectl("label", "cm", "-l", "a=3", "some=yes")


def test_replace_and_diff(kubectl):
    kubectl("create", "cm", "c", "--from-literal=a=1")
    assert kubectl("replace", "-f", "-", text=config_map("c", data={"z": "9"})).out == (
        "configmap/c replaced\n"
    )
    assert kubectl.get("cm", "c")["data"] == {"z": "9"}
    stale = kubectl.get("cm", "c")
    kubectl("label", "cm", "c", "a=b")
    assert "has been modified" in kubectl.fails("replace", "-f", "-", text=json.dumps(stale))
    uid = kubectl.get("cm", "c")["metadata"]["uid"]
    kubectl("replace", "--force", "-f", "-", text=config_map("c", data={"y": "8"}))
    assert kubectl.get("cm", "c")["metadata"]["uid"] != uid
    kubectl("apply", "-f", "-", text=config_map("c", data={"y": "8"}))
    differs = kubectl.run("diff", "-f", "-", text=config_map("c", data={"y": "7"}))
    assert differs.code == 1, differs.err
    assert '+  "y": "7"' in differs.out
    assert kubectl.run("diff", "-f", "-", text=config_map("c", data={"y": "8"})).code == 0


def test_expose_set_and_scale(kubectl, world):
    kubectl.apply(builders.deployment("d", namespace=kubectl.namespace, replicas=2))
    kubectl("expose", "deployment", "d", "--port=80", "--target-port=8080")
    assert kubectl.get("svc", "d")["spec"]["selector"] == {"app": "d"}
    kubectl("set", "image", "deployment/d", "main=python:3.99-other")
    kubectl("set", "env", "deployment/d", "A=b")
    kubectl("set", "resources", "deployment/d", "--requests=cpu=1m,memory=1Mi")
    [main] = kubectl.get("deploy", "d")["spec"]["template"]["spec"]["containers"]
    assert main["image"] == "python:3.99-other"
    assert main["env"] == [{"name": "A", "value": "b"}]
    assert main["resources"]["requests"] == {"cpu": "1m", "memory": "1Mi"}
    assert kubectl("scale", "deployment", "d", "--replicas=3").out == "deployment.apps/d scaled\n"
    kubectl.fails("scale", "deployment", "d", "--current-replicas=9", "--replicas=1")
    kubectl("scale", "deployment/d", "--replicas=0")
    eventually(lambda: not world.names(kinds.PODS))
    kubectl(
        "autoscale", "deployment", "d", "--min=1", "--max=2", "--cpu-percent=50", "--dry-run=client"
    )


@pytest.mark.parametrize("policy", ["background", "foreground", "orphan"])
def test_delete(kubectl, world, policy):
    kubectl.apply(builders.deployment("d", namespace=kubectl.namespace))
    world.wait_for_condition(kinds.DEPLOYMENTS, "d", "Available")
    deleted = kubectl("delete", "deployment", "d", f"--cascade={policy}").out
    assert deleted.startswith('deployment.apps "d" deleted')
    assert world.names(kinds.DEPLOYMENTS) == []
    if policy == "orphan":
        [replica_set] = world.all(kinds.REPLICA_SETS)
        eventually(lambda: not world.all(kinds.REPLICA_SETS)[0]["metadata"].get("ownerReferences"))
        assert [pod["status"]["phase"] for pod in world.all(kinds.PODS)] == ["Running"]
        kubectl("delete", "rs", replica_set["metadata"]["name"])
    if policy == "foreground":
        assert world.names(kinds.REPLICA_SETS) == []
        assert world.names(kinds.PODS) == []
    eventually(lambda: not world.names(kinds.REPLICA_SETS) + world.names(kinds.PODS))


def test_delete_many_ways(kubectl, world):
    for name in "abcde":
        made = builders.config_map(name)
        made["metadata"]["labels"] = {"l": "vowel" if name in "ae" else "other"}
        world.create(kinds.CONFIG_MAPS, made)
    assert len(kubectl("delete", "cm", "-l", "l=vowel").lines) == 2
    assert kubectl("delete", "cm/b", "cm/c").lines[0].startswith('configmap "b" deleted')
    kubectl("delete", "cm", "none", "--ignore-not-found")
    assert "not found" in kubectl.fails("delete", "cm", "none")
    kubectl("delete", "cm", "--field-selector=metadata.name=d")
    assert set(world.names(kinds.CONFIG_MAPS)) == {"kube-root-ca.crt"}
    stubborn = builders.pod("p", script="trap '' TERM; while :; do sleep 0.05; done")
    stubborn["spec"]["terminationGracePeriodSeconds"] = 30
    world.create(kinds.PODS, stubborn)
    world.wait_for_phase("p", "Running")
    kubectl("delete", "pod", "p", "--grace-period=0", "--force")
    assert world.find(kinds.PODS, "p") is None


def test_finalizers_hold_a_deletion_up(kubectl, world):
    made = builders.config_map("c")
    made["metadata"]["finalizers"] = ["example.com/wait"]
    world.create(kinds.CONFIG_MAPS, made)
    late = kubectl.fails("delete", "cm", "c", "--timeout=1s")
    assert "timed out" in late
    assert "deletionTimestamp" in kubectl.get("cm", "c")["metadata"]
    kubectl("patch", "cm", "c", "--type=merge", "-p", '{"metadata": {"finalizers": null}}')
    eventually(lambda: world.find(kinds.CONFIG_MAPS, "c") is None)


def test_deleting_a_namespace_deletes_all_in_it(kubectl, shared_platform):
    space = f"{kubectl.namespace}-going"
    kubectl("create", "ns", space)
    kubectl(f"--namespace={space}", "create", "cm", "c")
    kubectl(
        f"--namespace={space}", "create", "deployment", "d", "--image=python:3", "--", "sleep", "9"
    )
    kubectl("delete", "ns", space)
    assert "not found" in kubectl.fails("get", "ns", space)
    assert kubectl(f"--namespace={space}", "get", "cm,deploy,pods").out == ""


def test_cordon_and_taint(own_kubectl, platform):
    kubectl = own_kubectl
    node = kubectl("get", "nodes", "-o", "name").out.strip()

    def created(name: str, why: str) -> None:
        kubectl.apply(builders.pod(name, script="true"))
        eventually(lambda: why in kubectl("get", "pod", name, "-o", "jsonpath={.status}").out)

    assert "cordoned" in kubectl("cordon", node).out
    assert "SchedulingDisabled" in kubectl("get", "nodes").out
    created("cordoned", "Unschedulable")
    assert "uncordoned" in kubectl("uncordon", node).out
    kubectl("wait", "--for=jsonpath={.status.phase}=Succeeded", "pod/cordoned", "--timeout=90s")
    kubectl("taint", "nodes", "--all", "k=v:NoSchedule")
    created("tainted", "untolerated taint")
    tolerant = builders.pod("tolerant", script="true", tolerations=[{"operator": "Exists"}])
    kubectl.apply(tolerant)
    kubectl("wait", "--for=jsonpath={.status.phase}=Succeeded", "pod/tolerant", "--timeout=90s")
    kubectl("taint", "nodes", "--all", "k:NoSchedule-")
    kubectl("wait", "--for=jsonpath={.status.phase}=Succeeded", "pod/tainted", "--timeout=90s")
    kubectl("label", node, "zone=here")
    kubectl.apply(builders.pod("here", script="true", nodeSelector={"zone": "here"}))
    kubectl("wait", "--for=jsonpath={.status.phase}=Succeeded", "pod/here", "--timeout=90s")
    kubectl.apply(builders.deployment("d"))
    kubectl("rollout", "status", "deployment/d", "--timeout=90s")
    kubectl("drain", node, "--ignore-daemonsets", "--force", "--timeout=90s")
    kubectl("uncordon", node)


def test_yaml_comes_back_as_it_went(kubectl):
    kubectl("create", "cm", "c", "--from-literal=text=line 1\nline 2\n", "--from-literal=u=ü €")
    written = kubectl("get", "cm", "c", "-o", "yaml").out
    document = yaml.safe_load(written)
    del document["metadata"]["resourceVersion"], document["metadata"]["uid"]
    kubectl("delete", "cm", "c")
    kubectl("create", "-f", "-", text=yaml.safe_dump(document))
    assert kubectl.get("cm", "c")["data"] == {"text": "line 1\nline 2\n", "u": "ü €"}
