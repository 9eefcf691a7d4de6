"""Runs a program that ends with all it has started when its parent does, however that ends.

A script by itself (`python tether.py PARENT PROGRAM ARGUMENT…`), the leader of a process group: it hears of
its parent's death from the kernel and kills the group. Elsewhere than on Linux there is no such news.
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def main() -> None:
    """Run the program and end as it does."""
    parent, program = int(sys.argv[1]), sys.argv[2]
    signal.signal(signal.SIGTERM, lambda *_: os.killpg(0, signal.SIGKILL))
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:  # It ended before there could be news of it.
            sys.exit(1)
    child = os.posix_spawn(program, sys.argv[2:], os.environ)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    sys.exit(code if code >= 0 else 128 - code)


if __name__ == "__main__":
    main()
