"""Environments of their own for what is compared with, and for what benches run: below ``build/``.

None of it is a dependency of Wherry, nor of its tests.
"""

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

BUILD = Path(__file__).resolve().parents[2] / "build"
_ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")


def interpreter(folder: Path, requirements: Sequence[str]) -> Path:
    """Return the interpreter of an environment, which is made if it is not there.

    Args:
        folder: Of the environment.
        requirements: Of pip; where from, uv's own settings say.

    Raises:
        subprocess.CalledProcessError: it could not be made.
    """
    python, done = folder / "bin" / "python", folder / "complete"
    if not done.exists():
        uv = [sys.executable, "-m", "uv"]
        subprocess.run([*uv, "venv", "--clear", "--python", sys.executable, folder], check=True)
        subprocess.run([*uv, "pip", "install", "--python", python, *requirements], check=True)
        done.touch()
    return python


def one_thread() -> None:
    """Have NumPy use one thread in this process too, as in a worker; before its first import."""
    os.environ.update(_ONE_THREAD)


def surroundings(*paths: Path) -> Mapping[str, str]:
    """Return what a process is started with: one thread, and these folders to import from."""
    return {**os.environ, **_ONE_THREAD, "PYTHONPATH": os.pathsep.join(map(str, paths))}
