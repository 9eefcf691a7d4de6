"""Runs of compiled pipelines on a platform, and the processes of their steps without one."""

import concurrent.futures
import dataclasses
import json
import subprocess
import time
import urllib.parse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from harness import pods, processes, rates
from harness.control_plane import NAMESPACE, ControlPlane
from wherry import pipelines

RUNS = f"/apis/wherry.dev/v1/namespaces/{NAMESPACE}/pipelineruns"
_LIMIT_SECONDS = 300.0
_FINAL = frozenset({"SUCCEEDED", "FAILED", "CANCELED"})


@dataclasses.dataclass(frozen=True)
class Ran:
    """One run.

    Attributes:
        seconds: From the call that creates it until its status says that it has ended.
        status: What it says.
        largest: Bytes of the largest status that was seen, as JSON.
        marks: How many tasks had ended after how many seconds, as it was seen.
    """

    seconds: float
    status: dict[str, Any]
    largest: int
    marks: tuple[tuple[float, int], ...]

    def rate_between(self, lower: int, upper: int) -> float:
        """Return the tasks a second from one number of ended ones to another."""
        return rates.between(self.marks, lower, upper)


def run(
    plane: ControlPlane,
    name: str,
    pipeline: dict[str, Any],
    *,
    warm: bool = True,
    cache: bool = False,
    **config: Any,
) -> Ran:
    """Run a pipeline to its end.

    Args:
        plane: Where.
        name: Of the run.
        pipeline: As it was compiled.
        warm: Whether its steps may start warm.
        cache: Whether earlier results may be taken.
        config: Its ``runtimeConfig``.

    Raises:
        RuntimeError: it has not succeeded.
        TimeoutError: it does not end.
    """
    spec = {"pipelineSpec": pipeline, "enableCache": cache, "runtimeConfig": config}
    if not warm:
        cold = {"podMetadata": {"annotations": {"wherry.dev/warm-start": "false"}}}
        executors = dict.fromkeys(pipeline["deploymentSpec"]["executors"], cold)
        kubernetes = {"deploymentSpec": {"executors": executors}}
        spec["platformSpec"] = {"platforms": {"kubernetes": kubernetes}}
    called = time.monotonic()
    plane.call("POST", RUNS, {"metadata": {"name": name}, "spec": spec})
    marks, largest = [(0.0, 0)], 0
    for status in plane.statuses(RUNS, name, seconds=_LIMIT_SECONDS):
        elapsed = time.monotonic() - called
        ended = int(status.get("progress", "0/0").partition("/")[0])
        if ended > marks[-1][1]:
            marks.append((elapsed, ended))
        largest = max(largest, len(json.dumps(status)))
        if status.get("state") in _FINAL:
            if status["state"] != "SUCCEEDED":
                raise RuntimeError(f"{name}: {status['state']}: {status.get('message')}")
            return Ran(elapsed, status, largest, tuple(marks))
    raise AssertionError("statuses end with an error or never")


@dataclasses.dataclass(frozen=True)
class Program:
    """What a step's container runs, to be run once more without a platform."""

    command: tuple[str, ...]
    environment: dict[str, str]


def programs(plane: ControlPlane, name: str) -> list[Program]:
    """Return the programs of a run's steps, in any order: what each one reads is there since the run."""
    chosen = urllib.parse.urlencode({"labelSelector": f"wherry.dev/pipeline-run={name}"})
    found = plane.call("GET", f"{pods.PATH}?{chosen}")["items"]
    return [_program(pod, plane.directory / "environments") for pod in found]


def _program(pod: dict[str, Any], environments: Path) -> Program:
    container = pod["spec"]["containers"][0]
    (status,) = pod["status"]["containerStatuses"]
    python = str(environments / status["imageID"].rpartition("@")[2] / "venv/bin/python3")
    given = {each["name"]: each["value"] for each in container["env"] if "value" in each}
    folders = {
        each["name"]: each["hostPath"]["path"]
        for each in pod["spec"]["volumes"]
        if "hostPath" in each
    }
    for mount in container["volumeMounts"]:
        if mount["mountPath"] == given["PYTHONPATH"]:
            given["PYTHONPATH"] = folders[mount["name"]]
    return Program((python, *container["command"][1:]), given)


def bare(several: Sequence[Program], parallel: int) -> float:
    """Run programs, so many at once; return the seconds until all have ended."""

    def one(program: Program) -> None:
        subprocess.run(
            program.command,
            env={**processes.environment(), **program.environment},
            check=True,
            capture_output=True,
        )

    called = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(parallel) as pool:
        for _ in pool.map(one, several):
            pass
    return time.monotonic() - called


def mixed(levels: int, abreast: int) -> dict[str, Any]:
    """Return a pipeline of levels of steps that each wait for two of the level before."""

    @pipelines.component
    def add(a: int, b: int) -> int:
        return a + b

    @pipelines.pipeline
    def mixed() -> int:
        before = [add(a=1, b=0) for _ in range(abreast)]
        for _ in range(levels - 1):
            given = [each.output for each in before]
            before = [add(a=given[at], b=given[at - 1] if at else 0) for at in range(abreast)]
        return before[0].output

    return mixed.document()
