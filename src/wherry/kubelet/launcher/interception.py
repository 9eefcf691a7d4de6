"""Each pod's own network, as far as its programs can tell: ``localhost``, services, its address, its interfaces.

Pods are processes in the host's network namespace, so two that listen on ``0.0.0.0:8080`` would clash; loopback and
wildcard addresses therefore mean the pod's own. A ``connect`` to a cluster IP goes straight to a ready endpoint, and
one to a pod or service comes from the pod's own address, by which servers know their clients. A seccomp filter in the
container hands the two system calls to the launcher, which performs them on a duplicate of the socket with another
address, or lets the kernel go on as if nothing had been. Questions about network interfaces (sockets of rtnetlink(7),
requests of netdevice(7)) are answered by ``interfaces``. Nothing else is touched, and this is a convenience, not a
security boundary.
"""

import contextlib
import errno
import fcntl
import os
import socket
import struct
from collections.abc import Callable, Sequence
from typing import NamedTuple

from wherry.kubelet.launcher import (
    interfaces,
    listeners,
    loop,
    processes,
    service_table,
    suspension,
    syscalls,
)
from wherry.kubelet.launcher.suspension import Call

_LOCAL_V4 = {bytes(4), socket.inet_aton("127.0.0.1")}
_MAPPED = bytes(10) + b"\xff\xff"
_LOCAL_V6 = {bytes(16), bytes(15) + b"\1", *(_MAPPED + address for address in _LOCAL_V4)}
_LOOPBACK, _OF_MACHINE = "127.", "127.0."
_WITHOUT_PORT = 24  # IP_BIND_ADDRESS_NO_PORT
_MAX_TRIES = 16
"""Endpoints of a service that are asked for before the relay is left to find one."""


class _Target(NamedTuple):
    family: int
    ip: str
    """IPv4; empty for the pod's own."""
    port: int


class Interceptor:
    """Answers the suspended calls of one container."""

    def __init__(
        self,
        events: loop.Loop,
        listener: int,
        *,
        address: str,
        services: service_table.ServiceTable,
        seen: interfaces.Interfaces,
    ) -> None:
        """Serve ``listener`` (owned from now on).

        Args:
            events: The launcher's loop.
            listener: What ``suspension.install`` returned.
            address: The pod's, IPv4.
            services: Where cluster IPs lead.
            seen: Answers questions about interfaces.
        """
        self._loop = events
        self._calls = suspension.Listener(listener)
        self._address = address
        self._services = services
        self._interfaces = seen
        seen.hold(address)
        self._connecting: dict[int, socket.socket] = {}
        self._open = True
        events.watch(listener, self._serve)

    def close(self) -> None:
        """Stop serving; calls still suspended fail with ENOSYS."""
        if not self._open:
            return
        self._open = False
        self._interfaces.release(self._address)
        self._loop.unwatch(self._calls.descriptor)
        self._calls.close()
        for descriptor, connecting in self._connecting.items():
            self._loop.unwatch(descriptor)
            connecting.close()
        self._connecting.clear()

    def _serve(self) -> None:
        ended = self._calls.has_ended()
        if ended:  # to receive would block
            self.close()
        call = self._calls.receive() if ended is False else None
        if call is None:
            return
        numbers = suspension.kernel()
        try:
            if call.number == numbers.socket:
                self._open_netlink(call)
            elif call.number == numbers.ioctl:
                self._query(call)
            else:
                self._decide(call)
        except (
            OSError
        ):  # the caller is gone, or its memory is not for us: the kernel knows what to say
            self._calls.proceed(call)

    def _decide(self, call: Call) -> None:
        target = _target(call)
        destinations = self._destinations(target, binds=_binds(call))
        leaves = target is not None and _is_of_cluster(target.ip) and not _binds(call)
        if target is None or not (destinations or leaves):
            self._calls.proceed(call)
            return
        duplicate = _duplicate(call)
        keep = False
        try:
            self._calls.confirm(call)
            if duplicate.family != target.family:
                self._calls.proceed(call)
                return
            if leaves:
                _come_from(self._address, duplicate)
            if _binds(call):
                self._bind(call, duplicate, target.port)
            elif target.ip and not (destinations and duplicate.type == socket.SOCK_STREAM):
                self._calls.proceed(call)  # the table is of TCP ports
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

    def _bind(self, call: Call, duplicate: socket.socket, port: int) -> None:
        if duplicate.type == socket.SOCK_DGRAM and port == 0:
            # A client's socket that may send anywhere: no clash, and it would not get out from a loopback address.
            self._calls.proceed(call)
        elif duplicate.family == socket.AF_INET:
            self._calls.answer(call, _outcome(duplicate.bind, (self._address, port)))
        elif duplicate.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY):
            self._calls.answer(call, _bind_v6_only(duplicate, port))
        else:
            self._calls.answer(call, _outcome(duplicate.bind, (f"::ffff:{self._address}", port)))

    def _connect(
        self,
        call: Call,
        duplicate: socket.socket,
        destinations: Sequence[service_table.Address],
    ) -> bool:
        """Connect to the first pod that listens if one does; True if the socket is still needed."""
        stream = duplicate.type == socket.SOCK_STREAM
        listening = (one for one in destinations if listeners.listens(*one, stream=stream))
        destination: tuple[str, int] | None = next(listening, None)
        if destination is None:
            self._calls.proceed(call)
            return False
        if duplicate.family == socket.AF_INET6:
            duplicate.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
            destination = (f"::ffff:{destination[0]}", destination[1])
        flags = fcntl.fcntl(duplicate, fcntl.F_GETFL)
        if flags & os.O_NONBLOCK:
            self._calls.answer(call, duplicate.connect_ex(destination))
            return False
        # The flag is shared with the caller's descriptor, whose thread is suspended meanwhile.
        fcntl.fcntl(duplicate, fcntl.F_SETFL, flags | os.O_NONBLOCK)
        result = duplicate.connect_ex(destination)
        fcntl.fcntl(duplicate, fcntl.F_SETFL, flags)
        if result != errno.EINPROGRESS:
            self._calls.answer(call, result)
            return False
        self._await_connection(call, duplicate)
        return True

    def _await_connection(self, call: Call, connecting: socket.socket) -> None:
        descriptor = connecting.fileno()

        def finish() -> None:
            self._loop.unwatch(descriptor)
            del self._connecting[descriptor]
            result = connecting.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            connecting.close()
            if result == errno.ECONNREFUSED:  # it stopped listening just now
                self._calls.proceed(call)
            else:
                self._calls.answer(call, result)

        self._connecting[descriptor] = connecting
        self._loop.watch_writable(descriptor, finish)

    def _open_netlink(self, call: Call) -> None:
        kind = call.arguments[1] & 0xFFFFFFFF

        def opened(_: bytes | None, descriptor: int | None) -> None:
            if descriptor is None:
                self._later(call, self._calls.proceed)
                return
            closes = bool(kind & socket.SOCK_CLOEXEC)
            try:
                self._later(
                    call, lambda _: self._calls.give(call, descriptor, close_on_exec=closes)
                )
            finally:
                os.close(descriptor)

        self._interfaces.open(self._address, kind, opened)

    def _query(self, call: Call) -> None:
        request, pointer = call.arguments[1] & 0xFFFFFFFF, call.arguments[2]
        if request not in interfaces.REQUESTS:
            self._calls.proceed(call)
            return
        listed = request == interfaces.LIST
        asked = b""
        if not listed:
            asked = syscalls.read_memory(call.pid, pointer, interfaces.REQUEST_BYTES)

        def answered(found: bytes | None, _: int | None) -> None:
            if found is None:
                self._later(call, self._calls.proceed)
            else:
                write = _write_list if listed else syscalls.write_memory_of
                self._later(call, lambda _: self._write(call, write, found))

        self._interfaces.query(self._address, request, asked, answered)

    def _write(self, call: Call, write: Callable[[int, int, bytes], None], found: bytes) -> None:
        self._calls.confirm(call)
        write(call.pid, call.arguments[2], found)
        self._calls.answer(call, 0)

    def _later(self, call: Call, action: Callable[[Call], object]) -> None:
        """Do what had to wait for others, unless all is over by now."""
        if not self._open:
            return
        try:
            action(call)
        except OSError:  # as in _serve
            self._calls.proceed(call)


