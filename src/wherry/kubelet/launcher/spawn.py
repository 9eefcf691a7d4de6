"""From a spec to a running program: what happens in the child between fork and exec.

A child that a warmed process has forked goes through the same steps (`prepare`), and through `execute` where it cannot
start warm after all.

The child reports over a stream socket that closes on exec: ``mnt NAME`` (its mount namespace), ``notify`` (with the
seccomp listener attached) and ``error JSON``, a line each. An end without an error means that the program runs. Before
exec it waits for one byte, so that the launcher has the process on record before it does anything.
"""

import contextlib
import fcntl
import json
import os
import resource
import signal
import socket
import termios
from collections.abc import Mapping, Sequence
from typing import NamedTuple, NoReturn

from wherry.kubelet.launcher import ahead, processes, sandbox, suspension, syscalls, types

NOT_FOUND = 127
NOT_EXECUTABLE = 126
NOT_PREPARED = 128
"""Exit codes of what could not start, as shells and container runtimes use them."""

_DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_SIGNALS = tuple(signal.valid_signals())  # made once, since each child would make it anew


class StartError(Exception):
    """Why a program cannot run."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


class Plan(NamedTuple):
    """All that the child needs to know."""

    spec: types.ProcessSpec
    isolate: bool
    user_namespace: bool
    intercept: bool
    directory: str
    """The launcher's own folder, which containers must not see."""
    token: str
    nofile: tuple[int, int]
    """The limits that the launcher was started with."""
    join: int | None = None
    """Pid of a container whose namespaces are entered instead of making new ones."""
    terminal: bool = False
    """Standard input is a terminal, which is to control the process."""
    like: int | None = None
    """Pid of a process of the container whose limits, umask, ignored signals and the like a warm child takes over."""
    launcher: int = 0
    """Pid of the launcher; only set for a warmed process."""


class Child(NamedTuple):
    """A process that has been forked."""

    pid: int
    status: socket.socket
    """Non-blocking; write one byte to let it go on."""


def fork(plan: Plan, *, stdin: int, stdout: int, stderr: int) -> Child:
    """Fork the process.

    Args:
        plan: What it shall become.
        stdin: Descriptor for its standard input; the caller keeps (and closes) its own copy.
        stdout: Likewise.
        stderr: Likewise.

    Returns:
        The child and the launcher's end of the status socket.
    """
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    parent = os.getpid()
    pid = os.fork()
    if pid == 0:
        prepare(plan, theirs, (stdin, stdout, stderr), parent)
        execute(plan.spec, theirs)
    theirs.close()
    ours.settimeout(0)
    return Child(pid, ours)


def own(descriptors: Sequence[int], spec: types.ProcessSpec) -> None:
    """Let the user of a process open its streams by name (``/dev/stdout``, ``/dev/tty``)."""
    if os.geteuid() == 0 and spec.uid is not None:
        for descriptor in descriptors:
            os.fchown(descriptor, spec.uid, -1)


def prepare(
    plan: Plan,
    status: socket.socket,
    standard: tuple[int, int, int],
    parent: int,
    *,
    begun: ahead.Ahead | None = None,
) -> None:
    """Make the calling process what the container's program shall find, and wait for leave to go on.

    Does not return if something fails: that is reported.

    Args:
        plan: What it shall become.
        status: The child's end of the status socket.
        standard: Descriptors for standard input, output and error.
        parent: Pid of the launcher.
        begun: What the process has done ahead.
    """
    code = NOT_PREPARED
    try:
        room = begun.take(_to_be_laid(plan)) if begun is not None else None
        _prepare(plan, status, standard, parent, room=room)
    except StartError as error:
        code = error.code
        _refuse(status, code, str(error))
    except Exception as error:  # noqa: BLE001 — whatever it is must reach the user, never the caller's loop
        _refuse(status, code, str(error))
    else:
        return
    os._exit(code)


def execute(spec: types.ProcessSpec, status: socket.socket) -> NoReturn:
    """Replace the calling process, which has been prepared, by the program."""
    code = NOT_PREPARED
    try:
        _exec(spec.argv, spec.env)
    except StartError as error:
        code = error.code
        _report(status, code, str(error))
    except Exception as error:  # noqa: BLE001 — as above
        _report(status, code, str(error))
    finally:
        os._exit(code)


def _refuse(status: socket.socket, code: int, message: str) -> None:
    """Say why the process cannot be prepared, once it is on record: then it is gone."""
    with contextlib.suppress(OSError):
        status.recv(1)
    _report(status, code, message)


def _report(status: socket.socket, code: int, message: str) -> None:
    with contextlib.suppress(OSError):
        status.sendall(b"error " + json.dumps([code, message]).encode() + b"\n")


def _to_be_laid(plan: Plan) -> Sequence[types.Mount] | None:
    own = plan.isolate and plan.join is None and not plan.user_namespace
    return plan.spec.mounts if own else None


