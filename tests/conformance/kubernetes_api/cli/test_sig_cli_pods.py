"""Into running pods with kubectl, as upstream's sig-cli cases have it."""

import concurrent.futures
import contextlib
import http.server
import json
import re
import select
import shutil
import socket
import threading
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from kubernetes import client as k8s
from kubernetes import config
from kubernetes.stream import portforward, stream

from wherry.objects import kinds
from wherry.testing import builders
from wherry.testing.kubectl import Kubectl
from wherry.testing.waiting import eventually

IMAGE, OTHER_IMAGE = "python:3", "python:3.11"
ECHO = ("--", "echo", "running", "in", "container")


def case(name: str, what: str = "Kubectl client Simple pod") -> pytest.MarkDecorator:
    full = f"{what} {name}"
    return pytest.mark.conformance("kubernetes-api", group="sig-cli", name=full)


@case("should support exec")
def test_exec(kubectl: Kubectl, httpd: str) -> None:
    assert kubectl("exec", httpd, *ECHO).out == "running in container\n"
    long = "a" * 20000
    assert kubectl("exec", httpd, "--", "echo", long).out.strip() == long
    assert kubectl("exec", "-i", httpd, "--", "cat", text="abcd1234").out == "abcd1234"
    assert kubectl("exec", "-i", httpd, "--", "sh", text="echo hi\nexit\n").out == "hi\n"


@case("should support exec using resource/name")
def test_exec_by_resource(kubectl: Kubectl, httpd: str) -> None:
    assert kubectl("exec", f"pod/{httpd}", *ECHO).out == "running in container\n"


class _Tunnel(http.server.BaseHTTPRequestHandler):
    """An HTTP proxy that only knows CONNECT."""

    seen: list[str]

    def do_CONNECT(self) -> None:
        self.seen.append(self.path)
        host, port = self.path.split(":")
        with socket.create_connection((host, int(port))) as far:
            self.send_response(200)
            self.end_headers()
            pair = {self.connection: far, far: self.connection}
            while True:
                for one in select.select(list(pair), (), ())[0]:
                    if not (data := one.recv(65536)):
                        return
                    pair[one].sendall(data)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@case("should support exec through an HTTP proxy")
def test_exec_through_a_proxy(kubectl: Kubectl, api: Any, httpd: str) -> None:
    # What is on loopback is never asked for through a proxy, unless by another name.
    address = urlsplit(api.platform.url)
    handler: type[_Tunnel] = type("Tunnel", (_Tunnel,), {"seen": []})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever).start()
        try:
            for variable in ("https_proxy", "HTTPS_PROXY"):
                handler.seen.clear()
                proxy = {variable: f"http://127.0.0.1:{server.server_port}"}
                flags = (f"--server=https://0.0.0.0:{address.port}", "--tls-server-name=127.0.0.1")
                assert (
                    kubectl(*flags, "exec", httpd, *ECHO, environment=proxy).out
                    == "running in container\n"
                )
                assert f"0.0.0.0:{address.port}" in handler.seen
        finally:
            server.shutdown()


@case("should support exec through kubectl proxy")
def test_exec_through_kubectl_proxy(kubectl: Kubectl, httpd: str) -> None:
    with kubectl.follow("proxy", "-p", "0", "--disable-filter") as proxying:
        proxying.sees("Starting to serve on")
        server = f"--server=http://{proxying.text.split()[-1]}"
        assert kubectl(server, "exec", httpd, *ECHO).out == "running in container\n"


CODES = "should return command exit codes"


@case(f"{CODES} execing into a container with a successful command")
def test_success(kubectl: Kubectl, httpd: str) -> None:
    assert kubectl.run("exec", httpd, "--", "/bin/sh", "-c", "exit 0").code == 0


@case(f"{CODES} execing into a container with a failing command")
def test_failure(kubectl: Kubectl, httpd: str) -> None:
    assert kubectl.run("exec", httpd, "--", "/bin/sh", "-c", "exit 42").code == 42


