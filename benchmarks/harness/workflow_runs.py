"""Workflows of Argo on a platform, and the same steps in the language of Kubeflow Pipelines."""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harness import pods
from harness.control_plane import NAMESPACE, ControlPlane
from harness.pipeline_runs import Program
from wherry import pipelines

WORKFLOWS = f"/apis/argoproj.io/v1alpha1/namespaces/{NAMESPACE}/workflows"
IMAGE = "python:3.11"
COMMAND = ("python3", "-c", "pass")
_LIMIT_SECONDS = 300.0
_FINAL = frozenset({"Succeeded", "Failed", "Error"})
_LEAF = {"name": "leaf", "container": {"image": IMAGE, "command": [*COMMAND]}}

Json = Mapping[str, Any]


def run(plane: ControlPlane, name: str, spec: Json) -> float:
    """Run a workflow to its end; return the seconds from the call that creates it until its status says so.

    Raises:
        RuntimeError: it has not succeeded.
        TimeoutError: it does not end.
    """
    called = time.monotonic()
    plane.call("POST", WORKFLOWS, {"metadata": {"name": name}, "spec": spec})
    for status in plane.statuses(WORKFLOWS, name, seconds=_LIMIT_SECONDS):
        if status.get("phase") in _FINAL:
            if status["phase"] != "Succeeded":
                raise RuntimeError(f"{name}: {status['phase']}: {status.get('message')}")
            return time.monotonic() - called
    raise AssertionError("statuses end with an error or never")


def parallel(count: int) -> Json:
    """Return a workflow of so many steps, none of which waits for another."""
    step = {"name": "step", "template": "leaf", "withSequence": {"count": count}}
    main = {"name": "main", "steps": [[step]]}
    return {"entrypoint": "main", "templates": [main, _LEAF]}


def chain(count: int) -> Json:
    """Return a workflow of so many tasks, each of which waits for the one before."""
    tasks = [
        {"name": f"t{n}", "template": "leaf", "dependencies": [f"t{n - 1}"] if n else []}
        for n in range(count)
    ]
    return {"entrypoint": "main", "templates": [{"name": "main", "dag": {"tasks": tasks}}, _LEAF]}


@pipelines.container_component
def _leaf() -> pipelines.ContainerSpec:
    return pipelines.ContainerSpec(image=IMAGE, command=[*COMMAND])


def same_parallel(count: int) -> dict[str, Any]:
    """Return `parallel` as a pipeline."""

    @pipelines.pipeline
    def abreast() -> None:
        with pipelines.ParallelFor([*range(count)]):
            _leaf()

    return abreast.document()


def same_chain(count: int) -> dict[str, Any]:
    """Return `chain` as a pipeline."""

    @pipelines.pipeline
    def chained() -> None:
        before = None
        for _ in range(count):
            task = _leaf()
            if before is not None:
                task.after(before)
            before = task

    return chained.document()


def program(plane: ControlPlane) -> Program:
    """Return what the container of a step runs; one has run."""
    statuses = [
        status
        for pod in plane.call("GET", pods.PATH)["items"]
        for status in pod["status"].get("containerStatuses") or ()
        if status["image"] == IMAGE and status.get("imageID")
    ]
    folder = Path("environments") / statuses[0]["imageID"].rpartition("@")[2]
    python = plane.directory / folder / "venv/bin/python3"
    return Program((str(python), *COMMAND[1:]), {})
