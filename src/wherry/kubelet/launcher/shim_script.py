"""What a shell finds when a command says ``python``: text that the launcher writes down, not code of its own.

It lies in a folder of the container's and runs in the environment's interpreter without ``site``, importing next to
nothing, so that it answers within milliseconds. It hands streams, command line, variables and folder to the launcher
and then stands for the program: it passes signals on and ends as the program does. Whatever is unusual, or a refusal,
has it execute the real interpreter.
"""

import signal

MAX_BYTES = 64 * 1024
"""Of a request; larger ones start cold."""

PREFIX = b"wherry-shim-1"
COLD = b"cold"
"""The launcher's answers: this one, or ``exit N``, or ``signal N``."""

SOCKET = "launcher"

_NOT_PASSED_ON = (
    "KILL", "STOP", "CHLD", "CONT", "TSTP", "TTIN", "TTOU", "URG", "WINCH", "SEGV", "BUS", "ILL", "FPE", "TRAP", "SYS",
)  # fmt: skip
"""They cannot be caught, mean this process alone, or do nothing anyway."""

_TEXT = """\
#!@PROGRAMS@/python -IS
import posix, sys

real = @PROGRAMS_TEXT@ + "/" + sys.argv[0].rpartition("/")[2]
argv = [real, *sys.argv[1:]]
came = []


def cold():
    for number in came:
        signal.signal(number, signal.SIG_DFL)
        posix.kill(posix.getpid(), number)
    posix.execve(real, argv, posix.environ)


def request():
    if any(posix.isatty(number) for number in range(3)):
        return b""
    if set(posix.listdir("/proc/self/fd")) != {"0", "1", "2", "3"}:
        return b""
    code = sys.getfilesystemencoding(), "surrogateescape"
    words = [word.encode(*code) for word in argv]
    variables = [name + b"=" + value for name, value in posix.environ.items()]
    return b"\\0".join([@PREFIX@, posix.getcwdb(), b"%d" % len(words), *words, *variables])


def ask(data):
    folder = posix.open(@FOLDER@, posix.O_PATH | posix.O_CLOEXEC)
    peer = _socket.socket(_socket.AF_UNIX, _socket.SOCK_SEQPACKET)
    peer.connect("/proc/self/fd/%d/@SOCKET@" % folder)
    posix.close(folder)

    def pass_on(number, frame):
        came.append(number)
        try:
            peer.send(bytes((number,)))
        except OSError:
            pass

    for number in signal.valid_signals() - @NOT_PASSED_ON@:
        if signal.getsignal(number) not in (signal.SIG_IGN, None):
            signal.signal(number, pass_on)
    streams = b"".join(number.to_bytes(4, sys.byteorder) for number in range(3))
    peer.sendmsg([data], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, streams)])
    return peer


def end(kind, number):
    if kind == b"exit":
        posix._exit(number)
    if number != signal.SIGKILL:
        signal.signal(number, signal.SIG_DFL)
    posix.kill(posix.getpid(), number)
    posix._exit(128 + number)


try:
    import _signal as signal
    import _socket
    data = request()
    peer = ask(data) if 0 < len(data) <= @MAX_BYTES@ else None
except Exception:
    peer = None
if peer is None:
    cold()
try:
    answer = peer.recv(64)
except OSError:  # the launcher has closed without reading our last signal: the answer lies behind the error
    try:
        answer = peer.recv(64)
    except OSError:
        answer = b""
if answer == @COLD@:
    cold()
kind, _, number = (answer or b"signal 9").partition(b" ")
end(kind, int(number))
"""


def text(programs: str, folder: str) -> str:
    """Return the shim of a container.

    Args:
        programs: Folder of the environment's interpreter; without blanks.
        folder: Where the launcher's socket is.
    """
    numbers = {getattr(signal, f"SIG{name}") for name in _NOT_PASSED_ON}
    values = {
        "PROGRAMS": programs,
        "PROGRAMS_TEXT": repr(programs),
        "PREFIX": repr(PREFIX),
        "FOLDER": repr(folder),
        "SOCKET": SOCKET,
        "NOT_PASSED_ON": repr({int(number) for number in numbers}),
        "MAX_BYTES": str(MAX_BYTES),
        "COLD": repr(COLD),
    }
    found = _TEXT
    for name, value in values.items():
        found = found.replace(f"@{name}@", value)
    return found
