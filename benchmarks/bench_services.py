"""Between pods: what a cluster IP adds to a connection that goes straight to a pod's address."""

import json
import time
from pathlib import Path

from harness import control_plane, pods, round_trips
from harness.control_plane import NAMESPACE, ControlPlane
from harness.rows import Row, percentile

_SCRIPT = str(Path(round_trips.__file__).resolve())
_SERVER, _PORT = "echo", 18080
_SERVICES = f"/api/v1/namespaces/{NAMESPACE}/services"
_SLICES = f"/apis/discovery.k8s.io/v1/namespaces/{NAMESPACE}/endpointslices"
_DIRECT = "the pod's own address"


def bench(*, quick: bool) -> list[Row]:
    """Measure connections and round trips from one pod to another."""
    with control_plane.fresh() as plane:
        cluster_ip, pod_ip = _start_server(plane)
        addresses = [f"{cluster_ip}:{_PORT}", f"{pod_ip}:{_PORT}"]
        count = "20" if quick else "2000"
        spec = pods.pod_spec(["python", _SCRIPT, "measure", count, *addresses])
        plane.call("POST", pods.PATH, {"metadata": {"name": "client"}, "spec": spec})
        found = json.loads(pods.output(plane, "client"))
    rows = []
    for case, what in (
        ("cluster IP, connect and a byte there and back", "connects"),
        ("cluster IP, a byte there and back", "trips"),
    ):
        for percent in (50, 99):
            value, peer = (percentile(each, percent) * 1000 for each in found[what])
            rows.append(Row(f"{case}, p{percent}", value, "ms", _DIRECT, peer))
    return rows


def _start_server(plane: ControlPlane) -> tuple[str, str]:
    """Return the addresses of a service and of the ready pod behind it."""
    spec = pods.pod_spec(["python", _SCRIPT, "serve", str(_PORT)])
    spec["containers"][0]["readinessProbe"] = {"tcpSocket": {"port": _PORT}, "periodSeconds": 1}
    metadata = {"name": _SERVER, "labels": {"app": _SERVER}}
    plane.call("POST", pods.PATH, {"metadata": metadata, "spec": spec})
    ports = {"selector": {"app": _SERVER}, "ports": [{"port": _PORT}]}
    made = plane.call("POST", _SERVICES, {"metadata": {"name": _SERVER}, "spec": ports})
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        for part in plane.call("GET", _SLICES)["items"]:
            for endpoint in part.get("endpoints") or ():
                if part["metadata"]["name"].startswith(_SERVER) and endpoint["conditions"]["ready"]:
                    return made["spec"]["clusterIP"], endpoint["addresses"][0]
        time.sleep(0.05)
    raise TimeoutError(f"no endpoint of service {_SERVER} is ready")
