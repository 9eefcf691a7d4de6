"""Who may do what with the files of an input, as its manifest says."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

_MODES: Final = 0o7777


def set_mode(path: Path, said: Mapping[str, Any]) -> None:
    """Give a file or folder the mode that was said, if any was; with ``recurseMode`` what is below it, too.

    Args:
        path: Of it.
        said: The input, with ``mode`` and ``recurseMode``.

    Raises:
        OSError: it cannot be given that.
    """
    mode = said.get("mode")
    if mode is None:
        return
    path.chmod(int(mode) & _MODES)
    if said.get("recurseMode"):
        for each in path.rglob("*"):
            # What a link leads to may be anybody's.
            if not each.is_symlink():
                each.chmod(int(mode) & _MODES)
