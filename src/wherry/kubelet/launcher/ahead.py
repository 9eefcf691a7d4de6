"""What a child that waits for its container can have done already: namespaces, and room for what nearly all mount.

That is more than half of what a start takes. It holds as long as nobody mounts anything on the machine, and nothing
appears in or goes from the folders that have been covered. Where mounts change, the child goes back to where it came
from at once, so that it keeps no disk busy that is to be taken away; what could not be kept is done when the container
comes.
"""

import os
import pathlib
import select
import socket
from collections.abc import Sequence
from typing import Self

from wherry.kubelet.launcher import sandbox, syscalls, types

_USUAL = ("/dev/termination-log", "/var/run/secrets/kubernetes.io/serviceaccount")
_CHANGED = select.POLLPRI | select.POLLERR
"""How the kernel tells that mounts have changed, to whoever has the list of them open."""


class Ahead:
    """The namespaces of a process that is to become a container."""

    def __init__(self, directory: str) -> None:
        """Leave the machine's namespaces.

        Args:
            directory: The launcher's own folder.

        Raises:
            OSError: That is not possible now; the process is where it was.
            SandboxError: As above.
        """
        flags = os.O_RDONLY | os.O_CLOEXEC
        self._mounts = os.open("/proc/self/mountinfo", flags)
        self._home = [os.open(f"/proc/self/ns/{kind}", flags) for kind in ("mnt", "uts")]
        self._covered: dict[int, tuple[int, int]] = {}
        self._hidden: set[tuple[int, int]] = set()
        self._sandbox = sandbox.Sandbox(directory)
        self._left = False
        try:
            sandbox.unshare(user_namespace=False)
            self._left = True
            for target in _USUAL:
                self._make_room(target)
        except (OSError, sandbox.SandboxError):
            self._end()
            raise

    @classmethod
    def begun(cls, directory: str) -> Self | None:
        """Return a new one; None where nothing can be done ahead.

        Args:
            directory: The launcher's own folder; empty where containers have no namespaces, or users of their own.
        """
        try:
            return cls(directory) if directory else None
        except (OSError, sandbox.SandboxError):
            return None

    def _make_room(self, target: str) -> None:
        """Cover the folder that a mount point would have to be made in."""
        place = sandbox.locate(target)
        if not place.missing or place.existing == "/":
            return
        below = os.open(place.existing, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        self._covered[below] = _times(below)
        self._sandbox.cover(place.existing)
        path = pathlib.PurePosixPath(place.existing)
        self._hidden |= {_identity(os.fspath(at)) for at in (path, *path.parents)}

    def wait(self, control: socket.socket) -> None:
        """Return when there is something to receive; go back if mounts change meanwhile."""
        polled = select.poll()
        polled.register(control, select.POLLIN)
        polled.register(self._mounts, _CHANGED)
        ready: set[int] = set()
        while self._left and control.fileno() not in ready:
            ready = {descriptor for descriptor, _ in polled.poll()}
            if self._mounts in ready:  # it is told once
                self._go_back()

    def take(self, mounts: Sequence[types.Mount] | None) -> sandbox.Sandbox | None:
        """End the wait.

        Args:
            mounts: What will be laid over the sandbox; None if there is to be none.

        Returns:
            The sandbox, or None: the process is where it came from.
        """
        fits = self._left and mounts is not None and self._holds() and self._shows(mounts)
        if fits:
            self._close()
            return self._sandbox
        self._end()
        return None

    def _holds(self) -> bool:
        """Whether the sandbox is what one made now would be."""
        polled = select.poll()
        polled.register(self._mounts, _CHANGED)
        return not polled.poll(0) and all(
            _times(below) == times for below, times in self._covered.items()
        )

    def _shows(self, mounts: Sequence[types.Mount]) -> bool:
        """Whether the sources, which mean the machine's folders and files, are to be seen as they are there."""
        try:
            return all(
                mount.kind == "tmpfs" or _identity(mount.source) not in self._hidden
                for mount in mounts
            )
        except OSError:  # what is wrong is found out, and said, by whoever mounts it
            return False

    def _end(self) -> None:
        self._go_back()
        self._close()

    def _go_back(self) -> None:
        if self._left:
            self._left = False
            for descriptor in self._covered:
                os.close(descriptor)  # it would keep what it is of
            self._covered.clear()
            for descriptor in self._home:
                syscalls.setns(descriptor, 0)

    def _close(self) -> None:
        for descriptor in (self._mounts, *self._home, *self._covered):
            os.close(descriptor)


def _times(folder: int) -> tuple[int, int]:
    facts = os.fstat(folder)
    return facts.st_mtime_ns, facts.st_ctime_ns


def _identity(path: str) -> tuple[int, int]:
    facts = os.stat(path)  # noqa: PTH116 — each start waits for this, and a Path takes longer than the call
    return facts.st_dev, facts.st_ino
