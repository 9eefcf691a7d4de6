"""What a process costs: its CPU time and its memory, read from outside. Linux only."""

import os
import time
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")
_CPU_CLOCK = 2  # CPUCLOCK_SCHED of linux/posix-timers.h: user and system time of a whole process


def cpu_seconds(pid: int) -> float:
    """Return the user and system time that a process has used, all its threads together.

    It is the sum that ``/proc/PID/stat`` gives in ticks of 10 ms, to the nanosecond; of those ticks
    where the kernel offers no clock of other processes.
    """
    try:
        return time.clock_gettime((~pid << 3) | _CPU_CLOCK)
    except OSError:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS


def settled_cpu_seconds(pid: int, *, limit_seconds: float = 10.0) -> float:
    """Return the CPU time once a process has come to rest: what a load causes later belongs to it."""
    deadline = time.monotonic() + limit_seconds
    before = cpu_seconds(pid)
    while time.monotonic() < deadline:
        time.sleep(0.1)
        now = cpu_seconds(pid)
        if now - before < 0.003:
            return now
        before = now
    return before


def memory_mib(pid: int, key: str = "Rss") -> float:
    """Return resident memory, ``Rss`` or ``Pss`` (shared pages divided by their users), in MiB."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith(f"{key}:"):
            return int(line.split()[1]) / 1024
    raise LookupError(f"no {key} in the memory map of process {pid}")


def environment() -> dict[str, str]:
    """Return the environment of measured processes: bytecode is kept, as on a user's machine."""
    return {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
