"""How far a step says that it is, in a file, is told while it runs: a line for each value.

Source: argo-workflows after 4.1.2, ``monitorProgress`` in ``workflow/executor/executor.go``.
"""

import os
import signal
import stat
import sys
import threading
from collections.abc import Mapping, Sequence
from typing import Any, Final

from wherry.pipelines.workflows import progress

_MOST: Final = 4096
"""Bytes from the end of the file that are looked at."""
_FLAGS: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


def run(told: Mapping[str, Any], words: Sequence[str]) -> None:
    """Tell what the file says until the step has ended, which a signal tells."""
    ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    last = None
    while True:
        is_over = ended.wait(float(told["seconds"]))
        found = progress.read(_last_line(told["path"]))
        if found is not None and found != last:
            sys.stdout.write(f"{found}\n")
            sys.stdout.flush()
            last = found
        if is_over:
            return


def _last_line(path: str) -> str:
    """Return the last line of a file, as far as it can be read; the step may put anything there."""
    try:
        descriptor = os.open(path, _FLAGS)
    except OSError:
        return ""
    with os.fdopen(descriptor, "rb") as file:
        about = os.fstat(descriptor)
        if not stat.S_ISREG(about.st_mode):
            return ""
        file.seek(max(0, about.st_size - _MOST))
        lines = file.read(_MOST).decode(errors="replace").split()
    return lines[-1] if lines else ""
