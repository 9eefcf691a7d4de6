"""Into running pods with stock clients: exec, attach, cp, run -it, port-forward, proxy."""

import concurrent.futures
import contextlib
import hashlib
import json
import os
import re
import shlex
import socket
import subprocess
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from kubernetes import client as k8s
from kubernetes import config
from kubernetes.stream import portforward, stream

from wherry.objects import kinds
from wherry.testing import builders
from wherry.testing.waiting import eventually

SERVER = """
import http.server, sys
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        if self.path == "/leave":
            self.send_response(302)
            self.send_header("Location", "/there?x=1")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        size = int(self.path[1:]) if self.path[1:].isdigit() else 0
        body = bytes(range(256)) * (size // 256) if size else repr(
            [self.command, self.path, sorted(k.lower() for k in self.headers)]).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(201)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[::-1])
    def log_message(self, *_): pass
server = http.server.ThreadingHTTPServer(("127.0.0.1", 8080), Handler)
print("up", flush=True)
server.serve_forever()
"""
TRANSPORTS = {
    "websocket": {},
    "spdy": {
        "KUBECTL_REMOTE_COMMAND_WEBSOCKETS": "false",
        "KUBECTL_PORT_FORWARD_WEBSOCKETS": "false",
    },
}


@pytest.fixture(params=TRANSPORTS)
def into(request: pytest.FixtureRequest, kubectl: Any) -> Any:
    """Give each kubectl, over each transport."""
    kubectl.environment |= TRANSPORTS[request.param]
    return kubectl


@pytest.fixture
def sleeper(world: Any) -> str:
    world.create(kinds.PODS, builders.pod("sleeper"))
    world.wait_for_phase("sleeper", "Running")
    return "sleeper"


@pytest.fixture
def web(world: Any) -> str:
    pod = builders.pod("web", containers=[builders.container("main", python=SERVER)])
    pod["metadata"]["labels"] = {"app": "web"}
    pod["spec"]["containers"][0]["ports"] = [{"name": "http", "containerPort": 8080}]
    pod["spec"]["containers"][0]["readinessProbe"] = {
        "httpGet": {"port": 8080},
        "periodSeconds": 1,
    }
    world.create(kinds.PODS, pod)
    ports = [{"name": "http", "port": 18080, "targetPort": 8080}]
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "web"},
        "spec": {"selector": {"app": "web"}, "ports": ports},
    }
    world.create(kinds.SERVICES, service)
    world.wait_for_condition(kinds.PODS, "web", "Ready")
    eventually(
        lambda: any(
            endpoint["conditions"]["ready"]
            for piece in world.all(kinds.ENDPOINT_SLICES)
            for endpoint in piece.get("endpoints") or ()
        ),
        what="the service has an endpoint",
    )
    return "web"


def raw(kubectl: Any, *arguments: str, data: bytes = b"") -> "subprocess.CompletedProcess[bytes]":
    """Run kubectl with bytes, not text."""
    return subprocess.run(
        [*kubectl.command, *arguments],
        input=data,
        env=kubectl.environment,
        cwd=kubectl.home,
        capture_output=True,
        timeout=110,
        check=False,
    )


# exec


def test_exec(into: Any, sleeper: str) -> None:
    done = into.run("exec", sleeper, "--", "sh", "-c", "echo out; echo err >&2; exit 3")
    assert (done.code, done.out) == (3, "out\n")
    # kubectl logs what reaches it before it has opened its streams: the empty message that says that all is connected.
    told = [line for line in done.err.splitlines() if not line.endswith("discarding message")]
    assert told[0] == "err"
    assert "command terminated with exit code 3" in done.err
    data = os.urandom(2_000_000)
    assert raw(into, "exec", "-i", sleeper, "--", "cat", data=data).stdout == data
    complaint = into.fails("exec", sleeper, "--", "no-such-program")
    assert "executable file not found in PATH" in complaint


def test_exec_is_refused_where_nothing_runs(kubectl: Any, world: Any) -> None:
    world.create(kinds.PODS, builders.pod("done", script="true"))
    world.wait_for_phase("done", "Succeeded")
    assert "completed pod" in kubectl.fails("exec", "done", "--", "true")
    containers = [
        builders.container("a", script="sleep 1000"),
        builders.container("b", script="exit 1"),
    ]
    world.create(kinds.PODS, builders.pod("half", containers=containers))
    world.wait_for_phase("half", "Running")
    eventually(lambda: "terminated" in str(world.get(kinds.PODS, "half")["status"]))
    assert 'container not found ("b")' in kubectl.fails("exec", "half", "-c", "b", "--", "true")
    assert "c" in kubectl.fails("exec", "half", "-c", "c", "--", "true")
    assert 'pods "nobody" not found' in kubectl.fails("exec", "nobody", "--", "true")


