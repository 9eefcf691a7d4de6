"""Each pod's own ``localhost``, and services without anyone in between: ``bind`` and ``connect`` to other addresses.

Pods are processes in the host's network namespace, so two that listen on ``0.0.0.0:8080`` would clash; loopback and
wildcard addresses therefore mean the pod's own. And a ``connect`` to a cluster IP goes straight to a ready endpoint. A
seccomp filter in the container hands the two system calls to the launcher, which performs them on a duplicate of the
socket with another address, or lets the kernel go on as if nothing had been. Nothing else is touched, and this is a
convenience, not a security boundary.
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
from collections.abc import Callable, Sequence
from typing import NamedTuple

from wherry.kubelet.launcher import listeners, loop, processes, service_table, syscalls

_ARCHITECTURES = {  # machine → (AUDIT_ARCH, bind, connect)
    "x86_64": (0xC000003E, 49, 42),
    "aarch64": (0xC00000B7, 200, 203),
}

_SET_MODE_FILTER = 1
_NEW_LISTENER = 1 << 3
_WAIT_KILLABLE = 1 << 5
_ALLOW = 0x7FFF0000
_USER_NOTIF = 0x7FC00000
_CONTINUE = 1

_LOAD, _JUMP_EQUAL, _RETURN = 0x20, 0x15, 0x06  # BPF_LD|W|ABS, BPF_JMP|JEQ|K, BPF_RET|K

_RECEIVE = 0xC0502100  # SECCOMP_IOCTL_NOTIF_RECV, 80 bytes
_SEND = 0xC0182101  # …_SEND, 24 bytes
_ID_VALID = 0x40082102
_NOTIFICATION = struct.Struct("=QIIiIQ6Q")
_RESPONSE = struct.Struct("=QqiI")

_LOCAL_V4 = {bytes(4), socket.inet_aton("127.0.0.1")}
_MAPPED = bytes(10) + b"\xff\xff"
_LOCAL_V6 = {bytes(16), bytes(15) + b"\1", *(_MAPPED + address for address in _LOCAL_V4)}
_MAX_TRIES = 16
"""Endpoints of a service that are asked for before the relay is left to find one."""


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_char_p))


class _Call(NamedTuple):
    """One suspended system call."""

    cookie: int
    pid: int
    binds: bool
    descriptor: int
    address: int
    length: int


class _Target(NamedTuple):
    family: int
    ip: str
    """IPv4; empty for the pod's own."""
    port: int


def supported_machine() -> bool:
    """Whether the numbers of this architecture's system calls are known."""
    return sys.platform == "linux" and os.uname().machine in _ARCHITECTURES


