"""From the call that creates an object to the watchers' lines, and what a delivered event costs."""

from collections.abc import Iterator

from harness import control_plane, drive, objects
from harness.control_plane import ControlPlane
from harness.exchange import request
from harness.rows import Row, median, percentile

_BARE = "bare aiohttp server, same bytes"
# Recorded once on a machine of this kind, with etcd; not measured here.
_KUBE_APISERVER_P50_MS = 9.5
_RECORDED = "kube-apiserver 1.36 (recorded)"


def bench(*, quick: bool) -> list[Row]:
    """Measure with 1, 32 and 100 watchers."""
    rounds, creates = (1, 10) if quick else (3, 60)
    with control_plane.fresh() as plane:
        target = drive.Target(plane.pid, plane.port, plane.directory / "pki")
        body, event = _answer_and_event(plane)
        with drive.bare_server(target.pki, 201, body, event) as peer:
            return list(_rows(plane, target, peer, rounds=rounds, creates=creates))


def _rows(
    plane: ControlPlane, ours: drive.Target, peer: drive.Target, *, rounds: int, creates: int
) -> Iterator[Row]:
    # A create costs by itself; what is beyond that is the watchers'.
    alone = [_Side(ours), _Side(peer)]
    for watchers in (0, 1, 32, 100):
        sides = [_Side(ours), _Side(peer)]
        for number in range(rounds):
            names = objects.names(f"watched-{watchers}-{number}", creates)
            requests = [objects.create(name) for name in names]
            for side in sides:
                side.measure(_watch_request(plane), requests, watchers)
        if watchers == 0:
            alone = sides
            continue
        case = f"{watchers} watchers" if watchers > 1 else "1 watcher"
        for percent in (50, 99):
            mine, other = (percentile(side.delays, percent) * 1000 for side in sides)
            yield Row(f"{case}, p{percent}", mine, "ms", _BARE, other)
        if watchers == 1:
            # What one watcher costs is lost beside the create itself: no row for it.
            yield Row(
                f"{case}, p50",
                percentile(sides[0].delays, 50) * 1000,
                "ms",
                _RECORDED,
                _KUBE_APISERVER_P50_MS,
            )
            continue
        events = watchers * creates
        mine, other = (
            (median(side.cpu) - median(idle.cpu)) / events * 1000
            for side, idle in zip(sides, alone, strict=True)
        )
        yield Row(f"{case}, delivered event", mine, "cpu-ms", _BARE, other)


class _Side:
    def __init__(self, target: drive.Target) -> None:
        self.delays: list[float] = []
        self.cpu: list[float] = []
        self._target = target

    def measure(self, watch: bytes, requests: list[bytes], watchers: int) -> None:
        delays, cpu = drive.watch(self._target, watch, requests, watchers=watchers)
        self.delays += delays
        self.cpu.append(cpu)


def _watch_request(plane: ControlPlane) -> bytes:
    version = plane.call("GET", objects.PATH)["metadata"]["resourceVersion"]
    return request("GET", f"{objects.PATH}?watch=true&resourceVersion={version}")


def _answer_and_event(plane: ControlPlane) -> tuple[bytes, bytes]:
    """Return what the real server answers to a create, and the line that its watchers get."""
    body = plane.raw("POST", objects.PATH, objects.config_map("answer"))[1]
    return body, b'{"type":"ADDED","object":' + body.rstrip(b"\n") + b"}\n"
