"""Templates without a container: objects, requests and lists, with the rights of the Workflow's account."""

import http.server
import json
import threading

import pytest

from wherry.objects import kinds as core
from wherry.pipelines.steps.draft import StepError

pytestmark = pytest.mark.timeout(600)


@pytest.fixture
def account(nodes):
    """Name of an account that may do with ConfigMaps and Jobs what it likes."""
    nodes.create(core.SERVICE_ACCOUNTS, "worker", {})
    rules = [
        {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["*"]},
        {"apiGroups": ["batch"], "resources": ["jobs"], "verbs": ["*"]},
    ]
    nodes.create(core.ROLES, "worker", {"rules": rules})
    subject = {"kind": "ServiceAccount", "name": "worker", "namespace": nodes.namespace}
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "worker"}
    nodes.create(core.ROLE_BINDINGS, "worker", {"subjects": [subject], "roleRef": role})
    return {"serviceAccountName": "worker"}


def _map(name, **data):
    return json.dumps(
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}
    )


def _resource(action, manifest="", outputs=(), **fields):
    template = {"resource": {"action": action, "manifest": manifest, **fields}}
    return {**template, "outputs": {"parameters": [*outputs]}} if outputs else template


def _asked(name, **source):
    return {"name": name, "valueFrom": source}


def test_objects_are_made_changed_read_and_deleted(nodes, account):
    def config_map():
        return nodes.platform.call(nodes.client.get(core.CONFIG_MAPS, "held", nodes.namespace))

    raw = _map("held", a="1", shell="$$ $(HOME)")
    made = nodes.run(_resource("create", raw, setOwnerReference=True), spec=account)
    assert made.succeeded, made.why
    assert config_map()["data"]["shell"] == "$$ $(HOME)"
    assert (
        config_map()["metadata"]["ownerReferences"][0]["uid"] == nodes.workflow["metadata"]["uid"]
    )
    for step in (
        _resource("apply", _map("held", b="2")),
        _resource(
            "patch", '{"data": {"c": "3"}}', flags=["configmap", "held"], mergeStrategy="merge"
        ),
        _resource(
            "patch",
            '[{"op": "add", "path": "/data/d", "value": "4"}]',
            flags=["cm/held"],
            mergeStrategy="json",
        ),
    ):
        done = nodes.run(step, spec=account)
        assert done.succeeded, done.why
    assert config_map()["data"].items() >= {"a": "1", "b": "2", "c": "3", "d": "4"}.items()
    asked = [_asked("one", jsonPath="{.data.a}-{.metadata.name}"), _asked("none", jsonPath="{.x}")]
    read = nodes.run(_resource("get", outputs=asked, flags=["configmap", "held"]), spec=account)
    assert read.outputs.parameters == {"one": "1-held", "none": ""}
    text = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: second\n"
    told = {"artifact": {"name": "manifest", "raw": {"data": text}}}
    second = nodes.run(_resource("create", manifestFrom=told), spec=account)
    assert second.succeeded, second.why
    third = {"name": "third", "path": "/tmp/m", "raw": {"data": text.replace("second", "third")}}
    taken = _resource("create", manifestFrom={"artifact": {"name": "third"}})
    ran = nodes.run({**taken, "inputs": {"artifacts": [third]}}, spec=account)
    assert ran.succeeded, ran.why
    gone = nodes.run(_resource("delete", _map("held")), spec=account)
    again = nodes.run(_resource("delete", _map("held")), spec=account)
    assert gone.succeeded, gone.why
    assert again.succeeded, again.why


def test_what_the_account_may_not_do_is_refused(nodes, account):
    order = nodes.order(_resource("create", _map("held")))
    nodes.start(order)
    assert "cannot create resource" in nodes.why(order)
    secret = json.dumps({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "x"}})
    order = nodes.order(_resource("create", secret), spec=account)
    nodes.start(order)
    assert "cannot create resource" in nodes.why(order)


