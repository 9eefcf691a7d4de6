"""Names and addresses as pods see them: services, headless names, cluster IPs, node ports, equal ports."""

import asyncio
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

from wherry.client.client import Client
from wherry.client.transports.http import HttpTransport
from wherry.objects import kinds
from wherry.objects.requests import Object
from wherry.objects.resources import Resource
from wherry.testing.running import RunningPlatform
from wherry.testing.waiting import eventually

PROGRAM = """
import http.client, http.server, os, socket, urllib.request
held = {}
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        what, _, rest = self.path[1:].partition("/")
        if what == "name":
            body = socket.gethostname()
        elif what == "find":
            try:
                body = socket.gethostbyname(rest)
            except OSError:
                body = ""
        elif what == "hold":  # one connection for all requests; its own port tells if it is another
            try:
                connection = held.setdefault(rest, http.client.HTTPConnection(rest, timeout=60))
                connection.request("GET", "/name")
                body = f"{connection.getresponse().read().decode()} {connection.sock.getsockname()[1]}"
            except OSError as error:
                body = f"no: {error}"
        else:
            try:
                body = urllib.request.urlopen(f"http://{rest}", timeout=60).read().decode()
            except OSError as error:
                body = f"no: {error}"
        self.send_response(200)
        self.send_header("Content-Length", len(body))
        self.end_headers()
        self.wfile.write(body.encode())
    def log_message(self, *_): pass
http.server.ThreadingHTTPServer(("0.0.0.0", 8080), Handler).serve_forever()
"""


def pod(name: str, *, ready: bool = True, **spec: Any) -> Object:
    probe = {"tcpSocket": {"port": 8080 if ready else 9}, "periodSeconds": 1, "timeoutSeconds": 30}
    container = {
        "name": "main",
        "image": "python",
        "command": ["python", "-c", PROGRAM],
        "readinessProbe": probe,
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": {"app": "web" if name != "client" else "client"}},
        "spec": {"containers": [container], "terminationGracePeriodSeconds": 0, **spec},
    }


def service(name: str, **spec: Any) -> Object:
    body = {"selector": {"app": "web"}, "ports": [{"port": 80, "targetPort": 8080}], **spec}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": body}


def address(world: Any, name: str) -> str:
    return str((world.get(kinds.PODS, name).get("status") or {}).get("podIP") or "")


def ask(where: str, path: str) -> str:
    try:
        with urllib.request.urlopen(f"http://{where}/{path}", timeout=60) as answer:
            return str(answer.read().decode())
    except (urllib.error.URLError, OSError):
        return ""


def ready(world: Any, name: str) -> None:
    world.wait_for_condition(kinds.PODS, name, "Ready")


def test_pods_find_and_reach_what_came_after_them(world: Any) -> None:
    world.create(kinds.PODS, pod("client"))
    ready(world, "client")
    client = f"{address(world, 'client')}:8080"
    first = service("web")
    made = world.create(kinds.SERVICES, first)["spec"]["clusterIP"]
    world.create(kinds.SERVICES, service("web-pods", clusterIP="None"))
    for name in ("one", "two"):
        world.create(kinds.PODS, pod(name, hostname=name, subdomain="web-pods"))
    world.create(kinds.PODS, pod("unready", ready=False, hostname="unready", subdomain="web-pods"))
    for name in ("one", "two"):
        ready(world, name)
    namespace = world.namespace

    # All of them listen on 0.0.0.0:8080, and each answers at its own address.
    for name in ("client", "one", "two"):
        assert ask(f"{address(world, name)}:8080", "name") == name

    def finds_all() -> bool:
        parts = ("web", namespace, "svc", "cluster.local")
        names = [".".join(parts[:count]) for count in range(1, 5)]
        return [ask(client, f"find/{name}") for name in names] == [made] * 4

    eventually(finds_all, what="all names of the service")
    own = f"one.web-pods.{namespace}.svc.cluster.local"
    eventually(lambda: ask(client, f"find/{own}") == address(world, "one"), what=own)
    unready = f"unready.web-pods.{namespace}.svc.cluster.local"
    assert ask(client, f"find/{unready}") == ""

    # The cluster IP takes the ready ones in turns, once it knows both.
    def in_turns() -> bool:
        seen = Counter(ask(client, "fetch/web:80/name") for _ in range(12))
        return set(seen) == {"one", "two"} and min(seen.values()) >= 4

    eventually(in_turns, what="both answer in turns")

    world.platform.call(world.client.delete(kinds.SERVICES, "web", namespace))
    eventually(lambda: ask(client, "find/web") == "", what="the name goes")
    world.platform.call(world.client.delete(kinds.PODS, "one", namespace))
    eventually(lambda: ask(client, f"find/{own}") == "", what="the pod's name goes")


