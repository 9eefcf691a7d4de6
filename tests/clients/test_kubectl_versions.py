"""A day's commands with each minor version of kubectl that can be had: they say what they always say.

The oldest is the machine's own, where there is one; others come from packages. What is special of the
oldest and the newest is under `tests/e2e/`.
"""

import contextlib
import json
import re
import shlex
import shutil
import sys
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from wherry.objects import kinds
from wherry.testing import builders
from wherry.testing.in_process import InProcessPlatform
from wherry.testing.kubectl import Kubectl
from wherry.testing.waiting import eventually

pytestmark = pytest.mark.slow

SERVER = "import http.server as h; h.test(h.SimpleHTTPRequestHandler, port=8080, bind='127.0.0.1')"
_VERSIONS: dict[str, Callable[[Path], str | None]] = {
    "machine": lambda _: shutil.which("kubectl", path="/usr/local/bin:/usr/bin:/bin"),
    "packaged": lambda environment: str(environment / "bin" / "kubectl"),
    "newest": lambda _: str(Path(sys.executable).with_name("kubectl")),
}


@pytest.fixture(params=_VERSIONS)
def kubectl(
    request: pytest.FixtureRequest,
    environment: Path,
    shared_platform: InProcessPlatform,
    namespace: str,
    tmp_path: Path,
) -> Kubectl:
    """Give each kubectl in turn."""
    found = _VERSIONS[request.param](environment)
    if found is None:
        pytest.skip("there is no kubectl on this machine")
    return Kubectl(found, shared_platform.kubeconfig, tmp_path, namespace)


@pytest.fixture
def says(kubectl: Kubectl) -> Callable[..., str]:
    """Give what runs a command line and looks at what it says."""

    def look(line: str, *patterns: str, text: str = "") -> str:
        out = kubectl(*shlex.split(line), text=text).out
        for pattern in patterns:
            assert re.search(pattern, out, re.MULTILINE), f"{line}: {pattern!r} not in\n{out}"
        return out

    return look


@pytest.fixture
def web(kubectl: Kubectl) -> str:
    """A Deployment with a Service, ready."""
    main = builders.container("main", python=SERVER)
    main["ports"] = [{"name": "http", "containerPort": 8080}]
    main["readinessProbe"] = {"httpGet": {"port": 8080}, "periodSeconds": 1}
    template = {"containers": [main], "terminationGracePeriodSeconds": 0}
    deployment = builders.deployment("web", namespace=kubectl.namespace, template=template)
    service = builders.service("web", namespace=kubectl.namespace, target_port=8080)
    kubectl.apply(deployment, service)
    kubectl("wait", "deployment/web", "--for=condition=Available", "--timeout=90s")
    return "web"


def test_the_versions_differ(environment: Path):
    """What is meant to be another version is another."""
    said = set()
    for find in _VERSIONS.values():
        if binary := find(environment):
            client = Kubectl(binary, Path("none"), environment, "default")
            version = client("version", "--client", "-o", "json").json["clientVersion"]
            said.add((version["major"], re.sub(r"\D", "", version["minor"])))
    assert len(said) >= 2
    assert max(said) >= ("1", "37")


def test_objects(says, kubectl, tmp_path):
    manifest = tmp_path / "map.yaml"
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}, "data": {"a": "1"}}
    manifest.write_text(json.dumps(body))
    says(f"apply -f {manifest}", r"^configmap/c created$")
    says(f"apply -f {manifest}", r"^configmap/c unchanged$")
    body["data"] = {"a": "2"}
    manifest.write_text(json.dumps(body))
    differing = kubectl.run("diff", "-f", str(manifest))
    assert differing.code == 1, differing.err
    assert re.search(r'^-  a: "1"\n\+  a: "2"$', differing.out, re.MULTILINE)
    says(f"apply -f {manifest} --server-side --force-conflicts", r"c serverside-applied$")
    says(f"apply -f {manifest}", r"^configmap/c ")
    assert kubectl.run("diff", "-f", str(manifest)).code == 0
    says("label configmap c tier=front", r"^configmap/c labeled$")
    says("annotate configmap c note=x", r"^configmap/c annotated$")
    says("""patch configmap c --type merge -p '{"data":{"b":"3"}}'""", r"^configmap/c patched$")
    says("get configmap c -o jsonpath={.data.b}", r"^3$")
    says("get configmap -l tier=front -o name", r"^configmap/c$")
    says("get configmap c -o yaml", r"^  a: \"2\"$", r"^kind: ConfigMap$")
    says("get configmap c -o custom-columns=N:.metadata.name,A:.data.a", r"^c +2$")
    says("describe configmap c", r"^Name: +c$", r"^b:$")
    says("create secret generic s --from-literal=k=v", r"^secret/s created$")
    says("get secret s -o go-template={{.data.k}}", r"^dg==$")
    says("replace -f -", r"^configmap/c replaced$", text=json.dumps(body))
    says("get configmap c -o jsonpath={.data}", r'^\{"a":"2"\}$')
    says("delete configmap c", r'^configmap "c" deleted')
    assert "NotFound" in kubectl.fails("get", "configmap", "c")


