"""The pipelines service as scripts call it: pages, runs and creations among many runs, and 50 runs at once."""

import asyncio
import contextlib
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

from harness import control_plane, processes, service_calls, stored_runs
from harness.control_plane import ControlPlane
from harness.rows import Row, percentile
from harness.service_calls import Caller

from wherry.metadata.store import Metadata
from wherry.pipelines.history.store import History
from wherry.testing import databases

_FEW: Final = 50
_NEWEST: Final = f"/runs?namespace={stored_runs.NAMESPACE}&sort_by=created_at%20desc"
_DATABASE: Final = "WHERRY_METADATA_DATABASE"
_PIPELINE: Final[dict[str, Any]] = {
    "pipelineInfo": {"name": "short"},
    "schemaVersion": "2.1.0",
    "components": {"comp-a": {"executorLabel": "exec-a"}},
    "deploymentSpec": {
        "executors": {"exec-a": {"container": {"image": "python:3.11", "command": ["true"]}}}
    },
    "root": {
        "dag": {"tasks": {"a": {"taskInfo": {"name": "a"}, "componentRef": {"name": "comp-a"}}}}
    },
}
_Call = Callable[[Caller, int], float]


def bench(*, quick: bool) -> list[Row]:
    """Measure services with few and with many runs, and what comes at once."""
    many, rounds = (200, 5) if quick else (5000, 50)
    with (
        tempfile.TemporaryDirectory(prefix="wherry-bench-") as folder,
        databases.serving_postgresql() as few,
        databases.serving_postgresql() as server,
    ):
        few.create()
        server.create()
        where = {"SQLite": (None, None), "PostgreSQL": (few.url, server.url)}
        rows: list[Row] = []
        for name, (small, large) in where.items():
            with (
                _serving(Path(folder) / f"{name}-few", _FEW, small) as one,
                _serving(Path(folder) / f"{name}-many", many, large) as other,
            ):
                rows += _compared(name, one, other, many, rounds)
        with _serving(Path(folder) / "at-once", 0, None) as plane:
            rows += _at_once(plane, _FEW)
    return rows


@contextlib.contextmanager
def _serving(folder: Path, count: int, database: str | None) -> Iterator[ControlPlane]:
    """Run a platform whose history has so many runs."""
    where: str | Path = database or folder / "products" / "metadata" / "metadata.db"
    if isinstance(where, Path):
        where.parent.mkdir(parents=True)
    asyncio.run(_fill(where, count))
    with ControlPlane(folder, **({_DATABASE: database} if database else {})) as plane:
        service_calls.wait_until_served(plane)
        for name in (stored_runs.NAMESPACE, control_plane.NAMESPACE):
            plane.call("POST", "/api/v1/namespaces", {"metadata": {"name": name}})
        # That the objects of all these runs are gone is noted first.
        processes.settled_cpu_seconds(plane.pid, limit_seconds=120)
        yield plane


async def _fill(where: str | Path, count: int) -> None:
    history, metadata = History(where), Metadata(where)
    await stored_runs.fill(history, metadata, count)
    await history.close()
    await metadata.close()


def _compared(
    name: str, few: ControlPlane, many: ControlPlane, count: int, rounds: int
) -> Iterator[Row]:
    """Measure two services in turns: the machine is the same for both."""
    callers = Caller(few), Caller(many)
    for case, call in _calls().items():
        took: tuple[list[float], list[float]] = ([], [])
        for number in range(rounds):
            for caller, found in zip(callers, took, strict=True):
                found.append(call(caller, number))
        for percent in (50, 95):
            peer, ours = (percentile(each, percent) * 1000 for each in took)
            row = f"{name}, {count} runs: {case}, p{percent}"
            yield Row(row, ours, "ms", f"{_FEW} runs", peer)


def _calls() -> dict[str, _Call]:
    return {
        "list of 20": lambda caller, _: caller.call("GET", f"{_NEWEST}&page_size=20")[0],
        "list of 200": lambda caller, _: caller.call("GET", f"{_NEWEST}&page_size=200")[0],
        "a run with its tasks": lambda caller, number: caller.call(
            "GET", f"/runs/run-{number % _FEW}"
        )[0],
        "create": lambda caller, number: caller.call("POST", "/runs", _run(f"new-{number}", "e-0"))[
            0
        ],
    }


def _run(name: str, experiment: str) -> dict[str, Any]:
    return {"display_name": name, "experiment_id": experiment, "pipeline_spec": _PIPELINE}


# Many at once.


def _at_once(plane: ControlPlane, count: int) -> Iterator[Row]:
    caller = Caller(plane)
    wanted = {"display_name": "bench", "namespace": control_plane.NAMESPACE}
    experiment = caller.call("POST", "/experiments", wanted)[1]["experiment_id"]
    alone = []
    for number in range(5):
        alone.append(caller.call("POST", "/runs", _run(f"alone-{number}", experiment))[0])
        service_calls.seconds_until_ended(plane, number + 1, control_plane.NAMESPACE)
    bodies = [_run(f"one-of-{number}", experiment) for number in range(count)]
    started = time.perf_counter()
    accepted, took = service_calls.at_once(plane, bodies)
    service_calls.seconds_until_ended(plane, count + len(alone), control_plane.NAMESPACE)
    ended = time.perf_counter() - started
    one, bare = percentile(alone, 50) * 1000, _bare(count)
    for percent in (50, 95):
        case = f"{count} runs at once: a call, p{percent}"
        yield Row(case, percentile(took, percent) * 1000, "ms", "a call alone", one)
    yield Row(f"{count} runs at once: all accepted", accepted, "s")
    yield Row(f"{count} runs at once: all ended", ended, "s", "bare fork and exec", bare)


def _bare(count: int) -> float:
    started = time.perf_counter()
    for each in [subprocess.Popen(["true"]) for _ in range(count)]:
        each.wait()
    return time.perf_counter() - started
