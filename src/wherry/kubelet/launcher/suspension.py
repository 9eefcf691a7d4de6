"""System calls of a container that wait for the launcher: the filter that picks them, and the answers.

Which are picked: ``bind`` and ``connect``, sockets of rtnetlink(7), and requests of netdevice(7). What becomes of them
is ``interception``'s to say. The means is seccomp_unotify(2).
"""

import contextlib
import ctypes
import errno
import fcntl
import os
import select
import socket
import struct
import sys
from collections.abc import Sequence
from typing import NamedTuple

from wherry.kubelet.launcher import interfaces, rtnetlink, syscalls


class Architecture(NamedTuple):
    """Numbers of a kernel's."""

    audit: int
    bind: int
    connect: int
    socket: int
    ioctl: int


_ARCHITECTURES = {
    "x86_64": Architecture(0xC000003E, bind=49, connect=42, socket=41, ioctl=16),
    "aarch64": Architecture(0xC00000B7, bind=200, connect=203, socket=198, ioctl=29),
}

_SET_MODE_FILTER = 1
_NEW_LISTENER = 1 << 3
_WAIT_KILLABLE = 1 << 5
_ALLOW = 0x7FFF0000
_USER_NOTIF = 0x7FC00000
_CONTINUE = 1

_LOAD, _RETURN = 0x20, 0x06  # BPF_LD|W|ABS, BPF_RET|K
_JUMP_EQUAL, _JUMP_LEAST, _JUMP_MORE = 0x15, 0x35, 0x25  # BPF_JMP|K with JEQ, JGE, JGT
_NUMBER_AT, _AUDIT_AT = 0, 4  # in seccomp_data
_FIRST_AT, _SECOND_AT, _THIRD_AT = 16, 24, 32  # the lower halves of arguments

_RECEIVE = 0xC0502100  # SECCOMP_IOCTL_NOTIF_RECV, 80 bytes
_SEND = 0xC0182101  # …_SEND, 24 bytes
_ID_VALID = 0x40082102
_ADD_DESCRIPTOR = 0x40182103  # …_ADDFD, 24 bytes
_NOTIFICATION = struct.Struct("=QIIiIQ6Q")
_RESPONSE = struct.Struct("=QqiI")
_ADDED = struct.Struct("=QIIII")


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_char_p))


class Call(NamedTuple):
    """One suspended system call."""

    cookie: int
    pid: int
    number: int
    arguments: Sequence[int]

    @property
    def descriptor(self) -> int:
        """Its first argument, where that is the caller's socket."""
        return self.arguments[0] & 0x7FFFFFFF


def supported_machine() -> bool:
    """Whether the numbers of this architecture's system calls are known."""
    return sys.platform == "linux" and os.uname().machine in _ARCHITECTURES


def kernel() -> Architecture:
    """Return this machine's numbers."""
    return _ARCHITECTURES[os.uname().machine]


def install() -> int:
    """Put the filter on the calling process and all that it will start.

    Returns:
        The descriptor on which the launcher receives the calls.

    Raises:
        OSError: The kernel cannot, or someone listens already.
    """
    numbers = kernel()
    steps = (  # what to do, how many steps to skip if it holds and if not, with what
        (_LOAD, 0, 0, _AUDIT_AT),
        (_JUMP_EQUAL, 0, 12, numbers.audit),
        (_LOAD, 0, 0, _NUMBER_AT),
        (_JUMP_EQUAL, 11, 0, numbers.bind),
        (_JUMP_EQUAL, 10, 0, numbers.connect),
        (_JUMP_EQUAL, 5, 0, numbers.ioctl),
        (_JUMP_EQUAL, 0, 7, numbers.socket),
        (_LOAD, 0, 0, _FIRST_AT),
        (_JUMP_EQUAL, 0, 5, socket.AF_NETLINK),
        (_LOAD, 0, 0, _THIRD_AT),
        (_JUMP_EQUAL, 4, 3, rtnetlink.PROTOCOL),
        (_LOAD, 0, 0, _SECOND_AT),
        (_JUMP_LEAST, 0, 1, min(interfaces.REQUESTS)),
        (_JUMP_MORE, 0, 1, max(interfaces.REQUESTS)),
        (_RETURN, 0, 0, _ALLOW),
        (_RETURN, 0, 0, _USER_NOTIF),
    )
    program = _Program(len(steps), b"".join(struct.pack("=HBBI", *step) for step in steps))
    try:
        # A signal would make the caller repeat a call that has been carried out already.
        return syscalls.seccomp(_SET_MODE_FILTER, _NEW_LISTENER | _WAIT_KILLABLE, program)
    except OSError as error:
        if error.errno != errno.EINVAL:  # Linux 5.19 brought the flag
            raise
        return syscalls.seccomp(_SET_MODE_FILTER, _NEW_LISTENER, program)


class Listener:
    """The launcher's end: receives calls, and says how they end."""

    def __init__(self, descriptor: int) -> None:
        """Take over what `install` returned."""
        self.descriptor = descriptor

    def close(self) -> None:
        """Listen no more; calls that are still suspended fail with ENOSYS."""
        os.close(self.descriptor)

    def has_ended(self) -> bool | None:
        """Return whether the last process is gone; None if there is nothing to receive either."""
        poll = select.poll()
        poll.register(self.descriptor, select.POLLIN)
        ready = poll.poll(0)
        return not ready[0][1] & select.POLLIN if ready else None

    def receive(self) -> Call | None:
        """Return the next call, None if its caller has been killed; blocks where there is none."""
        buffer = bytearray(_NOTIFICATION.size)
        try:
            fcntl.ioctl(self.descriptor, _RECEIVE, buffer)
        except OSError:
            return None
        cookie, pid, _, number, _, _, *arguments = _NOTIFICATION.unpack(buffer)
        return Call(cookie, pid, number, arguments)

    def confirm(self, call: Call) -> None:
        """Make sure that the caller still waits, and its number is not another process's.

        Raises:
            OSError: It does not.
        """
        fcntl.ioctl(self.descriptor, _ID_VALID, struct.pack("=Q", call.cookie))

    def proceed(self, call: Call) -> None:
        """Let the kernel carry the call out as if nothing had been."""
        self._respond(call, 0, _CONTINUE)

    def answer(self, call: Call, error: int) -> None:
        """End the call, with an error if it is not 0."""
        self._respond(call, -error, 0)

    def give(self, call: Call, descriptor: int, *, close_on_exec: bool) -> None:
        """End the call with a duplicate of a descriptor.

        Raises:
            OSError: The kernel cannot (before Linux 5.9), or the caller was killed.
        """
        flags = os.O_CLOEXEC if close_on_exec else 0
        added = bytearray(_ADDED.pack(call.cookie, 0, descriptor, 0, flags))
        number = None
        while number is None:
            # Not in one step with the answer, as the kernel offers: interrupted by a signal, such as the end of a
            # child, it answers 0 and adds nothing.
            with contextlib.suppress(InterruptedError):
                number = fcntl.ioctl(self.descriptor, _ADD_DESCRIPTOR, added)
        self._respond(call, 0, 0, number)

    def _respond(self, call: Call, error: int, flags: int, value: int = 0) -> None:
        with contextlib.suppress(OSError):  # the caller was killed
            fcntl.ioctl(self.descriptor, _SEND, _RESPONSE.pack(call.cookie, value, error, flags))
