"""Network interfaces made, brought up and addressed in the calling process's network namespace.

Three messages to the kernel are all that is needed; the tools that could send them (``ip``) are not on every machine.
"""

import os
import socket
import struct

PROTOCOL = 0
"""NETLINK_ROUTE."""

LOOPBACK = 1
"""Its index, in every namespace."""

_NEW_LINK, _NEW_ADDRESS, _ERROR = 16, 20, 2
_REQUEST_ANSWERED = 1 | 4
_CREATE = 0x400 | 0x200
_UP = 1
_HEADER = struct.Struct("=IHHII")
_LINK = struct.Struct("=BxHiII")
_ADDRESS = struct.Struct("=BBBBI")
_LINK_NAME, _LINK_KIND, _LINK_NAMESPACE = 3, 18, 28
_KIND_NAME, _KIND_DATA, _VETH_PEER = 1, 2, 1
_IS, _IS_LOCAL = 1, 2
_PREFIX_LENGTH = 8
_SCOPE_HOST = 254


def connect(name: str, namespace: int) -> None:
    """Make an interface in another namespace, whose other end (``veth``) is here, and up.

    Args:
        name: Of the one in the other namespace.
        namespace: A descriptor of that.

    Raises:
        OSError: The kernel refuses, or has none of the kind.
    """
    there = _attribute(_LINK_NAME, name.encode() + b"\0")
    there += _attribute(_LINK_NAMESPACE, struct.pack("=I", namespace))
    peer = _attribute(_VETH_PEER, _LINK.pack(socket.AF_UNSPEC, 0, 0, 0, 0) + there)
    kind = _attribute(_KIND_NAME, b"veth") + _attribute(_KIND_DATA, peer)
    here = _LINK.pack(socket.AF_UNSPEC, 0, 0, _UP, _UP)
    _ask(_NEW_LINK, _CREATE, here + _attribute(_LINK_KIND, kind))


def bring_up(index: int) -> None:
    """Bring an interface up.

    Raises:
        OSError: The kernel refuses.
    """
    _ask(_NEW_LINK, 0, _LINK.pack(socket.AF_UNSPEC, 0, index, _UP, _UP))


def give(index: int, address: str) -> None:
    """Give an interface one of the addresses that are a machine's own, 127.0.0.0/8.

    Raises:
        OSError: The kernel refuses.
    """
    packed = socket.inet_aton(address)
    body = _ADDRESS.pack(socket.AF_INET, _PREFIX_LENGTH, 0, _SCOPE_HOST, index)
    body += _attribute(_IS_LOCAL, packed) + _attribute(_IS, packed)
    _ask(_NEW_ADDRESS, _CREATE, body)


def _attribute(kind: int, content: bytes) -> bytes:
    length = 4 + len(content)
    return struct.pack("=HH", length, kind) + content + bytes(-length % 4)


def _ask(kind: int, flags: int, body: bytes) -> None:
    length = _HEADER.size + len(body)
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, PROTOCOL) as kernel:
        kernel.send(_HEADER.pack(length, kind, _REQUEST_ANSWERED | flags, 1, 0) + body)
        answer = kernel.recv(8192)
    (number,) = struct.unpack_from("=i", answer, _HEADER.size)
    if _HEADER.unpack_from(answer)[1] != _ERROR or number:
        raise OSError(-number, os.strerror(-number))
