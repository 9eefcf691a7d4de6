"""A server of bytes: it sends as many as it is asked for, or takes as many as it is told of.

It runs as a pod's process and, for the peer, as a process of nobody; so it needs nothing but Python.
The first line of a connection is ``get COUNT`` or ``put COUNT``; the bytes follow, in one direction or
the other, and a ``put`` is answered with one byte when all have come.
"""

import socket
import sys
import threading

_CHUNK = bytes(256 * 1024)


def serve(port: int) -> None:
    """Serve for ever on 127.0.0.1; the port is said on standard output."""
    with socket.create_server(("127.0.0.1", port)) as listener:
        print(listener.getsockname()[1], flush=True)
        while True:
            peer, _ = listener.accept()
            threading.Thread(target=_answer, args=(peer,), daemon=True).start()


def move(port: int, verb: str, count: int) -> None:
    """Have bytes sent to, or taken from, a client: the other side of `serve`.

    Raises:
        RuntimeError: The connection ended too early.
    """
    with socket.create_connection(("127.0.0.1", port)) as peer:
        peer.sendall(f"{verb} {count}\n".encode())
        if verb == "put":
            _send(peer, count)
        missing = _take(peer, count if verb == "get" else 1)
    if missing:
        raise RuntimeError(f"{verb} {count}: the connection ended with {missing} bytes missing")


def _answer(peer: socket.socket) -> None:
    with peer:
        line = b""
        while not line.endswith(b"\n"):
            piece = peer.recv(1)
            if not piece:
                return
            line += piece
        verb, count = line.split()
        if verb == b"get":
            _send(peer, int(count))
        elif not _take(peer, int(count)):
            peer.sendall(b".")


def _send(peer: socket.socket, count: int) -> None:
    while count > 0:
        peer.sendall(_CHUNK[:count])
        count -= len(_CHUNK)


def _take(peer: socket.socket, count: int) -> int:
    """Return how many bytes did not come."""
    space = memoryview(bytearray(len(_CHUNK)))
    while count > 0:
        taken = peer.recv_into(space[: min(count, len(space))])
        if not taken:
            break
        count -= taken
    return count


if __name__ == "__main__":
    serve(int(sys.argv[1]))
