"""What kubectl shows and changes, as upstream's sig-cli cases have it."""

import http.client
import json
import re
import socket
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from wherry.objects import kinds
from wherry.testing import builders
from wherry.testing.kubectl import Kubectl
from wherry.testing.waiting import eventually

IMAGE, OTHER_IMAGE = "python:3", "python:3.11"
APP = r"""
import http.server, urllib.parse, urllib.request
entries, primary = [], "%s"
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        url = urllib.parse.urlsplit(self.path)
        query = urllib.parse.parse_qs(url.query)
        if url.path == "/" and primary:
            body = urllib.request.urlopen(f"http://{primary}/?{url.query}", timeout=60).read()
        else:
            entries.extend(query.get("set", []))
            body = ",".join(entries).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *_): pass
http.server.ThreadingHTTPServer(("0.0.0.0", 8080), Handler).serve_forever()
"""


def case(name: str, what: str = "Kubectl client") -> pytest.MarkDecorator:
    full = f"{what} {name}"
    return pytest.mark.conformance("kubernetes-api", group="sig-cli", name=full)


def has(text: str, *lines: str) -> None:
    """State that lines with these words come one after the other; `|` parts words of one line."""
    rest = iter(text.splitlines())
    for words in lines:
        wanted = words.split("|")
        assert any(all(word in line for word in wanted) for line in rest), f"{words}\n{text}"


def deployment(name: str, image: str = IMAGE, **spec: Any) -> str:
    made = builders.deployment(name, **spec)
    del made["metadata"]["namespace"]
    made["spec"]["template"]["spec"]["containers"][0]["image"] = image
    return json.dumps(made)


@case("Kubectl api-versions should check if v1 is in available api versions")
def test_api_versions(kubectl: Kubectl) -> None:
    assert "v1" in kubectl("api-versions").lines


@case(
    "Kubectl cluster-info should check if Kubernetes control plane "
    "services is included in cluster-info"
)
def test_cluster_info(kubectl: Kubectl) -> None:
    plain = re.sub(r"\x1b\[[0-9;]*m", "", kubectl("cluster-info").out)
    assert "Kubernetes control plane is running at" in plain


@case("Kubectl cluster-info dump should check if cluster-info dump succeeds")
def test_cluster_info_dump(kubectl: Kubectl) -> None:
    assert '"NodeList"' in kubectl("cluster-info", "dump").out.replace(" ", "")


@case("Kubectl version should check is all data is printed")
def test_version(kubectl: Kubectl) -> None:
    text = kubectl("version").out
    for side in ("Client", "Server"):
        assert re.search(rf"{side} Version: v\d\.\d+\.[\d\w\-.+]+", text), text


@case("Kubectl get componentstatuses should get componentstatuses")
def test_component_statuses(kubectl: Kubectl) -> None:
    names = kubectl("get", "componentstatuses", "-o", "jsonpath={.items[*].metadata.name}").out
    for name in names.split():
        assert kubectl("get", "componentstatuses", name).table[0]["NAME"] == name


@case("Kubectl diff should check if kubectl diff finds a difference for Deployments")
def test_diff(kubectl: Kubectl) -> None:
    kubectl("create", "-f", "-", text=deployment("web", replicas=0))
    done = kubectl.run("diff", "-f", "-", text=deployment("web", OTHER_IMAGE, replicas=0))
    assert done.code == 1, done.err
    has(done.out, f"-|image: {IMAGE}", f"+|image: {OTHER_IMAGE}")


@case("Kubectl server-side dry-run should check if kubectl can dry-run update Pods")
def test_dry_run(kubectl: Kubectl) -> None:
    kubectl("run", "web", f"--image={IMAGE}", "--command", "--", "sleep", "1000")
    patch = json.dumps({"spec": {"containers": [{"name": "web", "image": OTHER_IMAGE}]}})
    kubectl("patch", "pod", "web", "-p", patch, "--dry-run=server")
    assert kubectl.get("pod", "web")["spec"]["containers"][0]["image"] == IMAGE


@case("Kubectl run pod should create a pod from an image when restart is Never")
def test_run(kubectl: Kubectl) -> None:
    kubectl("run", "web", "--restart=Never", f"--image={IMAGE}")
    spec = kubectl.get("pod", "web")["spec"]
    assert spec["restartPolicy"] == "Never"
    assert [one["image"] for one in spec["containers"]] == [IMAGE]