@contextlib.contextmanager
def forwarded(kubectl: Kubectl, pod: str, port: int) -> Iterator[int]:
    """Forward a port to a local one; gives that."""
    with kubectl.follow("port-forward", pod, f":{port}") as forwarding:
        forwarding.sees("Forwarding from 127.0.0.1")
        found = re.search(r"127\.0\.0\.1:(\d+)", forwarding.text)
        assert found is not None
        yield int(found[1])


@case(f"{CODES} should support port-forward")
def test_port_forward(kubectl: Kubectl, httpd: str) -> None:
    with (
        forwarded(kubectl, httpd, 8080) as port,
        urllib.request.urlopen(f"http://localhost:{port}", timeout=90) as answer,
    ):
        assert answer.read() == b"It works!"


@case(f"{CODES} should handle in-cluster config")
def test_in_cluster(kubectl: Kubectl, httpd: str) -> None:
    account = f"--serviceaccount={kubectl.namespace}:default"
    kubectl("create", "rolebinding", "view", "--clusterrole=view", account)
    inside = shutil.which(kubectl.binary)
    assert inside is not None

    def run(*arguments: str) -> Any:
        command = (inside, "--cache-dir=/tmp/kc", *arguments, "-v=6")
        done = kubectl.run(
            "exec", httpd, "--", "env", "-u", "KUBECONFIG", "HOME=/nowhere", *command
        )
        return done.code, done.out + done.err

    eventually(lambda: run("get", "pods")[0] == 0, what="the role is heeded")
    code, text = run("get", "pods")
    assert re.search(r"httpd +1/1 +Running", text), text
    assert "Using in-cluster namespace" in text
    assert "Using in-cluster configuration" in text
    code, text = run("get", "pods", "--token=invalid")
    assert (code, "401 Unauthorized" in text) == (1, True), text
    code, text = run("get", "pods", "--server=invalid")
    assert "Unable to connect to the server" in text or "no such host" in text, text
    code, text = run("get", "pods", "--namespace=invalid")
    assert code == 1
    assert "Using in-cluster namespace" not in text
    assert "/api/v1/namespaces/invalid/pods" in text
    code, text = run("create", "configmap", "x", f"--namespace={kubectl.namespace}")
    assert code == 1
    assert "cannot create resource" in text


RUN = "Kubectl run running a"


def run_command(kubectl: Kubectl, name: str, script: str, *flags: str, text: str = "") -> Any:
    arguments = ("run", "-i", f"--image={IMAGE}", *flags, name, "--", "/bin/sh", "-c", script)
    return kubectl.run(*arguments, text=text)


@case(f"{RUN} successful command")
def test_run_success(kubectl: Kubectl) -> None:
    assert run_command(kubectl, "success", "exit 0", "--restart=Never").code == 0


@case(f"{RUN} failing command")
def test_run_failure(kubectl: Kubectl) -> None:
    assert run_command(kubectl, "failure-1", "exit 42", "--restart=Never").code == 42


# These wait for the end of a pod that never ends; how long, is the flag's to say.
BRIEF = "--pod-running-timeout=3s"


@case(f"{RUN} failing command without --restart=Never [Slow]")
def test_run_again_and_again(kubectl: Kubectl) -> None:
    flags = ("--restart=OnFailure", BRIEF)
    done = run_command(kubectl, "failure-2", "cat && exit 42", *flags, text="abcd1234")
    assert done.code == 1
    assert "timed out" in done.err


@case(f"{RUN} failing command without --restart=Never, but with --rm [Slow]")
def test_run_again_and_remove(kubectl: Kubectl) -> None:
    flags = ("--restart=OnFailure", "--rm", BRIEF)
    done = run_command(kubectl, "failure-3", "cat && exit 42", *flags, text="abcd1234")
    assert done.code == 1
    assert "timed out" in done.err
    eventually(lambda: kubectl.run("get", "pod", "failure-3").code == 1, what="it is removed")


@case(f"{RUN} failing command with --leave-stdin-open [Slow]")
def test_run_and_leave(kubectl: Kubectl) -> None:
    flags = ("--restart=Never", "--leave-stdin-open")
    assert run_command(kubectl, "failure-4", "exit 42", *flags, text="abcd1234").code == 0


