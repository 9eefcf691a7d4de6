"""Importing a preload list, and telling whether the process is still fit to be forked from."""

import gc
import importlib
import os
import pathlib
import sys

from wherry.kubelet.launcher import syscalls
from wherry.kubelet.warm import reads

_EVERY_PODS_OWN = frozenset({"HOME", "HOSTNAME", "PWD", "USER"})


class UnfitError(Exception):
    """A module cannot be imported beforehand; the next process has to do without it."""

    def __init__(self, module: str, reason: str) -> None:
        super().__init__(reason)
        self.module = module
        self.reason = reason


class UnsupportedError(Exception):
    """No program can start warm in this interpreter."""


def preload(modules: list[str]) -> reads.Reads:
    """Import modules.

    Args:
        modules: In this order.

    Returns:
        The variables that were looked at.

    Raises:
        UnfitError: One failed, or left a thread or an open file behind, or depends on what every pod has its own of.
    """
    noted = reads.Reads()
    before = _descriptors()
    for module in modules:
        try:
            importlib.import_module(module)
        except BaseException as error:  # SystemExit too: the cold program shall meet it, not we
            raise UnfitError(
                module, f"its import fails: {type(error).__name__}: {error}"
            ) from error
        _check(module, before, noted)
    noted.stop()
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    syscalls.flush_streams()
    gc.collect()
    gc.freeze()  # children share what the collector does not touch
    return noted


def _check(module: str, before: set[str], noted: reads.Reads) -> None:
    _try_fork()
    if _threads() != 1:
        raise UnfitError(module, "it starts a thread when it is imported")
    left = _descriptors() - before
    if left:
        raise UnfitError(
            module, f"it leaves something open when it is imported: {', '.join(sorted(left))}"
        )
    own = noted.names & _EVERY_PODS_OWN
    if noted.all or own:
        what = "all variables" if noted.all else f"the variable {min(own)}"
        raise UnfitError(module, f"it reads {what} when it is imported")


def _try_fork() -> None:
    """Fork once: libraries that know what a fork is end their pools of threads before."""
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)


def _threads() -> int:
    return len(os.listdir("/proc/self/task"))  # noqa: PTH208 — quicker, and names are all that is wanted


def _descriptors() -> set[str]:
    """Return what is open, by where it leads; the listing's own descriptor is gone when it is looked at."""
    found = set()
    for name in os.listdir("/proc/self/fd"):  # noqa: PTH208 — as above
        try:
            found.add(f"{name} {pathlib.Path('/proc/self/fd', name).readlink()}")
        except OSError:
            continue
    return found
