"""KFP's SDK, in an environment of its own below ``build/``: its compiler and its local runners."""

import json
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from harness import peers, processes

_REQUIREMENTS = ["kfp==2.17.0", "docker", "pip"]
_SCRIPT = Path(__file__).with_name("kfp_peer.py")
_IMAGE = "python:3.11"
_LIMIT_SECONDS = 300.0


def compiled() -> dict[str, dict[str, Any]]:
    """Return the pipelines of `kfp_peer` by name, as KFP's compiler writes them."""
    with tempfile.TemporaryDirectory() as folder:
        _run("compile", folder)
        return {path.stem: json.loads(path.read_text()) for path in Path(folder).glob("*.json")}


def seconds(name: str, mode: str, *, items: int = 0) -> float:
    """Return how long one takes in one of the local runner's modes, without the imports of the SDK.

    Raises:
        RuntimeError: what came out is wrong.
    """
    with tempfile.TemporaryDirectory() as folder:
        told = json.loads(_run("run", name, mode, folder, str(items)).splitlines()[-1])
    if not told["right"]:
        raise RuntimeError(f"{name}, {mode}: the pipeline has not given what it should")
    return float(told["seconds"])


def has_docker() -> bool:
    """Return whether a Docker daemon answers that has the image of the steps."""
    docker = shutil.which("docker")
    if docker is None:
        return False
    asked = subprocess.run([docker, "image", "inspect", _IMAGE], capture_output=True, check=False)
    return asked.returncode == 0


def _run(*words: str) -> str:
    python = peers.interpreter(peers.BUILD / "pipelines", _REQUIREMENTS)
    done = subprocess.run(
        [python, _SCRIPT, *words],
        env={**processes.environment(), "PATH": f"{python.parent}:/usr/bin:/bin"},
        check=True,
        capture_output=True,
        text=True,
        timeout=_LIMIT_SECONDS,
    )
    return done.stdout