@pytest.mark.slow
def test_a_job_is_waited_for(nodes, account):
    def job(name, script):
        container = {"name": "main", "image": "python:3.11", "command": ["sh", "-c", script]}
        pod = {"spec": {"restartPolicy": "Never", "containers": [container]}}
        spec = {"template": pod, "backoffLimit": 0}
        return json.dumps(
            {
                "apiVersion": "batch/v1",
                "kind": "Job",
                "metadata": {"generateName": name},
                "spec": spec,
            }
        )

    conditions = {
        "successCondition": "status.succeeded > 0",
        "failureCondition": "status.failed > 0",
    }
    asked = [
        _asked("name", jsonPath="{.metadata.name}"),
        _asked("count", jqFilter=".status | .succeeded, .failed"),
    ]
    done = nodes.run(_resource("create", job("well-", "true"), asked, **conditions), spec=account)
    assert done.succeeded, done.why
    assert done.outputs.parameters["name"].startswith("well-")
    assert done.outputs.parameters["count"].split("\n")[0] == "1"
    order = nodes.order(_resource("create", job("badly-", "exit 1"), **conditions), spec=account)
    nodes.start(order)
    assert "failure condition status.failed>0 holds" in nodes.why(order)


class _Echo(http.server.BaseHTTPRequestHandler):
    """Answers with what it is asked."""

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"] or 0)).decode()
        told = json.dumps({"key": self.headers["X-Key"], "body": body}).encode()
        self.send_response(int(self.path.strip("/")))
        self.send_header("X-Kind", "echo")
        self.end_headers()
        self.wfile.write(told)

    def log_message(self, *_):
        """Say nothing."""


@pytest.fixture
def echo():
    """URL of a server that answers with the status in the path."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Echo)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_requests_are_made_and_judged_by_their_status(nodes, echo):
    nodes.create(core.SECRETS, "keys", {"stringData": {"key": "hidden"}})
    key = {"name": "X-Key", "valueFrom": {"secretKeyRef": {"name": "keys", "key": "key"}}}
    told = {"url": f"{echo}/200", "method": "POST", "headers": [key], "body": "asked"}
    done = nodes.run({"http": told})
    assert done.succeeded, done.why
    assert json.loads(done.outputs.result) == {"key": "hidden", "body": "asked"}
    assert "hidden" not in json.dumps(done.pod)
    order = nodes.order({"http": {**told, "url": f"{echo}/503"}})
    nodes.start(order)
    assert "received non-2xx response code: 503" in nodes.why(order)


@pytest.mark.slow
def test_requests_are_judged_by_a_condition(nodes, echo):
    told = {"url": f"{echo}/404", "method": "POST", "body": "asked", "timeoutSeconds": 20}
    holds = (
        'response.statusCode == 404 && response.body contains "asked" '
        '&& response.headers["X-Kind"][0] == "echo" && request.method == "POST"'
    )
    done = nodes.run({"http": {**told, "successCondition": holds}})
    assert done.succeeded, done.why
    order = nodes.order({"http": {**told, "successCondition": "response.statusCode == 200"}})
    nodes.start(order)
    assert "evaluated false" in nodes.why(order)


@pytest.mark.slow
def test_files_are_listed_and_the_list_is_transformed(nodes):
    for name in ("a.log", "b.txt", "c.log"):
        out = {"name": "x", "path": "/tmp/x", "s3": {"key": f"listed/{name}"}}
        assert nodes.shell("echo x > /tmp/x", outputs={"artifacts": [out]}).succeeded
    source = {"artifactPaths": {"name": "listed", "s3": {"key": "listed"}}}
    steps = [{"expression": 'filter(data, {# endsWith ".log"})'}, {"expression": "len(data)"}]
    found = nodes.run({"data": {"source": source, "transformation": steps[:1]}})
    assert found.succeeded, found.why
    assert json.loads(found.outputs.result) == ["a.log", "c.log"]
    counted = nodes.run({"data": {"source": source, "transformation": steps}})
    assert counted.outputs.result == "2"


def test_a_manifest_that_cannot_be_read_is_told(nodes):
    with pytest.raises(StepError, match=r"resource.manifest is neither YAML nor JSON"):
        nodes.run(_resource("create", "{a: [}"))
