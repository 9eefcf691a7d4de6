"""Maps, secrets, accounts, namespaces, nodes and templates of pods."""

import base64
import functools
import json
import os
import threading
from pathlib import Path

import pytest

case = functools.partial(pytest.mark.conformance, "kubernetes-api", group="test/cmd")

# The platform gives an account a secret with a token where somebody asks for one by its name.
OWN = "--field-selector=type!=kubernetes.io/service-account-token"
DOCKER = ".dockerconfigjson"
CHUNKED = "pods,events"
UNSCHEDULABLE = "{{.spec.unschedulable}}"


@case(name="core: run_configmap_tests")
def test_config_maps(cmd):
    made = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings"}}
    cmd("create", "-f", cmd.file("map.yaml", made | {"data": {"a": "b"}}))
    cmd.shows("configmap/settings", "{{.metadata.name}}", "settings")
    cmd("delete", "configmap", "settings")
    space = cmd.make_space()
    there = ("-n", space)
    create = ("create", "configmap", "settings", "--from-literal=key1=value1", *there)
    cmd.dry(*create)
    cmd.has_not(f"configmaps -n {space}", "settings")
    cmd(*create)
    (cmd.home / "raw").write_bytes(bytes(range(256)))
    cmd("create", "configmap", "binary", f"--from-file={cmd.home}/raw", *there)
    assert cmd.get(f"configmap/settings -n {space}")["data"] == {"key1": "value1"}
    assert "raw" in cmd.get(f"configmap/binary -n {space}")["binaryData"]
    cmd.describes_in_chunks("configmaps", "events", *there)
    cmd("delete", "configmap", "settings", "binary", *there)


@case(name="core: run_create_secret_tests")
def test_create_secrets(cmd):
    create = ("create", "secret", "generic", "mine", "--dry-run=client", "--from-literal=a=b")
    where = ("-o", "jsonpath={.metadata.namespace}")
    assert 'secrets "mine" not found' in cmd.missing("secrets", "mine")
    assert cmd.out(*create, *where, "--namespace=user-specified") == "user-specified"
    assert 'secrets "mine" not found' in cmd.missing("secrets", "mine")
    # No flag has said it; that the context does is for whoever sends it.
    assert cmd.out(*create, *where) == ""

    path = f"/api/v1/namespaces/{cmd.namespace}/configmaps"
    made = ("create", "configmap", "raw", "-o", "json", "--dry-run=client")
    cmd("create", "--raw", path, "-f", "-", text=cmd.out(*made))
    changed = cmd.out(*made, "--from-literal=key1=config1")
    assert '"uid"' in cmd("replace", "--raw", f"{path}/raw", "-f", "-", text=changed)
    assert "config1" in cmd("get", "--raw", f"{path}/raw")
    cmd("delete", "--raw", f"{path}/raw")
    assert 'configmaps "raw" not found' in cmd.missing("configmap", "raw")


@case(name="core: run_secrets_test")
def test_secrets(cmd, request_file):
    create = ("create", "secret", "generic", "test", "--from-literal=key1=value1")
    said = cmd.out(*create, "--dry-run=client", "-o", "yaml", "--server=example.com", "-v=6")
    for words in ("kind: Secret", "apiVersion: v1", "key1: dmFsdWUx"):
        assert words in said
    assert "example.com" not in said
    space = cmd.make_space()
    cmd.lists(f"secrets -n {space} {OWN}")
    secrets_of_each_kind(cmd, space)
    secret_of_plain_text(cmd, space)
    template = ("--output=go-template", "--template={{.metadata.name}}:")
    assert cmd.out(*create, "-n", space, *template) == "test:"


def secrets_of_each_kind(cmd, space):
    there = ("-n", space)

    def creates(kind, type_, *flags):
        cmd("create", "secret", kind, "test", *flags, *there)
        made = cmd.get(f"secret/test -n {space}")
        assert made["type"] == type_
        if kind == "generic":
            cmd.describes_in_chunks("secrets", "", *there)
        cmd("delete", "secret", "test", *there)
        cmd.lists(f"secrets -n {space} {OWN}")
        return made["data"]

    flags = ("--from-literal=key1=value1", "--type=test-type")
    assert creates("generic", "test-type", *flags) == {"key1": "dmFsdWUx"}
    docker = "kubernetes.io/dockerconfigjson"
    person = ("--docker-username=user", "--docker-password=word", "--docker-email=u@test.com")
    written = json.loads(base64.b64decode(creates("docker-registry", docker, *person)[DOCKER]))
    (login,) = written["auths"].values()
    assert (login["username"], login["password"]) == ("user", "word")
    assert base64.b64decode(login["auth"]) == b"user:word"
    config = cmd.file("docker.json", json.dumps({"auths": {"https://foo.example.com": login}}))
    given = creates("docker-registry", docker, f"--from-file={DOCKER}={config}")
    assert json.loads(base64.b64decode(given[DOCKER])) == json.loads(Path(config).read_text())
    # The same certificate twice: from a file, and from a pipe.
    certificate, key = (
        cmd.platform.directory / "pki/admin.crt",
        cmd.platform.directory / "pki/admin.key",
    )
    files = (f"--cert={certificate}", f"--key={key}")
    assert creates("tls", "kubernetes.io/tls", *files).keys() == {"tls.crt", "tls.key"}
    pipe = cmd.home / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_bytes, args=(key.read_bytes(),))
    writer.start()
    assert creates("tls", "kubernetes.io/tls", files[0], f"--key={pipe}")
    writer.join()


