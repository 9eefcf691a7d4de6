"""Searches of short trials: their rate and their first value, cold and warm; long ones, many at once.

Every trial goes the full way: Experiment, proposal, Trial, Job, pod, its log, its value, its status.
Ray Tune and Optuna are run where the machine has been told to (WHERRY_BENCH_TUNERS=1): they are large.
"""

import json
import os
import tempfile
import time
from collections.abc import Callable, Iterator

from harness import control_plane, environments, processes, trials
from harness.control_plane import ControlPlane
from harness.rows import Row, median
from harness.trials import Run

_PARALLEL = 2
_PROGRAMS = {
    "python": ((), (), "pass"),
    "numpy": (("numpy",), ("numpy",), "import numpy"),
    "sklearn": (
        ("scikit-learn",),
        ("sklearn.linear_model", "sklearn.datasets"),
        "from sklearn import datasets, linear_model\n"
        "x, y = datasets.load_digits(return_X_y=True)\n"
        "linear_model.RidgeClassifier().fit(x, y)",
    ),
}
"""By name: requirements, what is imported beforehand, what a trial does before it prints its value."""
_COUNTS = {"sklearn": 20}
"""How many trials a search has, where each takes most of a second: 60 for the others."""
_ONE_THREAD = f"bare processes, {_PARALLEL} at once, OMP_NUM_THREADS=1"
_TUNERS = ["ray[tune]==2.60.0", "optuna==5.0.0"]


def bench(*, quick: bool) -> list[Row]:
    """Measure: trials of three programs, one long search, fifty searches at once."""
    rows: list[Row] = []
    with control_plane.fresh() as plane:
        for name in ["python"] if quick else _PROGRAMS:
            count = _COUNTS.get(name, 60)
            rows += _program(plane, name, rounds=1 if quick else 3, count=10 if quick else count)
        rows += _long(plane, 40 if quick else 2000)
        rows += _at_once(plane, *((3, 2) if quick else (50, 10)))
    return rows


def _program(plane: ControlPlane, name: str, *, rounds: int, count: int) -> list[Row]:
    requirements, preload, program = _PROGRAMS[name]
    python = environments.make(plane, _environment(name), [*requirements], [*preload])
    _until_warm(plane, name)

    def search(kind: str, number: int) -> Run:
        wanted = trials.experiment(
            f"{name}-{kind}-{number}",
            program,
            f"{_environment(name)}:1",
            trials=count,
            parallel=_PARALLEL,
            warm=kind == "warm",
        )
        return trials.run(plane, wanted)

    ways: dict[str, Callable[[int], Run]] = {
        "warm": lambda number: search("warm", number),
        "bare": lambda _: trials.bare(python, program, trials=count, parallel=_PARALLEL),
        "cold": lambda number: search("cold", number),
    }
    if preload:
        # What trials are told here, and what a user who knows of it would say.
        ways[_ONE_THREAD] = lambda _: trials.bare(
            python, program, trials=count, parallel=_PARALLEL, OMP_NUM_THREADS="1"
        )
    if name == "python" and os.environ.get("WHERRY_BENCH_TUNERS"):
        ways |= _tuners(plane, count)
    runs: dict[str, list[Run]] = {way: [] for way in ways}
    for number in range(rounds):
        for way, once in ways.items():
            runs[way].append(once(number))
    return [*_compared(name, runs)]


def _tuners(plane: ControlPlane, count: int) -> dict[str, Callable[[int], Run]]:
    python = environments.make(plane, "bench-tuners", _TUNERS, [])

    def ray(trials_: int, *, reuse: bool) -> Run:
        # Its name may not be long: it has sockets in there.
        with tempfile.TemporaryDirectory(prefix="ray-", ignore_cleanup_errors=True) as folder:
            return trials.ray(python, folder, trials=trials_, parallel=_PARALLEL, reuse=reuse)

    return {
        "Optuna in process": lambda _: trials.optuna(python, trials=count),
        "Ray Tune, reusing actors": lambda _: ray(count, reuse=True),
        # A process for each trial, as it does if nothing is said: it takes seconds for each.
        "Ray Tune": lambda _: ray(min(count, 8), reuse=False),
    }


def _compared(name: str, runs: dict[str, list[Run]]) -> Iterator[Row]:
    rates = {way: median(run.rate for run in found) for way, found in runs.items()}
    firsts = {way: median(run.first for run in found) for way, found in runs.items()}
    for kind in ("cold", "warm"):
        for way in runs:
            if way in {"cold", "warm"}:
                continue
            peer = f"bare processes, {_PARALLEL} at once" if way == "bare" else way
            yield Row(f"{name}, {kind}: trials", rates[kind], "1/s", peer, rates[way])
            case = f"{name}, {kind}: create to first value"
            yield Row(case, firsts[kind], "s", peer, firsts[way])


def _long(plane: ControlPlane, count: int) -> Iterator[Row]:
    """One search of many trials; does it slow down?"""
    part = max(1, count // 20)
    before = _cpu_seconds(plane)
    run = trials.run(
        plane,
        trials.experiment(
            "long", "pass", f"{_environment('python')}:1", trials=count, parallel=_PARALLEL
        ),
    )
    cpu = _cpu_seconds(plane) - before
    first, last = run.rate_between(0, part), run.rate_between(count - part, count)
    case = f"one search of {count} trials"
    yield Row(f"{case}, the last {part}", last, "1/s", f"the first {part}", first)
    yield Row(f"{case}, control plane", cpu / count * 1000, "cpu-ms/trial")
    stored = plane.call("GET", f"{trials.EXPERIMENTS}/long")
    yield Row(f"{case}, the Experiment's status", len(json.dumps(stored["status"])) / 1024, "KiB")


def _at_once(plane: ControlPlane, searches: int, count: int) -> Iterator[Row]:
    """Many searches at the same time."""
    several = [
        trials.experiment(
            f"many-{number}",
            "pass",
            f"{_environment('python')}:1",
            trials=count,
            parallel=_PARALLEL,
        )
        for number in range(searches)
    ]
    seconds = trials.run_all(plane, several)
    case = f"{searches} searches of {count} trials at once: trials"
    yield Row(case, searches * count / seconds, "1/s")


def _cpu_seconds(plane: ControlPlane) -> float:
    return processes.settled_cpu_seconds(plane.pid)


def _environment(name: str) -> str:
    return f"bench-{name}"


def _until_warm(plane: ControlPlane, name: str) -> None:
    """Run searches until trials find their modules imported."""
    _, preload, program = _PROGRAMS[name]
    for number in range(50):
        wanted = trials.experiment(
            f"{name}-until-{number}",
            program,
            f"{_environment(name)}:1",
            trials=_PARALLEL,
            parallel=_PARALLEL,
        )
        trials.run(plane, wanted)
        if environments.is_warm(plane, [*preload]):
            return
        time.sleep(0.5)
    raise RuntimeError(f"{name} never became warm")
