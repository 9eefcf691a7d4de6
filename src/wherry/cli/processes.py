"""Other processes of this machine: alive or not, whose, how large. No platform is loaded for it."""

import os
import subprocess
import sys
import time
from pathlib import Path

_PS = Path("/bin/ps")
_SLACK_SECONDS = 3.0
"""Times of process starts are counted in clock ticks since a rounded boot time."""


def alive(pid: int) -> bool:
    """Return whether a process of this number exists and is more than a zombie."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return pid > 0
    fields = _stat_fields(pid)
    return not fields or fields[0] != "Z"


def is_wherry(pid: int, noted_at: float) -> bool:
    """Return whether a process is the platform that left its number, not one that reuses it.

    Args:
        pid: The number.
        noted_at: When it was left, Unix seconds; a process that began later is another one.
    """
    if pid <= 1 or not alive(pid) or "wherry" not in command_line(pid):
        return False
    began = started_at(pid)
    return began is None or began <= noted_at + _SLACK_SECONDS


def command_line(pid: int) -> str:
    """Return a process's command line, empty if it cannot be read."""
    if sys.platform != "linux":
        return _ps(pid, "command=")
    try:
        raw = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return ""
    return raw.replace(b"\0", b" ").decode(errors="replace")


def started_at(pid: int) -> float | None:
    """Return when a process began, Unix seconds; None where that cannot be told."""
    fields = _stat_fields(pid)
    if not fields:
        return None
    # Not /proc/uptime: containers are shown their own there.
    booted = time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)
    return booted + int(fields[19]) / os.sysconf("SC_CLK_TCK")


def resident_bytes(pid: int) -> int | None:
    """Return a process's resident memory; None where that cannot be told."""
    fields = _stat_fields(pid)
    if fields:
        return int(fields[21]) * os.sysconf("SC_PAGE_SIZE")
    kilobytes = _ps(pid, "rss=").strip()
    return int(kilobytes) * 1024 if kilobytes.isdecimal() else None


def wait_for_end(pid: int, seconds: float) -> bool:
    """Wait until a process has ended; return whether it has."""
    deadline = time.monotonic() + seconds
    while alive(pid):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def _stat_fields(pid: int) -> list[str]:
    """Return the fields of `/proc/PID/stat` from the state on; empty on other systems."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return []
    return text.rpartition(")")[2].split()


def _ps(pid: int, column: str) -> str:
    if not _PS.exists():
        return ""
    found = subprocess.run(  # noqa: S603 - a fixed program and a number
        [str(_PS), "-o", column, "-p", str(pid)], capture_output=True, text=True, check=False
    )
    return found.stdout