@case("Kubectl replace should update a single-container pod's image")
def test_replace(kubectl: Kubectl, wait_ready: Callable[..., None]) -> None:
    kubectl("run", "web", f"--image={IMAGE}", "--command", "--", "sleep", "1000")
    wait_ready("pod/web")
    pod = kubectl.get("pod", "web")
    pod["spec"]["containers"][0]["image"] = OTHER_IMAGE
    kubectl("replace", "-f", "-", text=json.dumps(pod))
    assert kubectl.get("pod", "web")["spec"]["containers"][0]["image"] == OTHER_IMAGE


@case("Kubectl label should update the label on a resource")
def test_label(kubectl: Kubectl) -> None:
    kubectl("run", "pause", f"--image={IMAGE}", "--command", "--", "sleep", "1000")
    kubectl("label", "pods", "pause", "testing-label=value")
    assert "value" in kubectl("get", "pod", "pause", "-L", "testing-label").out
    kubectl("label", "pods", "pause", "testing-label-")
    assert "value" not in kubectl("get", "pod", "pause", "-L", "testing-label").out


@case("Kubectl patch should add annotations for pods in rc")
def test_patch(kubectl: Kubectl, running_primary: str) -> None:
    for pod in kubectl("get", "pods", "-o", "name").lines:
        kubectl("patch", pod, "-p", '{"metadata":{"annotations":{"x":"y"}}}')
    [pod] = kubectl.get("pods", "-l", "app=agnhost")["items"]
    assert pod["metadata"]["annotations"]["x"] == "y"


@case(
    "Kubectl describe should check if kubectl describe prints relevant information for rc and pods"
)
def test_describe(kubectl: Kubectl, running_primary: str) -> None:
    ports = [{"port": 6379, "targetPort": "agnhost-server"}]
    spec = {"selector": {"app": "agnhost", "role": "primary"}, "ports": ports}
    meta = {"name": "agnhost-primary", "labels": spec["selector"]}
    service = {"apiVersion": "v1", "kind": "Service", "metadata": meta, "spec": spec}
    kubectl("create", "-f", "-", text=json.dumps(service))
    namespace = kubectl.namespace
    [pod] = kubectl("get", "pods", "-o", "name").lines
    has(
        kubectl("describe", pod).out,
        "Name:|agnhost-primary-",
        f"Namespace:|{namespace}",
        "Node:",
        "Labels:|app=agnhost",
        "role=primary",
        "Annotations:",
        "Status:|Running",
        "IP:",
        "Controlled By:|ReplicationController/agnhost-primary",
        f"Image:|{IMAGE}",
        "State:|Running",
        "QoS Class:|BestEffort",
    )
    has(
        kubectl("describe", "rc", "agnhost-primary").out,
        "Name:|agnhost-primary",
        f"Namespace:|{namespace}",
        "Selector:|app=agnhost,role=primary",
        "Labels:|app=agnhost",
        "role=primary",
        "Annotations:",
        "Replicas:|1 current|1 desired",
        "Pods Status:|1 Running|0 Waiting|0 Succeeded|0 Failed",
        "Pod Template:",
        f"Image:|{IMAGE}",
        "Events:",
    )
    has(
        kubectl("describe", "service", "agnhost-primary").out,
        "Name:|agnhost-primary",
        f"Namespace:|{namespace}",
        "Labels:|app=agnhost",
        "role=primary",
        "Annotations:",
        "Selector:|app=agnhost|role=primary",
        "Type:|ClusterIP",
        "IP:",
        "Port:|<unset>|6379/TCP",
        "Endpoints:",
        "Session Affinity:|None",
    )
    _check_node_and_namespace(kubectl)


def _check_node_and_namespace(kubectl: Kubectl) -> None:
    node = kubectl.get("nodes")["items"][0]["metadata"]["name"]
    has(
        kubectl("describe", "node", node).out,
        f"Name:|{node}",
        "Labels:",
        "Annotations:",
        "CreationTimestamp:",
        "Conditions:",
        "Type|Status|LastHeartbeatTime|LastTransitionTime|Reason|Message",
        "Addresses:",
        "Capacity:",
        "Kernel Version:",
        "OS Image:",
        "Container Runtime Version:",
        "Kubelet Version:",
        "Pods:",
    )
    has(
        kubectl("describe", "namespace", kubectl.namespace).out,
        f"Name:|{kubectl.namespace}",
        "Labels:",
        "Annotations:",
        "Status:|Active",
    )