def install() -> int:
    """Put the filter on the calling process and all that it will start.

    Returns:
        The descriptor on which the launcher receives the calls.

    Raises:
        OSError: The kernel cannot, or someone listens already.
    """
    architecture, bind, connect = _ARCHITECTURES[os.uname().machine]
    steps = (
        (_LOAD, 0, 0, 4),  # the architecture
        (_JUMP_EQUAL, 0, 3, architecture),
        (_LOAD, 0, 0, 0),  # the system call
        (_JUMP_EQUAL, 2, 0, bind),
        (_JUMP_EQUAL, 1, 0, connect),
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


class Interceptor:
    """Answers the suspended calls of one container."""

    def __init__(
        self,
        events: loop.Loop,
        listener: int,
        *,
        address: str,
        services: service_table.ServiceTable,
    ) -> None:
        """Serve ``listener`` (owned from now on).

        Args:
            events: The launcher's loop.
            listener: What ``install`` returned.
            address: The pod's, IPv4.
            services: Where cluster IPs lead.
        """
        self._loop = events
        self._listener = listener
        self._address = address
        self._services = services
        self._connecting: dict[int, socket.socket] = {}
        self._open = True
        events.watch(listener, self._serve)

    def close(self) -> None:
        """Stop serving; calls still suspended fail with ENOSYS."""
        if not self._open:
            return
        self._open = False
        self._loop.unwatch(self._listener)
        os.close(self._listener)
        for descriptor, connecting in self._connecting.items():
            self._loop.unwatch(descriptor)
            connecting.close()
        self._connecting.clear()

    def _serve(self) -> None:
        poll = select.poll()
        poll.register(self._listener, select.POLLIN)
        ready = poll.poll(0)
        if not ready:
            return
        if not ready[0][1] & select.POLLIN:  # the last process is gone; to receive would block
            self.close()
            return
        buffer = bytearray(_NOTIFICATION.size)
        try:
            fcntl.ioctl(self._listener, _RECEIVE, buffer)
        except OSError:  # the caller was killed in between
            return
        cookie, pid, _, number, _, _, *arguments = _NOTIFICATION.unpack(buffer)
        binds = number == _ARCHITECTURES[os.uname().machine][1]
        descriptor, address, length = arguments[0] & 0x7FFFFFFF, arguments[1], arguments[2]
        call = _Call(cookie, pid, binds, descriptor, address, length)
        try:
            self._decide(call)
        except (
            OSError
        ):  # the caller is gone, or its memory is not for us: the kernel knows what to say
            self._proceed(call)

    def _decide(self, call: _Call) -> None:
        target = _target(call)
        destinations = self._destinations(target, binds=call.binds)
        if target is None or not destinations:
            self._proceed(call)
            return
        duplicate = _duplicate(call)
        keep = False
        try:
            fcntl.ioctl(self._listener, _ID_VALID, struct.pack("=Q", call.cookie))
            if duplicate.family != target.family:
                self._proceed(call)
            elif call.binds:
                self._bind(call, duplicate, target.port)
            elif target.ip and duplicate.type != socket.SOCK_STREAM:
                self._proceed(call)  # the table is of TCP ports
            else:
                keep = self._connect(call, duplicate, destinations)
        finally:
            if not keep:
                duplicate.close()

    def _destinations(
        self, target: _Target | None, *, binds: bool
    ) -> Sequence[service_table.Address]:
        """Return what to use in place of the target, best first; nothing to leave it as it is."""
        if target is None:
            return ()
        if not target.ip:
            return (service_table.Address(self._address, target.port),)
        if binds:
            return ()
        aimed_at = service_table.Address(target.ip, target.port)
        return self._services.candidates(aimed_at, self._address)[:_MAX_TRIES]

    def _bind(self, call: _Call, duplicate: socket.socket, port: int) -> None:
        if duplicate.type == socket.SOCK_DGRAM and port == 0:
            # A client's socket that may send anywhere: no clash, and it would not get out from a loopback address.
            self._proceed(call)
        elif duplicate.family == socket.AF_INET:
            self._answer(call, _outcome(duplicate.bind, (self._address, port)))
        elif duplicate.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY):
            self._answer(call, _bind_v6_only(duplicate, port))
        else:
            self._answer(call, _outcome(duplicate.bind, (f"::ffff:{self._address}", port)))

    def _connect(
        self,
        call: _Call,
        duplicate: socket.socket,
        destinations: Sequence[service_table.Address],
    ) -> bool:
        """Connect to the first pod that listens if one does; True if the socket is still needed."""
        stream = duplicate.type == socket.SOCK_STREAM
        listening = (one for one in destinations if listeners.listens(*one, stream=stream))
        destination: tuple[str, int] | None = next(listening, None)
        if destination is None:
            self._proceed(call)
            return False
        if duplicate.family == socket.AF_INET6:
            duplicate.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
            destination = (f"::ffff:{destination[0]}", destination[1])
        flags = fcntl.fcntl(duplicate, fcntl.F_GETFL)
        if flags & os.O_NONBLOCK:
            self._answer(call, duplicate.connect_ex(destination))
            return False
        # The flag is shared with the caller's descriptor, whose thread is suspended meanwhile.
        fcntl.fcntl(duplicate, fcntl.F_SETFL, flags | os.O_NONBLOCK)
        result = duplicate.connect_ex(destination)
        fcntl.fcntl(duplicate, fcntl.F_SETFL, flags)
        if result != errno.EINPROGRESS:
            self._answer(call, result)
            return False
        self._await_connection(call, duplicate)
        return True

    def _await_connection(self, call: _Call, connecting: socket.socket) -> None:
        descriptor = connecting.fileno()

        def finish() -> None:
            self._loop.unwatch(descriptor)
            del self._connecting[descriptor]
            result = connecting.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            connecting.close()
            if result == errno.ECONNREFUSED:  # it stopped listening just now
                self._proceed(call)
            else:
                self._answer(call, result)

        self._connecting[descriptor] = connecting
        self._loop.watch_writable(descriptor, finish)

    def _proceed(self, call: _Call) -> None:
        self._respond(call, 0, _CONTINUE)

    def _answer(self, call: _Call, error: int) -> None:
        self._respond(call, -error, 0)

    def _respond(self, call: _Call, error: int, flags: int) -> None:
        with contextlib.suppress(OSError):  # the caller was killed
            fcntl.ioctl(self._listener, _SEND, _RESPONSE.pack(call.cookie, 0, error, flags))


def _target(call: _Call) -> _Target | None:
    """Return what the call aims at if that is an IPv4 address, or a loopback or wildcard one of IPv6."""
    data = syscalls.read_memory(call.pid, call.address, min(call.length, 28))
    if len(data) < 16:
        return None
    (family,) = struct.unpack_from("=H", data)
    (port,) = struct.unpack_from("!H", data, 2)
    if family == socket.AF_INET:
        address = data[4:8]
        return _Target(family, "" if address in _LOCAL_V4 else socket.inet_ntoa(address), port)
    address = data[8:24]
    if family != socket.AF_INET6:
        return None
    if address in _LOCAL_V6:
        return _Target(family, "", port)
    if address.startswith(_MAPPED) and len(address) == 16:
        return _Target(family, socket.inet_ntoa(address[12:]), port)
    return None


def _duplicate(call: _Call) -> socket.socket:
    """Return the caller's socket; both descriptors share one open file."""
    try:
        pidfd = syscalls.pidfd_open(call.pid)
    except OSError:  # a thread that leads no group
        try:
            pidfd = syscalls.pidfd_open(call.pid, syscalls.PIDFD_THREAD)
        except OSError:  # before Linux 6.9
            pidfd = syscalls.pidfd_open(processes.thread_group(call.pid))
    try:
        return socket.socket(fileno=syscalls.pidfd_getfd(pidfd, call.descriptor))
    finally:
        os.close(pidfd)


def _outcome(action: Callable[[tuple[str, int]], None], address: tuple[str, int]) -> int:
    try:
        action(address)
    except OSError as error:
        return error.errno or errno.EINVAL
    return 0


def _bind_v6_only(duplicate: socket.socket, port: int) -> int:
    """Keep an IPv6-only socket out of other pods' way.

    There is one IPv6 loopback address for all. Servers open such a socket beside their IPv4 one, which is the one that
    counts here, and give up if either cannot be bound; so the second pod's lands on a port that nobody asks for.
    """
    result = _outcome(duplicate.bind, ("::1", port))
    if result == errno.EADDRINUSE:
        result = _outcome(duplicate.bind, ("::1", 0))
    return result
