"""apply, get, delete, logs and why against a real server over TLS."""

import json
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from wherry.objects import errors, kinds
from wherry.testing.waiting import eventually

Run = Callable[..., Any]

CONFIG = """
apiVersion: v1
kind: ConfigMap
metadata: {name: settings, labels: {app: web}}
data: {a: "1", b: "2"}
"""
CRD = """
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: boats.example.com}
spec:
  group: example.com
  scope: Namespaced
  names: {plural: boats, singular: boat, kind: Boat, shortNames: [bt]}
  versions:
  - name: v1
    served: true
    storage: true
    schema:
      openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}
"""


def write(path: Path, text: str) -> str:
    path.write_text(text)
    return str(path)


def test_apply_creates_then_configures_then_leaves(
    wherry: Run, tmp_path: Path, cluster: Any, namespace: str
) -> None:
    path = tmp_path / "a.yaml"
    assert wherry("apply", "-f", write(path, CONFIG)).out == "configmap/settings created\n"
    assert wherry("apply", "-f", str(path)).out == "configmap/settings unchanged\n"
    changed = CONFIG.replace('a: "1", b: "2"', 'b: "3"')
    assert wherry("apply", "-f", write(path, changed)).out == "configmap/settings configured\n"
    stored = cluster.run(cluster.client.get(kinds.CONFIG_MAPS, "settings", namespace))
    assert stored["data"] == {"b": "3"}


def test_apply_leaves_what_others_set(
    wherry: Run, tmp_path: Path, cluster: Any, namespace: str
) -> None:
    path = write(tmp_path / "a.yaml", CONFIG)
    wherry("apply", "-f", path)
    patch = {"data": {"theirs": "x"}}
    cluster.run(cluster.client.patch(kinds.CONFIG_MAPS, "settings", patch, namespace))
    assert wherry("apply", "-f", path).out == "configmap/settings unchanged\n"


def test_quantities_in_other_words_are_no_change(wherry: Run, tmp_path: Path) -> None:
    path = write(
        tmp_path / "pod.yaml",
        "{apiVersion: v1, kind: Pod, metadata: {name: p}, spec: {containers: [{name: c, image: i,"
        " resources: {requests: {cpu: '0.5'}}}]}}",
    )
    assert wherry("apply", "-f", path).out == "pod/p created\n"
    assert wherry("apply", "-f", path).out == "pod/p unchanged\n"


def test_kubectl_and_wherry_apply_agree(
    wherry: Run, tmp_path: Path, cluster: Any, namespace: str
) -> None:
    kubectl = Path(sys.executable).with_name("kubectl")
    path = write(tmp_path / "a.yaml", CONFIG)
    wherry("apply", "-f", path)
    command = [str(kubectl), f"--kubeconfig={cluster.kubeconfig}", "-n", namespace]
    command += [f"--cache-dir={tmp_path}/cache", "apply", "-f", path]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("configmap/settings unchanged\n", "")
    write(tmp_path / "a.yaml", CONFIG.replace('b: "2"', 'c: "2"'))
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert wherry("apply", "-f", path).out == "configmap/settings unchanged\n"


def test_a_definition_and_its_objects_in_one_file(wherry: Run, tmp_path: Path) -> None:
    boat = "apiVersion: example.com/v1\nkind: Boat\nmetadata: {name: wherry}\nspec: {oars: 2}\n"
    path = tmp_path / "all.yaml"
    outcome = wherry("apply", "-f", write(path, f"{CRD}---\n{boat}"))
    assert outcome.out.splitlines()[1] == "boat.example.com/wherry created"
    write(path, boat.replace("oars: 2", "sails: 1"))
    assert wherry("apply", "-f", str(path)).out == "boat.example.com/wherry configured\n"
    assert json.loads(wherry("get", "bt", "wherry", "-o", "json").out)["spec"] == {"sails": 1}


