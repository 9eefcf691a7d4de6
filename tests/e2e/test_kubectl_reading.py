"""Stock kubectl looks: version, discovery, every form of get, describe, explain, auth, config."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from wherry.objects import kinds
from wherry.testing import builders
from wherry.testing.in_process import InProcessPlatform
from wherry.testing.waiting import eventually

WIDGETS = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "gauges.example.com"},
    "spec": {
        "group": "example.com",
        "scope": "Namespaced",
        "names": {"plural": "gauges", "singular": "gauge", "kind": "Gauge", "shortNames": ["gg"]},
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "additionalPrinterColumns": [
                    {"name": "Reading", "type": "integer", "jsonPath": ".spec.reading"}
                ],
                "schema": {
                    "openAPIV3Schema": {
                        "type": "object",
                        "properties": {
                            "spec": {
                                "type": "object",
                                "required": ["reading"],
                                "properties": {
                                    "reading": {"type": "integer", "description": "What it shows."}
                                },
                            }
                        },
                    }
                },
            }
        ],
    },
}


@pytest.fixture(scope="session")
def gauges(shared_platform: InProcessPlatform) -> Iterator[None]:
    resource = kinds.CUSTOM_RESOURCE_DEFINITIONS
    shared_platform.call(shared_platform.client.create(resource, WIDGETS))
    yield
    shared_platform.call(shared_platform.client.delete(resource, "gauges.example.com"))


@pytest.fixture
def maps(kubectl: Any) -> Any:
    """Three ConfigMaps to look at."""
    objects = [builders.config_map(name, key=name) for name in ("c", "a", "b")]
    for obj, color in zip(objects, ("red", "blue", "red"), strict=True):
        obj["metadata"] |= {"namespace": kubectl.namespace, "labels": {"color": color}}
    kubectl.apply(*objects)
    return kubectl


def test_version_and_cluster_info(kubectl):
    found = kubectl("version", "-o", "json").json
    assert int(found["serverVersion"]["minor"].rstrip("+")) >= 30
    assert found["serverVersion"]["gitVersion"].startswith("v1.")
    assert "is running at" in kubectl("cluster-info").out


def test_config_view(kubectl, shared_platform):
    found = kubectl("config", "view", "-o", "json").json
    assert found["clusters"][0]["cluster"]["server"] == shared_platform.url
    assert kubectl("config", "current-context").out.strip() == found["current-context"]
    assert "PRIVATE KEY" not in kubectl("config", "view").out


def test_api_resources_and_versions(kubectl, gauges):
    rows = {row["NAME"]: row for row in kubectl("api-resources").table}
    assert rows["deployments"]["SHORTNAMES"] == "deploy"
    assert rows["deployments"]["APIVERSION"] == "apps/v1"
    assert rows["nodes"]["NAMESPACED"] == "false"
    assert rows["gauges"] == {
        "NAME": "gauges",
        "SHORTNAMES": "gg",
        "APIVERSION": "example.com/v1",
        "NAMESPACED": "true",
        "KIND": "Gauge",
    }
    assert "environments" in rows
    named = kubectl("api-resources", "--api-group=batch", "-o", "name").lines
    assert named == ["cronjobs.batch", "jobs.batch"]
    verbs = kubectl("api-resources", "--verbs=list,watch,delete", "-o", "wide").out
    assert "deletecollection" in verbs
    versions = kubectl("api-versions").lines
    assert {"v1", "apps/v1", "batch/v1", "example.com/v1", "wherry.dev/v1"} <= set(versions)


def test_get_outputs(maps):
    rows = maps("get", "cm").table
    names = ["a", "b", "c", "kube-root-ca.crt"]
    assert [row["NAME"] for row in rows] == names
    assert rows[0]["DATA"] == "1"
    assert yaml.safe_load(maps("get", "cm", "a", "-o", "yaml").out)["data"] == {"key": "a"}
    assert maps("get", "cm", "a", "-o", "json").json["data"] == {"key": "a"}
    assert maps("get", "cm", "a", "-o", "jsonpath={.data.key}").out == "a"
    ranged = "jsonpath={range .items[*]}{.metadata.name} {.metadata.labels.color}{'\\n'}{end}"
    assert maps("get", "cm", "-o", ranged).lines[:3] == ["a blue", "b red", "c red"]
    columns = "custom-columns=NAME:.metadata.name,KEY:.data.key,NONE:.data.none"
    assert maps("get", "cm", "c", "-o", columns).table == [
        {"NAME": "c", "KEY": "c", "NONE": "<none>"}
    ]
    assert maps("get", "cm", "b", "-o", "name").out == "configmap/b\n"
    template = "go-template={{range .items}}{{.metadata.name}} {{end}}"
    assert maps("get", "cm", "-o", template).out.split() == names
    assert maps("get", "cm", "a", "--no-headers").out.split()[:2] == ["a", "1"]
    assert maps("get", "configmap/a", "cm/b", "-o", "name").lines == ["configmap/a", "configmap/b"]
    assert "LABELS" in maps("get", "cm", "--show-labels").lines[0]
    assert [row["COLOR"] for row in maps("get", "cm", "-L", "color").table][:3] == [
        "blue",
        "red",
        "red",
    ]


def test_get_selects_and_sorts(maps):
    def names(*arguments: str) -> list[str]:
        return [row["NAME"] for row in maps("get", "cm", *arguments).table]

    assert names("-l", "color=red") == ["b", "c"]
    assert names("-l", "color in (blue),color!=red") == ["a"]
    assert names("-l", "!color") == ["kube-root-ca.crt"]
    assert names("--field-selector", "metadata.name=b") == ["b"]
    assert names("--field-selector", "metadata.name!=b,metadata.name!=kube-root-ca.crt") == [
        "a",
        "c",
    ]
    assert names("--sort-by=.data.key")[-3:] == ["a", "b", "c"]
    assert names("--sort-by={.metadata.labels.color}", "-l", "color")[0] == "a"
    assert names("--chunk-size=1", "-l", "color") == ["a", "b", "c"]
    rows = maps("get", "cm", "-A", "-l", "color=blue").table
    assert [row["NAMESPACE"] for row in rows] == [maps.namespace]
    assert "No resources found" in maps("get", "cm", "-l", "color=green").err
    assert "not found" in maps.fails("get", "cm", "none")
    assert maps("get", "cm", "none", "--ignore-not-found").out == ""
    assert "not a known field selector" in maps.fails("get", "cm", "--field-selector", "data.key=a")
    assert "the server doesn't have a resource type" in maps.fails("get", "spoons")


def test_get_raw(kubectl):
    assert kubectl("get", "--raw", "/healthz").out == "ok"
    assert kubectl("get", "--raw", "/readyz").out.endswith("ok")
    assert "APIGroupList" in kubectl("get", "--raw", "/apis").out


def test_get_watches(maps):
    with (
        maps.follow("get", "cm", "-w", "-l", "color") as watch,
        maps.follow("get", "cm", "a", "-w", "-o", "jsonpath={.data.key}{'\\n'}") as one,
        maps.follow("get", "cm", "--watch-only", "--output-watch-events") as only,
    ):
        watch.sees("c      1")
        one.sees("a\n")
        # --watch-only shows nothing until something happens: make happen until it does.
        count = 0

        def seen() -> bool:
            nonlocal count
            count += 1
            maps("annotate", "cm", "b", f"count={count}", "--overwrite")
            return "MODIFIED   b " in only.read()

        eventually(seen)
        maps("patch", "cm", "a", "-p", '{"data": {"key": "changed", "other": "x"}}')
        one.sees("changed")
        watch.sees("a      2")
        maps("delete", "cm", "c")
        only.sees("DELETED    c ")


def test_nodes(kubectl):
    columns = (
        "-o=custom-columns=NAME:.metadata.name,CPU:.status.allocatable.cpu,"
        "MEMORY:.status.allocatable.memory"
    )
    [row] = kubectl("get", "nodes", columns).table
    assert float(row["CPU"].removesuffix("m")) > 0
    assert row["MEMORY"].endswith("Ki")
    [wide] = kubectl("get", "nodes", "-o", "wide").table
    assert wide["STATUS"] == "Ready"
    assert wide["CONTAINER-RUNTIME"].startswith("wherry://")
    described = kubectl("describe", "node", row["NAME"]).out
    for words in ("Capacity:", "Allocatable:", "Conditions:", "MemoryPressure", "Non-terminated"):
        assert words in described


def test_describe_workloads(kubectl, world):
    pods = {"containers": [builders.container(env=[{"name": "A", "value": "b"}])]}
    kubectl.apply(
        builders.deployment("d", namespace=kubectl.namespace, template=pods),
        builders.job("j", namespace=kubectl.namespace, completions=1),
        builders.service("s", namespace=kubectl.namespace, app="d", port=8080),
    )
    world.wait_for_condition(kinds.DEPLOYMENTS, "d", "Available")
    world.wait_for_condition(kinds.JOBS, "j", "Complete")
    # Events may come a moment after what they tell of.
    eventually(lambda: "ScalingReplicaSet" in kubectl("describe", "deployment", "d").out)
    deployment = kubectl("describe", "deployment", "d").out
    for words in (
        "1 desired | 1 updated | 1 total | 1 available",
        "NewReplicaSet",
        "RollingUpdate",
    ):
        assert words in deployment
    eventually(lambda: "SuccessfulCreate" in kubectl("describe", "job", "j").out)
    job = kubectl("describe", "job", "j").out
    assert "0 Active (0 Ready) / 1 Succeeded / 0 Failed" in job
    [pod] = world.names(kinds.PODS, "app=d")
    described = kubectl("describe", "pod", pod).out
    for words in ("Controlled By:  ReplicaSet/d-", "A:  b", "python:3", "Running", "BestEffort"):
        assert words in described
    reasons = ["Scheduled", "Pulled", "Created", "Started"]

    def in_the_order_in_which_they_came_about() -> bool:
        told = kubectl("describe", "pod", pod).out.split("Events:")[1].splitlines()[3:]
        shown = [line.split()[1] for line in told if line]
        return [reason for reason in shown if reason in reasons] == reasons

    eventually(in_the_order_in_which_they_came_about)
    eventually(
        lambda: (
            "Endpoints:  "
            in (service := kubectl("describe", "service", "s").out).replace(
                "                ", "  "
            )
            and ":8080" in service.split("Endpoints:")[1]
        )
    )


def test_describe_the_rest(kubectl, world):
    kubectl.apply(
        builders.claim("v", namespace=kubectl.namespace),
        builders.secret("k", namespace=kubectl.namespace, password="unseen"),
        builders.pod("p", namespace=kubectl.namespace, script="true"),
    )
    described = kubectl("describe", "pvc", "v").out
    assert "Access Modes" in described
    secret = kubectl("describe", "secret", "k").out
    assert "password:  6 bytes" in secret
    assert "unseen" not in secret
    kubectl("create", "quota", "q", "--hard=pods=7")
    described = kubectl("describe", "namespace", kubectl.namespace).out
    assert "Status:       Active" in described
    assert "Resource Quotas" in described
    assert "Name:" in kubectl("describe", "sa", "default").out
    assert "standard" in kubectl("get", "sc").out or kubectl("get", "sc").table
    described = kubectl("describe", "pods,cm,sa").out
    assert "kube-root-ca.crt" in described


def test_explain(kubectl, gauges):
    assert "Number of desired pods" in kubectl("explain", "deployment.spec.replicas").out
    pods = kubectl("explain", "pods", "--recursive").out
    assert "terminationGracePeriodSeconds" in pods
    assert "configMapKeyRef" in pods
    assert "What it shows." in kubectl("explain", "gauges.spec.reading").out
    assert "reading" in kubectl("explain", "gg", "--recursive").out
    assert "-required-" in kubectl("explain", "gauges.spec").out
    kubectl("explain", "environments.spec")
    assert "does not exist" in kubectl.fails("explain", "pods.spec.nothing")


def test_custom_resources(kubectl, gauges):
    gauge = {"apiVersion": "example.com/v1", "kind": "Gauge", "metadata": {"name": "g"}}
    assert (
        "created"
        in kubectl("apply", "-f", "-", text=json.dumps(gauge | {"spec": {"reading": 3}})).out
    )
    [row] = kubectl("get", "gg").table
    assert row == {"NAME": "g", "READING": "3"}
    assert "integer" in kubectl.fails(
        "apply", "-f", "-", text=json.dumps(gauge | {"spec": {"reading": "much"}})
    )
    unknown = json.dumps(gauge | {"spec": {"reading": 3, "colour": "red"}})
    assert 'unknown field "spec.colour"' in kubectl.fails("apply", "-f", "-", text=unknown)
    assert "Reading" in kubectl("describe", "gauge", "g").out
    kubectl("patch", "gauge", "g", "--type=merge", "-p", '{"spec": {"reading": 4}}')
    assert kubectl.get("gauge", "g")["spec"] == {"reading": 4}
    kubectl("delete", "gauges", "--all")


def test_auth(kubectl, shared_platform):
    assert kubectl("auth", "can-i", "create", "pods").out == "yes\n"
    assert (
        "kubernetes-admin" in kubectl("auth", "whoami").out
        or kubectl("auth", "whoami", "-o", "json").json["status"]["userInfo"]["username"]
    )
    account = f"system:serviceaccount:{kubectl.namespace}:default"
    assert kubectl.run("auth", "can-i", "list", "secrets", f"--as={account}").out == "no\n"
    assert "cannot list resource" in kubectl.fails("get", "secrets", f"--as={account}")
    kubectl("create", "role", "reader", "--verb=get,list", "--resource=secrets")
    kubectl(
        "create",
        "rolebinding",
        "reader",
        "--role=reader",
        f"--serviceaccount={kubectl.namespace}:default",
    )
    assert kubectl("auth", "can-i", "list", "secrets", f"--as={account}").out == "yes\n"
    assert "secrets" in kubectl("auth", "can-i", "--list", f"--as={account}").out
    token = kubectl("create", "token", "default").out.strip()
    blank = kubectl.home / "empty-kubeconfig"
    blank.write_text("")
    way = [f"--server={shared_platform.url}", f"--token={token}", f"--kubeconfig={blank}"]
    way.append(f"--certificate-authority={shared_platform.directory}/pki/ca.crt")
    assert account in kubectl("auth", "whoami", *way).out
    kubectl("get", "secrets", *way)
    assert "cannot list resource" in kubectl.fails("get", "pods", *way)


def test_events(kubectl, world):
    kubectl.apply(builders.pod("p", namespace=kubectl.namespace, script="true"))
    world.wait_for_phase("p", "Succeeded")
    eventually(lambda: all(one in kubectl("events").out for one in ("Scheduled", "Started")))
    rows = kubectl("events", "--for=pod/p").table
    assert {"Scheduled", "Started"} <= {row["REASON"] for row in rows}
    shown = kubectl("get", "events", "--field-selector=involvedObject.name=p,type=Normal").table
    assert {row["OBJECT"] for row in shown} == {"pod/p"}
    sorted_ = kubectl("get", "events", "--sort-by=.lastTimestamp").table
    assert len(sorted_) >= 4
    with kubectl.follow("events", "--watch") as watch:
        watch.sees("Scheduled")