def check_attach(kubectl: Kubectl) -> None:
    """Run with input, without, and with input that stays open."""

    def run(name: str, script: str, *flags: str) -> None:
        arguments = ("--restart=OnFailure", "--attach=true", *flags, "--", "sh", "-c", script)
        kubectl("run", name, f"--image={IMAGE}", *arguments, text="value\nabcd1234")

    def logged(name: str, words: str) -> str:
        eventually(lambda: words in kubectl("logs", name).out, what=f"{name} says {words}")
        return str(kubectl("logs", name).out)

    run("one", "printf read:; cat && echo 'stdin closed'", "--stdin")
    text = logged("one", "stdin closed")
    assert "read:value" in text
    assert "abcd1234" in text
    run("two", "cat && echo 'stdin closed'", "--leave-stdin-open=true")
    assert "abcd1234" not in logged("two", "stdin closed")
    run("three", "cat && echo 'stdin closed'", "--leave-stdin-open=true", "--stdin")
    assert "stdin closed" not in logged("three", "abcd1234")
    kubectl("wait", "--for=condition=Ready", "pod/three", "--timeout=90s")


@case("should support inline execution and attach")
def test_attach(kubectl: Kubectl) -> None:
    kubectl.environment["KUBECTL_REMOTE_COMMAND_WEBSOCKETS"] = "false"
    check_attach(kubectl)


@case("should support inline execution and attach with websockets or fallback to spdy")
def test_attach_by_websocket(kubectl: Kubectl) -> None:
    check_attach(kubectl)


@case("should contain last line of the log")
def test_last_line(kubectl: Kubectl) -> None:
    script = "i=0; while [ $i -lt 100 ]; do echo $i; i=$((i+1)); sleep 0.005; done; echo EOF"
    arguments = ("--restart=OnFailure", "--", "sh", "-c", script)
    kubectl("run", "talker", f"--image={IMAGE}", *arguments)
    eventually(lambda: kubectl.run("logs", "talker").code == 0, what="it talks")
    assert "EOF" in kubectl("logs", "-f", "talker").lines


@case("Kubectl copy should copy a file from a running Pod", "Kubectl client")
def test_copy(kubectl: Kubectl, tmp_path: Path) -> None:
    source = {"name": "data", "emptyDir": {}}
    script = "mkdir -p /data/foo/bar; echo foobar > /data/foo/bar/foo.bar; exec sleep 1000"
    container = builders.container(
        script=script,
        volumeMounts=[{"name": "data", "mountPath": "/data"}],
        readinessProbe={"exec": {"command": ["test", "-s", "/data/foo/bar/foo.bar"]}},
    )
    pod = builders.pod("b", namespace=kubectl.namespace, containers=[container], volumes=[source])
    kubectl.apply(pod)
    kubectl("wait", "--for=condition=Ready", "pod/b", "--timeout=90s")
    kubectl("cp", "b:/data/foo/bar/foo.bar", str(tmp_path / "copied"))
    assert (tmp_path / "copied").read_text() == "foobar\n"


@pytest.mark.slow
@pytest.mark.timeout(400)
@case("should be able to execute 1000 times in a container", "Kubectl exec")
def test_exec_often(kubectl: Kubectl, api: Any, httpd: str) -> None:
    flags = {"stdin": False, "stdout": True, "stderr": True, "tty": False}

    def some(_: int) -> int:
        good = 0
        with config.new_client_from_config(config_file=str(api.platform.kubeconfig)) as made:
            call = k8s.CoreV1Api(made).connect_get_namespaced_pod_exec
            for _ in range(100):
                place = (httpd, kubectl.namespace)
                done = stream(call, *place, command=["date"], _preload_content=False, **flags)
                done.run_forever(timeout=30)
                good += done.returncode == 0
                done.sock.shutdown()
            made.rest_client.pool_manager.clear()
        return good

    with concurrent.futures.ThreadPoolExecutor(10) as pool:
        assert sum(pool.map(some, range(10))) >= 990


