"""Ends all containers of a platform whose launcher has been told to end, or whose engine is another now.

The launcher's process of such a container is its engine's, which cannot pass on that it is killed.
"""

import shutil
import subprocess
from pathlib import Path

from wherry.kubelet.oci import daemons, engine, groups

_SECONDS = 30.0


def end(data: Path) -> int:
    """End what runs and drop its records; files are cleared away by the next agent.

    Args:
        data: The platform's folder. There need not be any containers, or an engine.

    Returns:
        How many containers were on record.
    """
    return _of_engine(data / "oci" / "run") + _of_daemon(data)


def end_others(data: Path, kind: str) -> None:
    """End the containers of another engine than the one of this kind, and note which one it is now.

    Args:
        data: The platform's folder; made if need be.
        kind: The engine that is to be used from now on.
    """
    note = _note(data)
    if _noted(data) not in {kind, ""}:
        end(data)
    note.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    note.write_text(kind)


def _note(data: Path) -> Path:
    return data / "oci" / "engine"


def _noted(data: Path) -> str:
    note = _note(data)
    return note.read_text() if note.exists() else ""


def _of_engine(root: Path) -> int:
    if not root.is_dir():
        return 0
    found, _ = engine.find(root)
    if found is None:
        return 0
    names = found.containers()
    for name in names:
        if found.is_written(name):
            subprocess.run(  # noqa: S603 - the engine, and a name from its own records
                found.removal(name), capture_output=True, timeout=_SECONDS, check=False
            )
        if groups.remove(name):
            shutil.rmtree(found.root / name, ignore_errors=True)
    return len(names)


def _of_daemon(data: Path) -> int:
    noted = _noted(data)
    if noted not in daemons.PROGRAMS:
        return 0
    found, _ = daemons.find(data, (noted,))
    return 0 if found is None else found.end_all()
