"""The last words of a container: `terminationMessagePath`, or the end of its log."""

from pathlib import Path

from wherry.kubelet import log_files
from wherry.objects.requests import Object

MAX_BYTES = 4096
"""Upstream's limit for the file; a log's end is cut at half of that or 80 lines."""

_LOG_BYTES = 2048
_LOG_LINES = 80


def message(container: Object, file: Path, log: Path, *, failed: bool) -> str:
    """Return the message of an attempt that has ended; empty where there is none.

    Args:
        container: Its spec, for `terminationMessagePolicy`.
        file: What stands behind `terminationMessagePath`.
        log: The attempt's log.
        failed: Whether it ended with an error: only then the log counts.
    """
    try:
        with file.open("rb") as stream:
            text = stream.read(MAX_BYTES).decode(errors="replace")
    except OSError:
        text = ""
    if text or not failed or container.get("terminationMessagePolicy") != "FallbackToLogsOnError":
        return text
    snapshot = log_files.Snapshot(log)
    lines = snapshot.tail(_LOG_LINES)
    snapshot.close()
    return b"".join(line.text for line in lines)[-_LOG_BYTES:].decode(errors="replace")
