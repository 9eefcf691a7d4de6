"""Whom the kernel killed for want of memory, by its log: for engines that keep nothing of a group that has gone."""

import contextlib
import errno
import os
import re

_LOG = "/dev/kmsg"
_RECORD_BYTES = 8192
_MOST_RECORDS = 200_000
_KILLED = re.compile(rb"oom-kill:.*\boom_memcg=([^,\n]*),task_memcg=([^,\n]*)")


def killed(group: str) -> bool:
    """Return whether a process of a control group was killed; False where the log cannot be read.

    Args:
        group: The name of its folder, which no other group ever has.
    """
    with contextlib.suppress(OSError):
        log = os.open(_LOG, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            return _told(log, group.encode())
        finally:
            os.close(log)
    return False


def _told(log: int, group: bytes) -> bool:
    for _ in range(_MOST_RECORDS):
        try:
            record = os.read(log, _RECORD_BYTES)
        except BlockingIOError:
            return False
        except OSError as error:
            # Records are overwritten while they are read.
            if error.errno != errno.EPIPE:
                raise
            continue
        if concerns(record, group):
            return True
    return False


def concerns(record: bytes, group: bytes) -> bool:
    """Return whether a record says that a process of a group was killed for want of memory."""
    found = _KILLED.search(record)
    return found is not None and any(group in path.split(b"/") for path in found.groups())
