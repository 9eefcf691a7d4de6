"""One process at a time: the lock on a store's directory."""

import contextlib
import fcntl
import os
from pathlib import Path

from wherry.store.errors import StoreLockedError, StoreOpenError


class DirectoryLock:
    """An advisory lock that the kernel drops when the process ends, however it ends.

    The lock file stays when the lock is given back: were it removed, two processes could hold
    locks on two files of the same name.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor: int | None = descriptor

    @classmethod
    def acquire(cls, directory: Path) -> "DirectoryLock":
        """Take the lock and leave our process id in it.

        Raises:
            StoreLockedError: another process has it.
            StoreOpenError: the lock file cannot be written.
        """
        path = directory / "lock"
        try:
            # Python opens files close-on-exec: children do not inherit the lock.
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise StoreOpenError(
                f"cannot write {path}: {error.strerror}. The store needs a directory on a local "
                f"disk that this user can write to; choose another data directory, or mend this one"
            ) from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            pid = _read_pid(descriptor)
            os.close(descriptor)
            raise StoreLockedError(directory, pid) from error
        # The pid only serves the message above: a full disk must not keep the store from opening.
        with contextlib.suppress(OSError):
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        return cls(descriptor)

    def release(self) -> None:
        """Give the lock back. Idempotent."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def _read_pid(descriptor: int) -> int | None:
    text = os.pread(descriptor, 32, 0).decode("ascii", "replace").strip()
    return int(text) if text.isdecimal() else None
