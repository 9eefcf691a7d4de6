"""The history of pipelines: pages, runs and their tasks among few runs and among many; a long-lived service.

Five thousand runs with a hundred thousand tasks should browse as fifty do, in SQLite and in PostgreSQL.
Databases are asked in this process, as the service asks them.
"""

import asyncio
import dataclasses
import itertools
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from harness import control_plane, pipeline_runs, processes, stored_runs
from harness.control_plane import ControlPlane
from harness.rows import Row, median

from wherry.metadata.store import Metadata
from wherry.pipelines.history import tasks
from wherry.pipelines.history.query import Operation, Order, Page, Predicate, Query
from wherry.pipelines.history.records import Run
from wherry.pipelines.history.store import History
from wherry.testing import databases

_Work = Callable[[], Awaitable[Any]]
_EVENTS = f"/api/v1/namespaces/{control_plane.NAMESPACE}/events"
_FEW = 50
_CHANGES, _CHANGE_BYTES = 10_000, 2_000
"""As many as the API server keeps, of the size that those of a small run have."""
_CASES: dict[str, Query] = {
    "newest 20": Query(namespaces=(stored_runs.NAMESPACE,), order=Order(descending=True)),
    "newest 200": Query(
        namespaces=(stored_runs.NAMESPACE,), order=Order(descending=True), limit=200
    ),
    "available of an experiment": Query(
        namespaces=(stored_runs.NAMESPACE,),
        where=(
            Predicate("experiment_id", Operation.EQUALS, "e-0"),
            Predicate("storage_state", Operation.EQUALS, "AVAILABLE"),
        ),
        order=Order(descending=True),
    ),
    "failed, by name": Query(
        namespaces=None,
        where=(Predicate("state", Operation.EQUALS, "FAILED"),),
        order=Order("display_name"),
    ),
    "part of a name": Query(
        namespaces=(stored_runs.NAMESPACE,),
        where=(Predicate("display_name", Operation.IS_SUBSTRING, "7"),),
        order=Order("finished_at", descending=True),
    ),
}


def bench(*, quick: bool) -> list[Row]:
    """Measure: the same pages in databases of few and of many runs, and a service over many runs."""
    many, rounds = (200, 3) if quick else (5000, 25)
    rows = asyncio.run(_sqlite(many, rounds))
    with databases.serving_postgresql() as few, databases.serving_postgresql() as server:
        few.create()
        server.create()
        rows += asyncio.run(_compared("PostgreSQL", few.url, server.url, many, rounds))
    with control_plane.fresh() as plane:
        rows += _memory(plane, 20 if quick else 1000)
    return rows


async def _sqlite(many: int, rounds: int) -> list[Row]:
    with tempfile.TemporaryDirectory() as folder:
        return await _compared("SQLite", Path(folder) / "few", Path(folder) / "many", many, rounds)


async def _compared(
    name: str, few: str | Path, where: str | Path, many: int, rounds: int
) -> list[Row]:
    """Measure two databases in turns: the machine is the same for both."""
    small, close_small = await _filled(few, _FEW)
    large, close_large = await _filled(where, many)
    rows = []
    for case in small:
        seconds: tuple[list[float], list[float]] = ([], [])
        for _ in range(rounds):
            for work, found in zip((small[case], large[case]), seconds, strict=True):
                started = time.perf_counter()
                await work()
                found.append(time.perf_counter() - started)
        ours, peer = (median(each) * 1000 for each in reversed(seconds))
        rows.append(Row(f"{name}, {many} runs: {case}", ours, "ms", f"{_FEW} runs", peer))
    await close_small()
    await close_large()
    return rows


async def _filled(where: str | Path, count: int) -> tuple[dict[str, _Work], _Work]:
    """Return what is done with a database of so many runs, by case, and what closes it."""
    history, metadata = History(where), Metadata(where)
    await stored_runs.fill(history, metadata, count)
    deep = await _deep(history, count)
    fresh = itertools.count(count)

    async def one() -> Sequence[Any]:
        run = await history.run(f"run-{count // 2}")
        assert run is not None
        return tasks.of(run, await metadata.of_run(run.run_id))

    async def close() -> None:
        await history.close()
        await metadata.close()

    cases: dict[str, _Work] = {
        **{case: _listing(history, query) for case, query in _CASES.items()},
        "a page far down": _listing(history, deep),
        "a run with its tasks": one,
        "recording a run": lambda: history.record(stored_runs.run(next(fresh))),
    }
    return cases, close


def _listing(history: History, query: Query) -> _Work:
    return lambda: history.runs(query, specs=True)


async def _deep(history: History, count: int) -> Query:
    """Return the query for the page in the middle."""
    query = dataclasses.replace(_CASES["newest 20"], limit=200)
    for _ in range(count // 2 // 200):
        page: Page[Run] = await history.runs(query)
        query = dataclasses.replace(query, after=page.after)
    return dataclasses.replace(query, limit=20)


# One service, many runs.


def _memory(plane: ControlPlane, count: int) -> Iterator[Row]:
    """Have runs come and go; is anything left of them in memory?

    The first ones are not counted: they have what runs need loaded, and the API server keeps the latest
    changes, as many as there are of a ConfigMap before, whatever they are of. Files are left out: what
    they count for depends on who else has them mapped.
    """
    early = count // 5
    _fill_window(plane)
    _come_and_go(plane, 0, early)
    before = processes.memory_mib(plane.pid, "Pss_Anon")
    for start in range(early, count, early):
        _come_and_go(plane, start, start + early)
        after = processes.memory_mib(plane.pid, "Pss_Anon")
        yield Row(
            f"control plane after {start + early} runs", after, "MiB", f"after {early} runs", before
        )


def _fill_window(plane: ControlPlane) -> None:
    path = f"/api/v1/namespaces/{control_plane.NAMESPACE}/configmaps"
    made = {"metadata": {"name": "window"}, "data": {"text": "x" * _CHANGE_BYTES}}
    plane.call("POST", path, made)
    patch = {"Content-Type": "application/merge-patch+json"}
    for number in range(_CHANGES):
        plane.raw("PATCH", f"{path}/window", {"data": {"number": str(number)}}, **patch)


def _come_and_go(plane: ControlPlane, start: int, stop: int) -> None:
    pipeline = {
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
    spec = {"pipelineSpec": pipeline, "ttlSecondsAfterFinished": 0}
    for number in range(start, stop, 20):
        for each in range(number, min(number + 20, stop)):
            body = {"metadata": {"name": f"run-{each}"}, "spec": spec}
            plane.call("POST", pipeline_runs.RUNS, body)
        _until_none(plane)
    # They would go by themselves after an hour.
    plane.call("DELETE", _EVENTS)


def _until_none(plane: ControlPlane) -> None:
    deadline = time.monotonic() + 300
    while plane.call("GET", pipeline_runs.RUNS)["items"]:
        if time.monotonic() > deadline:
            raise TimeoutError("runs do not go, though their time is over")
        time.sleep(0.1)