def terminal(kubectl: Any, *arguments: str, typed: str) -> tuple[int, str]:
    """Run kubectl on a terminal, and type."""
    command = shlex.join([*kubectl.command, *arguments])
    done = subprocess.run(
        ["script", "-qec", f"stty rows 41 cols 132; {command}", "/dev/null"],
        input=typed.encode(),
        env={**kubectl.environment, "TERM": "xterm"},
        cwd=kubectl.home,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=110,
        check=False,
    )
    return done.returncode, done.stdout.decode()


def test_exec_on_a_terminal(into: Any, sleeper: str) -> None:
    script = "read word; stty size; echo got $word; tty; exit 5"
    code, text = terminal(into, "exec", "-it", sleeper, "--", "sh", "-c", script, typed="hello\n")
    assert code == 5, text
    assert "41 132\r\n" in text
    assert "got hello\r\n" in text
    assert "/dev/pts/" in text


def test_a_killed_client_ends_its_command(into: Any, sleeper: str, tmp_path: Path) -> None:
    file = tmp_path / "pid"
    with into.follow(
        "exec", sleeper, "--", "sh", "-c", f"echo $$ > {file}; echo up; sleep 1000"
    ) as it:
        it.sees("up")
        pid = int(file.read_text())
        assert Path(f"/proc/{pid}").exists()
    eventually(lambda: not Path(f"/proc/{pid}").exists(), what="the command has ended")


def test_many_at_once(kubectl: Any, sleeper: str) -> None:
    def one(number: int) -> str:
        return str(kubectl("exec", sleeper, "--", "echo", str(number)).out)

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        assert list(pool.map(one, range(16))) == [f"{number}\n" for number in range(16)]


def test_cp(into: Any, sleeper: str, tmp_path: Path) -> None:
    source, inside, back = (tmp_path / name for name in ("source", "inside", "back"))
    (source / "deep").mkdir(parents=True)
    (source / "deep" / "large").write_bytes(os.urandom(3_000_000))
    (source / "small").write_text("x")
    into("cp", str(source), f"{sleeper}:{inside}")
    into("cp", f"{sleeper}:{inside}", str(back))
    assert (back / "deep" / "large").read_bytes() == (source / "deep" / "large").read_bytes()
    assert (back / "small").read_text() == "x"
    into("cp", str(source / "small"), f"{sleeper}:{tmp_path}/single")
    assert (tmp_path / "single").read_text() == "x"


# attach and run


def test_attach(into: Any, world: Any) -> None:
    pod = builders.pod("reader", script="echo ready; while read x; do echo got $x; done; echo end")
    pod["spec"]["containers"][0] |= {"stdin": True, "stdinOnce": True}
    world.create(kinds.PODS, pod)
    world.wait_for_phase("reader", "Running")
    done = into.run("attach", "-i", "reader", text="one\ntwo\n")
    assert done.out == "ready\ngot one\ngot two\nend\n", done.err
    world.wait_for_phase("reader", "Succeeded")


