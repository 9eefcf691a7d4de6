"""From nothing to an API that answers and to the first pod's process: cold, and with state there."""

import contextlib
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from harness import pods, processes
from harness.control_plane import ControlPlane
from harness.rows import Row, median

_PYTHON = "python -c pass"


def bench(*, quick: bool) -> list[Row]:
    """Measure starts in fresh folders and in folders of an earlier run."""
    measured: dict[str, list[float]] = {}
    bare: list[float] = []
    for _ in range(1 if quick else 5):
        with tempfile.TemporaryDirectory(prefix="wherry-bench-") as folder, _down(folder):
            directory = Path(folder) / "platform"
            for kind in ("cold", "warm"):
                bare.append(_bare())
                for case, seconds in _start(directory, kind).items():
                    measured.setdefault(f"{kind}, {case}", []).append(seconds)
                bare.append(_bare())
                up = _command_line(_commanded(folder), kind)
                measured.setdefault(f"{kind}, wherry up", []).append(up)
    peer = median(bare)
    return [Row(case, median(values), "s", _PYTHON, peer) for case, values in measured.items()]


def _start(directory: Path, kind: str) -> dict[str, float]:
    """Start a platform and a pod; return seconds from the platform's start by what they led to."""
    with ControlPlane(directory) as plane:
        if kind == "cold":
            plane.make_namespace()
        elapsed = time.monotonic() - plane.started
        first = elapsed + pods.seconds_to_start(plane, f"first-{kind}")
        return {"API ready": plane.ready_seconds, "first pod's process": first}


def _commanded(folder: str) -> Path:
    return Path(folder) / "command"


@contextlib.contextmanager
def _down(folder: str) -> Iterator[None]:
    """Stop what `wherry up` left running, whatever happens in the `with` block."""
    try:
        yield
    finally:
        if _commanded(folder).exists():
            _wherry("down", _commanded(folder))


def _command_line(directory: Path, kind: str) -> float:
    """Return how long `wherry up` takes; it is stopped again where another start follows."""
    started = time.monotonic()
    _wherry("up", directory)
    elapsed = time.monotonic() - started
    if kind == "cold":
        _wherry("down", directory)
    return elapsed


def _wherry(verb: str, directory: Path, *arguments: str) -> None:
    command = [sys.executable, "-m", "wherry.cli", verb, "--directory", str(directory)]
    done = subprocess.run(
        [*command, *arguments],
        env=processes.environment(),
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"wherry {verb}: {done.stderr[-1000:]}")


def _bare() -> float:
    started = time.monotonic()
    subprocess.run([sys.executable, "-c", "pass"], env=processes.environment(), check=True)
    return time.monotonic() - started
