"""Commands of a container that call its Python by name, as a shell does: the launcher's end.

A container may have a folder first on its ``PATH`` with a shim (`shim_script`) and a socket. A call is forked from a
warmed process into the container, like a command of ``execution``, and only if the caller is in every respect what
such a command would be; otherwise the shim is told to start the interpreter itself.
"""

import contextlib
import dataclasses
import os
import pathlib
import re
import signal
import socket
import struct
import sys
from collections.abc import Callable

from wherry.kubelet.launcher import (
    child,
    choice,
    container,
    interception,
    loop,
    nursery,
    processes,
    shim_script,
    spawn,
    syscalls,
    types,
)

_WARM_SECONDS = 5.0
_MAX_CALLS = 256
_LONG_LINES_SINCE = (5, 1)
_NAMESPACES = ("mnt", "uts", "user", "ipc", "net", "pid", "cgroup")
_ALIKE = ("Uid", "Gid", "Groups", "CapEff", "NoNewPrivs")


class Door:
    """Listens for the shims of one container."""

    def __init__(
        self,
        events: loop.Loop,
        inside: container.Container,
        warm: nursery.Nursery,
        begun: Callable[[int, "Call"], None],
    ) -> None:
        """Lay shim and socket down.

        Args:
            events: The launcher's loop.
            inside: The container, which is about to start; its spec has a ``shim``.
            warm: Where children come from.
            begun: Called with the pid of every child, which is to be waited for.

        Raises:
            OSError: The folder cannot be made.
        """
        assert inside.spec.shim is not None
        self.inside = inside
        self.warm = warm
        self.events = events
        self.begun = begun
        self.shim = inside.spec.shim
        self._calls: list[Call] = []
        self._folder = pathlib.Path(self.shim.folder)
        self._lay()
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._listener.settimeout(0)
        self._bind()
        events.watch(self._listener.fileno(), self._accept)

    def _lay(self) -> None:
        self._clear()
        self._folder.mkdir(mode=0o755, parents=True)
        script = self._folder / "python"
        script.write_text(shim_script.text(self.shim.programs, self.shim.folder))
        script.chmod(0o755)
        (self._folder / "python3").symlink_to("python")

    def _bind(self) -> None:
        """Bind by way of a descriptor: the address of a Unix socket is at most 107 bytes long."""
        folder = os.open(self._folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            self._listener.bind(f"/proc/self/fd/{folder}/{shim_script.SOCKET}")
        finally:
            os.close(folder)
        (self._folder / shim_script.SOCKET).chmod(0o777)
        self._listener.listen(_MAX_CALLS)

    def _accept(self) -> None:
        try:
            peer, _ = self._listener.accept()
        except OSError:
            return
        data = peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
        pid = int(struct.unpack("=iII", data)[0])
        if len(self._calls) >= _MAX_CALLS or self.inside.exited or not _belongs(pid, self.inside):
            with contextlib.suppress(OSError):
                peer.send(shim_script.COLD)
            peer.close()
            return
        self._calls.append(Call(self, peer, pid))

    def ended(self, call: "Call") -> None:
        """Take note that a call is over."""
        if call in self._calls:
            self._calls.remove(call)

    def close(self) -> None:
        """Take no more calls, and take the folder away."""
        self.events.unwatch(self._listener.fileno())
        self._listener.close()
        for call in list(self._calls):
            call.hang_up()
        self._clear()

    def _clear(self) -> None:
        for name in ("python", "python3", shim_script.SOCKET):
            (self._folder / name).unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            self._folder.rmdir()


def _belongs(pid: int, inside: container.Container) -> bool:
    """Whether a process is what a command run inside the container would be: namespaces, root, user, rights."""
    main = inside.state.pid
    if main is None or processes.mount_namespace(pid) != inside.namespace:
        return False
    try:
        for name in _NAMESPACES:
            if (
                pathlib.Path(f"/proc/{pid}/ns/{name}").readlink()
                != pathlib.Path(f"/proc/{main}/ns/{name}").readlink()
            ):
                return False
        if os.stat(f"/proc/{pid}/root") != os.stat(f"/proc/{main}/root"):  # noqa: PTH116 — quicker
            return False
        facts = _status(pid)
    except OSError:
        return False
    uid = os.geteuid() if inside.spec.uid is None else inside.spec.uid
    return facts == _status(main) and facts["Uid"].split() == [str(uid)] * 4


def _status(pid: int) -> dict[str, str]:
    lines = pathlib.Path(f"/proc/{pid}/status").read_text().splitlines()
    found = dict(line.split(":", 1) for line in lines)
    return {name: found.get(name, "") for name in _ALIKE}


class Call:
    """One shim, from its request until its program has ended."""

    def __init__(self, door: Door, peer: socket.socket, caller: int) -> None:
        """Begin to listen to it.

        Args:
            door: Where it came in.
            peer: Its socket; owned from now on.
            caller: Its pid.
        """
        self._door = door
        self._peer = peer
        self._caller = caller
        self._asked = False
        self._pid = 0
        self._pending: list[int] = []
        self._place: nursery.Place | None = None
        self._starting: child.Starting | None = None
        self._interceptor: interception.Interceptor | None = None
        self._timer: loop.Timer | None = None
        self._open = True
        peer.settimeout(0)
        door.events.watch(peer.fileno(), self._read)

    @property
    def inside(self) -> container.Container:
        """The container."""
        return self._door.inside

    def _read(self) -> None:
        try:
            data, descriptors = syscalls.receive(self._peer, shim_script.MAX_BYTES, 3)
        except BlockingIOError:
            return
        except OSError:
            data, descriptors = b"", []
        try:
            if not data:
                self.hang_up()
            elif self._asked:
                self._signal(data[0])
            else:
                self._asked = True
                self._ask(data, descriptors)
        finally:
            for descriptor in descriptors:
                os.close(descriptor)

    def _ask(self, data: bytes, descriptors: list[int]) -> None:
        try:
            plan = _plan(data, self.inside, self._door.shim, self._caller)
        except (ValueError, types.LauncherError):
            plan = None
        if plan is None or len(descriptors) != 3:
            self._answer(shim_script.COLD)
            return
        stdin, stdout, stderr = descriptors
        asked = self._door.warm.fork(plan, (stdin, stdout, stderr))
        if asked is None:
            self._answer(shim_script.COLD)
            return
        self._place, status = asked
        events = self._door.events
        self._starting = child.Starting(
            events, status, self._started, named=self._named, heard=self._intercept
        )
        self._timer = events.later(_WARM_SECONDS, self._not_forked)

    def _not_forked(self) -> None:
        """A child that comes late ends by itself."""
        assert self._starting is not None
        assert self._place is not None
        self._starting.abandon()
        self._door.warm.went_cold(self._place, "it did not fork in time")
        self._answer(shim_script.COLD)

    def _named(self, pid: int) -> None:
        assert self._timer is not None
        assert self._starting is not None
        self._timer.cancel()
        if not self._open or self.inside.exited or processes.parent(pid) != os.getpid():
            self._not_forked()
            return
        self._pid = pid
        self._door.begun(pid, self)
        self.inside.admit(pid, self._starting)
        for number in self._pending:
            self._signal(number)

    def _started(self) -> None:
        starting = self._starting
        assert starting is not None
        assert self._timer is not None
        self._timer.cancel()
        if not self._pid:
            self._not_forked()
        elif starting.cold and self._place is not None:
            self._door.warm.went_cold(self._place, starting.cold)

    def _intercept(self, listener: int) -> None:
        self._interceptor = self.inside.interceptor(listener)

    def _signal(self, number: int) -> None:
        if not self._pid:
            self._pending.append(number)
        elif number in signal.valid_signals():
            processes.kill(self._pid, number)

    def hang_up(self) -> None:
        """The shim has gone, or has to: the program goes with it."""
        self._close()
        self.kill()

    def kill(self) -> None:
        """End the program."""
        if self._pid:
            processes.kill(self._pid)

    def ended(self, status: int) -> None:
        """Tell the shim how its program ended; ``status`` is what ``waitpid`` told."""
        assert self._starting is not None
        self._starting.read()  # its last words
        self._pid = 0
        if self._starting.error is not None:
            self._answer(shim_script.COLD)
            return
        code = os.waitstatus_to_exitcode(status)
        self._answer(b"signal %d" % -code if code < 0 else b"exit %d" % code)

    def _answer(self, text: bytes) -> None:
        if self._open:
            with contextlib.suppress(OSError):
                self._peer.send(text)
        self._close()

    def _close(self) -> None:
        if self._open:
            self._open = False
            self._door.events.unwatch(self._peer.fileno())
            self._peer.close()
            self._door.ended(self)


def _plan(
    data: bytes, inside: container.Container, shim: types.Shim, caller: int
) -> spawn.Plan | None:
    """Return what a child is to become; None to start cold.

    Raises:
        ValueError: The request is nothing that a shim would send.
    """
    prefix, cwd, count, *words = data.split(b"\0")
    if prefix != shim_script.PREFIX:
        raise ValueError("not a shim's request")
    texts = [os.fsdecode(word) for word in words]
    argv, variables = texts[: int(count)], texts[int(count) :]
    environment = dict(text.split("=", 1) for text in variables if "=" in text)
    # Every container has a folder of its own there, and all share what is warm.
    path = environment.get("PATH", "").removeprefix(f"{shim.folder}:")
    start = choice.choose(
        argv,
        environment={**environment, "PATH": path},
        image=shim.image,
        programs=pathlib.Path(shim.programs),
        preload=shim.preload,
    )
    if start is None:
        return None
    spec = dataclasses.replace(
        inside.spec,
        argv=tuple(argv),
        env=environment,
        cwd=os.fsdecode(cwd),
        warm=start,
        shim=None,
        rlimits={},
        tty=False,
    )
    return inside.plan._replace(spec=spec, join=inside.state.pid, terminal=False, like=caller)


def max_line_bytes(release: str) -> int:
    """Return how long the first line of a script may be, without its line feed.

    The kernel looks at the first `BINPRM_BUF_SIZE` bytes of a file: 256 since Linux 5.1, 128 before
    (include/uapi/linux/binfmts.h); the line and what ends it have to be among them.

    Args:
        release: Of the kernel, such as ``6.8.0-45-generic``; of one that is not understood the less is said.
    """
    found = re.match(r"(\d+)\.(\d+)", release)
    known = found is not None and (int(found[1]), int(found[2])) >= _LONG_LINES_SINCE
    return 255 if known else 127


def open_door(
    events: loop.Loop,
    inside: container.Container,
    warm: nursery.Nursery,
    begun: Callable[[int, Call], None],
) -> Door | None:
    """Open a container's door if it is to have one and can; without, its programs start cold."""
    shim = inside.spec.shim
    if shim is None or not inside.plan.isolate or not processes.LINUX:
        return None
    line = f"#!{shim.programs}/python -IS"
    if any(letter.isspace() for letter in shim.programs):
        return None
    if len(os.fsencode(line)) > max_line_bytes(os.uname().release):
        return None
    try:
        return Door(events, inside, warm, begun)
    except OSError as error:
        print(f"{inside.spec.id}: no shim for its programs: {error}", file=sys.stderr)  # noqa: T201 — the log
        return None
