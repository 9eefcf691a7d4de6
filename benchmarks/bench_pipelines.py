"""Pipelines of trivial steps: what a step costs beside its process, cold and warm; long ones; large artifacts.

Every step goes the full way: row, pod, process, its outputs, its row, what waits for it. The same functions are
run by `kfp.local`, which keeps neither objects nor a history.
"""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from harness import control_plane, local_kfp, pipeline_runs, processes
from harness.control_plane import NAMESPACE, ControlPlane
from harness.pipeline_runs import Ran
from harness.rows import Row, median

_GIB = 1024**3
_LARGE = 5 * _GIB
_CLAIMS = f"/api/v1/namespaces/{NAMESPACE}/persistentvolumeclaims"
_Way = Callable[[int], float]


def bench(*, quick: bool) -> list[Row]:
    """Measure: a chain of three steps, many parallel ones, a thousand that wait for one another, 5 GiB handed on."""
    compiled = local_kfp.compiled()
    rows: list[Row] = []
    with control_plane.fresh() as plane:
        _warm_up(plane, compiled["chain"])
        rows += _chain(plane, compiled["chain"], rounds=1 if quick else 9)
        rows += _parallel(plane, compiled["parallel"], *((1, 12) if quick else (3, 300)))
        rows += _mixed(plane, *((8, 5) if quick else (200, 5)))
        rows += _large(plane, compiled["large"], claims=not quick)
    if not quick:
        rows += _with_environments(rows)
    return rows


def _chain(plane: ControlPlane, pipeline: dict[str, Any], rounds: int) -> Iterator[Row]:
    """Three steps, each of which waits for the one before."""

    def run(kind: str, number: int) -> float:
        name = f"chain-{kind}-{number}"
        ran = pipeline_runs.run(plane, name, pipeline, warm=kind == "warm")
        _check(ran, "Output", 4)
        return ran.seconds

    programs = pipeline_runs.programs(plane, "first")
    taken = _in_turn(
        {
            "warm": lambda number: run("warm", number),
            "bare": lambda _: pipeline_runs.bare(programs, 1),
            "cold": lambda number: run("cold", number),
            "local": lambda _: local_kfp.seconds("chain", "subprocess"),
        },
        rounds,
    )
    for kind in ("warm", "cold"):
        case = f"3 steps in a chain, {kind}"
        yield Row(case, taken[kind], "s", "bare processes", taken["bare"])
        yield Row(case, taken[kind], "s", "kfp.local, subprocesses", taken["local"])
        beyond = (taken[kind] - taken["bare"]) / 3 * 1000
        yield Row(f"{case}: a step beyond its process", beyond, "ms")


def _with_environments(rows: list[Row]) -> Iterator[Row]:
    """The same chain where `kfp.local` makes an environment, or a container, for each step: seconds, so once."""
    warm = next(row for row in rows if row.case == "3 steps in a chain, warm")
    modes = {"venv": "kfp.local, environments"}
    if local_kfp.has_docker():
        modes["docker"] = "kfp.local, Docker"
    for mode, peer in modes.items():
        yield Row(warm.case, warm.value, "s", peer, local_kfp.seconds("chain", mode))


def _parallel(
    plane: ControlPlane, pipeline: dict[str, Any], rounds: int, count: int
) -> Iterator[Row]:
    """Many steps, none of which waits for another: all are started at once."""
    cpu: dict[str, list[float]] = {"warm": [], "cold": []}

    def run(kind: str, number: int) -> float:
        before, name = _cpu_seconds(plane), f"parallel-{kind}-{number}"
        ran = pipeline_runs.run(plane, name, pipeline, warm=kind == "warm", parameters=given)
        cpu[kind].append(_cpu_seconds(plane) - before)
        return ran.seconds

    given = {"items": [*range(count)]}
    pipeline_runs.run(plane, "parallel-first", pipeline, parameters=given)
    programs = pipeline_runs.programs(plane, "parallel-first")
    taken = _in_turn(
        {
            "warm": lambda number: run("warm", number),
            "bare": lambda _: pipeline_runs.bare(programs, count),
            "cold": lambda number: run("cold", number),
            "local": lambda _: local_kfp.seconds("parallel", "subprocess", items=count),
        },
        rounds,
    )
    for kind, used in cpu.items():
        case = f"{count} parallel steps, {kind}"
        for way, peer in (("bare", "bare processes"), ("local", "kfp.local, subprocesses")):
            yield Row(f"{case}: steps", count / taken[kind], "1/s", peer, count / taken[way])
        beyond = (taken[kind] - taken["bare"]) / count * 1000
        yield Row(f"{case}: a step beyond its process", beyond, "ms")
        yield Row(f"{case}, Wherry's own", median(used) / count * 1000, "cpu-ms/step")
    yield from _cached(plane, pipeline, count)