def _prepare(
    plan: Plan,
    status: socket.socket,
    standard: tuple[int, int, int],
    parent: int,
    *,
    room: sandbox.Sandbox | None,
) -> None:
    die_with(parent)
    os.setsid()
    heed_signals()
    for target, descriptor in enumerate(standard):
        os.dup2(descriptor, target)
    if plan.terminal:
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    os.umask(0o022)
    _view(plan, status, room)
    _limit(plan)
    if plan.spec.no_new_privs or (processes.LINUX and os.geteuid() != 0):
        syscalls.prctl(syscalls.PR_SET_NO_NEW_PRIVS, 1)
    if plan.intercept:
        listener = suspension.install()
        socket.send_fds(status, [b"notify\n"], [listener])
        os.close(listener)
    _identify(plan.spec)
    _enter_folder(plan.spec.cwd)
    die_with(parent)  # a change of user has undone it
    if not status.recv(1):  # the launcher cannot put it on record, or is gone
        os._exit(NOT_PREPARED)


def heed_signals() -> None:
    """Ignore no signal: exec resets handlers, but what is ignored stays so."""
    for number in _SIGNALS:
        if signal.getsignal(number) == signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)


def die_with(parent: int) -> None:
    """Have the kernel kill this process when its parent ends; end if that has happened already."""
    if processes.LINUX:
        syscalls.prctl(syscalls.PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(NOT_PREPARED)


def _view(plan: Plan, status: socket.socket, room: sandbox.Sandbox | None) -> None:
    spec = plan.spec
    if plan.join is not None:
        _join(plan.join, plan)
    elif plan.isolate:
        if room is None:
            sandbox.unshare(user_namespace=plan.user_namespace)
            room = sandbox.Sandbox(plan.directory)
        if spec.hostname:
            syscalls.set_hostname(spec.hostname)
        room.build(spec.mounts, spec.cwd, plan.token)
        status.sendall(f"mnt {processes.mount_namespace(os.getpid())}\n".encode())


def _join(pid: int, plan: Plan) -> None:
    if not plan.isolate:
        return
    kinds = ["mnt", "uts"]
    if plan.user_namespace:
        kinds.insert(0, "user")  # it gives the right to enter the others
    try:
        opened = [os.open(f"/proc/{pid}/ns/{kind}", os.O_RDONLY | os.O_CLOEXEC) for kind in kinds]
        for descriptor in opened:
            syscalls.setns(descriptor, 0)
    except OSError as error:
        raise StartError(NOT_PREPARED, f"the container cannot be entered: {error}") from error


def _limit(plan: Plan) -> None:
    resource.setrlimit(resource.RLIMIT_NOFILE, plan.nofile)
    for name, value in plan.spec.rlimits.items():
        kind = getattr(resource, f"RLIMIT_{name.upper()}", None)
        if kind is None:
            raise StartError(NOT_PREPARED, f"rlimits: {name!r} is not one this system has")
        hard = resource.getrlimit(kind)[1]
        bound = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(kind, (bound, bound))


def _identify(spec: types.ProcessSpec) -> None:
    uid, gid = os.geteuid(), os.getegid()
    if uid != 0:
        if spec.uid not in {None, uid} or spec.gid not in {None, gid}:
            raise StartError(
                NOT_PREPARED,
                f"cannot run as uid {spec.uid}, gid {spec.gid}: the launcher runs as an ordinary user "
                f"(uid {uid}, gid {gid}); leave both out, or start as root",
            )
        return
    try:
        if spec.uid is not None or spec.gid is not None or spec.groups:
            os.setgroups(spec.groups)
        if spec.gid is not None:
            os.setresgid(spec.gid, spec.gid, spec.gid)
        if spec.uid is not None:
            os.setresuid(spec.uid, spec.uid, spec.uid)
    except OSError as error:
        raise StartError(
            NOT_PREPARED, f"cannot run as uid {spec.uid}, gid {spec.gid}: {error.strerror}"
        ) from error


def _enter_folder(cwd: str) -> None:
    try:
        os.chdir(cwd)
    except OSError as error:
        raise StartError(NOT_PREPARED, f"cwd {cwd}: {error.strerror}") from error


def _exec(argv: tuple[str, ...], env: Mapping[str, str]) -> NoReturn:
    program = argv[0]
    if "/" in program:
        candidates = [program]
    else:
        folders = env.get("PATH", _DEFAULT_PATH).split(":")
        candidates = [f"{folder or '.'}/{program}" for folder in folders]
    denied: OSError | None = None
    for path in candidates:
        try:
            os.execve(path, argv, env)  # noqa: S606 — starting programs is what this is for
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:
            denied = denied or error
    if denied is not None:
        raise StartError(NOT_EXECUTABLE, f"exec {program!r}: {denied.strerror}") from denied
    raise StartError(NOT_FOUND, _why_not_found(program, env))


def _why_not_found(program: str, env: Mapping[str, str]) -> str:
    if "/" not in program:
        path = env.get("PATH", _DEFAULT_PATH)
        return f"exec {program!r}: executable file not found in PATH ({path})"
    if os.access(program, os.X_OK):
        return f"exec {program!r}: the interpreter that its first line names does not exist"
    return f"exec {program!r}: no such file"
