"""From the call that creates a pod to the first line of its Python program, warm and cold; and many such pods."""

import os
import subprocess
import sys
import time

from harness import control_plane, environments, pods, processes
from harness.control_plane import NAMESPACE, ControlPlane
from harness.rows import Row, median

_CASES = {
    "python": ((), (), "pass"),
    "numpy": (("numpy",), ("numpy",), "import numpy"),
    "sklearn": (("scikit-learn",), ("sklearn.linear_model",), "import sklearn.linear_model"),
    "torch": (("torch==2.13.0", "numpy"), ("torch",), "import torch"),
}
"""By name: requirements, what is imported beforehand, the program's imports."""

_JOBS = f"/apis/batch/v1/namespaces/{NAMESPACE}/jobs"
_TURNS = 5
_FORKER = """
import gc, os, sys, time
exec(sys.argv[1])
gc.collect(); gc.freeze()
for line in sys.stdin:
    called = time.time_ns()
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.write(writer, str(time.time_ns()).encode()); os._exit(0)
    print(int(os.read(reader, 99)) - called, flush=True)
    os.waitpid(pid, 0); os.close(reader); os.close(writer)
"""


def bench(*, quick: bool) -> list[Row]:
    """Measure each case; `torch` only where the machine has been told to (WHERRY_BENCH_TORCH=1)."""
    rounds, through = (3, 20) if quick else (15, 500)
    names = ["python"] if quick else [*_CASES][: 4 if os.environ.get("WHERRY_BENCH_TORCH") else 3]
    rows: list[Row] = []
    with control_plane.fresh() as plane:
        for name in names:
            rows += _first_line(plane, name, rounds)
        for parallelism in (2, 8):
            rows += _through(plane, through, parallelism)
    return rows


def _first_line(plane: ControlPlane, name: str, rounds: int) -> list[Row]:
    requirements, preload, imports = _CASES[name]
    python = environments.make(plane, f"bench-{name}", list(requirements), list(preload))
    code = f"{imports}\nimport time; print(time.time_ns())"
    _seconds(plane, f"{name}-first", name, code, warm=True)
    _until_warm(plane, name, code)
    forker = subprocess.Popen(
        [python, "-c", _FORKER, imports], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    taken: dict[str, list[float]] = {"warm": [], "cold": [], "fork": [], "exec": []}
    for number in range(rounds):
        for warm, kind in ((True, "warm"), (False, "cold")):
            taken[kind].append(_seconds(plane, f"{name}-{kind}-{number}", name, code, warm=warm))
        taken["fork"].append(_bare_fork(forker))
        called = time.time_ns()
        done = subprocess.run([python, "-c", code], check=True, capture_output=True)
        taken["exec"].append((int(done.stdout) - called) / 1e9)
    forker.communicate("")
    mid = {kind: median(values) * 1000 for kind, values in taken.items()}
    return [
        Row(f"{name}, warm: create to first line", mid["warm"], "ms", "bare fork", mid["fork"]),
        Row(f"{name}, cold: create to first line", mid["cold"], "ms", "bare exec", mid["exec"]),
    ]


def _bare_fork(forker: "subprocess.Popen[str]") -> float:
    assert forker.stdin is not None
    assert forker.stdout is not None
    forker.stdin.write("\n")
    forker.stdin.flush()
    return int(forker.stdout.readline()) / 1e9


def _seconds(plane: ControlPlane, pod: str, name: str, code: str, *, warm: bool) -> float:
    spec = pods.pod_spec(["python", "-c", code])
    spec["containers"][0]["image"] = f"bench-{name}:1"
    annotations = {} if warm else {"wherry.dev/warm-start": "false"}
    body = {"metadata": {"name": pod, "annotations": annotations}, "spec": spec}
    called = time.time_ns()
    plane.call("POST", pods.PATH, body)
    return (int(pods.output(plane, pod)) - called) / 1e9


def _until_warm(plane: ControlPlane, name: str, code: str) -> None:
    """Run pods until one finds its modules imported."""
    asks = f"import sys; n = len(sys.modules)\n{code}"
    for number in range(50):
        time.sleep(0.5)
        _seconds(plane, f"{name}-until-{number}", name, asks, warm=True)
        if environments.is_warm(plane, list(_CASES[name][1])):
            return
    raise RuntimeError(f"{name} never became warm")


def _through(plane: ControlPlane, count: int, parallelism: int) -> list[Row]:
    """Run ``count`` pods warm and as many cold, a fifth of each in turn."""
    seconds, cpu = {"warm": 0.0, "cold": 0.0}, {"warm": 0.0, "cold": 0.0}
    share = count // _TURNS
    for turn in range(_TURNS):
        for kind in seconds:
            before = _cpu_seconds(plane)
            name = f"{kind}-{parallelism}-{turn}"
            seconds[kind] += _job_seconds(plane, name, share, parallelism, kind)
            cpu[kind] += _cpu_seconds(plane) - before
    bare, ran = _bare_rate(share), share * _TURNS
    rows = []
    for kind, taken in seconds.items():
        case = f"{count} pods of python, {parallelism} at once, {kind}"
        rows.append(Row(case, ran / taken, "1/s", "bare exec one by one", bare))
        rows.append(Row(f"{case}, Wherry's own", cpu[kind] / ran * 1000, "cpu-ms/pod"))
    return rows


def _cpu_seconds(plane: ControlPlane) -> float:
    """Return what control plane and launcher have used, now that they have come to rest."""
    launcher = plane.launcher_pid()
    assert launcher is not None
    return sum(processes.settled_cpu_seconds(pid) for pid in (plane.pid, launcher))


def _job_seconds(plane: ControlPlane, name: str, count: int, parallelism: int, kind: str) -> float:
    spec = pods.pod_spec(["python", "-c", "pass"])
    spec["containers"][0]["image"] = "bench-python:1"
    annotations = {} if kind == "warm" else {"wherry.dev/warm-start": "false"}
    template = {"metadata": {"annotations": annotations}, "spec": spec}
    job = {"completions": count, "parallelism": parallelism, "template": template}
    started = time.monotonic()
    plane.call("POST", _JOBS, {"metadata": {"name": name}, "spec": job})
    while plane.call("GET", f"{_JOBS}/{name}").get("status", {}).get("succeeded") != count:
        if time.monotonic() - started > 300:
            raise TimeoutError(f"{name} did not end")
        time.sleep(0.05)
    return time.monotonic() - started


def _bare_rate(count: int) -> float:
    started = time.monotonic()
    for _ in range(count):
        subprocess.run([sys.executable, "-c", "pass"], check=True)
    return count / (time.monotonic() - started)
