"""kr8s without `await`: pods that are made, waited for, entered and forwarded; kinds of one's own."""

import json
import os
import sys
import time

import httpx
import kr8s
from kr8s.objects import ConfigMap, Deployment, Pod, Service, new_class

NAMESPACE = os.environ["NAMESPACE"]
SERVER = "import http.server as h; h.test(h.SimpleHTTPRequestHandler, port=8080, bind='127.0.0.1')"
seen: dict[str, object] = {}


def until(check):
    """Wait until something is true; return it."""
    deadline = time.monotonic() + 80
    while not (found := check()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return found


def pod(name: str, *command: str, **container: object) -> Pod:
    main = {"name": "main", "image": "python:3", "command": list(command), **container}
    labels = {"app": name}
    spec = {"containers": [main], "terminationGracePeriodSeconds": 0, "restartPolicy": "Never"}
    return Pod({"metadata": {"name": name, "namespace": NAMESPACE, "labels": labels}, "spec": spec})


def server() -> Pod:
    probe = {"httpGet": {"port": 8080}, "periodSeconds": 1}
    ports = [{"name": "http", "containerPort": 8080}]
    return pod("web", "python", "-c", SERVER, readinessProbe=probe, ports=ports)


def entered(web: Pod) -> None:
    done = web.exec(["sh", "-c", "echo out; echo err >&2; exit 5"], check=False)
    seen["exec"] = [done.stdout.decode(), done.stderr.decode(), done.returncode]
    # The server's log has come as far as its probe.
    lines = until(lambda: [line for line in web.logs() if "GET" in line])
    seen["log"] = "200" in lines[0]


def forwarded(web: Pod) -> None:
    with web.portforward(remote_port=8080) as port:
        seen["pod"] = httpx.get(f"http://127.0.0.1:{port}/").status_code
        seen["missing"] = httpx.get(f"http://127.0.0.1:{port}/no").status_code
    ports = [{"port": 80, "targetPort": "http"}]
    spec = {"selector": {"app": "web"}, "ports": ports}
    service = Service({"metadata": {"name": "web", "namespace": NAMESPACE}, "spec": spec})
    service.create()
    until(service.ready_pods)
    with service.portforward(remote_port=8080) as port:  # it takes the pod's port
        seen["service"] = httpx.get(f"http://127.0.0.1:{port}/").status_code
    seen["proxied"] = service.proxy_http_get("/").status_code


def objects() -> None:
    found = ConfigMap({"metadata": {"name": "c", "namespace": NAMESPACE}, "data": {"a": "1"}})
    found.create()
    found.patch({"data": {"b": "2"}})
    found.label(by="kr8s")
    found.annotate({"note": "x"})
    listed = list(kr8s.get("configmaps", namespace=NAMESPACE, label_selector="by=kr8s"))
    seen["listed"] = [one.raw["data"] for one in listed]
    seen["missing map"] = ConfigMap("gone", namespace=NAMESPACE).exists()
    try:
        ConfigMap.get("gone", namespace=NAMESPACE, timeout=1)
    except kr8s.NotFoundError:
        seen["not found"] = True
    version = kr8s.api().version()
    seen["version"] = version["major"]
    kinds = {resource["kind"] for resource in kr8s.api().api_resources()}
    seen["kinds"] = {"Pod", "Deployment", "Boat"} <= kinds


def workloads() -> None:
    labels = {"app": "d"}
    template = {"metadata": {"labels": labels}, "spec": pod("d", "sleep", "600").raw["spec"]}
    template["spec"]["restartPolicy"] = "Always"
    spec = {"replicas": 1, "selector": {"matchLabels": labels}, "template": template}
    found = Deployment({"metadata": {"name": "d", "namespace": NAMESPACE}, "spec": spec})
    found.create()
    found.wait("condition=Available", timeout=80)
    found.scale(2)
    until(lambda: len(found.pods()) == 2)
    seen["ready"] = until(found.ready)
    found.delete()


def custom() -> None:
    boats = new_class("Boat", "example.org/v1", namespaced=True, plural="boats")
    boat = boats({"metadata": {"name": "b", "namespace": NAMESPACE}, "spec": {"oars": 2}})
    boat.create()
    boat.patch({"status": {"afloat": True}}, subresource="status")
    boat.refresh()
    seen["boat"] = [boat.spec.oars, boat.status.afloat]
    boat.wait("jsonpath='{.status.afloat}'=True", timeout=80)
    boat.delete()
    boat.wait("delete", timeout=80)
    seen["boats"] = boat.exists()


web = server()
web.create()
objects()
custom()
web.wait("condition=Ready", timeout=80)
entered(web)
forwarded(web)
workloads()
short = pod("short", "sh", "-c", "echo ended")
short.create()
short.wait("jsonpath='{.status.phase}'=Succeeded", timeout=80)
seen["short"] = list(short.logs())
web.delete()
web.wait("delete", timeout=80)
sys.stdout.write(json.dumps(seen))