@case("Kubectl describe should check if kubectl describe prints relevant information for cronjob")
def test_describe_cron_job(kubectl: Kubectl) -> None:
    template = {"spec": builders.job("x")["spec"]}
    spec = {"schedule": "*/1 * * * *", "startingDeadlineSeconds": 30, "jobTemplate": template}
    made = {"apiVersion": "batch/v1", "kind": "CronJob", "metadata": {"name": "c"}, "spec": spec}
    kubectl("create", "-f", "-", text=json.dumps(made))
    has(
        kubectl("describe", "cronjob", "c").out,
        "Name:|c",
        f"Namespace:|{kubectl.namespace}",
        "Labels:",
        "Annotations:",
        "Schedule:|*/1 * * * *",
        "Concurrency Policy:|Allow",
        "Suspend:|False",
        "Successful Job History Limit:|3",
        "Failed Job History Limit:|1",
        "Starting Deadline Seconds:|30s",
        "Selector:",
        "Parallelism:",
        "Completions:",
    )


@case("Kubectl expose should create services for rc")
def test_expose(kubectl: Kubectl, api: Any, running_primary: str) -> None:
    kubectl("expose", "rc", running_primary, "--name=rm2", "--port=1234", "--target-port=6379")
    kubectl("expose", "service", "rm2", "--name=rm3", "--port=2345", "--target-port=6379")
    for name, port in (("rm2", 1234), ("rm3", 2345)):
        [found] = kubectl.get("service", name)["spec"]["ports"]
        assert (found["port"], found["targetPort"]) == (port, 6379)

        def endpoints(label: str = f"kubernetes.io/service-name={name}") -> Any:
            [piece] = api.items(kinds.ENDPOINT_SLICES, kubectl.namespace, labelSelector=label)
            return piece["endpoints"] and [one["port"] for one in piece["ports"]] == [6379]

        eventually(endpoints, what=f"{name} has its endpoint")


@case("Kubectl events should show event when pod is created")
def test_events(kubectl: Kubectl, wait_ready: Callable[..., None]) -> None:
    kubectl("run", "web", f"--image={IMAGE}", "--command", "--", "sleep", "1000")
    wait_ready("pod/web")

    def told() -> bool:
        return "Normal Scheduled Pod/web" in " ".join(
            kubectl("events", "--for=pod/web").out.split()
        )

    eventually(told, what="it was scheduled")
    assert kubectl("events", "--types=WARNING", "--for=pod/web").out == ""


@case("Kubectl create quota should create a quota without scopes")
def test_quota(kubectl: Kubectl) -> None:
    kubectl("create", "quota", "million", "--hard=pods=1000000,services=1000000")
    spec = kubectl.get("quota", "million")["spec"]
    assert not spec.get("scopes")
    assert set(spec["hard"]) == {"pods", "services"}
    assert {float(value.replace("M", "e6")) for value in spec["hard"].values()} == {1e6}


@case("Kubectl create quota should create a quota with scopes")
def test_quota_with_scopes(kubectl: Kubectl) -> None:
    kubectl("create", "quota", "scopes", "--hard=pods=10", "--scopes=BestEffort,NotTerminating")
    scopes = kubectl.get("quota", "scopes")["spec"]["scopes"]
    assert sorted(scopes) == ["BestEffort", "NotTerminating"]


@case("Kubectl create quota should reject quota with invalid scopes")
def test_quota_with_unknown_scopes(kubectl: Kubectl) -> None:
    assert "Foo" in kubectl.fails("create", "quota", "scopes", "--hard=pods=10", "--scopes=Foo")


@case("kubectl wait should ignore not found error with --for=delete")
def test_wait_for_nothing(kubectl: Kubectl) -> None:
    kubectl("wait", "--for=delete", "pod/doesnotexist")
    kubectl("wait", "--for=delete", "pod", "--selector=app.kubernetes.io/name=noexist")