TESTER = """
import socket, sys
expected, address = {expected!r}, {address!r}
server = socket.create_server((address, 8080))
print("Listening", flush=True)
peer, _ = server.accept()
print("Accepted client connection", flush=True)
got = b""
while len(got) < len(expected) and (piece := peer.recv(len(expected) - len(got))):
    got += piece
if got != expected:
    print(f"Expected to read {{len(expected)}} bytes from client, but got {{len(got)}} instead")
    sys.exit()
if expected:
    print("Received expected client data")
for _ in range(10):
    peer.sendall(b"x" * 10)
peer.shutdown(socket.SHUT_WR)
print("Done", flush=True)
"""


def listener(kubectl: Kubectl, address: str, expected: bytes) -> str:
    """Run what waits for one connection; give the pod's name."""
    python = TESTER.format(expected=expected, address=address)
    container = builders.container(python=python)
    kubectl.apply(builders.pod("pf", namespace=kubectl.namespace, containers=[container]))
    # A probe would be the one connection; and in /proc/net others may listen at such a port, too.
    logged(kubectl, "Listening")
    return "pf"


ADDRESSES = ("0.0.0.0", "localhost")
PORT_FORWARD = "Kubectl Port forwarding With a server listening on"


def logged(kubectl: Kubectl, *words: str) -> None:
    eventually(
        lambda: all(word in kubectl.run("logs", "pf").out for word in words),
        what=f"it says {words}",
    )


def received(peer: socket.socket) -> bytes:
    got = b""
    while piece := peer.recv(65536):
        got += piece
    return got


def cases(name: str) -> pytest.MarkDecorator:
    """Mark each address with its own case."""
    found = [
        pytest.param(address, marks=case(name, f"{PORT_FORWARD} {address}"))
        for address in ADDRESSES
    ]
    return pytest.mark.parametrize("address", found)


@cases(
    "that expects a client request should support a client that connects, "
    "sends NO DATA, and disconnects"
)
def test_forward_nothing(kubectl: Kubectl, address: str) -> None:
    pod = listener(kubectl, address, b"abc")
    with forwarded(kubectl, pod, 8080) as port:
        socket.create_connection(("127.0.0.1", port)).close()
        logged(
            kubectl, "Accepted client connection", "Expected to read 3 bytes from client, but got 0"
        )


@cases(
    "that expects a client request should support a client that connects, "
    "sends DATA, and disconnects"
)
def test_forward_both_ways(kubectl: Kubectl, address: str) -> None:
    pod = listener(kubectl, address, b"abc")
    with (
        forwarded(kubectl, pod, 8080) as port,
        socket.create_connection(("127.0.0.1", port), timeout=90) as peer,
    ):
        peer.sendall(b"abc")
        peer.shutdown(socket.SHUT_WR)
        assert received(peer) == b"x" * 100
        logged(kubectl, "Accepted client connection", "Received expected client data", "Done")


@cases(
    "that expects NO client request should support a client that connects, "
    "sends DATA, and disconnects"
)
def test_forward_one_way(kubectl: Kubectl, address: str) -> None:
    pod = listener(kubectl, address, b"")
    with (
        forwarded(kubectl, pod, 8080) as port,
        socket.create_connection(("127.0.0.1", port), timeout=90) as peer,
    ):
        assert received(peer) == b"x" * 100
        logged(kubectl, "Accepted client connection", "Done")


@cases("should support forwarding over websockets")
def test_forward_by_websocket(kubectl: Kubectl, api: Any, address: str) -> None:
    pod = listener(kubectl, address, b"def")
    with config.new_client_from_config(config_file=str(api.platform.kubeconfig)) as made:
        call = k8s.CoreV1Api(made).connect_get_namespaced_pod_portforward
        forwarding = portforward(call, pod, kubectl.namespace, ports="8080")
        peer = forwarding.socket(8080)
        peer.setblocking(True)
        peer.sendall(b"def")
        assert received(peer) == b"x" * 100
        assert forwarding.error(8080) is None
        peer.close()
        eventually(lambda: not forwarding.connected, what="the client has let go")
        forwarding.websocket.shutdown()  # it leaves that to whoever uses it
        made.rest_client.pool_manager.clear()
    logged(kubectl, "Accepted client connection", "Received expected client data")


