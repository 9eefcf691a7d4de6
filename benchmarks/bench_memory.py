"""Resident memory of the control plane, idle and with many objects, and of the launcher."""

import subprocess
import sys
import time

from harness import control_plane, drive, objects, processes
from harness.rows import Row

_PYTHON = "bare python"
_SETTLE_SECONDS = 2.0


def bench(*, quick: bool) -> list[Row]:
    """Measure once: memory does not scatter as time does."""
    count = 500 if quick else 10_000
    with control_plane.fresh() as plane:
        time.sleep(_SETTLE_SECONDS)
        bare = _bare()
        rows = _rows("control plane, idle", plane.pid, bare)
        target = drive.Target(plane.pid, plane.port, plane.directory / "pki")
        drive.throughput(target, [objects.create(one) for one in objects.names("held", count)])
        rows += _rows(f"control plane, {count} objects of 1 KB", plane.pid, bare)
        launcher = plane.launcher_pid()
        assert launcher is not None
        return rows + _rows("launcher", launcher, bare)


def _rows(case: str, pid: int, bare: dict[str, float]) -> list[Row]:
    return [
        Row(f"{case}, {key.upper()}", processes.memory_mib(pid, key), "MiB", _PYTHON, value)
        for key, value in bare.items()
    ]


def _bare() -> dict[str, float]:
    command = [sys.executable, "-c", "print(flush=True); input()"]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe) as process:
        assert process.stdout is not None
        process.stdout.readline()
        found = {key: processes.memory_mib(process.pid, key) for key in ("Rss", "Pss")}
        process.communicate(b"\n")
    return found
