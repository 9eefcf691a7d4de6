"""Argo's Workflows: what a node costs, beside the same step of a pipeline and beside its process.

The three run in turn, on one platform. Nodes and steps go the full way: row, pod, process, row, what waits for it.
"""

from collections.abc import Callable, Iterator

from harness import control_plane, pipeline_runs, processes, workflow_runs
from harness.control_plane import ControlPlane
from harness.rows import Row, median

_Once = Callable[[str], float]


def bench(*, quick: bool) -> list[Row]:
    """Measure: many nodes at once, and a chain of them."""
    rounds = 1 if quick else 7
    abreast, deep = (10, 3) if quick else (100, 30)
    with control_plane.fresh() as plane:
        _warm_up(plane)
        program = workflow_runs.program(plane)
        wide = workflow_runs.parallel(abreast), workflow_runs.same_parallel(abreast)
        long = workflow_runs.chain(deep), workflow_runs.same_chain(deep)
        return [
            *_compared(
                plane,
                f"{abreast} parallel nodes",
                abreast,
                {
                    "workflow": lambda name: workflow_runs.run(plane, name, wide[0]),
                    "pipeline": lambda name: pipeline_runs.run(plane, name, wide[1]).seconds,
                    "bare": lambda _: pipeline_runs.bare([program] * abreast, abreast),
                },
                rounds,
            ),
            *_compared(
                plane,
                f"{deep} nodes in a chain",
                deep,
                {
                    "workflow": lambda name: workflow_runs.run(plane, name, long[0]),
                    "pipeline": lambda name: pipeline_runs.run(plane, name, long[1]).seconds,
                    "bare": lambda _: pipeline_runs.bare([program] * deep, 1),
                },
                rounds,
            ),
        ]


def _compared(
    plane: ControlPlane, case: str, count: int, ways: dict[str, _Once], rounds: int
) -> Iterator[Row]:
    taken: dict[str, list[float]] = {way: [] for way in ways}
    used: dict[str, list[float]] = {way: [] for way in ways}
    for number in range(rounds):
        for way, once in ways.items():
            before = _cpu_seconds(plane)
            taken[way].append(once(f"{way}-{count}-{number}"))
            used[way].append(_cpu_seconds(plane) - before)
    seconds = {way: median(each) for way, each in taken.items()}
    cpu = {way: median(each) / count * 1000 for way, each in used.items()}
    ours = seconds["workflow"]
    yield Row(case, ours, "s", "the same steps of a pipeline", seconds["pipeline"])
    yield Row(case, ours, "s", "bare processes", seconds["bare"])
    beyond = (ours - seconds["bare"]) / count * 1000
    yield Row(f"{case}: one beyond its process", beyond, "ms")
    peer = "the same steps of a pipeline"
    yield Row(f"{case}, Wherry's own", cpu["workflow"], "cpu-ms/node", peer, cpu["pipeline"])


def _warm_up(plane: ControlPlane) -> None:
    """Run a few until an interpreter waits for them."""
    for number in range(3):
        workflow_runs.run(plane, f"first-{number}", workflow_runs.parallel(2))
        pipeline_runs.run(plane, f"first-same-{number}", workflow_runs.same_parallel(2))


def _cpu_seconds(plane: ControlPlane) -> float:
    launcher = plane.launcher_pid()
    assert launcher is not None
    return sum(processes.settled_cpu_seconds(pid) for pid in (plane.pid, launcher))
