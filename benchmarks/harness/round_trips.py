"""An echo, and a client that times connections and round trips to several addresses in turn.

Both run as pods' processes, so they need nothing but Python: ``serve PORT`` and ``measure COUNT HOST:PORT…``.
"""

import json
import socket
import sys
import threading
import time


def _serve(port: int) -> None:
    with socket.create_server(("0.0.0.0", port)) as listener:
        while True:
            peer, _ = listener.accept()
            threading.Thread(target=_echo, args=(peer,), daemon=True).start()


def _echo(peer: socket.socket) -> None:
    with peer:
        while data := peer.recv(65536):
            peer.sendall(data)


def _measure(count: int, addresses: list[tuple[str, int]]) -> dict[str, list[list[float]]]:
    """Return seconds per sample and address: a new connection with its first byte back, and later ones."""
    connects: list[list[float]] = [[] for _ in addresses]
    trips: list[list[float]] = [[] for _ in addresses]
    standing = [socket.create_connection(address) for address in addresses]
    for _ in range(count):
        for number, address in enumerate(addresses):
            began = time.perf_counter()
            with socket.create_connection(address) as fresh:
                _round_trip(fresh)
            connects[number].append(time.perf_counter() - began)
            began = time.perf_counter()
            _round_trip(standing[number])
            trips[number].append(time.perf_counter() - began)
    return {"connects": connects, "trips": trips}


def _round_trip(peer: socket.socket) -> None:
    peer.sendall(b"x")
    if not peer.recv(1):
        raise RuntimeError("the connection ended")


if __name__ == "__main__":
    verb, number, *rest = sys.argv[1:]
    if verb == "serve":
        _serve(int(number))
    else:
        pairs = [text.rsplit(":", 1) for text in rest]
        print(json.dumps(_measure(int(number), [(host, int(port)) for host, port in pairs])))