def secret_of_plain_text(cmd, space):
    made = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "plain"}}
    made |= {"data": {"k1": "djE=", "k2": ""}, "stringData": {"k2": "v2"}}
    cmd("create", "-n", space, "-f", cmd.file("plain.yaml", made))
    found = cmd.get(f"secret/plain -n {space}")
    assert found["data"] == {"k1": "djE=", "k2": "djI="}
    assert "stringData" not in found
    cmd("delete", "secret", "plain", "-n", space)


@case(name="core: run_service_accounts_tests")
def test_service_accounts(cmd):
    space = cmd.make_space()
    create = ("create", "serviceaccount", "robot", "-n", space)
    cmd.has_not(f"serviceaccount -n {space}", "robot")
    cmd.dry(*create)
    cmd.has_not(f"serviceaccount -n {space}", "robot")
    cmd(*create)
    cmd.shows(f"serviceaccount/robot -n {space}", "{{.metadata.name}}", "robot")
    cmd.describes_in_chunks("serviceaccounts", "events", "-n", space)
    cmd("delete", "serviceaccount", "robot", "-n", space)


@case(name="core: run_namespace_tests")
def test_namespaces(cmd):
    name = f"{cmd.namespace}-mine"
    cmd.missing(f"ns/{name}")
    cmd.dry("create", "namespace", name)
    cmd.missing(f"ns/{name}")
    cmd("create", "namespace", name)
    cmd.shows(f"namespaces/{name}", "{{.metadata.name}}", name)
    cmd.describes_in_chunks("namespaces", "resourcequotas,limitranges")
    cmd("delete", "namespace", name, "--wait=false")
    cmd("wait", "--for=delete", f"ns/{name}")
    cmd.missing(f"ns/{name}")
    deletes_all_namespaces(cmd, name)
    makes_quotas(cmd)
    makes_pods_elsewhere(cmd)


def deletes_all_namespaces(cmd, name):
    cmd("create", "namespace", name)
    # Those that may not be deleted make it fail. The others' are not ours to delete: said only.
    flags = ("-n", name, "--all", "--dry-run=server")
    done = cmd.run("delete", "namespace", *flags)
    assert "deleting cluster-scoped resources" in done.err
    assert f'namespace "{name}" deleted' in done.out
    cmd("delete", "namespace", name)


def makes_quotas(cmd):
    space = cmd.make_space()
    create = ("create", "quota", "limit", "-n", space)
    cmd.lists(f"quota -n {space}")
    cmd.dry(*create)
    cmd.lists(f"quota -n {space}")
    cmd(*create)
    cmd.lists(f"quota -n {space}", "limit")
    cmd.describes_in_chunks("resourcequotas", "", "-n", space)
    cmd("delete", "quota", "limit", "-n", space)


def makes_pods_elsewhere(cmd):
    space = cmd.make_space()
    cmd.lists(f"pods --namespace={space}")
    cmd("create", f"--namespace={space}", "-f", cmd.at("valid-pod.yaml"))
    cmd.lists(f"pods --namespace={space}", "valid-pod")
    cmd.lists(f"pods -n {space}", "valid-pod")
    said = cmd.fails("get", "pod", "valid-pod", "--all-namespaces")
    assert "a resource cannot be retrieved by name across all namespaces" in said
    cmd("delete", "pod", f"--namespace={space}", "valid-pod", "--grace-period=0", "--force")
    cmd.lists(f"pods --namespace={space}")


@case(name="core: run_nodes_tests")
def test_nodes(cmd):
    node = cmd.get("nodes")["items"][0]["metadata"]["name"]
    words = ("Name:", "Labels:", "CreationTimestamp:", "Conditions:", "Addresses:", "Capacity:")
    for what in (f"nodes {node}", "nodes"):
        cmd.describes(what, *words, "Pods:")
        cmd.describes_events(what)
    cmd.describes_in_chunks("nodes", CHUNKED)
    cmd.shows(f"nodes {node}", UNSCHEDULABLE, "<no value>")
    cmd("patch", "nodes", node, '-p={"spec":{"unschedulable":true}}')
    cmd.shows(f"nodes {node}", UNSCHEDULABLE, "true")
    cmd("patch", "nodes", node, '-p={"spec":{"unschedulable":null}}')
    cmd.shows(f"nodes {node}", UNSCHEDULABLE, "<no value>")
    review = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview"}
    made = cmd.file("review.yaml", review | {"spec": {"token": "anything"}})
    assert "tokenreview.authentication.k8s.io/" in cmd("create", "-f", made, "--validate=false")


@case(name="core: run_pod_templates_tests")
def test_pod_templates(cmd):
    spec = {"containers": [{"name": "web", "image": "example.com/web:1"}]}
    made = {"apiVersion": "v1", "kind": "PodTemplate", "metadata": {"name": "web"}}
    template = {"metadata": {"labels": {"name": "web"}}, "spec": spec}
    cmd.lists("podtemplates")
    cmd("create", "-f", cmd.file("template.yaml", made | {"template": template}))
    cmd.lists("podtemplates", "web")
    assert "web" in cmd("get", "podtemplates")
    assert "example.com/web:1" in cmd("get", "podtemplates", "-o", "yaml")
    cmd.describes_in_chunks("podtemplates", "events")
    cmd("delete", "podtemplate", "web")
    cmd.lists("podtemplate")
