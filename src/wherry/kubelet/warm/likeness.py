"""A child that a shell's command stands for: what a process hands down to the next, taken from that command."""

import os
import pathlib
import resource
import signal

_IGNORED_BY_PYTHON = frozenset({signal.SIGPIPE, signal.SIGXFSZ})


def take_after(pid: int) -> None:
    """Take over limits, priority, processors, umask, ignored and blocked signals of a process.

    Args:
        pid: A process of the same user, in Python, so that what every Python ignores tells nothing.

    Raises:
        OSError: It is gone.
        ValueError: As above.
    """
    for name in dir(resource):
        if name.startswith("RLIMIT_"):
            kind = getattr(resource, name)
            resource.setrlimit(kind, resource.prlimit(pid, kind))
    os.sched_setaffinity(0, os.sched_getaffinity(pid))
    os.setpriority(os.PRIO_PROCESS, 0, os.getpriority(os.PRIO_PROCESS, pid))
    lines = pathlib.Path(f"/proc/{pid}/status").read_text().splitlines()
    facts = dict(line.split(":", 1) for line in lines)
    os.umask(int(facts["Umask"], 8))
    for number in _set(facts["SigIgn"]) - _IGNORED_BY_PYTHON:
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_SETMASK, _set(facts["SigBlk"]))


def _set(mask: str) -> set[int]:
    bits = int(mask, 16)
    found = {number for number in range(1, bits.bit_length() + 1) if bits >> (number - 1) & 1}
    # The C library keeps two for itself; make hands them down ignored, and nobody can ask for that.
    return found & signal.valid_signals()
