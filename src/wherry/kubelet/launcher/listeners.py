"""Who listens on an address of this machine: asked of the kernel for one address at a time.

Reading ``/proc/net/tcp`` costs milliseconds on a busy machine; the socket diagnosis interface answers in microseconds.
"""

import functools
import os
import pathlib
import socket
import struct

_NETLINK_SOCK_DIAG = 4
_SOCK_DIAG_BY_FAMILY = 20
_NLMSG_ERROR = 2
_NLM_F_REQUEST = 1
_TCP_LISTEN = 10
_HEADER = struct.Struct("=IHHII")
_NO_COOKIE = b"\xff" * 8


def listens(address: str, port: int, *, stream: bool) -> bool:
    """Tell whether a socket is bound to exactly this address (not to the wildcard) and takes peers.

    Args:
        address: IPv4.
        port: 1 to 65535.
        stream: TCP if true, else UDP.

    Returns:
        True if there is one. False also where the kernel does not tell.
    """
    if stream:
        try:
            return _tcp_listens(address, port)
        except OSError:  # a kernel without the diagnosis module
            return _in_table("tcp", address, port, "0A")
    return _in_table("udp", address, port, "07")


@functools.cache
def _netlink() -> socket.socket:
    kind = socket.SOCK_RAW | socket.SOCK_CLOEXEC
    return socket.socket(socket.AF_NETLINK, kind, _NETLINK_SOCK_DIAG)


def _tcp_listens(address: str, port: int) -> bool:
    local = socket.inet_aton(address)
    states = 1 << _TCP_LISTEN
    request = struct.pack("=BBxxI", socket.AF_INET, socket.IPPROTO_TCP, states)
    request += struct.pack("!HH", port, 0) + local + bytes(12) + bytes(16) + bytes(4) + _NO_COOKIE
    length = _HEADER.size + len(request)
    diagnosis = _netlink()
    diagnosis.send(_HEADER.pack(length, _SOCK_DIAG_BY_FAMILY, _NLM_F_REQUEST, 0, 0) + request)
    answer = diagnosis.recv(8192)
    kind = _HEADER.unpack_from(answer)[1]
    body = answer[_HEADER.size :]
    if kind == _NLMSG_ERROR:
        (number,) = struct.unpack_from("=i", body)
        if -number == 2:  # ENOENT: nobody
            return False
        raise OSError(-number, os.strerror(-number))
    # inet_diag_msg: family, state, timer, retransmissions, source port, destination port, source address …
    bound_to = body[8:12] if body[0] == socket.AF_INET else body[20:24]
    return body[1] == _TCP_LISTEN and bound_to == local


def _in_table(protocol: str, address: str, port: int, state: str) -> bool:
    wanted = f"{struct.unpack('=I', socket.inet_aton(address))[0]:08X}:{port:04X}"
    for name in (protocol, protocol + "6"):
        try:
            lines = pathlib.Path(f"/proc/net/{name}").read_text().splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            fields = line.split()
            if fields[1].endswith(wanted) and fields[3] == state:
                return True
    return False