PROFILE = """
securityContext:
  capabilities:
    add: [NET_ADMIN]
env:
- name: REQUIRED_ENV_VAR
  value: value2
"""


@pytest.fixture
def debug(kubectl: Kubectl, tmp_path: Path) -> Any:
    """Give ``debug(*flags)``, on a pod that runs."""
    (tmp_path / "custom.yaml").write_text(PROFILE)
    kubectl("run", "target", f"--image={IMAGE}", "--command", "--", "sh", "-c", "sleep 3600")
    kubectl("wait", "--for=condition=Ready", "pod/target", "--timeout=90s")

    def run(*flags: str) -> None:
        custom = f"--custom={tmp_path}/custom.yaml"
        command = ("--", "sh", "-c", "sleep 3600")
        kubectl(
            "debug", "target", f"--image={IMAGE}", *flags, "--profile=general", custom, *command
        )

    return run


def check_profile(container: Any) -> None:
    assert container["securityContext"]["capabilities"]["add"] == ["NET_ADMIN"]
    assert {"name": "REQUIRED_ENV_VAR", "value": "value2"} in container["env"]


PROFILES = "kubectl debug custom profile should be applied on static profiles"


@case("on ephemeral container", PROFILES)
def test_debug(kubectl: Kubectl, debug: Any) -> None:
    debug("--container=debugger")

    def running() -> bool:
        found = kubectl.get("pod", "target")["status"].get("ephemeralContainerStatuses", [])
        return any(one["name"] == "debugger" and "running" in one["state"] for one in found)

    eventually(running, what="the debugger runs")
    [container] = kubectl.get("pod", "target")["spec"]["ephemeralContainers"]
    check_profile(container)


@case("while copying from pod", PROFILES)
def test_debug_a_copy(kubectl: Kubectl, debug: Any) -> None:
    debug("--copy-to=my-debugger")
    kubectl("wait", "--for=jsonpath={.status.phase}=Running", "pod/my-debugger", "--timeout=90s")
    found = kubectl.get("pod", "my-debugger")["spec"]["containers"]
    [added] = [one for one in found if one["name"] != "target"]
    check_profile(added)


@pytest.fixture
def own_kubectl(own_api: Any, tmp_path: Path, kubectl: Kubectl) -> Kubectl:
    """Give kubectl on a platform of the case's own, whose node it may spoil."""
    return Kubectl(kubectl.binary, own_api.platform.kubeconfig, tmp_path, "default")


TAINT = "Kubectl client Kubectl taint [Serial]"


def tainted(kubectl: Kubectl, taint: str) -> str:
    node = str(kubectl.get("nodes")["items"][0]["metadata"]["name"])
    kubectl("taint", "nodes", node, taint)
    assert taint in kubectl("describe", "node", node).out
    return node


@case("should update the taint on a node", TAINT)
def test_taint(own_kubectl: Kubectl) -> None:
    key = "kubernetes.io/e2e-taint-key-001"
    node = tainted(own_kubectl, f"{key}=value:NoSchedule")
    own_kubectl("taint", "nodes", node, f"{key}:NoSchedule-")
    assert key not in own_kubectl("describe", "node", node).out


@case("should remove all the taints with the same key off a node", TAINT)
def test_taints(own_kubectl: Kubectl) -> None:
    key = "kubernetes.io/e2e-taint-key-002"
    taints = ("one:NoSchedule", "two:PreferNoSchedule", "three:NoExecute")
    node = [tainted(own_kubectl, f"{key}={taint}") for taint in taints][-1]
    own_kubectl("taint", "nodes", node, f"{key}-")
    assert key not in own_kubectl("describe", "node", node).out


@case("interactive based on user confirmation input", "Kubectl delete")
def test_interactive_delete(kubectl: Kubectl) -> None:
    kubectl.apply(builders.deployment("d", namespace=kubectl.namespace, replicas=2))
    kubectl("rollout", "status", "deploy/d", "--timeout=90s")
    text = kubectl("delete", "--interactive", "deployment", "d", text="n").out
    assert "You are about to delete the following 1 resource(s):" in text
    assert "deployment.apps/d" in text
    assert "deletion is cancelled" in text
    assert kubectl.get("deployment", "d")["status"]["availableReplicas"] == 2
    kubectl("delete", "--interactive", "deployment", "d", text="y")
    eventually(lambda: kubectl.run("get", "deployment", "d").code == 1, what="it is gone")