def _cached(plane: ControlPlane, pipeline: dict[str, Any], count: int) -> Iterator[Row]:
    """The same steps whose results are there."""
    given = {"cache": True, "parameters": {"items": [*range(count)]}}
    pipeline_runs.run(plane, "to-cache", pipeline, **given)
    ran = pipeline_runs.run(plane, "from-cache", pipeline, **given)
    if ran.status["tasks"].get("cached") != count:
        raise RuntimeError(f"not all came from cache: {ran.status['tasks']}")
    yield Row(f"{count} parallel steps, from cache: steps", count / ran.seconds, "1/s")


def _mixed(plane: ControlPlane, levels: int, abreast: int) -> Iterator[Row]:
    """A graph that is deep, and some steps wide; does it slow down?"""
    count = levels * abreast
    part, before = max(1, count // 10), processes.settled_cpu_seconds(plane.pid)
    ran = pipeline_runs.run(plane, "mixed", pipeline_runs.mixed(levels, abreast))
    cpu = processes.settled_cpu_seconds(plane.pid) - before
    _check(ran, "Output", 1)
    case = f"a graph of {count} steps"
    first, last = ran.rate_between(0, part), ran.rate_between(count - part, count)
    yield Row(f"{case}, the last {part}", last, "1/s", f"the first {part}", first)
    yield Row(f"{case}, control plane", cpu / count * 1000, "cpu-ms/step")
    yield Row(f"{case}, the largest status", ran.largest / 1024, "KiB")


def _large(plane: ControlPlane, pipeline: dict[str, Any], *, claims: bool) -> Iterator[Row]:
    """A file of 5 GiB, nearly all of it a hole, that one step writes and the next one looks into."""
    roots = {"folder": ""}
    if claims:
        roots["claim"] = "pvc://large/root"
        claim = {"accessModes": ["ReadWriteMany"], "resources": {"requests": {"storage": "6Gi"}}}
        plane.call("POST", _CLAIMS, {"metadata": {"name": "large"}, "spec": claim})
    bare = 0.0
    for place, root in roots.items():
        name = f"large-{place}"
        # What brings outputs away where they are not written in place has to be installed first.
        for number in range(2):
            config = {"pipelineRoot": root} if root else {}
            ran = pipeline_runs.run(plane, f"{name}-{number}", pipeline, **config)
        _check(ran, "Output", f"{_LARGE} last")
        case = f"5 GiB from step to step in a {place}"
        # The paths of a claim are in its pods only.
        bare = bare or pipeline_runs.bare(pipeline_runs.programs(plane, f"{name}-1"), 1)
        yield Row(case, ran.seconds, "s", "bare processes", bare)
        yield Row(f"{case}, on disk", _on_disk(plane.directory, f"{name}-1", plane), "MiB")


def _on_disk(directory: Path, name: str, plane: ControlPlane) -> float:
    """Return the MiB that the files of a run take up; a copy of the large one would not have its hole."""
    uid = plane.call("GET", f"{pipeline_runs.RUNS}/{name}")["metadata"]["uid"]
    files = [path.stat() for path in directory.rglob(f"*/{uid}/**/*") if path.is_file()]
    if sum(file.st_size >= _LARGE for file in files) != 1:
        raise RuntimeError(f"{name}: there is not one large file, but {len(files)} files")
    return sum(file.st_blocks for file in files) * 512 / 1024**2


def _in_turn(ways: dict[str, _Way], rounds: int) -> dict[str, float]:
    taken: dict[str, list[float]] = {way: [] for way in ways}
    for number in range(rounds):
        for way, once in ways.items():
            taken[way].append(once(number))
    return {way: median(values) for way, values in taken.items()}


def _warm_up(plane: ControlPlane, pipeline: dict[str, Any]) -> None:
    """Run the chain until an interpreter waits for its steps."""
    for name in ("first", "second", "third"):
        pipeline_runs.run(plane, name, pipeline)


def _check(ran: Ran, name: str, wanted: object) -> None:
    found = ran.status.get("outputs", {}).get(name)
    if found != wanted:
        raise RuntimeError(
            f"the pipeline gave {json.dumps(found)}, and should {json.dumps(wanted)}"
        )


def _cpu_seconds(plane: ControlPlane) -> float:
    launcher = plane.launcher_pid()
    assert launcher is not None
    return sum(processes.settled_cpu_seconds(pid) for pid in (plane.pid, launcher))
