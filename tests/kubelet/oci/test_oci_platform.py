"""Real images on a whole platform, by kubectl: what Kubernetes' own users do with theirs."""

import functools
import json
import re
import sys
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from wherry.objects.requests import Object
from wherry.testing.daemons import TestDaemon
from wherry.testing.fixtures import running
from wherry.testing.images import TestImage, TestRegistry, files
from wherry.testing.kubectl import Kubectl
from wherry.testing.running import RunningPlatform
from wherry.testing.waiting import eventually

__all__ = ["running"]

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

SERVER = """
import http.server, os
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers()
        self.wfile.write(os.environ["SAYS"].encode())
address = ("0.0.0.0", int(os.environ.get("PORT", 8080)))
http.server.ThreadingHTTPServer(address, Handler).serve_forever()
"""
PEER = "import socket; print(socket.create_connection(('plain', 80)).getpeername()[0])"
CALL = "import urllib.request as u; print(u.urlopen('http://%s').read().decode())"


@pytest.fixture
def kubectl(running: RunningPlatform, tmp_path: Path, registry: TestRegistry) -> Kubectl:
    """Give a kubectl whose default service account may pull from the registry."""
    return puller(running, tmp_path, registry)


def puller(running: RunningPlatform, tmp_path: Path, registry: TestRegistry) -> Kubectl:
    home = tmp_path / "home"
    home.mkdir()
    found = Kubectl(
        str(Path(sys.executable).with_name("kubectl")), running.kubeconfig, home, "default"
    )
    assert registry.login is not None
    name, password = registry.login
    found(
        "create",
        "secret",
        "docker-registry",
        "pull",
        f"--docker-server={registry.host}",
        f"--docker-username={name}",
        f"--docker-password={password}",
    )
    eventually(lambda: found.run("get", "serviceaccount", "default").code == 0)
    patch = json.dumps({"imagePullSecrets": [{"name": "pull"}]})
    found("patch", "serviceaccount", "default", "-p", patch)
    return found


def server(registry: TestRegistry, base: bytes, version: str, port: int = 8080) -> str:
    """Push a web server and return its image by digest."""
    made = TestImage(
        layers=(base, files({"srv/server.py": SERVER})),
        config={
            "Entrypoint": ["python3.11", "/srv/server.py"],
            "Env": ["PATH=/bin:/usr/bin", f"SAYS={version}", f"PORT={port}"],
        },
    )
    return f"{registry.host}/team/server@{made.push(registry, 'team/server', version)}"


def workload(name: str, container: Object, port: int = 8080, **spec: Any) -> list[Object]:
    """Return a Deployment with a Service before it."""
    labels = {"app": name}
    probe = {"httpGet": {"path": "/", "port": port}, "periodSeconds": 1}
    container = {"name": "main", "readinessProbe": probe, **container}
    return [
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": name},
            "spec": {
                "selector": {"matchLabels": labels},
                "template": {
                    "metadata": {"labels": labels},
                    "spec": {"containers": [container], "terminationGracePeriodSeconds": 1},
                },
                **spec,
            },
        },
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": name},
            "spec": {"selector": labels, "ports": [{"port": 80, "targetPort": port}]},
        },
    ]


def test_a_deployment_of_images(
    running: RunningPlatform, kubectl: Kubectl, registry: TestRegistry, base: bytes, runc: str
) -> None:
    """It serves, is reached both ways, rolls over, and outlives the control plane."""
    images = [server(registry, base, version) for version in ("one", "two")]
    lives(running, kubectl, *images)
    containers = running.directory / "oci" / "run"
    eventually(lambda: not list(containers.iterdir()), 30)


def test_a_deployment_of_images_of_a_daemon(
    started_daemon: TestDaemon, tmp_path: Path, registry: TestRegistry, base: bytes
) -> None:
    """So it does where Docker or Podman runs it. As its pods share a port, the old one goes first."""
    platform = RunningPlatform(
        tmp_path / "platform",
        arguments=["--image-engine", started_daemon.kind],
        environment=started_daemon.environment,
    )
    try:
        platform.start()
        kubectl = puller(platform, tmp_path, registry)
        images = [server(registry, base, version, port=8081) for version in ("one", "two")]
        one_by_one = {"type": "Recreate"}
        lives(platform, kubectl, *images, port=8081, by_daemon=True, strategy=one_by_one)
        eventually(lambda: not started_daemon.call("ps", "--all", "--quiet").split(), 30)
    finally:
        platform.end()


