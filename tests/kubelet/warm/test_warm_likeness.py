"""What a warm child takes over from the command that it stands for."""

import json
import pathlib
import platform
import signal
import subprocess
import sys

import pytest

_SIGACTION = {"x86_64": 13, "aarch64": 134}
"""Number of the system call: the C library refuses what is tried here."""

_CALLER = """
import ctypes, os, signal, struct, sys
ignore = struct.pack("QQQQ", 1, 0, 0, 0)
for number in 32, 33:
    assert ctypes.CDLL(None).syscall(int(sys.argv[1]), number, ignore, None, 8) == 0
signal.signal(signal.SIGHUP, signal.SIG_IGN)
signal.pthread_sigmask(signal.SIG_SETMASK, [signal.SIGUSR1])
os.umask(0o027)
print(flush=True)
sys.stdin.read()
"""

_CHILD = f"""
import json, os, signal, sys
sys.path[:0] = {sys.path!r}
from wherry.kubelet.warm import likeness
likeness.take_after(int(sys.argv[1]))
print(json.dumps([os.umask(0), signal.getsignal(1) == signal.SIG_IGN, [*signal.pthread_sigmask(0, ())]]))
"""


@pytest.mark.skipif(platform.machine() not in _SIGACTION, reason="the call's number is not known")
def test_signals_of_the_c_library_do_not_matter() -> None:
    """``make`` hands them down ignored, and nobody can ask the C library to ignore them."""
    number = str(_SIGACTION[platform.machine()])
    pipe = subprocess.PIPE
    with subprocess.Popen(
        [sys.executable, "-c", _CALLER, number], stdin=pipe, stdout=pipe
    ) as caller:
        assert caller.stdout is not None
        assert caller.stdout.readline() == b"\n"
        status = pathlib.Path(f"/proc/{caller.pid}/status").read_text()
        assert int(status.partition("SigIgn:")[2].split()[0], 16) >> 31 & 3 == 3
        child = [sys.executable, "-c", _CHILD, str(caller.pid)]
        output = subprocess.run(child, stdout=pipe, check=True).stdout
    assert json.loads(output) == [0o027, True, [signal.SIGUSR1]]
