"""A softmax classifier of handwritten digits, trained on several ranks that share their gradients.

Each rank sees its part of the images; after every step the gradients of all ranks are summed by way
of rank 0, over plain sockets, so that all ranks hold the same weights.
"""

import os
import socket
import time

import numpy
from sklearn.datasets import load_digits

import wherry


class Ranks:
    """Sums arrays over all ranks."""

    def __init__(self) -> None:
        """Meet: rank 0 waits for the others, who look for it."""
        self.rank, self.count = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
        place = (os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"]))
        if self.rank == 0:
            with socket.create_server(("", place[1])) as server:
                self.peers = [server.accept()[0] for _ in range(self.count - 1)]
        else:
            self.peers = [connected(place)]

    def sum(self, values: numpy.ndarray) -> numpy.ndarray:
        """Return the sum of all ranks' values, the same on each rank."""
        if self.rank:
            self.peers[0].sendall(values.tobytes())
            return received(self.peers[0], values)
        total = values + sum(received(peer, values) for peer in self.peers)
        for peer in self.peers:
            peer.sendall(total.tobytes())
        return total


def connected(place: tuple[str, int]) -> socket.socket:
    """Return a connection to rank 0, which may not be there yet."""
    while True:
        try:
            return socket.create_connection(place)
        except OSError:
            time.sleep(0.05)


def received(peer: socket.socket, like: numpy.ndarray) -> numpy.ndarray:
    """Return an array of the shape of another one."""
    parts, missing = [], like.nbytes
    while missing:
        parts.append(peer.recv(missing))
        if not parts[-1]:
            raise ConnectionError("a rank has left")
        missing -= len(parts[-1])
    return numpy.frombuffer(b"".join(parts), like.dtype).reshape(like.shape)


def train(steps: int, rate: float = 0.5) -> dict:
    """Train; return the accuracy on images that no rank has seen."""
    ranks = Ranks()
    images, labels = load_digits(return_X_y=True)
    images = numpy.hstack([images / 16, numpy.ones((len(images), 1))])
    order = numpy.random.default_rng(0).permutation(len(images))
    seen, held_out = order[360:], order[:360]
    own = seen[ranks.rank :: ranks.count]
    targets = numpy.eye(10)[labels[own]]
    weights = numpy.zeros((65, 10))
    for step in range(1, steps + 1):
        scores = numpy.exp(images[own] @ weights)
        chances = scores / scores.sum(1, keepdims=True)
        gradient = images[own].T @ (targets - chances)
        weights += rate * ranks.sum(gradient) / len(seen)
        if step % 50 == 0:
            loss = -numpy.log((chances * targets).sum(1)).mean()
            wherry.report(step=step, steps=steps, loss=loss)
    guesses = (images[held_out] @ weights).argmax(1)
    accuracy = float((guesses == labels[held_out]).mean())
    print(f"rank {ranks.rank}: weights weigh {abs(weights).sum():.6f}, accuracy {accuracy:.4f}")
    return {"accuracy": accuracy, "ranks": ranks.count}