def test_apply_names_the_place_of_a_fault_and_goes_on(wherry: Run, tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    nameless, unknown = "kind: Pod\n", "apiVersion: a/v1\nkind: B\nmetadata: {name: c}\n"
    text = "---\n".join((nameless, CONFIG, CONFIG.replace("data:", "dada:"), unknown))
    outcome = wherry("apply", "-f", write(path, text))
    assert outcome.code == 1
    assert outcome.out.startswith("configmap/settings created\n")
    assert f"{path}, document 1: apiVersion is missing" in outcome.err
    assert f'{path}, document 4: no matches for kind "B" in version "a/v1"' in outcome.err


def test_apply_reads_stdin(cluster: Any, namespace: str) -> None:
    command = [
        sys.executable,
        "-m",
        "wherry.cli",
        "apply",
        "--kubeconfig",
        cluster.kubeconfig,
        "-n",
        namespace,
        "-f",
        "-",
    ]
    done = subprocess.run(command, input=CONFIG, capture_output=True, text=True, check=True)
    assert done.stdout == "configmap/settings created\n"


def test_namespaces_that_contradict_are_refused(wherry: Run, tmp_path: Path) -> None:
    text = CONFIG.replace("name: settings", "name: settings, namespace: elsewhere")
    outcome = wherry("apply", "-f", write(tmp_path / "a.yaml", text))
    assert (outcome.code, outcome.out) == (1, "")
    assert "the object says 'elsewhere'" in outcome.err


@pytest.fixture
def three(wherry: Run, tmp_path: Path) -> None:
    text = "---\n".join(CONFIG.replace("settings", name) for name in ("one", "two", "six"))
    wherry("apply", "-f", write(tmp_path / "three.yaml", text))


@pytest.mark.usefixtures("three")
def test_get_prints_tables(wherry: Run, namespace: str) -> None:
    lines = wherry("get", "cm").out.splitlines()
    assert lines[0].split() == ["NAME", "DATA", "AGE"]
    assert [line.split()[:2] for line in lines[1:]] == [["one", "2"], ["six", "2"], ["two", "2"]]
    assert wherry("get", "configmap/two", "ConfigMap/one").out.splitlines()[1].startswith("two")
    assert (
        wherry("get", "cm", "-l", "app=web", "-o", "name").out
        == "configmap/one\nconfigmap/six\nconfigmap/two\n"
    )
    everywhere = wherry("get", "cm,sa", "-A").out
    assert [namespace, "configmap/one"] in [line.split()[:2] for line in everywhere.splitlines()]
    assert "serviceaccount/default" in everywhere


@pytest.mark.usefixtures("three")
def test_get_prints_objects(wherry: Run) -> None:
    assert yaml.safe_load(wherry("get", "cm", "one", "-o", "yaml").out)["data"] == {
        "a": "1",
        "b": "2",
    }
    listed = json.loads(wherry("get", "cm", "-o", "json").out)
    assert listed["kind"] == "List"
    assert {item["kind"] for item in listed["items"]} == {"ConfigMap"}


def test_get_says_what_is_not_there(wherry: Run, namespace: str) -> None:
    assert wherry("get", "pods").err == f"No resources found in {namespace} namespace.\n"
    outcome = wherry("get", "pod", "nope")
    assert (outcome.code, outcome.err) == (1, 'wherry: pods "nope" not found\n')
    outcome = wherry("get", "pdos")
    assert (outcome.code, outcome.err) == (
        2,
        "wherry: the server has no kind called 'pdos'; did you mean pods or po or ds?\n",
    )


def test_get_watches(cluster: Any, namespace: str, three: None) -> None:
    command = [
        sys.executable,
        "-m",
        "wherry.cli",
        "get",
        "cm",
        "-w",
        "--kubeconfig",
        cluster.kubeconfig,
        "-n",
        namespace,
    ]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    heading = [process.stdout.readline() for _ in range(4)]
    assert heading[0].startswith("NAME")
    metadata = {"name": "late", "namespace": namespace}
    cluster.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata})
    assert process.stdout.readline().split()[:2] == ["late", "0"]
    cluster.run(cluster.client.patch(kinds.CONFIG_MAPS, "late", {"data": {"x": "y"}}, namespace))
    assert process.stdout.readline().split()[:2] == ["late", "1"]
    process.send_signal(2)
    _, err = process.communicate(timeout=90)
    assert (process.returncode, err) == (130, "")


