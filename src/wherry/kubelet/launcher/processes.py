"""Facts about processes, by id: who is it, what did it start, is it still the same one.

Linux answers from ``/proc``; elsewhere ``ps`` is asked, and descendants that left their session are not found.
"""

import contextlib
import os
import pathlib
import signal
import sys
import time

LINUX = sys.platform == "linux"

_START_TOLERANCE_SECONDS = 2.5  # ps tells whole seconds


def boot_id() -> str:
    """Return what changes with every boot; empty where the system has no such thing."""
    try:
        return pathlib.Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


def _stat(pid: int) -> list[bytes]:
    """Return the fields of ``/proc/PID/stat`` after the name: [0] is state, [1] ppid, [3] session, [19] start."""
    descriptor = os.open(f"/proc/{pid}/stat", os.O_RDONLY)
    try:
        return os.read(descriptor, 4096).rpartition(b")")[2].split()
    finally:
        os.close(descriptor)


def start_ticks(pid: int) -> int:
    """Return when a process started, in the kernel's ticks since boot; 0 where unknown."""
    try:
        return int(_stat(pid)[19])
    except (OSError, IndexError):
        return 0


def parent(pid: int) -> int:
    """Return the parent of a process; 0 if it is gone or the system does not tell."""
    try:
        return int(_stat(pid)[1])
    except (OSError, IndexError):
        return 0


def thread_group(thread: int) -> int:
    """Return the process that a thread belongs to; the thread's own id if it is gone."""
    try:
        text = pathlib.Path(f"/proc/{thread}/status").read_text()
    except OSError:
        return thread
    return int(text.partition("Tgid:")[2].split()[0])


def alive(pid: int) -> bool:
    """Whether a process is there and not a zombie; only Linux can tell."""
    try:
        return _stat(pid)[0] != b"Z"
    except (OSError, IndexError):
        return False


def session(pid: int) -> int:
    """Return the session of a process; 0 if it is gone."""
    try:
        return os.getsid(pid)
    except OSError:
        return 0


def mount_namespace(pid: int) -> str:
    """Return the name of a process's mount namespace (0: one's own); empty where there is none to see."""
    try:
        return pathlib.Path(f"/proc/{pid or 'self'}/ns/mnt").readlink().name
    except OSError:
        return ""


def has_mount(pid: int, source: str) -> bool:
    """Whether a process sees a mount whose source has this name."""
    try:
        return source in pathlib.Path(f"/proc/{pid}/mountinfo").read_text(errors="replace").split()
    except OSError:
        return False


def has_own_root(pid: int) -> bool:
    """Whether a process has another root folder than we, so that it may not see all mounts of its namespace."""
    try:
        return not os.path.samefile(f"/proc/{pid}/root", "/")  # noqa: PTH121 — pathlib would follow the link by its text
    except OSError:
        return False


def children() -> list[int]:
    """Return this process's children, adopted orphans included; empty where the kernel does not tell."""
    own = os.getpid()
    try:
        text = pathlib.Path(f"/proc/self/task/{own}/children").read_text()
    except OSError:
        return []
    return [int(pid) for pid in text.split()]


def all_pids() -> list[int]:
    """Return every process that can be seen; empty without ``/proc``."""
    if not LINUX:
        return []
    return [int(path.name) for path in pathlib.Path("/proc").iterdir() if path.name.isdigit()]


def same(pid: int, *, ticks: int, started_at: float) -> bool:
    """Tell whether a process of long ago is still there, and the id not another's by now.

    Args:
        pid: Its id then.
        ticks: What ``start_ticks`` said then.
        started_at: When it was started, Unix seconds; used where ticks are unknown.

    Returns:
        True only if it certainly is. A zombie is not.
    """
    if ticks:
        try:
            fields = _stat(pid)
            return int(fields[19]) == ticks and fields[0] != b"Z"
        except (OSError, IndexError):
            return False
    return abs(_ps_start(pid) - started_at) < _START_TOLERANCE_SECONDS


def _ps_start(pid: int) -> float:
    import subprocess  # noqa: PLC0415 — a megabyte that Linux never needs

    command = ["/bin/ps", "-o", "lstart=", "-p", str(pid)]
    environment = {"LC_ALL": "C"}
    try:
        done = subprocess.run(  # noqa: S603 — fixed program, numeric argument
            command, env=environment, capture_output=True, timeout=5, check=True
        )
        return time.mktime(time.strptime(done.stdout.decode().strip(), "%a %b %d %H:%M:%S %Y"))
    except (OSError, subprocess.SubprocessError, ValueError):
        return 0.0


def kill(pid: int, signum: int = signal.SIGKILL) -> None:
    """Send a signal to one process; one that is gone is fine."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, signum)


def kill_group(pid: int, signum: int = signal.SIGKILL) -> None:
    """Send a signal to a process group; one that is gone is fine."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signum)
