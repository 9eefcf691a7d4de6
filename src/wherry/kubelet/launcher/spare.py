"""A child that has been forked ahead and waits for the container that starts cold next.

The fork and all that `ahead` does are then no part of the start. There is one while containers keep coming; the
first, and what comes quicker than one can be made, is forked as it comes.
"""

import os
import resource
import signal
import socket
import time
from typing import NoReturn

from wherry.kubelet.launcher import ahead, loop, orders, processes, spawn, syscalls

_AFTER_SECONDS = 0.05
"""The container that has just come shall have the machine to itself while it starts."""
_IDLE_SECONDS = 60.0


class Spare:
    """Keeps one child ready. Nothing here blocks."""

    def __init__(self, events: loop.Loop, *, begin_in: str) -> None:
        """Begin without a child.

        Args:
            events: The launcher's loop.
            begin_in: See ``orders.Bare``; where it is empty every child is forked when its container comes.
        """
        self._loop = events
        self._begin_in = begin_in
        self._pid = 0
        self._control: socket.socket | None = None
        self._due = False
        self._ticking = False
        self._used_at = 0.0
        self._closed = False

    def fork(self, plan: spawn.Plan, standard: tuple[int, int, int]) -> socket.socket | None:
        """Have the child that waits become a container, and another one made behind it.

        Args:
            plan: What it shall become.
            standard: Descriptors for standard input, output and error; the caller keeps its own copies.

        Returns:
            The launcher's end of its status socket, where it will say its pid; None if no child waits.
        """
        if not self._begin_in or not plan.isolate or self._closed:
            return None
        self._used_at = time.monotonic()
        if not self._due:
            self._due = True
            self._loop.later(_AFTER_SECONDS, self._make)
        if self._control is None:
            return None
        status = orders.send(self._control, plan, standard)
        if status is not None:
            self._pid = 0  # no longer ours
            self._drop()
        return status

    def ended(self, pid: int) -> None:
        """Note that a process of ours has been reaped."""
        if pid == self._pid:
            self._pid = 0  # the number may be another's now
            self._drop()

    def close(self) -> None:
        """End the child, and make no more."""
        self._closed = True
        self._drop()

    def _make(self) -> None:
        self._due = False
        if self._control is not None or self._closed:
            return
        control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with control, theirs:  # a fork may be refused, and the next container asks for another try
            parent = os.getpid()
            self._pid = os.fork()
            if self._pid == 0:
                _wait(theirs, parent, self._begin_in)
            self._control = socket.socket(fileno=control.detach())
        self._control.settimeout(0)
        if not self._ticking:
            self._tick()

    def _tick(self) -> None:
        """End the child when no container has come for long."""
        left = self._used_at + _IDLE_SECONDS - time.monotonic()
        if left <= 0:
            self._drop()
        self._ticking = left > 0
        if self._ticking:
            self._loop.later(left, self._tick)

    def _drop(self) -> None:
        """Let go of the child; one that has no container ends."""
        if self._control is not None:
            self._control.close()
            self._control = None
        if self._pid:
            processes.kill(self._pid)
            self._pid = 0


def _wait(control: socket.socket, parent: int, directory: str) -> NoReturn:
    try:
        spawn.die_with(parent)
        signal.set_wakeup_fd(-1)
        control = socket.socket(fileno=os.dup2(control.detach(), 3, inheritable=False))
        # It would keep other containers' pipes open.
        os.closerange(4, resource.getrlimit(resource.RLIMIT_NOFILE)[0])
        begun = ahead.Ahead.begun(directory)
        if begun is not None:
            begun.wait(control)
        data, descriptors = syscalls.receive(control, orders.MAX_BYTES, orders.DESCRIPTORS)
        control.close()
        *standard, last = descriptors
        status = socket.socket(fileno=last)
        plan = orders.decode(data)
        status.sendall(f"pid {os.getpid()}\n".encode())
        stdin, stdout, stderr = standard
        spawn.prepare(plan, status, (stdin, stdout, stderr), parent, begun=begun)
        spawn.execute(plan.spec, status)
    finally:
        os._exit(spawn.NOT_PREPARED)
