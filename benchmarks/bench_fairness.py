"""What one client costs the others: watchers that never read, and a user who floods the server with lists."""

import contextlib
import socket
import threading
from collections.abc import Iterator

from harness import control_plane, drive, objects
from harness.control_plane import ControlPlane
from harness.exchange import HOST, request
from harness.rows import Row, percentile

_BURST, _LARGE = 16, "x" * 500_000
"""What a stuck watcher is left with before the measuring: more than the sockets' buffers hold."""


def bench(*, quick: bool) -> list[Row]:
    """Measure with everybody well-behaved, then with the others."""
    with control_plane.fresh() as plane:
        target = drive.Target(plane.pid, plane.port, plane.directory / "pki")
        return [
            *_stuck_watchers(plane, target, quick=quick),
            *_noisy_user(plane, target, quick=quick),
        ]


def _stuck_watchers(plane: ControlPlane, target: drive.Target, *, quick: bool) -> Iterator[Row]:
    watchers, stuck, creates = (9, 1, 10) if quick else (180, 20, 40)
    usual = _delays(plane, target, "usual", watchers=watchers, creates=creates)
    with _never_reading(plane, stuck):
        for number in range(_BURST):
            body = {"metadata": {"name": f"burst-{number}"}, "data": {"x": _LARGE}}
            plane.raw("POST", objects.PATH, body)
        found = _delays(plane, target, "stuck", watchers=watchers, creates=creates)
    for percent in (50, 99):
        case = f"{watchers} watchers beside {stuck} that never read, p{percent}"
        value, peer = (percentile(each, percent) * 1000 for each in (found, usual))
        yield Row(case, value, "ms", f"{watchers} watchers alone", peer)


def _delays(
    plane: ControlPlane, target: drive.Target, name: str, *, watchers: int, creates: int
) -> list[float]:
    requests = [objects.create(each) for each in objects.names(name, creates)]
    return drive.watch(target, _watch_request(plane), requests, watchers=watchers)[0]


def _watch_request(plane: ControlPlane) -> bytes:
    version = plane.call("GET", f"{objects.PATH}?limit=1")["metadata"]["resourceVersion"]
    return request("GET", f"{objects.PATH}?watch=true&resourceVersion={version}")


@contextlib.contextmanager
def _never_reading(plane: ControlPlane, count: int) -> Iterator[None]:
    context = control_plane.admin_context(plane.directory / "pki")
    asked = _watch_request(plane)
    with contextlib.ExitStack() as stack:
        for _ in range(count):
            plain = socket.socket()
            plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            plain.connect((HOST, plane.port))
            made = stack.enter_context(context.wrap_socket(plain, server_hostname="localhost"))
            made.sendall(asked)
        yield


def _noisy_user(plane: ControlPlane, target: drive.Target, *, quick: bool) -> Iterator[Row]:
    listed, gets, lists, connections = (50, 30, 20, 4) if quick else (1000, 400, 1500, 16)
    _let_read(plane, "loud", "quiet")
    drive.latencies(target, [objects.create(each) for each in objects.names("listed", listed)],
                    connections=8)  # fmt: skip
    get = request("GET", f"{objects.PATH}/listed-00001", impersonate_user="quiet")
    flood = request("GET", objects.PATH, impersonate_user="loud")
    idle = drive.latencies(target, [get] * gets, connections=1)
    noise = threading.Thread(
        target=drive.latencies, args=(target, [flood] * lists), kwargs={"connections": connections}
    )
    noise.start()
    found: list[float] = []
    while noise.is_alive():
        found += drive.latencies(target, [get] * 20, connections=1)
    noise.join()
    for percent in (50, 99):
        case = f"get while another lists {listed} objects {connections} times at once, p{percent}"
        value, peer = (percentile(each, percent) * 1000 for each in (found, idle))
        yield Row(case, value, "ms", "get on an idle server", peer)


def _let_read(plane: ControlPlane, *names: str) -> None:
    group = "rbac.authorization.k8s.io"
    binding = {
        "metadata": {"name": "bench-readers"},
        "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": "view"},
        "subjects": [{"apiGroup": group, "kind": "User", "name": name} for name in names],
    }
    plane.raw("POST", f"/apis/{group}/v1/clusterrolebindings", binding)
