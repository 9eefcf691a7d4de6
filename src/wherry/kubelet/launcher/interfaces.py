"""What network interfaces a pod sees: loopback, and ``eth0`` with the pod's address, as on a cluster.

Pods share the machine's network, and their addresses are on none of its interfaces: loopback takes the whole of
127.0.0.0/8. Programs that look for their own address among the interfaces (MPI, LightGBM, NCCL) would not find it. So
what they *ask* about interfaces is answered out of an empty network namespace that has just these two, while all that
they send goes through the machine's. The namespaces are made by a process of its own, when the first program asks:
it can go from one to another without the launcher, and needs no privilege, as it makes a user namespace around them.
Nothing of the machine is changed, and nothing is left when it ends.
"""

import contextlib
import ctypes
import fcntl
import json
import os
import resource
import signal
import socket
import struct
import sys
from collections import deque
from collections.abc import Callable
from typing import NoReturn

from wherry.kubelet.launcher import loop, rtnetlink, syscalls

LIST = 0x8912
"""SIOCGIFCONF, the request for all interfaces; its answer is a list."""

REQUEST_BYTES = 40
"""``struct ifreq`` where pointers have 8 bytes."""

_FLAGS, _ADDRESS, _PEER, _BROADCAST, _NETMASK = 0x8913, 0x8915, 0x8917, 0x8919, 0x891B
_NAME, _METRIC, _MTU, _HARDWARE, _INDEX, _QUEUE = 0x8910, 0x891D, 0x8921, 0x8927, 0x8933, 0x8942
REQUESTS = frozenset(
    {LIST, _FLAGS, _ADDRESS, _PEER, _BROADCAST, _NETMASK}
    | {_NAME, _METRIC, _MTU, _HARDWARE, _INDEX, _QUEUE}
)
"""Of ioctl(2), those that ask about interfaces and no more."""

_INTERFACE = "eth0"
_MAX_BYTES = 64 * 1024
_MOST_LISTED = 64

Reply = Callable[[bytes | None, int | None], None]
"""Given the answer and a descriptor; None for what there is not."""


class Interfaces:
    """Asks the process that keeps the namespaces; everything happens on the launcher's loop."""

    def __init__(self, events: loop.Loop) -> None:
        self._loop = events
        self._peer: socket.socket | None = None
        self._answered = self._refused = False
        self._replies: deque[Reply] = deque()
        self._held: dict[str, int] = {}
        self._known: set[str] = set()

    def hold(self, address: str) -> None:
        """Keep what a pod sees until it has been released as often as it was held."""
        self._held[address] = self._held.get(address, 0) + 1

    def release(self, address: str) -> None:
        """Undo one ``hold``."""
        self._held[address] -= 1
        if self._held[address] == 0:
            del self._held[address]
            if address in self._known:
                self._known.discard(address)
                self._ask({"drop": address}, lambda *_: None)

    def open(self, address: str, kind: int, reply: Reply) -> None:
        """Make a socket by which a pod's program can ask about interfaces (rtnetlink(7)).

        Args:
            address: The pod's, which is held.
            kind: Its type, and flags as socket(2) takes them.
            reply: Called with its descriptor, which is the callee's then; without one if it cannot be had.
        """
        self._known.add(address)
        self._ask({"open": address, "kind": kind}, reply)

    def query(self, address: str, request: int, data: bytes, reply: Reply) -> None:
        """Answer a request of netdevice(7).

        Args:
            address: The pod's, which is held.
            request: One of `REQUESTS`.
            data: The ``struct ifreq``; nothing for `LIST`.
            reply: Called with what it has become, a list of such for `LIST`; without if the kernel refuses.
        """
        self._known.add(address)
        self._ask({"query": address, "request": request, "data": data.hex()}, reply)

    def _ask(self, message: dict[str, str | int], reply: Reply) -> None:
        try:
            self._start()
            if self._peer is None:
                raise BrokenPipeError
            self._peer.send(json.dumps(message).encode())
        except OSError:  # it could not be started, or has more to do than its socket holds
            reply(None, None)
        else:
            self._replies.append(reply)

    def _start(self) -> None:
        if self._peer is not None or self._refused:
            return
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        parent = os.getpid()
        if os.fork() == 0:
            _keep(theirs, parent)
        theirs.close()
        ours.settimeout(0)
        self._peer = ours
        self._loop.watch(ours.fileno(), self._told)

    def _told(self) -> None:
        assert self._peer is not None
        try:
            data, descriptors = syscalls.receive(self._peer, _MAX_BYTES, 1)
        except BlockingIOError:
            return
        except OSError:
            data, descriptors = b"", []
        if not data:
            self._lost()
            return
        self._answered = True
        reply = self._replies.popleft()
        ended, answer = data[:1] != b"+", data[1:]
        reply(None if ended else answer, descriptors[0] if descriptors else None)

    def _lost(self) -> None:
        """Whoever has asked sees the machine's interfaces; later ones too, if the machine has refused (see the log)."""
        assert self._peer is not None
        self._loop.unwatch(self._peer.fileno())
        self._peer.close()
        self._peer, self._refused, self._answered = None, not self._answered, False
        self._known.clear()
        replies, self._replies = self._replies, deque()
        for reply in replies:
            reply(None, None)