@case("undo undo should rollback and update deployment env", "Kubectl rollout")
def test_undo(kubectl: Kubectl) -> None:
    made = builders.deployment("d", namespace=kubectl.namespace)
    made["spec"]["template"]["metadata"]["annotations"] = {"kept": "yes"}
    kubectl.apply(made)
    kubectl("rollout", "status", "deploy/d", "--timeout=90s")
    before = kubectl.get("deploy", "d")["spec"]["template"]
    kubectl("set", "env", "deploy/d", "foo=bar")
    kubectl("rollout", "status", "deploy/d", "--timeout=90s")
    changed = kubectl.get("deploy", "d")["spec"]["template"]
    assert changed["spec"]["containers"][0]["env"] == [{"name": "foo", "value": "bar"}]
    kubectl("rollout", "undo", "deploy/d")
    kubectl("rollout", "status", "deploy/d", "--timeout=90s")
    assert kubectl.get("deploy", "d")["spec"]["template"] == before


@case("should apply a new configuration to an existing RC", "kubectl apply")
def test_apply_to_a_controller(kubectl: Kubectl, primary: Any) -> None:
    kubectl("create", "-f", "-", text=json.dumps(primary))
    primary["metadata"]["labels"]["kubectl.kubernetes.io/apply-test"] = "ADDED"
    kubectl("apply", "-f", "-", text=json.dumps(primary))
    labels = kubectl.get("rc", "agnhost-primary")["metadata"]["labels"]
    assert labels["kubectl.kubernetes.io/apply-test"] == "ADDED"


@case("should reuse port when apply to an existing SVC", "kubectl apply")
def test_apply_to_a_service(kubectl: Kubectl) -> None:
    made = builders.service("s", namespace=kubectl.namespace, port=6379, type="NodePort")
    kubectl("create", "-f", "-", text=json.dumps(made))
    before = kubectl.get("service", "s")["spec"]["ports"]
    kubectl("apply", "-f", "-", text=json.dumps(made))
    assert kubectl.get("service", "s")["spec"]["ports"] == before


@case("apply set/view last-applied", "kubectl apply")
def test_last_applied(kubectl: Kubectl) -> None:
    made = builders.deployment("d", namespace=kubectl.namespace, replicas=2)
    kubectl.apply(made)
    asked = ("apply", "view-last-applied", "deploy/d", "-o", "json")
    assert kubectl(*asked).json["spec"]["replicas"] == 2
    del made["spec"]["replicas"]
    kubectl("apply", "set-last-applied", "-f", "-", text=json.dumps(made))
    assert "replicas" not in kubectl(*asked).json["spec"]
    kubectl("scale", "deploy/d", "--replicas=3")
    made["spec"]["template"]["spec"]["containers"][0]["image"] = OTHER_IMAGE
    kubectl.apply(made)
    spec = kubectl.get("deploy", "d")["spec"]
    assert spec["replicas"] == 3
    assert spec["template"]["spec"]["containers"][0]["image"] == OTHER_IMAGE


@case("Kubectl prune with applyset should apply and prune objects", "kubectl apply")
def test_apply_set(kubectl: Kubectl, api: Any) -> None:
    def apply(*names: str) -> set[str]:
        items = [builders.config_map(name, namespace=kubectl.namespace) for name in names]
        text = json.dumps({"apiVersion": "v1", "kind": "List", "items": items})
        arguments = ("apply", "--prune", "--applyset=applyset1", "-f", "-")
        kubectl(*arguments, text=text, environment={"KUBECTL_APPLYSET": "true"})
        return set(api.names(kinds.CONFIG_MAPS, kubectl.namespace)) - {"kube-root-ca.crt"}

    assert apply("cm1", "cm2") == {"cm1", "cm2"}
    assert apply("cm1") == {"cm1"}
    assert apply("cm1") == {"cm1"}
