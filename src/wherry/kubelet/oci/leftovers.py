"""Ends all containers of a platform whose launcher has been told to end.

The launcher's process of such a container is its engine's, which cannot pass on that it is killed.
"""

import shutil
import subprocess
from pathlib import Path

from wherry.kubelet.oci import engine

_SECONDS = 30.0


def end(data: Path) -> int:
    """End what runs and drop its records; files are cleared away by the next agent.

    Args:
        data: The platform's folder. There need not be any containers, or an engine.

    Returns:
        How many containers were on record.
    """
    root = data / "oci" / "run"
    if not root.is_dir():
        return 0
    found, _ = engine.find(root)
    if found is None:
        return 0
    names = found.containers()
    for name in names:
        subprocess.run(  # noqa: S603 - the engine, and a name from its own records
            found.removal(name), capture_output=True, timeout=_SECONDS, check=False
        )
        shutil.rmtree(found.root / name, ignore_errors=True)
    return len(names)