@pytest.mark.usefixtures("three")
def test_delete(wherry: Run) -> None:
    assert (
        wherry("delete", "cm", "one", "two").out
        == 'configmap "one" deleted\nconfigmap "two" deleted\n'
    )
    outcome = wherry("delete", "cm/one")
    assert (outcome.code, outcome.err) == (1, 'wherry: configmaps "one" not found\n')
    assert wherry("delete", "cm/one", "--ignore-not-found").code == 0
    assert wherry("delete", "cm").code == 2
    assert wherry("delete", "cm", "--all").code == 0
    assert wherry("get", "cm", "-o", "name").out == ""


def test_messages_do_not_command_the_terminal(wherry: Run, cluster: Any, namespace: str) -> None:
    about = {"apiVersion": "v1", "kind": "Pod", "name": "p", "namespace": namespace}
    event = {
        "metadata": {"name": "loud", "namespace": namespace},
        "involvedObject": about,
        "reason": "Loud",
        "type": "Normal",
        "message": "\x1b[2Jlook",
    }
    cluster.run(cluster.client.create(kinds.EVENTS, event))
    shown = wherry("get", "events").out
    assert "^[[2Jlook" in shown
    assert "\x1b" not in shown


def test_delete_by_file_waits_for_finalizers(
    wherry: Run, tmp_path: Path, cluster: Any, namespace: str
) -> None:
    text = CONFIG.replace("name: settings", "name: settings, finalizers: [example.com/slow]")
    path = write(tmp_path / "a.yaml", text)
    wherry("apply", "-f", path)

    def is_going() -> bool:
        found = cluster.run(cluster.client.get(kinds.CONFIG_MAPS, "settings", namespace))
        return "deletionTimestamp" in found["metadata"]

    def let_go() -> None:
        eventually(is_going, 60)
        patch = {"metadata": {"finalizers": None}}
        cluster.run(cluster.client.patch(kinds.CONFIG_MAPS, "settings", patch, namespace))

    letting_go = threading.Thread(target=let_go)
    letting_go.start()
    assert wherry("delete", "-f", path, "--timeout", "90").code == 0
    letting_go.join()
    with pytest.raises(errors.NotFoundError):
        cluster.run(cluster.client.get(kinds.CONFIG_MAPS, "settings", namespace))
    wherry("apply", "-f", path)
    outcome = wherry("delete", "-f", path, "--timeout", "0.1")
    assert outcome.code == 1
    assert "held by finalizers example.com/slow" in outcome.err
    let_go()


def test_logs_say_what_is_wrong(wherry: Run, cluster: Any, namespace: str) -> None:
    assert 'pods "nope" not found' in wherry("logs", "nope").err
    assert "has no pods of its own" in wherry("logs", "sa/default").err
    spec: Any = {"selector": {"app": "web"}, "ports": [{"port": 80}]}
    metadata = {"name": "web", "namespace": namespace}
    cluster.create({"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec})
    outcome = wherry("logs", "svc/web")
    assert (outcome.code, outcome.err) == (
        1,
        "wherry: svc/web has no pods; `wherry why svc/web` says why\n",
    )


def test_why_walks_over_the_network(wherry: Run, cluster: Any, namespace: str) -> None:
    spec: Any = {
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": "1Gi"}},
        "storageClassName": "fast",
    }
    metadata = {"name": "data", "namespace": namespace}
    cluster.create(
        {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": metadata, "spec": spec}
    )
    outcome = wherry("why", "pvc/data")
    assert outcome.code == 0
    assert "wants storageclass/fast, which does not exist" in outcome.out
    told = json.loads(wherry("why", "pvc/data", "-o", "json").out)
    assert told["state"] == "failed"
    assert told["lookedAt"][0] == "persistentvolumeclaim/data"
    outcome = wherry("why", "pvc/dat")
    assert outcome.code == 1
    assert "did you mean data?" in outcome.out
