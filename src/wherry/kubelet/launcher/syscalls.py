"""The system calls that Python 3.11 does not offer, through ctypes.

Nothing here decides anything. Numbers are the same on every architecture since Linux 5.1's common table, except those
that ``suspension`` holds.
"""

import ctypes
import os
import socket
import sys
from collections.abc import Callable

CLONE_NEWNS = 0x00020000
CLONE_NEWUTS = 0x04000000
CLONE_NEWUSER = 0x10000000
CLONE_NEWNET = 0x40000000

MS_RDONLY = 1
MS_NOSUID = 2
MS_NODEV = 4
MS_REMOUNT = 32
MS_BIND = 4096
MS_REC = 16384
MS_UNBINDABLE = 1 << 17
MS_PRIVATE = 1 << 18
MS_SLAVE = 1 << 19
MNT_DETACH = 2

PR_SET_PDEATHSIG = 1
PR_SET_DUMPABLE = 4
PR_SET_NAME = 15
PR_SET_CHILD_SUBREAPER = 36
PR_SET_NO_NEW_PRIVS = 38

PIDFD_THREAD = os.O_EXCL
"""Linux 6.9: a pidfd of a thread that leads no group."""

_SYS_PIVOT_ROOT = {"x86_64": 155, "aarch64": 41}
_SYS_SECCOMP = {"x86_64": 317, "aarch64": 277}
_SYS_PIDFD_OPEN = 434
_SYS_PIDFD_GETFD = 438
_SYS_MOUNT_SETATTR = 442
_AT_RECURSIVE = 0x8000
_MOUNT_ATTR_RDONLY = 1

_libc = ctypes.CDLL(None, use_errno=True)
_machine = os.uname().machine


class _Iovec(ctypes.Structure):
    _fields_ = (("base", ctypes.c_void_p), ("length", ctypes.c_size_t))


def _checked(result: int, what: str = "") -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), what or None)
    return result


def _syscall(number: int, *arguments: int | bytes | None) -> int:
    converted = (
        ctypes.c_long(argument) if isinstance(argument, int) else ctypes.c_char_p(argument)
        for argument in arguments
    )
    return int(_libc.syscall(ctypes.c_long(number), *converted))


def unshare(flags: int) -> None:
    """Leave the namespaces that ``flags`` name for fresh ones."""
    _checked(_libc.unshare(flags))


def setns(descriptor: int, kind: int) -> None:
    """Enter the namespace behind an open ``/proc/PID/ns`` file."""
    _checked(_libc.setns(descriptor, kind))


def mount(source: str, target: str, kind: str, flags: int, *, data: str = "") -> None:
    """Mount ``source`` at ``target``, or change a mount, as ``flags`` say."""
    _checked(
        _libc.mount(
            os.fsencode(source),
            os.fsencode(target),
            kind.encode() or None,
            ctypes.c_ulong(flags),
            data.encode() or None,
        ),
        target,
    )


def unmount(target: str, flags: int) -> None:
    """Take the mount at ``target`` away."""
    _checked(_libc.umount2(os.fsencode(target), flags), target)


def make_read_only(target: str) -> None:
    """Make the mount at ``target`` and those below refuse writes.

    Args:
        target: A mount point.

    Raises:
        OSError: Neither mount_setattr(2) nor a remount works.
    """
    attributes = b"".join(
        value.to_bytes(8, sys.byteorder) for value in (_MOUNT_ATTR_RDONLY, 0, 0, 0)
    )
    path = os.fsencode(target)
    if _syscall(_SYS_MOUNT_SETATTR, -100, path, _AT_RECURSIVE, attributes, len(attributes)) == 0:
        return
    # Before Linux 5.12. A remount must repeat the flags that a user namespace has locked; statvfs reports them with the
    # same low bits that mount(2) takes.
    flags = os.statvfs(target).f_flag & 0xF
    mount("", target, "", MS_REMOUNT | MS_BIND | MS_RDONLY | flags)


def pivot_root(new: str, old: str) -> None:
    """Make ``new`` the root and put the present one at ``old``."""
    _checked(_syscall(_SYS_PIVOT_ROOT[_machine], os.fsencode(new), os.fsencode(old)))


def set_hostname(name: str) -> None:
    """Name the UTS namespace."""
    encoded = name.encode()
    _checked(_libc.sethostname(encoded, len(encoded)))


def prctl(option: int, value: int) -> None:
    """Set a property of this process."""
    zero = ctypes.c_ulong(0)
    _checked(_libc.prctl(option, ctypes.c_ulong(value), zero, zero, zero))


def set_process_name(name: bytes) -> None:
    """Set what ``ps`` calls the command; the kernel keeps 15 bytes."""
    zero = ctypes.c_ulong(0)
    _checked(_libc.prctl(PR_SET_NAME, ctypes.c_char_p(name), zero, zero, zero))


def keep(value: object) -> None:
    """Never let go of a value, though nothing in the interpreter names it."""
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(value))


def write_memory(address: int, data: bytes) -> None:
    """Overwrite this process's own memory, which must be mapped and writable there."""
    ctypes.memmove(address, data, len(data))


def flush_streams() -> None:
    """Write out what the C library has buffered."""
    _checked(_libc.fflush(None))


def receive(peer: socket.socket, size: int, most: int) -> tuple[bytes, list[int]]:
    """Receive bytes and descriptors, which no program that is executed will inherit.

    Args:
        peer: A Unix socket.
        size: At most so many bytes.
        most: At most so many descriptors.

    Returns:
        What came.
    """
    # The standard library has a parameter for the flag, which Python 3.11 drops on its way to the kernel.
    data, descriptors, _, _ = socket.recv_fds(peer, size, most)
    for descriptor in descriptors:
        os.set_inheritable(descriptor, False)  # noqa: FBT003 — it takes no keywords
    return data, descriptors


def seccomp(operation: int, flags: int, arguments: "ctypes.Structure | None") -> int:
    """Change the filter of system calls."""
    pointer = ctypes.byref(arguments) if arguments is not None else None
    return _checked(
        int(_libc.syscall(ctypes.c_long(_SYS_SECCOMP[_machine]), operation, flags, pointer))
    )


def pidfd_open(pid: int, flags: int = 0) -> int:
    """Return a descriptor of a process."""
    return _checked(_syscall(_SYS_PIDFD_OPEN, pid, flags))


def pidfd_getfd(pidfd: int, descriptor: int) -> int:
    """Return a duplicate of another process's descriptor (close-on-exec)."""
    return _checked(_syscall(_SYS_PIDFD_GETFD, pidfd, descriptor, 0))


def read_memory(pid: int, address: int, length: int) -> bytes:
    """Copy bytes out of another process."""
    buffer = ctypes.create_string_buffer(length)
    got = _checked(_copy(_libc.process_vm_readv, pid, address, buffer))
    return buffer.raw[:got]


def write_memory_of(pid: int, address: int, data: bytes) -> None:
    """Copy bytes into another process, all of them or, where not all of its memory can be written, some."""
    _checked(
        _copy(_libc.process_vm_writev, pid, address, ctypes.create_string_buffer(data, len(data)))
    )


def _copy(
    call: Callable[..., int], pid: int, address: int, buffer: "ctypes.Array[ctypes.c_char]"
) -> int:
    local = _Iovec(ctypes.cast(buffer, ctypes.c_void_p), len(buffer))
    remote = _Iovec(address, len(buffer))
    one, none = ctypes.c_ulong(1), ctypes.c_ulong(0)
    return call(pid, ctypes.byref(local), one, ctypes.byref(remote), one, none)
