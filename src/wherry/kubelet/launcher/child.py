"""The launcher's side of a child that is being started: what it reports, and letting it go on."""

import contextlib
import json
import os
import socket
from collections.abc import Callable

from wherry.kubelet.launcher import loop, syscalls

_MAX_REPORT_BYTES = 64 * 1024


class Starting:
    """Listens to a child until it runs its program or has said why it cannot."""

    def __init__(
        self,
        events: loop.Loop,
        status: socket.socket,
        done: Callable[[], None],
        *,
        named: Callable[[int], None] = lambda _: None,
        heard: Callable[[int], None] | None = None,
    ) -> None:
        """Begin to listen.

        Args:
            events: The launcher's loop.
            status: The launcher's end of the status socket of a child just forked; owned from now on.
            done: Called once, when ``error`` (or its absence) is final.
            named: Called with the pid of a child that a warmed process has forked, when it is known.
            heard: Given the listener of system calls as soon as it comes, rather than at the end: a child that starts
                warm may make such calls before.
        """
        self._loop = events
        self._status = status
        self._done = done
        self._named = named
        self._heard = heard
        self._report = b""
        self.mount_namespace = ""
        self.listener: int | None = None
        """Of system calls, for the caller to take over."""
        self.error: tuple[int, str] | None = None
        """Exit code and message."""
        self.cold = ""
        """Why a child that should have started warm executes its program after all."""
        self.finished = False
        events.watch(status.fileno(), self.read)

    def go(self) -> None:
        """Let the child run its program."""
        with contextlib.suppress(OSError):  # it died before
            self._status.send(b"g")

    def read(self) -> None:
        """Take in what has been reported."""
        while not self.finished:
            try:
                data, descriptors = syscalls.receive(self._status, 4096, 1)
            except BlockingIOError:
                return
            except OSError:
                data, descriptors = b"", []
            self._keep(descriptors)
            self._report += data
            self._listen_for_pid()
            if not data or len(self._report) > _MAX_REPORT_BYTES:
                self._finish()

    def _listen_for_pid(self) -> None:
        line, end, rest = self._report.partition(b"\n")
        if end and line.startswith(b"pid "):
            self._report = rest
            self._named(int(line[4:]))

    def abandon(self) -> None:
        """Listen no more; a child that still waits for leave to go on ends."""
        if not self.finished:
            self.finished = True
            self._loop.unwatch(self._status.fileno())
            self._status.close()

    def _keep(self, descriptors: list[int]) -> None:
        for descriptor in descriptors:
            if self._heard is not None:
                heard, self._heard = self._heard, None
                heard(descriptor)
            elif self.listener is None:
                self.listener = descriptor
            else:
                os.close(descriptor)

    def _finish(self) -> None:
        if self.finished:  # abandoned while its report was read
            return
        self.finished = True
        self._loop.unwatch(self._status.fileno())
        self._status.close()
        for line in self._report.decode(errors="replace").splitlines():
            kind, _, rest = line.partition(" ")
            if kind == "mnt":
                self.mount_namespace = rest
            elif kind == "cold":
                self.cold = rest
            elif kind == "error":
                code, message = json.loads(rest)
                self.error = int(code), str(message)
        self._done()