@case("kubectl subresource flag should not be used in a bulk GET")
def test_subresource_of_many(kubectl: Kubectl) -> None:
    complaint = kubectl.fails("get", "nodes", "--subresource=status")
    assert "subresource cannot be used when bulk resources are specified" in complaint


@case(
    "kubectl subresource flag GET on status subresource of built-in type "
    "(node) returns identical info as GET on the built-in type"
)
def test_subresource(kubectl: Kubectl) -> None:
    node = kubectl.get("nodes")["items"][0]["metadata"]["name"]
    wanted = "jsonpath={.metadata.name}{.status.nodeInfo.kubeletVersion}"
    whole = kubectl("get", "nodes", node, "-o", wanted).out
    assert kubectl("get", "nodes", node, "-o", wanted, "--subresource=status").out == whole
    assert whole.startswith(node)


@case("Update Demo should create and stop a replication controller")
def test_controller(kubectl: Kubectl, primary: Any) -> None:
    primary["spec"]["replicas"] = 2
    _replicas(kubectl, primary, 2)
    kubectl("delete", "--grace-period=0", "--force", "-f", "-", text=json.dumps(primary))
    eventually(lambda: not kubectl.get("pods", "-l", "app=agnhost")["items"])


@case("Update Demo should scale a replication controller")
def test_scale_a_controller(kubectl: Kubectl, primary: Any) -> None:
    primary["spec"]["replicas"] = 2
    _replicas(kubectl, primary, 2)
    for number in (1, 2):
        kubectl("scale", "rc", "agnhost-primary", f"--replicas={number}", "--timeout=90s")
        _running(kubectl, number)


def _replicas(kubectl: Kubectl, made: Any, number: int) -> None:
    kubectl("create", "-f", "-", text=json.dumps(made))
    _running(kubectl, number)


def _running(kubectl: Kubectl, number: int) -> None:
    def up() -> bool:
        pods = kubectl.get("pods", "-l", "app=agnhost")["items"]
        stay = [one for one in pods if "deletionTimestamp" not in one["metadata"]]
        states = [one["status"].get("containerStatuses", [{}])[0].get("ready") for one in stay]
        return states == [True] * number

    eventually(up, what=f"{number} pods run")


@case("Guestbook application should create and stop a working application")
def test_guestbook(kubectl: Kubectl, wait_ready: Callable[..., None]) -> None:
    tiers = {
        "agnhost-primary": (1, ""),
        "agnhost-replica": (2, "agnhost-primary:6379"),
        "frontend": (2, "agnhost-primary:6379"),
    }
    objects = []
    for name, (replicas, behind) in tiers.items():
        container = builders.container(
            python=APP % behind,
            readinessProbe={
                "tcpSocket": {"port": 8080},
                "periodSeconds": 1,
            },
        )
        made = builders.deployment(
            name,
            namespace=kubectl.namespace,
            replicas=replicas,
            template={"containers": [container]},
        )
        port = 80 if name == "frontend" else 6379
        objects += [
            builders.service(name, namespace=kubectl.namespace, port=port, target_port=8080),
            made,
        ]
    kubectl(
        "create", "-f", "-", text=json.dumps({"apiVersion": "v1", "kind": "List", "items": objects})
    )
    for name in tiers:
        kubectl("wait", "--for=condition=Available", f"deploy/{name}", "--timeout=90s")
    path = f"/api/v1/namespaces/{kubectl.namespace}/services/frontend:80/proxy/"
    kubectl("get", "--raw", f"{path}?set=TestEntry")
    eventually(lambda: kubectl("get", "--raw", path).out == "TestEntry", what="it is kept")


@case("Proxy server should support proxy with --port 0")
def test_proxy(kubectl: Kubectl) -> None:
    with kubectl.follow("proxy", "-p", "0", "--disable-filter") as proxying:
        proxying.sees("Starting to serve on")
        url = f"http://{proxying.text.split()[-1]}/api/"
        with urllib.request.urlopen(url, timeout=90) as answer:
            assert json.load(answer)["versions"] == ["v1"]