def test_a_pod_finds_peers_that_have_not_begun(world: Any) -> None:
    """Processes of a job look for one another in their first moment."""
    peers = service("peer", clusterIP="None", publishNotReadyAddresses=True)
    world.create(kinds.SERVICES, peers)
    gates = [{"name": "wherry.dev/test"}]
    world.create(kinds.PODS, pod("late", schedulingGates=gates, hostname="late", subdomain="peer"))
    look = (
        "import pathlib, socket; found = map(socket.gethostbyname, ('peer', 'late.peer'));"
        "pathlib.Path('/dev/termination-log').write_text(' '.join(found))"
    )
    container = {"name": "main", "image": "python", "command": ["python", "-c", look]}
    asking: Object = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "asking"}}
    asking["spec"] = {"containers": [container], "restartPolicy": "Never"}
    world.create(kinds.PODS, asking)
    ended = world.wait_for_phase("asking", "Succeeded")
    found = ended["status"]["containerStatuses"][0]["state"]["terminated"]["message"].split()
    assert address(world, "late") == ""
    patch = {"spec": {"schedulingGates": None}}
    world.platform.call(world.client.patch(kinds.PODS, "late", patch, world.namespace))
    ready(world, "late")
    assert found == [address(world, "late")] * 2


def test_node_ports_lead_to_pods(world: Any) -> None:
    world.create(kinds.PODS, pod("one"))
    made = world.create(kinds.SERVICES, service("door", type="NodePort"))
    port = made["spec"]["ports"][0]["nodePort"]
    ready(world, "one")
    eventually(lambda: ask(f"127.0.0.1:{port}", "name") == "one", what="the node port answers")


def call(running: RunningPlatform, action: Callable[[Client], Awaitable[Object]]) -> Object:
    async def run() -> Object:
        transport = HttpTransport(running.connection)
        try:
            return await action(Client(transport))
        finally:
            await transport.close()

    return asyncio.run(run())


def create(running: RunningPlatform, resource: Resource, obj: Object) -> Object:
    obj["metadata"]["namespace"] = "default"
    return call(running, lambda client: client.create(resource, obj))


def test_services_work_between_pods_while_no_control_plane_runs(running: RunningPlatform) -> None:
    for name in ("client", "one", "two"):
        create(running, kinds.PODS, pod(name))
    ports = [{"port": 8081, "targetPort": 8080}]  # one on which anybody's relay may listen
    cluster_ip = create(running, kinds.SERVICES, service("web", ports=ports))["spec"]["clusterIP"]
    there = f"{cluster_ip}:8081"

    def address_of_client() -> str:
        found = call(running, lambda client: client.get(kinds.PODS, "client", "default"))
        return str((found.get("status") or {}).get("podIP") or "")

    def answers(times: int) -> Counter[str]:
        return Counter(ask(where, f"fetch/{there}/name") for _ in range(times))

    where = f"{eventually(address_of_client)}:8080"
    eventually(lambda: set(answers(4)) == {"one", "two"}, what="both answer")
    eventually(lambda: {ask(there, "name") for _ in range(4)} == {"one", "two"}, what="the relay's")
    before = ask(where, f"hold/{there}")
    assert before.split()[0] in {"one", "two"}

    running.kill()
    assert ask(there, "name") == ""  # from outside of pods
    assert ask(where, f"hold/{there}") == before
    assert answers(12) == {"one": 6, "two": 6}

    running.start()
    assert ask(where, f"hold/{there}") == before
    call(running, lambda client: client.delete(kinds.PODS, "one", "default"))
    eventually(lambda: set(answers(4)) == {"two"}, what="one is no endpoint any more")