def _keep(peer: socket.socket, parent: int) -> NoReturn:
    """Make namespaces and answer out of them until the launcher ends."""
    try:
        syscalls.prctl(syscalls.PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(0)
        syscalls.set_process_name(b"wherry-links")
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        os.dup2(peer.fileno(), 3)
        # What the launcher has open would stay open for others: ends of pipes, sockets, its lock.
        os.closerange(4, resource.getrlimit(resource.RLIMIT_NOFILE)[0])
        _Keeper(socket.socket(fileno=3)).serve()
    except Exception as error:  # noqa: BLE001 — the log is all that learns of it
        print(f"pods see the machine's network interfaces: {error}", file=sys.stderr, flush=True)  # noqa: T201 — the log
    finally:
        os._exit(0)


class _Keeper:
    """The namespaces, one for each pod whose programs have asked."""

    def __init__(self, peer: socket.socket) -> None:
        self._peer = peer
        new = syscalls.CLONE_NEWNET
        syscalls.unshare(new if os.geteuid() == 0 else new | syscalls.CLONE_NEWUSER)
        self._home = _namespace()
        self._by_address: dict[str, int] = {}

    def serve(self) -> None:
        """Answer until nobody asks any more."""
        while data := self._peer.recv(_MAX_BYTES):
            message = json.loads(data)
            try:
                self._answer(message)
            except OSError:
                self._peer.send(b"-")

    def _answer(self, message: dict[str, str | int]) -> None:
        if "drop" in message:
            found = self._by_address.pop(str(message["drop"]), None)
            if found is not None:
                os.close(found)
            self._peer.send(b"+")
        elif "open" in message:
            self._enter(str(message["open"]))
            kind = int(message["kind"])
            with socket.socket(socket.AF_NETLINK, kind, rtnetlink.PROTOCOL) as made:
                socket.send_fds(self._peer, [b"+"], [made.fileno()])
        else:
            self._enter(str(message["query"]))
            data = bytes.fromhex(str(message["data"]))
            self._peer.send(b"+" + _query(int(message["request"]), data))

    def _enter(self, address: str) -> None:
        known = self._by_address.get(address)
        if known is not None:
            syscalls.setns(known, syscalls.CLONE_NEWNET)
            return
        syscalls.unshare(syscalls.CLONE_NEWNET)
        made = _namespace()
        try:
            self._furnish(made, address)
        except OSError:
            os.close(made)
            raise
        self._by_address[address] = made

    def _furnish(self, namespace: int, address: str) -> None:
        rtnetlink.bring_up(rtnetlink.LOOPBACK)
        syscalls.setns(self._home, syscalls.CLONE_NEWNET)
        index = rtnetlink.LOOPBACK
        # Where the kernel has no interfaces that can be made up, loopback has the address.
        with contextlib.suppress(OSError):
            rtnetlink.connect(_INTERFACE, namespace)
            index = 0
        syscalls.setns(namespace, syscalls.CLONE_NEWNET)
        if not index:
            index = socket.if_nametoindex(_INTERFACE)
            rtnetlink.bring_up(index)
        rtnetlink.give(index, address)


def _namespace() -> int:
    return os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)


def _query(request: int, data: bytes) -> bytes:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asked:
        if request != LIST:
            return fcntl.ioctl(asked, request, data)
        size = _MOST_LISTED * REQUEST_BYTES
        buffer = ctypes.create_string_buffer(size)
        head = struct.pack("=i4xQ", size, ctypes.addressof(buffer))
        (length,) = struct.unpack_from("=i", fcntl.ioctl(asked, request, head))
        return buffer.raw[:length]
