"""Runs a program that ends when its parent does, however that ends.

A script by itself (`python tether.py PARENT PROGRAM ARGUMENT…`), because a signal at the parent's death
can only be asked for between fork and exec, where a program with threads must not run Python.
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def main() -> None:
    """Become the program."""
    parent, program = int(sys.argv[1]), sys.argv[2]
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # It ended before it could be tied to.
            sys.exit(1)
    os.execv(program, sys.argv[2:])  # noqa: S606 - no shell is wanted


if __name__ == "__main__":
    main()