def _binds(call: Call) -> bool:
    """Whether it is ``bind``; else, of the two, ``connect``."""
    return call.number == suspension.kernel().bind


def _target(call: Call) -> _Target | None:
    """Return what the call aims at if that is an IPv4 address, or a loopback or wildcard one of IPv6."""
    _, pointer, length, *_ = call.arguments
    data = syscalls.read_memory(call.pid, pointer, min(length, 28))
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


def _duplicate(call: Call) -> socket.socket:
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


def _is_of_cluster(ip: str) -> bool:
    """Whether pods or services may have the address; others, such as 127.0.0.53 for names, are the machine's."""
    return ip.startswith(_LOOPBACK) and not ip.startswith(_OF_MACHINE)


def _come_from(address: str, duplicate: socket.socket) -> None:
    """Give a socket that is about to connect its pod's address, where it has none yet.

    The kernel would choose 127.0.0.1, which for whoever accepts the connection means himself.
    """
    six = duplicate.family == socket.AF_INET6
    if duplicate.getsockname()[0] not in {"0.0.0.0", "::"}:  # noqa: S104 — compared, not bound
        return
    if six and duplicate.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY):
        return
    with contextlib.suppress(OSError):
        duplicate.setsockopt(socket.IPPROTO_IP, _WITHOUT_PORT, 1)
        duplicate.bind((f"::ffff:{address}" if six else address, 0))


def _write_list(pid: int, pointer: int, found: bytes) -> None:
    """Fill in a ``struct ifconf``: how many bytes there are, and as many of them as its buffer holds."""
    size, buffer = struct.unpack("=i4xQ", syscalls.read_memory(pid, pointer, 16))
    if buffer:
        whole = max(size, 0) // interfaces.REQUEST_BYTES * interfaces.REQUEST_BYTES
        found = found[:whole]
        if found:
            syscalls.write_memory_of(pid, buffer, found)
    syscalls.write_memory_of(pid, pointer, struct.pack("=i", len(found)))
