"""One warmed process, as the launcher sees it."""

import contextlib
import enum
import os
import pathlib
import resource
import socket
import sys
import time
from collections.abc import Callable, Mapping
from typing import NamedTuple, NoReturn

from wherry.kubelet.launcher import loop, orders, processes, spawn, types

_BOOT = pathlib.Path(__file__).resolve().parents[1] / "warm" / "boot.py"
_CONTROL = 3
_NO_HOME = "/nonexistent"
"""Every pod has a home of its own; what is imported must not depend on one."""
_PAGE_BYTES = resource.getpagesize()


class Key(NamedTuple):
    """What makes two warmed processes the same."""

    program: str
    flags: tuple[str, ...]
    preload: tuple[str, ...]
    environment: tuple[tuple[str, str], ...]


class Phase(enum.Enum):
    """How far a warmed process is."""

    WARMING = "warming"
    READY = "ready"
    GONE = "gone"


def key_of(start: types.WarmStart) -> Key:
    """Return what a container needs."""
    environment = tuple(sorted(start.environment.items()))
    return Key(start.program, start.flags, start.preload, environment)


class Warmed:
    """A process that is warming or warm; ``changed`` is called whenever its phase is another."""

    def __init__(
        self,
        events: loop.Loop,
        folder: str,
        key: Key,
        *,
        left_out: Mapping[str, str],
        begin_in: str,
        changed: Callable[["Warmed"], None],
    ) -> None:
        """Start it.

        Args:
            events: The launcher's loop.
            folder: Where its start-up file is kept.
            key: What it is to be.
            left_out: Modules of the key that it must do without, and why.
            begin_in: See ``orders.Bare``.
            changed: Called with it.
        """
        self._loop = events
        self._changed = changed
        self.key = key
        self.left_out = dict(left_out)
        self.phase = Phase.WARMING
        self.was_ready = False
        self.unfit = ("", "")
        """A module that could not be imported beforehand, and why."""
        self.problem = ""
        """Why it is no use."""
        self.used_at = time.monotonic()
        preload = tuple(name for name in key.preload if name not in left_out)
        order = orders.Bare(flags=key.flags, preload=preload, control=_CONTROL, begin_in=begin_in)
        argv = [key.program, "-I", "-S", os.fspath(_BOOT), folder, order.text()]
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        parent = os.getpid()
        self.pid = os.fork()
        if self.pid == 0:
            _become(argv, {"HOME": _NO_HOME, **dict(key.environment)}, theirs, parent)
        theirs.close()
        self._control.settimeout(0)
        events.watch(self._control.fileno(), self._told)

    def _told(self) -> None:
        try:
            data = self._control.recv(orders.MAX_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        with contextlib.suppress(ValueError, TypeError):
            message = orders.packet(data) if data else {}
            if message.get("ready"):
                self.phase = Phase.READY
                self.was_ready = True
                self._changed(self)
                return
            if "unfit" in message:
                module, reason = message["unfit"]
                self.unfit = str(module), str(reason)[:500]
            self.problem = str(message.get("unsupported", ""))[:500]
        self.close()

    def fork(self, plan: spawn.Plan, standard: tuple[int, int, int]) -> socket.socket | None:
        """Ask for a child.

        Args:
            plan: What it shall become.
            standard: Descriptors for standard input, output and error; the caller keeps its own copies.

        Returns:
            The launcher's end of its status socket, or None if it cannot be asked now.
        """
        if self.phase is not Phase.READY:
            return None
        status = orders.send(self._control, plan, standard)
        if status is not None:
            self.used_at = time.monotonic()
        return status

    def memory_bytes(self) -> int:
        """Return its resident memory."""
        try:
            pages = pathlib.Path(f"/proc/{self.pid}/statm").read_text().split()[1]
        except (OSError, IndexError):
            return 0
        return int(pages) * _PAGE_BYTES

    def close(self) -> None:
        """End it; its children go on."""
        if self.phase is Phase.GONE:
            return
        self.phase = Phase.GONE
        self._loop.unwatch(self._control.fileno())
        self._control.close()
        processes.kill(self.pid)
        self._changed(self)


def _become(
    argv: list[str], environment: dict[str, str], control: socket.socket, parent: int
) -> NoReturn:
    try:
        spawn.die_with(parent)
        os.setsid()
        spawn.heed_signals()
        null = os.open(os.devnull, os.O_RDONLY)
        os.dup2(null, 0)
        os.dup2(control.fileno(), _CONTROL)
        os.umask(0o022)
        os.execve(argv[0], argv, environment)  # noqa: S606 — starting programs is what this is for
    except OSError as error:
        print(f"{argv[0]} cannot be warmed: {error}", file=sys.stderr, flush=True)  # noqa: T201 — the log
    finally:
        os._exit(1)
