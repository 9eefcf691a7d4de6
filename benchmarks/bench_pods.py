"""From the call that creates a pod to its process, and many short pods through a Job."""

import subprocess
import time
from collections.abc import Iterator
from typing import Any

from harness import control_plane, pods, processes
from harness.control_plane import NAMESPACE, ControlPlane
from harness.rows import Row, percentile

_FORK = "bare fork and exec"
_JOBS = f"/apis/batch/v1/namespaces/{NAMESPACE}/jobs"
_PARALLELISM = 50
_LIMIT_SECONDS = 300.0


def bench(*, quick: bool) -> list[Row]:
    """Measure single pods and a Job of 500."""
    starts, completions = (5, 20) if quick else (50, 500)
    with control_plane.fresh() as plane:
        return [*_starts(plane, starts), *_through(plane, completions)]


def _starts(plane: ControlPlane, count: int) -> Iterator[Row]:
    pods.seconds_to_start(plane, "first")  # the image's environment is made once
    ours, bare = [], []
    for number in range(count):
        ours.append(pods.seconds_to_start(plane, f"start-{number}") * 1000)
        bare.append(pods.bare_seconds_to_start() * 1000)
    for percent in (50, 99):
        case = f"create to process, p{percent}"
        yield Row(case, percentile(ours, percent), "ms", _FORK, percentile(bare, percent))


def _through(plane: ControlPlane, count: int) -> Iterator[Row]:
    launcher = plane.launcher_pid()
    assert launcher is not None
    pids = {"control plane": plane.pid, "launcher": launcher}
    before = {name: processes.settled_cpu_seconds(pid) for name, pid in pids.items()}
    elapsed = _run_job(plane, count)
    cpu = {name: processes.settled_cpu_seconds(pid) - before[name] for name, pid in pids.items()}
    bare = _bare_rate(count)
    case = f"{count} pods of true"
    yield Row(case, count / elapsed, "1/s", _FORK, bare)
    for name, seconds in cpu.items():
        yield Row(f"{case}, {name}", seconds / count * 1000, "cpu-ms/pod")


def _run_job(plane: ControlPlane, count: int) -> float:
    template = {"spec": pods.pod_spec(["true"])}
    spec = {"completions": count, "parallelism": min(count, _PARALLELISM), "template": template}
    status: dict[str, Any] = {}
    started = time.monotonic()
    plane.call("POST", _JOBS, {"metadata": {"name": "through"}, "spec": spec})
    while time.monotonic() - started < _LIMIT_SECONDS:
        status = plane.call("GET", f"{_JOBS}/through").get("status", {})
        ended = {one["type"] for one in status.get("conditions", []) if one["status"] == "True"}
        if "Complete" in ended and status["succeeded"] == count:
            return time.monotonic() - started
        if "Failed" in ended:
            raise RuntimeError(f"the job failed: {status}")
        time.sleep(0.2)
    raise TimeoutError(f"the job did not end within {_LIMIT_SECONDS:g} s: {status}")


def _bare_rate(count: int) -> float:
    started = time.monotonic()
    for _ in range(count):
        subprocess.run(["true"], check=True)
    return count / (time.monotonic() - started)
