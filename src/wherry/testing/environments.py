"""Python environments of a test's own: others' programs, unchanged, as on their users' machines."""

import fcntl
import hashlib
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

_SECONDS: Final = 600


def environment(pins: Path, parent: Path) -> Path:
    """Return the folder of an environment with pinned packages; made once for each state of the pins.

    Args:
        pins: File of requirements with hashes.
        parent: Folder of environments; other processes may use it at the same time.

    Raises:
        subprocess.SubprocessError: The packages cannot be installed.
    """
    state = hashlib.sha256(pins.read_bytes() + sys.version.encode()).hexdigest()[:16]
    parent.mkdir(parents=True, exist_ok=True)
    folder = parent / state
    with (parent / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            _make(folder, pins)
    return folder


def _make(folder: Path, pins: Path) -> None:
    """Make an environment; what is half made has another name."""
    uv = str(Path(sys.executable).with_name("uv"))
    draft = folder.with_suffix(".draft")
    shutil.rmtree(draft, ignore_errors=True)
    python = draft / "bin" / "python"
    install = [uv, "pip", "install", "--quiet", "--python", str(python), "--require-hashes"]
    for command in (
        [uv, "venv", "--quiet", "--relocatable", "--python", sys.executable, str(draft)],
        [*install, "-r", str(pins)],
    ):
        subprocess.run(command, check=True, timeout=_SECONDS)  # noqa: S603 - our own words
    draft.rename(folder)
