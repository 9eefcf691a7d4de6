"""From the call that creates a PyTorchJob to its first all-reduce, cold and warm; and many small jobs."""

import contextlib
import os
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from harness import control_plane, environments, pods, processes
from harness.control_plane import NAMESPACE, ControlPlane
from harness.rows import Row, median

_JOBS = f"/apis/kubeflow.org/v1/namespaces/{NAMESPACE}/pytorchjobs"
_PRELOAD = ["torch", "torch.distributed"]
_REDUCE = """
import time
import torch
import torch.distributed as dist
dist.init_process_group("gloo")
dist.all_reduce(torch.ones(1))
if dist.get_rank() == 0:
    print(time.time_ns(), flush=True)
dist.destroy_process_group()
"""
_RANKS = 2
_LIMIT_SECONDS = 300.0


def bench(*, quick: bool) -> list[Row]:
    """Measure; the part with torch only where the machine has been told to (WHERRY_BENCH_TORCH=1)."""
    rows: list[Row] = []
    with control_plane.fresh() as plane:
        if os.environ.get("WHERRY_BENCH_TORCH"):
            rows += _first_all_reduce(plane, 2 if quick else 9)
        python = environments.make(plane, "bench-plain", [], [])
        _until_warm(plane, "bench-plain", "pass", [])
        for warm in (True, False):
            rows += _through(plane, python, 5 if quick else 50, warm=warm)
    return rows


def _first_all_reduce(plane: ControlPlane, rounds: int) -> list[Row]:
    python = environments.make(plane, "bench-torch", ["torch==2.13.0", "numpy"], _PRELOAD)
    _until_warm(plane, "bench-torch", _REDUCE, _PRELOAD)
    taken: dict[str, list[float]] = {"warm": [], "cold": [], "bare": [], "torchrun": []}
    with tempfile.TemporaryDirectory(prefix="wherry-bench-") as folder:
        script = Path(folder) / "reduce.py"
        script.write_text(_REDUCE)
        for number in range(rounds):
            taken["warm"].append(_job_seconds(plane, f"warm-{number}", warm=True))
            taken["bare"].append(_bare_seconds(python, script))
            taken["cold"].append(_job_seconds(plane, f"cold-{number}", warm=False))
            taken["torchrun"].append(_torchrun_seconds(python, script))
    mid = {kind: median(values) for kind, values in taken.items()}
    return [
        Row(f"{kind}: create to first all-reduce", mid[kind], "s", peer, mid[name])
        for kind in ("cold", "warm")
        for peer, name in (("two bare processes", "bare"), ("torchrun", "torchrun"))
    ]


def _job(name: str, image: str, code: str, workers: int, *, warm: bool) -> dict[str, Any]:
    spec = pods.pod_spec(["python", "-c", code])
    spec["containers"][0] |= {"name": "pytorch", "image": f"{image}:1"}
    annotations = {} if warm else {"wherry.dev/warm-start": "false"}
    template = {"metadata": {"annotations": annotations}, "spec": spec}
    replicas = {
        "Master": {"replicas": 1, "restartPolicy": "Never", "template": template},
        "Worker": {"replicas": workers, "restartPolicy": "Never", "template": template},
    }
    return {"metadata": {"name": name}, "spec": {"pytorchReplicaSpecs": replicas}}


def _job_seconds(plane: ControlPlane, name: str, *, warm: bool) -> float:
    body = _job(name, "bench-torch", _REDUCE, _RANKS - 1, warm=warm)
    called = time.time_ns()
    plane.call("POST", _JOBS, body)
    with _deadline(name) as expired:
        while _state(plane, name) != "Succeeded":
            expired()
    return (int(pods.output(plane, f"{name}-master-0")) - called) / 1e9


def _state(plane: ControlPlane, name: str) -> str:
    """Return the job's last condition.

    Raises:
        RuntimeError: it has failed.
    """
    status = plane.call("GET", f"{_JOBS}/{name}").get("status", {})
    last = (status.get("conditions") or [{}])[-1]
    if last.get("type") == "Failed":
        raise RuntimeError(f"{name}: {last['message']}")
    return str(last.get("type", ""))


@contextlib.contextmanager
def _deadline(what: str) -> Iterator[Any]:
    """Give a function that waits a moment, and raises TimeoutError once there were enough of them."""
    ends = time.monotonic() + _LIMIT_SECONDS

    def wait() -> None:
        if time.monotonic() > ends:
            raise TimeoutError(f"{what} did not end in {_LIMIT_SECONDS:.0f} s")
        time.sleep(0.05)

    yield wait


def _bare_seconds(python: str, script: Path) -> float:
    port = _free_port()
    called = time.time_ns()
    ranks = [
        subprocess.Popen(
            [python, str(script)],
            env={**processes.environment(), **_meeting(port, rank)},
            stdout=subprocess.PIPE,
        )
        for rank in range(_RANKS)
    ]
    told = [rank.communicate(timeout=_LIMIT_SECONDS)[0] for rank in ranks]
    if any(rank.returncode for rank in ranks):
        raise RuntimeError(f"a bare rank failed: {[rank.returncode for rank in ranks]}")
    return (int(told[0]) - called) / 1e9


def _meeting(port: int, rank: int) -> dict[str, str]:
    address = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    return {**address, "WORLD_SIZE": str(_RANKS), "RANK": str(rank)}


def _torchrun_seconds(python: str, script: Path) -> float:
    words = ["-m", "torch.distributed.run", f"--nproc-per-node={_RANKS}"]
    words += [f"--master-port={_free_port()}", str(script)]
    called = time.time_ns()
    done = subprocess.run(
        [python, *words],
        env={**processes.environment(), "OMP_NUM_THREADS": "1"},
        check=True,
        capture_output=True,
        timeout=_LIMIT_SECONDS,
    )
    return (int(done.stdout) - called) / 1e9


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


def _until_warm(plane: ControlPlane, image: str, code: str, preload: list[str]) -> None:
    """Run jobs until their pods find the modules imported."""
    for number in range(50):
        name = f"{image}-until-{number}"
        plane.call("POST", _JOBS, _job(name, image, code, _RANKS - 1, warm=True))
        with _deadline(name) as expired:
            while _state(plane, name) != "Succeeded":
                expired()
        if environments.is_warm(plane, preload):
            return
        time.sleep(0.5)
    raise RuntimeError(f"{image} never became warm")


def _through(plane: ControlPlane, python: str, count: int, *, warm: bool) -> list[Row]:
    """Create jobs of four ranks that do nothing, at once; wait until all have succeeded."""
    kind = "warm" if warm else "cold"
    names = [f"many-{kind}-{number}" for number in range(count)]
    started = time.monotonic()
    for name in names:
        plane.call("POST", _JOBS, _job(name, "bench-plain", "pass", 3, warm=warm))
    with _deadline(f"{count} jobs") as expired:
        while not all(_state(plane, name) == "Succeeded" for name in names):
            expired()
    rate = 4 * count / (time.monotonic() - started)
    case = f"{count} jobs of 4 ranks that do nothing, {kind}: ranks"
    return [Row(case, rate, "1/s", "bare exec one by one", _bare_rate(python, 4 * count))]


def _bare_rate(python: str, count: int) -> float:
    started = time.monotonic()
    for _ in range(count):
        subprocess.run([python, "-c", "pass"], check=True)
    return count / (time.monotonic() - started)