def lives(
    running: RunningPlatform,
    kubectl: Kubectl,
    first: str,
    second: str,
    *,
    port: int = 8080,
    by_daemon: bool = False,
    **spec: Any,
) -> None:
    """Take a Deployment through all that happens to one, from the first image to the second."""
    kubectl.apply(
        *workload("boxed", {"image": first}, port, **spec),
        *workload(
            "plain",
            {
                "image": "python:3",
                "command": ["python", "-c", SERVER],
                "env": [{"name": "SAYS", "value": "plain"}],
            },
        ),
    )
    for name in ("boxed", "plain"):
        kubectl("rollout", "status", f"deployment/{name}", "--timeout=60s", seconds=90)

    # By Service names, from either to the other.
    for caller, python, name, said in (
        ("boxed", "python3.11", "plain", "plain"),
        ("plain", "python", "boxed.default.svc.cluster.local", "one"),
    ):
        line = ("exec", f"deploy/{caller}", "--", python, "-c", CALL % name)
        eventually(lambda line=line, said=said: kubectl(*line).out == f"{said}\n")  # type: ignore[misc]  # a closure of the loop's values

    # With nobody in between, but where a daemon runs it: its pods go through the Service's own address.
    plain = kubectl.get("pods", "-l", "app=plain")["items"][0]["status"]["podIP"]
    if by_daemon:
        plain = kubectl.get("service", "plain")["spec"]["clusterIP"]
    assert kubectl("exec", "deploy/boxed", "--", "python3.11", "-c", PEER).out == f"{plain}\n"

    with kubectl.follow("port-forward", "deploy/boxed", f":{port}") as forwarding:
        forwarding.sees("Forwarding from")
        found = re.search(r"127\.0\.0\.1:(\d+)", forwarding.text)
        assert found is not None
        assert fetch(f"http://127.0.0.1:{found[1]}/") == "one"

    before = only(kubectl)
    running.restart()
    after = eventually(lambda: only(kubectl), 30)
    assert started(after) == started(before)
    log = kubectl("logs", "deploy/boxed").out
    assert '"GET / HTTP/1.1" 200' in log

    kubectl("set", "image", "deployment/boxed", f"main={second}")
    kubectl("rollout", "status", "deployment/boxed", "--timeout=60s", seconds=90)
    line = ("exec", "deploy/plain", "--", "python", "-c", CALL % "boxed")
    eventually(lambda: kubectl(*line).out == "two\n")
    assert only(kubectl)["status"]["containerStatuses"][0]["imageID"] == second

    kubectl("delete", "deployment", "boxed", "plain")


def member(name: str, container: Object) -> list[Object]:
    """Return a pod with a Service and a headless one before it."""
    labels = {"app": name}
    probe = {"httpGet": {"path": "/", "port": 8080}, "periodSeconds": 1}
    container = {
        "name": "main",
        "readinessProbe": probe,
        "env": [{"name": "SAYS", "value": name}],
        **container,
    }
    ports = [{"port": 80, "targetPort": 8080}]
    spec = {
        "hostname": name,
        "subdomain": "pods",
        "containers": [container],
        "terminationGracePeriodSeconds": 0,
    }
    return [
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": name, "labels": labels},
            "spec": spec,
        },
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": name},
            "spec": {"selector": labels, "ports": ports},
        },
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "pods"},
            "spec": {"selector": labels, "clusterIP": "None", "ports": ports},
        },
    ]


def test_pods_of_both_kinds_find_and_reach_one_another(
    running: RunningPlatform,
    kubectl: Kubectl,
    registry: TestRegistry,
    base: bytes,
    runc: str,
    tmp_path: Path,
) -> None:
    """A process and an image, each in a namespace of its own, by every name and by the cluster's address."""
    kubectl("create", "namespace", "near")
    near = Kubectl(kubectl.command[0], running.kubeconfig, tmp_path / "home", "near")
    boxed, plain = (kubectl, "boxed", "python3.11"), (near, "plain", "python")
    kubectl.apply(*member("boxed", {"image": server(registry, base, "boxed")}))
    near.apply(*member("plain", {"image": "python:3", "command": ["python", "-c", SERVER]}))
    for home, name, _ in (boxed, plain):
        home("wait", "--for=condition=Ready", f"pod/{name}", "--timeout=60s", seconds=90)
    for (home, caller, python), (there, name, _) in ((boxed, plain), (plain, boxed)):
        ip = there.get("service", name)["spec"]["clusterIP"]
        pod = there.get("pod", name)["status"]["podIP"]
        domain = there.namespace
        places = [
            *(f"{name}.{domain}{rest}" for rest in ("", ".svc", ".svc.cluster.local")),
            *(f"{name}.pods.{domain}.svc{rest}:8080" for rest in ("", ".cluster.local")),
            *(f"pods.{domain}:8080", ip, f"{pod}:8080"),
        ]
        program = f"for place in {places!r}: print(u.urlopen('http://' + place).read().decode())"
        line = ("exec", caller, "--", python, "-c", f"import urllib.request as u\n{program}")
        reached = functools.partial(says, home, line, f"{name}\n" * len(places))
        eventually(reached, 30, what=f"{caller} reaches {name}")


def says(kubectl: Kubectl, line: tuple[str, ...], expected: str) -> bool:
    return kubectl.run(*line).out == expected


def only(kubectl: Kubectl) -> Any:
    """Return the boxed pod once it is the only one."""
    pods = kubectl.get("pods", "-l", "app=boxed")["items"]
    return eventually(lambda: pods[0] if len(pods) == 1 else only(kubectl))


def started(pod: Object) -> Any:
    status = pod["status"]["containerStatuses"][0]
    return status["containerID"], status["restartCount"], status["state"]["running"]["startedAt"]


def fetch(url: str) -> str:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(url, timeout=10) as answer:
        text: str = answer.read().decode()
    return text
