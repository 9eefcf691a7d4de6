"""Environments for benches: made once, and waited for until pods of theirs start warm."""

import json
import time
from pathlib import Path
from typing import Any

from harness.control_plane import ControlPlane

_PATH = "/apis/wherry.dev/v1/environments"
_BUILD_SECONDS = 900.0


def make(plane: ControlPlane, name: str, requirements: list[str], preload: list[str]) -> str:
    """Make an Environment for images ``NAME:*``, wait for its build, return its interpreter.

    Raises:
        TimeoutError: it was not built; the message has its status.
    """
    spec = {"images": [f"{name}:*"], "requirements": requirements, "preload": preload}
    plane.call("POST", _PATH, {"metadata": {"name": name}, "spec": spec})
    deadline = time.monotonic() + _BUILD_SECONDS
    status: dict[str, Any] = {}
    while time.monotonic() < deadline:
        status = plane.call("GET", f"{_PATH}/{name}").get("status", {})
        if any(
            one["type"] == "Ready" and one["status"] == "True"
            for one in status.get("conditions", [])
        ):
            return str(Path(status["path"]) / "venv" / "bin" / "python")
        time.sleep(0.1)
    raise TimeoutError(f"the environment {name} was not built: {status}")


def is_warm(plane: ControlPlane, preload: list[str]) -> bool:
    """Return whether a process that has imported these modules waits for pods."""
    folder = str(plane.directory).encode()
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = entry.read_bytes().split(b"\0")
        except OSError:
            continue
        if not any(word.endswith(b".pyc") for word in words) or folder not in b" ".join(words):
            continue
        orders = [word for word in words if word.startswith(b"{")]
        if orders and json.loads(orders[0])["preload"] == preload:
            return True
    return False