def test_attach_only_watches_what_takes_no_input(kubectl: Any, world: Any, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    waiting = f"until [ -e {gate} ]; do echo early; sleep 0.05; done"
    script = f"{waiting}; echo later; echo bad >&2; sleep 0.2"
    world.create(kinds.PODS, builders.pod("talker", script=script))
    world.wait_for_phase("talker", "Running")
    with kubectl.follow("attach", "talker") as watching:
        watching.sees("early")
        gate.touch()
        watching.sees("later")
        watching.sees("bad")
        assert watching.ends() == 0


def test_run(into: Any) -> None:
    arguments = ("--rm", "--restart=Never", "--image=python", "--", "python", "-c")
    done = into.run("run", "quick", "-i", *arguments, "print(input() + '!')", text="hey\n")
    assert done.code == 0, done.err
    assert "hey!" in done.out
    failed = into.run("run", "bad", "-i", *arguments, "input(); raise SystemExit(7)", text="\n")
    assert failed.code == 7, failed.err


def test_run_on_a_terminal(into: Any) -> None:
    arguments = ("--rm", "--restart=Never", "--image=python", "--", "sh", "-c")
    script = "read word; tty; echo got $word"
    code, text = terminal(into, "run", "shell", "-it", *arguments, script, typed="hello\n")
    assert code == 0, text
    assert "got hello\r\n" in text


# port-forward


@contextlib.contextmanager
def forwarded(kubectl: Any, what: str, port: int) -> Iterator[str]:
    """Forward a port to any local one; gives the URL."""
    with kubectl.follow("port-forward", what, f":{port}") as forwarding:
        forwarding.sees("Forwarding from 127.0.0.1")
        found = re.search(r"127\.0\.0\.1:(\d+)", forwarding.text)
        assert found is not None
        yield f"http://127.0.0.1:{found[1]}"


def fetch(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=100) as answer:
        return bytes(answer.read())


def test_port_forward(into: Any, web: str) -> None:
    size = 50 * 1024 * 1024
    expected = hashlib.sha256(bytes(range(256)) * (size // 256)).digest()
    with forwarded(into, f"pod/{web}", 8080) as url:
        assert b"'GET', '/path?query'" in fetch(f"{url}/path?query")
        with concurrent.futures.ThreadPoolExecutor(10) as pool:
            bodies = list(pool.map(fetch, [f"{url}/262144"] * 30))
        assert {len(body) for body in bodies} == {262144}
        assert hashlib.sha256(fetch(f"{url}/{size}")).digest() == expected
        sent = os.urandom(3_000_000)
        with urllib.request.urlopen(urllib.request.Request(url, sent), timeout=100) as answer:
            assert answer.read() == sent[::-1]


def test_port_forward_to_a_service(into: Any, web: str) -> None:
    with forwarded(into, f"svc/{web}", 18080) as url:
        assert len(fetch(f"{url}/1024")) == 1024


def test_port_forward_says_what_is_wrong(into: Any, web: str) -> None:
    with into.follow("port-forward", f"pod/{web}", ":9999") as forwarding:
        forwarding.sees("Forwarding from 127.0.0.1")
        found = re.search(r"127\.0\.0\.1:(\d+)", forwarding.text)
        assert found is not None
        address = "127.0.0.1", int(found[1])
        with socket.create_connection(address) as peer, contextlib.suppress(ConnectionError):
            assert peer.recv(10) == b""
        forwarding.sees("error forwarding port 9999: Connection refused")


def test_port_forward_needs_the_right_to_create(kubectl: Any, web: str) -> None:
    user = f"--as=system:serviceaccount:{kubectl.namespace}:default"
    kubectl("create", "role", "reader", "--verb=get,list", "--resource=pods,services")
    account = f"--serviceaccount={kubectl.namespace}:default"
    kubectl("create", "rolebinding", "reader", "--role=reader", account)
    refused = kubectl.fails(user, "port-forward", f"svc/{web}", ":18080")
    assert 'cannot create resource "pods/portforward" in API group ""' in refused
    kubectl("create", "role", "in", "--verb=get", "--resource=pods/portforward")
    kubectl("create", "rolebinding", "in", "--role=in", account)
    refused = kubectl.fails(user, "port-forward", f"svc/{web}", ":18080")
    assert 'cannot create resource "pods/portforward" in API group ""' in refused
    kubectl("create", "role", "through", "--verb=create", "--resource=pods/portforward")
    kubectl("create", "rolebinding", "through", "--role=through", account)
    kubectl.command.append(user)
    with forwarded(kubectl, f"svc/{web}", 18080) as url:
        assert len(fetch(f"{url}/1024")) == 1024


# proxy


def test_proxy(kubectl: Any, web: str) -> None:
    base = f"/api/v1/namespaces/{kubectl.namespace}"
    for name in (
        f"pods/{web}:8080",
        f"pods/{web}",
        f"services/{web}:http",
        f"services/http:{web}:18080",
    ):
        text = kubectl("get", "--raw", f"{base}/{name}/proxy/a/b?q=1").out
        assert "'GET', '/a/b?q=1'" in text
        assert "x-forwarded-for" in text
        assert "authorization" not in text
    assert "no service port" in kubectl.fails("get", "--raw", f"{base}/services/{web}:nope/proxy/")
    assert "trying to reach service" in kubectl.fails("get", "--raw", f"{base}/pods/{web}:9/proxy/")


def test_what_a_node_tells_of_itself(kubectl: Any, web: str) -> None:
    node = kubectl("get", "nodes", "-o", "name").out.strip().removeprefix("node/")

    def read(path: str) -> str:
        return str(kubectl("get", "--raw", f"/api/v1/nodes/{node}/proxy/{path}").out)

    assert read("healthz") == "ok"
    assert web in [pod["metadata"]["name"] for pod in json.loads(read("pods"))["items"]]

    def measured() -> Any:
        found = json.loads(read("stats/summary"))
        pods = {pod["podRef"]["name"]: pod for pod in found["pods"]}
        return found["node"]["cpu"]["usageCoreNanoSeconds"] and pods.get(web)

    [container] = eventually(measured, what="the pod is measured")["containers"]
    assert container["memory"]["workingSetBytes"] > 0
    names = f'namespace="{kubectl.namespace}",pod="{web}"'
    assert f"pod_memory_working_set_bytes{{{names}}}" in read("metrics/resource")
    assert f'kubelet_node_name{{node="{node}"}} 1' in read("metrics")
    folder = re.findall(rf"{kubectl.namespace}_{web}_[0-9a-f-]+/", read("logs/"))[0]
    assert f'<a href="{container["name"]}/">' in read(f"logs/{folder}")
    assert "0.log" in read(f"logs/{folder}{container['name']}/")
    for path in ("run", "logs/nothing"):
        assert "404 page not found" in kubectl.fails(
            "get", "--raw", f"/api/v1/nodes/{node}/proxy/{path}"
        )
    for path in ("logs/../wherry.json", "logs/%2e%2e/wherry.json", "logs/%2e%2e%2fwherry.json"):
        kubectl.fails("get", "--raw", f"/api/v1/nodes/{node}/proxy/{path}")
    refused = kubectl.fails("get", "--raw", f"/api/v1/nodes/{node}/proxy/healthz", "--as=somebody")
    assert 'cannot get resource "nodes/proxy"' in refused


def test_proxy_bodies_and_redirects(kubectl: Any, web: str) -> None:
    prefix = f"/api/v1/namespaces/{kubectl.namespace}/services/{web}:http/proxy"
    with kubectl.follow("proxy", "--port=0") as proxying:
        proxying.sees("Starting to serve on")
        url = f"http://{proxying.text.split()[-1]}"
        assert len(fetch(f"{url}{prefix}/1048576")) == 1048576
        sent = os.urandom(1_000_000)
        post = urllib.request.Request(f"{url}{prefix}/", sent)
        with urllib.request.urlopen(post, timeout=100) as answer:
            assert (answer.status, answer.read()) == (201, sent[::-1])
        with urllib.request.urlopen(f"{url}{prefix}/leave", timeout=100) as answer:
            assert answer.url == f"{url}{prefix}/there?x=1"
        with urllib.request.urlopen(f"{url}{prefix}", timeout=100) as answer:
            assert answer.url == f"{url}{prefix}/"


# the official Python client


@pytest.fixture
def core(shared_platform: Any) -> Iterator[k8s.CoreV1Api]:
    with config.new_client_from_config(config_file=str(shared_platform.kubeconfig)) as api:
        yield k8s.CoreV1Api(api)
        api.rest_client.pool_manager.clear()


@pytest.fixture
def command(core: k8s.CoreV1Api, namespace: str) -> Callable[..., Any]:
    def run(*argv: str, **options: Any) -> Any:
        wishes = {"stdin": False, "stdout": True, "stderr": True, "tty": False} | options
        call = core.connect_get_namespaced_pod_exec
        return stream(
            call, "sleeper", namespace, command=list(argv), _preload_content=False, **wishes
        )

    return run


def test_python_exec(command: Callable[..., Any], sleeper: str) -> None:
    done = command("sh", "-c", "echo hi; echo bad >&2; exit 4")
    done.run_forever(timeout=60)
    assert (done.read_stdout(), done.read_stderr(), done.returncode) == ("hi\n", "bad\n", 4)
    done.sock.shutdown()
    shell = command("sh", stdin=True, tty=True)
    shell.write_stdin("echo $((6*7)); exit 3\n")
    shell.run_forever(timeout=60)
    assert shell.returncode == 3
    assert "42\r\n" in shell.read_all()
    shell.sock.shutdown()
    echo = command("cat", stdin=True)
    echo.write_stdin("word\n")
    assert echo.readline_stdout(timeout=60) == "word"
    echo.close()  # those that the server has closed leave their socket open


def test_python_port_forward(core: k8s.CoreV1Api, web: str, namespace: str) -> None:
    call = core.connect_get_namespaced_pod_portforward
    forwarding = portforward(call, web, namespace, ports="8080,9999")
    peer = forwarding.socket(8080)
    peer.setblocking(True)
    peer.sendall(b"GET /1048576 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    got = b""
    while piece := peer.recv(65536):
        got += piece
    assert len(got.partition(b"\r\n\r\n")[2]) == 1048576
    assert "Connection refused" in forwarding.error(9999)
    assert forwarding.error(8080) is None
    for port in (8080, 9999):
        forwarding.socket(port).close()
    eventually(lambda: not forwarding.connected, what="the client has let go")
    forwarding.websocket.shutdown()  # it leaves that to whoever uses it


def test_a_plain_request_is_told_to_upgrade(
    core: k8s.CoreV1Api, sleeper: str, namespace: str
) -> None:
    with pytest.raises(k8s.ApiException) as refused:
        core.connect_get_namespaced_pod_exec(sleeper, namespace, command=["true"], stdout=True)
    assert refused.value.status == 400
    assert json.loads(str(refused.value.body))["message"] == "Upgrade request required"
