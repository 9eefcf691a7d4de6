"""Requests a second and CPU time a request over TLS, against a bare server of the same stack."""

import json
from collections.abc import Callable, Iterator
from typing import NamedTuple

from harness import control_plane, drive, objects
from harness.control_plane import NAMESPACE, ControlPlane
from harness.exchange import request
from harness.rows import Row, median

_BARE = "bare aiohttp server, same bytes"
_RECORDED = "kube-apiserver 1.36 (recorded)"

# CPU milliseconds a request of kube-apiserver 1.36, without etcd's share. Recorded once on a
# machine of this kind and not measured here: they orient, they do not prove.
_KUBE_APISERVER_CPU_MS = {"get": 0.9, "list 1000": 15.0, "create": 1.6, "merge patch": 2.1}

_LISTED = 1000
_REVIEWS = "/apis/authorization.k8s.io/v1/subjectaccessreviews"


class _Case(NamedTuple):
    name: str
    repeats: int
    requests: Callable[[int, int], list[bytes]]
    """Takes the number of the round and the count."""


def bench(*, quick: bool) -> list[Row]:
    """Measure reads and writes."""
    rounds, share = (1, 0.05) if quick else (5, 1.0)
    listed = 100 if quick else _LISTED
    with control_plane.fresh() as plane:
        target = drive.Target(plane.pid, plane.port, plane.directory / "pki")
        seeds = objects.names("seed", listed)
        drive.throughput(target, [objects.create(name) for name in seeds])
        return [
            row
            for case in _cases(seeds)
            for row in _rows(plane, target, case, rounds=rounds, share=share)
        ]


def _cases(seeds: list[str]) -> Iterator[_Case]:
    def patches(content_type: str) -> Callable[[int, int], list[bytes]]:
        def make(number: int, count: int) -> list[bytes]:
            # Each changes something, and each object is patched by one request at a time.
            return [
                request(
                    "PATCH",
                    f"{objects.PATH}/{seeds[index % len(seeds)]}",
                    json.dumps({"data": {"patched": f"{number}-{index}"}}).encode(),
                    content_type=content_type,
                )
                for index in range(count)
            ]

        return make

    one = request("GET", f"{objects.PATH}/{seeds[0]}")
    everything = request("GET", objects.PATH + "?labelSelector=app.kubernetes.io%2Fname%3Dbench")
    plain = request("GET", objects.PATH)
    yield _Case("get", 4000, lambda _, count: [one] * count)
    yield _Case(f"list {len(seeds)}", 200, lambda _, count: [plain] * count)
    yield _Case(f"list {len(seeds)} by label", 100, lambda _, count: [everything] * count)
    yield _Case("merge patch", 1000, patches("application/merge-patch+json"))
    yield _Case("strategic patch", 1000, patches("application/strategic-merge-patch+json"))
    # Last: what it creates would lengthen the lists.
    yield _Case(
        "create",
        1000,
        lambda number, count: [
            objects.create(name) for name in objects.names(f"made-{number}", count)
        ],
    )
    # The second finds what the first has made, and changes nothing.
    for name in ("apply", "apply again"):
        yield _Case(name, 1000, _applies)
    review = json.dumps(_review()).encode()
    asked = request("POST", _REVIEWS, review, content_type="application/json")
    yield _Case("access review", 4000, lambda _, count: [asked] * count)


def _applies(number: int, count: int) -> list[bytes]:
    return [objects.apply(name) for name in objects.names(f"applied-{number}", count)]


def _review() -> dict[str, object]:
    """Return a question that a role answers, and no group of those who may do everything."""
    attributes = {"namespace": NAMESPACE, "verb": "list", "resource": "pods"}
    user = f"system:serviceaccount:{NAMESPACE}:default"
    return {"spec": {"user": user, "resourceAttributes": attributes}}


def _rows(
    plane: ControlPlane, target: drive.Target, case: _Case, *, rounds: int, share: float
) -> Iterator[Row]:
    count = max(drive.CONNECTIONS, int(case.repeats * share))
    status, body = _answer(plane, case.name)
    ours: list[drive.Throughput] = []
    bare: list[drive.Throughput] = []
    with drive.bare_server(target.pki, status, body) as peer:
        for number in range(rounds):
            requests = case.requests(number, count)
            ours.append(drive.throughput(target, requests))
            bare.append(drive.throughput(peer, requests))
    cpu = median(one.cpu_ms for one in ours)
    yield Row(case.name, cpu, "cpu-ms", _BARE, median(one.cpu_ms for one in bare))
    yield Row(
        case.name,
        median(one.requests_per_second for one in ours),
        "1/s",
        _BARE,
        median(one.requests_per_second for one in bare),
    )
    if case.name in _KUBE_APISERVER_CPU_MS:
        yield Row(case.name, cpu, "cpu-ms", _RECORDED, _KUBE_APISERVER_CPU_MS[case.name])
    yield Row(f"{case.name}, client", median(one.client_share for one in ours), "cpu-s/s")


def _answer(plane: ControlPlane, case: str) -> tuple[int, bytes]:
    """Return what the real server answers, for the peer to repeat."""
    if case.startswith("list"):
        status, body = plane.raw("GET", objects.PATH)
        if len(json.loads(body)["items"]) < int(case.split()[1]):
            raise RuntimeError(f"{case}: the list is shorter than what was created")
        return status, body
    if case == "create":
        name = "answer"
        path = f"/api/v1/namespaces/{NAMESPACE}/configmaps"
        return plane.raw("POST", path, objects.config_map(name))
    if case == "access review":
        return plane.raw("POST", _REVIEWS, _review())
    return plane.raw("GET", f"{objects.PATH}/{objects.names('seed', 1)[0]}")
