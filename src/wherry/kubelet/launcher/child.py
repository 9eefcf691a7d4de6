"""The launcher's side of a child that is being started: what it reports, and letting it go on."""

import contextlib
import json
import os
import socket
from collections.abc import Callable

from wherry.kubelet.launcher import loop, spawn

_MAX_REPORT_BYTES = 64 * 1024


class Starting:
    """Listens to a child until it runs its program or has said why it cannot."""

    def __init__(self, events: loop.Loop, child: spawn.Child, done: Callable[[], None]) -> None:
        """Begin to listen.

        Args:
            events: The launcher's loop.
            child: Just forked.
            done: Called once, when ``error`` (or its absence) is final.
        """
        self._loop = events
        self._status = child.status
        self._done = done
        self._report = b""
        self.mount_namespace = ""
        self.listener: int | None = None
        """Of system calls, for the caller to take over."""
        self.error: tuple[int, str] | None = None
        """Exit code and message."""
        self.finished = False
        events.watch(child.status.fileno(), self.read)

    def go(self) -> None:
        """Let the child run its program."""
        with contextlib.suppress(OSError):  # it died before
            self._status.send(b"g")

    def read(self) -> None:
        """Take in what has been reported."""
        while not self.finished:
            try:
                data, descriptors, _, _ = socket.recv_fds(
                    self._status, 4096, 1, socket.MSG_CMSG_CLOEXEC if _HAS_CLOEXEC else 0
                )
            except BlockingIOError:
                return
            except OSError:
                data, descriptors = b"", []
            self._keep(descriptors)
            self._report += data
            if not data or len(self._report) > _MAX_REPORT_BYTES:
                self._finish()

    def _keep(self, descriptors: list[int]) -> None:
        for descriptor in descriptors:
            if self.listener is None:
                self.listener = descriptor
            else:
                os.close(descriptor)

    def _finish(self) -> None:
        self.finished = True
        self._loop.unwatch(self._status.fileno())
        self._status.close()
        for line in self._report.decode(errors="replace").splitlines():
            kind, _, rest = line.partition(" ")
            if kind == "mnt":
                self.mount_namespace = rest
            elif kind == "error":
                code, message = json.loads(rest)
                self.error = int(code), str(message)
        self._done()


_HAS_CLOEXEC = hasattr(socket, "MSG_CMSG_CLOEXEC")
