"""Pods that tell when they started: `date` as their only process, the nanoseconds as their log."""

import subprocess
import time
from typing import Any

from harness.control_plane import NAMESPACE, ControlPlane

PATH = f"/api/v1/namespaces/{NAMESPACE}/pods"
DATE = ["date", "+%s%N"]
_POLL_SECONDS = 0.02


def pod_spec(command: list[str]) -> dict[str, Any]:
    """Return the specification of a pod that runs a command once, and wants little."""
    container = {
        "name": "main",
        "image": "python:3",
        "command": command,
        "resources": {"requests": {"cpu": "10m", "memory": "8Mi"}},
    }
    return {
        "containers": [container],
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": 0,
        "automountServiceAccountToken": False,
    }


def seconds_to_start(plane: ControlPlane, name: str) -> float:
    """Create a pod and return how long it took until its process ran.

    The clock starts with the call, on a connection that stands when there was a call before.

    Raises:
        TimeoutError: no process within 60 s; the message has the pod's status.
    """
    pod = {"metadata": {"name": name}, "spec": pod_spec(DATE)}
    called = time.time_ns()
    plane.call("POST", PATH, pod)
    return (int(output(plane, name)) - called) / 1e9


def output(plane: ControlPlane, name: str) -> bytes:
    """Return what a pod has written when it has succeeded.

    Raises:
        TimeoutError: it does not end within 60 s; the message has its status.
    """
    status: dict[str, Any] = {}
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        status = plane.call("GET", f"{PATH}/{name}")["status"]
        if status.get("phase") == "Succeeded":
            return plane.raw("GET", f"{PATH}/{name}/log")[1]
        if status.get("phase") == "Failed":
            raise RuntimeError(f"pod {name} failed: {status}")
        time.sleep(_POLL_SECONDS)
    raise TimeoutError(f"pod {name} did not run: {status}")


def bare_seconds_to_start() -> float:
    """Return how long the same process takes to start without a platform."""
    called = time.time_ns()
    written = subprocess.run(DATE, check=True, capture_output=True).stdout
    return (int(written) - called) / 1e9