@case("Proxy server should support --unix-socket=/path")
def test_proxy_on_a_socket(kubectl: Kubectl, tmp_path: Path) -> None:
    path = tmp_path / "test"
    with kubectl.follow("proxy", f"--unix-socket={path}") as proxying:
        proxying.sees("Starting to serve on")
        connection = http.client.HTTPConnection("localhost")
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.connect(str(path))
        connection.request("GET", "/api")
        assert json.load(connection.getresponse())["versions"] == ["v1"]
        connection.close()


LINES = "i=0; while [ $i -lt {} ]; do echo line $i; i=$((i+1)); done"


@case("logs should be able to retrieve and filter logs", "Kubectl logs")
def test_logs(kubectl: Kubectl) -> None:
    script = f"{LINES.format(20)}; exec sleep 1000"
    kubectl(
        "run", "g", f"--image={IMAGE}", "--restart=Never", "--command", "--", "sh", "-c", script
    )
    eventually(lambda: "line 19" in kubectl.run("logs", "g").out, what="it has written all")
    written = time.time()
    assert kubectl("logs", "g", "g", "--tail=1").lines == ["line 19"]
    assert len(kubectl("logs", "g", "g", "--limit-bytes=1").out) == 1
    [line] = kubectl("logs", "g", "g", "--tail=1", "--timestamps").lines
    assert re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d) line 19$", line)
    eventually(lambda: time.time() > written + 2.5, what="the lines are older than a second")
    recent, older = (kubectl("logs", "g", "g", f"--since={one}").lines for one in ("1s", "24h"))
    assert len(recent) < len(older) == 20


DEFAULT = "kubectl.kubernetes.io/default-container"


def _two(sleep: str = "") -> list[Any]:
    return [
        builders.container("container-1", script=LINES.format(10) + sleep),
        builders.container("container-2", script=LINES.format(20) + sleep),
    ]


@case(
    "default container logs the second container is the default-container "
    "by annotation should log default container if not specified",
    "Kubectl logs",
)
def test_default_container(kubectl: Kubectl) -> None:
    pod = builders.pod("p", namespace=kubectl.namespace, containers=_two())
    pod["metadata"]["annotations"] = {DEFAULT: "container-2"}
    kubectl.apply(pod)
    kubectl("wait", "--for=jsonpath={.status.phase}=Succeeded", "pod/p", "--timeout=90s")
    assert len(kubectl("logs", "p", "-c", "container-1").lines) == 10
    assert len(kubectl("logs", "p", "--all-containers").lines) == 30
    assert len(kubectl("logs", "p").lines) == 20


@pytest.fixture
def talkers(kubectl: Kubectl) -> set[str]:
    """Run a Deployment of two pods of two containers that have written; give the pods' names."""
    template = {"containers": _two("; exec sleep 1000")}
    made = builders.deployment("d", namespace=kubectl.namespace, replicas=2, template=template)
    made["spec"]["template"]["metadata"]["annotations"] = {DEFAULT: "container-2"}
    kubectl.apply(made)
    kubectl("rollout", "status", "deploy/d", "--timeout=90s")
    pods = {one["metadata"]["name"] for one in kubectl.get("pods")["items"]}

    def written() -> bool:
        return all(
            f"line {last}" in kubectl("logs", pod, "-c", container).out
            for pod in pods
            for container, last in (("container-1", 9), ("container-2", 19))
        )

    eventually(written, what="all have written")
    return pods


ALL_PODS = "all pod logs the Deployment has 2 replicas and each pod has 2 containers"


@case(f"{ALL_PODS} should get logs from all pods based on default container", "Kubectl logs")
def test_logs_of_all_pods(kubectl: Kubectl, talkers: set[str]) -> None:
    lines = kubectl("logs", "deploy/d", "--all-pods").lines
    heads = {line.split(" ")[0] for line in lines}
    assert heads == {f"[pod/{pod}/container-2]" for pod in talkers}


@case(f"{ALL_PODS} should get logs from each pod and each container in Deployment", "Kubectl logs")
def test_logs_of_all_containers(kubectl: Kubectl, talkers: set[str]) -> None:
    lines = kubectl("logs", "deploy/d", "--all-pods", "--all-containers").lines
    heads = {line.split(" ")[0] for line in lines}
    assert heads == {f"[pod/{pod}/container-{number}]" for pod in talkers for number in (1, 2)}