def test_reading(says, kubectl, web):
    says("version", r"^Server Version: v1\.")
    says("get pods -o wide", r"^NAME .* NODE ", r"^web-\w+-\w+ +1/1 +Running")
    says("get all", r"^deployment.apps/web +1/1", r"^service/web +ClusterIP", r"^replicaset.apps/")
    says("get services -A --sort-by=.metadata.name", r"^\S+ +kubernetes ", r" web ")
    says("describe deployment web", r"^Replicas: +1 desired \| 1 updated", r"ScalingReplicaSet")
    says("describe pods -l app=web", r"^Status: +Running$", r"^Events:$", r"Started")
    says("explain deployment.spec.strategy", r"^KIND: +Deployment$", r"rollingUpdate")
    says("explain pod.spec.containers --recursive", r"imagePullPolicy")
    says("api-resources --api-group=apps", r"^deployments +deploy +apps/v1 +true +Deployment$")
    says("api-versions", r"^apps/v1$")
    says("events", r"SuccessfulCreate", r"ScalingReplicaSet")
    says("get events --field-selector involvedObject.kind=Deployment", r"deployment/web")
    says("cluster-info", r"is running at")
    says("get --raw /readyz", r"^ok")


def test_rollouts(says, kubectl, web):
    says("rollout status deployment/web", r"successfully rolled out")
    says("scale deployment/web --replicas=2", r"scaled$")
    says("wait deployment/web --for=jsonpath={.status.readyReplicas}=2 --timeout=90s")
    says("set env deployment/web A=b", r"env updated$")
    says("rollout status deployment/web --timeout=90s", r"successfully rolled out")
    says("rollout history deployment/web", r"^1 ", r"^2 ")
    says("rollout undo deployment/web", r"rolled back$")
    says("rollout restart deployment/web", r"restarted$")
    says("rollout status deployment/web --timeout=90s", r"successfully rolled out")
    says("autoscale deployment/web --min=1 --max=2", r"autoscaled$")
    says("get hpa web", r"Deployment/web")
    says("delete deployment web --cascade=foreground", r"deleted")
    says("wait pods -l app=web --for=delete --timeout=90s")


def test_inside(says, kubectl, web, tmp_path):
    says("logs deployment/web --tail=5")
    says("exec deploy/web -- echo hello", r"^hello$")
    says("exec -i deploy/web -- cat", r"^typed$", text="typed\n")
    pod = says("get pods -l app=web -o name").split()[0].removeprefix("pod/")
    (tmp_path / "sent").write_text("content")
    place = tmp_path / "in-pod"
    says(f"cp sent {pod}:{place}")
    says(f"exec {pod} -- cat {place}", r"^content$")
    says(f"cp {pod}:{place} back")
    assert (tmp_path / "back").read_text() == "content"
    with forwarded(kubectl) as url, urllib.request.urlopen(url, timeout=90) as answer:
        assert answer.status == 200
    arguments = f"{pod} --image=python:3 --container=debugger --target=main"
    says(f"debug {arguments} --attach=false -- echo looked", r"")
    eventually(lambda: "looked" in kubectl.run("logs", pod, "-c", "debugger").out)
    done = kubectl("run", "once", "-i", "--rm", "--restart=Never", "--image=python:3",
                   "--", "sh", "-c", "read x; echo got $x", text="it\n")  # fmt: skip
    assert "got it" in done.out


@contextlib.contextmanager
def forwarded(kubectl: Kubectl) -> Iterator[str]:
    """Forward a port of the service; gives the URL."""
    with kubectl.follow("port-forward", "svc/web", ":80") as forwarding:
        forwarding.sees("Forwarding from 127.0.0.1")
        found = re.search(r"127\.0\.0\.1:(\d+)", forwarding.text)
        assert found is not None
        yield f"http://127.0.0.1:{found[1]}/"


def test_rights(says, kubectl, namespace):
    says("create serviceaccount robot", r"created$")
    says("create role reader --verb=get,list --resource=pods", r"created$")
    account = f"--serviceaccount={namespace}:robot"
    says(f"create rolebinding reader --role=reader {account}", r"created$")
    user = f"--as=system:serviceaccount:{namespace}:robot"
    says(f"auth can-i list pods {user}", r"^yes$")
    refused = kubectl.run("auth", "can-i", "delete", "pods", user)
    assert (refused.code, refused.out) == (1, "no\n")
    says(f"auth can-i --list {user}", r"^pods +\[\] +\[\] +\[get list\]$")
    says(f"auth whoami {user}", r"^Username +system:serviceaccount:")
    token = says("create token robot --duration=1h").strip()
    assert len(token.split(".")) == 3
    assert "Forbidden" in kubectl.fails("delete", "pod", "x", user)


def test_nodes(says, kubectl, world):
    node = says("get nodes -o name").strip().removeprefix("node/")
    says("get nodes", rf"^{node} +Ready ")
    says(f"describe node {node}", r"^Allocated resources:$")
    pod = builders.pod("away", metadata={"labels": {"app": "away"}})
    pod["spec"]["terminationGracePeriodSeconds"] = 0
    world.create(kinds.PODS, pod)
    eventually(lambda: world.find(kinds.PODS, "away")["status"]["phase"] == "Running")
    says(f"cordon {node}", r"cordoned$")
    try:
        says("get nodes", r"SchedulingDisabled")
        says(f"drain {node} --pod-selector=app=away --force --timeout=90s", r"drained$")
        assert world.find(kinds.PODS, "away") is None
    finally:
        says(f"uncordon {node}", r"uncordoned$")


def test_top(says, kubectl, web):
    if "metrics.k8s.io" not in says("get --raw /apis"):
        pytest.skip("this platform serves no metrics.k8s.io")
    eventually(lambda: kubectl.run("top", "pods").code == 0)
    says("top pods", r"^NAME +CPU\(cores\) +MEMORY\(bytes\)", r"^web-\S+ +\d+m +\d+Mi")
    says("top nodes", r"^NAME +CPU\(cores\) ", r"%")
