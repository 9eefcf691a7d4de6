"""Brings what code has written at a path of its choice to where the artifact is kept.

Where nothing uploads a step's artifacts, because it writes them in place, this is all there is to do.
Only the variable says that it is so.
"""

import os
import shutil
from typing import Any

_IN_PLACE = "direct"


def place(artifacts: Any) -> None:
    """Copy each artifact whose path is not its own; what is not there is nothing's loss.

    Args:
        artifacts: Of the step's output.
    """
    if os.environ.get("WHERRY_ARTIFACTS") != _IN_PLACE:
        return
    for artifact in artifacts:
        chosen, own = artifact.custom_path, artifact.own_path
        # What is kept elsewhere has no path here.
        if chosen and own.startswith("/") and os.path.abspath(chosen) != own:  # noqa: PTH100 - a string
            _copy(chosen, own)


def _copy(source: str, target: str) -> None:
    if os.path.isdir(source):  # noqa: PTH112 - a string
        shutil.copytree(source, target, dirs_exist_ok=True)
    elif os.path.exists(source):  # noqa: PTH110 - a string
        shutil.copyfile(source, target)
