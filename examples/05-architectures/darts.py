"""The trial of DARTS: trains all operations of a network at once, and says which are worth keeping.

The arguments are those of Katib's trial. Each edge of a cell is a mixture of all operations; weights
learn from one half of the images, the mixtures' shares, by turns, from the other (first order), after
some epochs for the weights alone. What is left of each node are the two edges with the largest share,
each with its best operation.

Source: Liu et al. 2019, "DARTS: differentiable architecture search".
"""

import argparse
import itertools
import json
import math
import re
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import autograd.numpy as np
import networks
import numpy
from autograd import value_and_grad
from networks import Array, Maker

PARTS = (400, 400, 400, 597)
"""How many images weights learn from and mixtures, how many decide, and how many are never looked at."""
SHARES = "shares/"
_ALONE = 0.4
"""For this part of the epochs only weights learn, from all images: else what needs none would be chosen,
as it is good from the start."""
Kept = list[list[tuple[str, int]]]
"""For each node its operations, each with the state it starts from."""
Node = Callable[["Place", list[Any]], Any]


class Genotype(NamedTuple):
    """What a search finds, written as Katib's trial writes it."""

    normal: Kept
    normal_concat: range
    reduce: Kept
    reduce_concat: range


# Networks of cells


class Place(NamedTuple):
    """Where in a network an operation is."""

    make: Maker
    layer: int
    kind: str
    node: int
    at: str = ""

    def weights(self, name: str, *shape: int) -> Any:
        """Return the weights of this place."""
        return self.make(f"{self.layer}/{self.kind}/{self.node}/{self.at}/{name}", *shape)

    def edge(self, number: int) -> "Place":
        """Return the place of the edge from a state."""
        return self._replace(at=f"{number}")

    @property
    def stride(self) -> int:
        """2 where images are halved: from the inputs of a cell that reduces."""
        return 2 if self.kind == "reduce" and self.at in {"0", "1"} else 1


def network(node: Node, *, layers: int, nodes: int, channels: int) -> networks.Network:
    """Return a network whose cells' nodes are made by a function; two cells halve the images."""

    def scores(make: Maker, images: Any) -> Any:
        first = networks.convolve(images, make("stem", 3, 3, 1, channels))
        before = latest = networks.normalized(first)
        for layer in range(layers):
            halves = layers > 1 and layer in {layers // 3, 2 * layers // 3}
            place = Place(make, layer, "reduce" if halves else "normal", 0)
            stride = before.shape[1] // latest.shape[1]
            states = [
                _mixed(place._replace(at="before"), before, channels, stride),
                _mixed(place._replace(at="latest"), latest, channels),
            ]
            for number in range(nodes):
                states.append(node(place._replace(node=number), states))
            before, latest = latest, np.concatenate(states[2:], axis=3)
        return networks.classified(make, latest)

    return scores


def mixing(operations: list[str], nodes: int) -> Node:
    """Return nodes that mix all operations of all edges by their shares."""
    edges = sum(2 + number for number in range(nodes))

    def node(place: Place, states: list[Any]) -> Any:
        logits = place.make(SHARES + place.kind, edges, len(operations))
        shares = np.exp(logits - np.max(logits, axis=1, keepdims=True))
        shares = shares / np.sum(shares, axis=1, keepdims=True)
        begin = sum(2 + earlier for earlier in range(place.node))
        return sum(
            shares[begin + at, which] * _operation(place.edge(at), one, state)
            for at, state in enumerate(states)
            for which, one in enumerate(operations)
        )

    return node


def keeping(genotype: Genotype) -> Node:
    """Return nodes that have but the operations that were found."""

    def node(place: Place, states: list[Any]) -> Any:
        kept = genotype.reduce if place.kind == "reduce" else genotype.normal
        return sum(_operation(place.edge(at), one, states[at]) for one, at in kept[place.node])

    return node


def _operation(place: Place, told: str, images: Any) -> Any:
    if told == "skip_connection":
        return images[:, :: place.stride, :: place.stride]
    read = re.fullmatch(r"(\w+)_(\d+)x\d+", told)
    if read is None or read[1] not in _OPERATIONS:
        known = ", ".join(["skip_connection", *_OPERATIONS])
        raise ValueError(f"no operation {told!r}; known, each with its size: {known}")
    return _OPERATIONS[read[1]](place, images, int(read[2]))


def _mixed(place: Place, images: Any, channels: int, stride: int = 1) -> Any:
    kernel = place.weights("mix", 1, 1, images.shape[3], channels)
    return networks.normalized(networks.convolve(networks.positive(images), kernel, stride))


def _convolution(place: Place, images: Any, size: int) -> Any:
    kernel = place.weights(f"whole{size}", size, size, images.shape[3], images.shape[3])
    return networks.normalized(networks.convolve(networks.positive(images), kernel, place.stride))


def _separable(place: Place, images: Any, size: int) -> Any:
    kernel = place.weights(f"each{size}", size, size, images.shape[3])
    each = networks.convolve_each(networks.positive(images), kernel, place.stride)
    return _mixed(place._replace(at=f"{place.at}/{size}"), each, images.shape[3])


def _max_pooling(place: Place, images: Any, size: int) -> Any:
    return networks.normalized(networks.largest(images, size, place.stride))


def _avg_pooling(place: Place, images: Any, size: int) -> Any:
    return networks.normalized(networks.mean(images, size, place.stride))


_OPERATIONS = {
    "convolution": _convolution,
    "separable_convolution": _separable,
    "max_pooling": _max_pooling,
    "avg_pooling": _avg_pooling,
}


# The search


def found(weights: networks.Weights, operations: list[str], nodes: int) -> Genotype:
    """Return the two best edges of each node, with the best operation of each."""
    kept: dict[str, Kept] = {"normal": [], "reduce": []}
    for kind, each in kept.items():
        logits = weights.get(SHARES + kind)
        rows = iter(() if logits is None else logits)
        for number in range(nodes if logits is not None else 0):
            best = [
                (row.max(), int(row.argmax()), at)
                for at, row in enumerate(itertools.islice(rows, 2 + number))
            ]
            chosen = sorted(sorted(best, reverse=True)[:2], key=lambda edge: edge[2])
            each.append([(operations[which], at) for _, which, at in chosen])
    ends = range(2, 2 + nodes)
    return Genotype(kept["normal"], ends, kept["reduce"], ends)


def search(
    operations: list[str], layers: int, settings: dict[str, Any], seed: int = 0
) -> Iterator[tuple[Genotype, float]]:
    """Search; yield what is best, and the accuracy of the mixture, after each epoch."""
    nodes, rng = int(settings["num_nodes"]), numpy.random.default_rng(seed)
    built = network(
        mixing(operations, nodes),
        layers=layers,
        nodes=nodes,
        channels=int(settings["init_channels"]),
    )
    learnt, mixes, decides, _ = networks.digits(PARTS)
    weights: networks.Weights = {}
    built(Maker(weights, rng), learnt[0][:2])
    for name in [name for name in weights if name.startswith(SHARES)]:
        weights[name] = (1e-3 * rng.normal(size=weights[name].shape)).astype(numpy.float32)
    slopes = value_and_grad(lambda given, x, y: networks.loss(built(Maker(given), x), y))
    epochs, size = int(settings["num_epochs"]), int(settings["batch_size"] or 64)
    by_turns = (
        _Momentum(settings),
        networks.Adam(float(settings["alpha_lr"]), float(settings["alpha_weight_decay"])),
    )
    for epoch in range(epochs):
        by_turns[0].begin(epoch / epochs)
        halves = zip(
            networks.batches(learnt, size, rng), networks.batches(mixes, size, rng), strict=True
        )
        for pair in halves:
            for turn, part in enumerate(pair):
                shares = turn == 1 and epoch >= _ALONE * epochs
                steps = by_turns[shares]
                _move(steps, weights, slopes(weights, *part)[1], shares=shares)
        yield found(weights, operations, nodes), networks.accuracy(built, weights, decides)


def _move(steps: Any, weights: networks.Weights, slopes: networks.Weights, *, shares: bool) -> None:
    """Move either what mixes or what is mixed."""
    part = {name: weight for name, weight in weights.items() if name.startswith(SHARES) == shares}
    steps.move(part, slopes)
    weights |= part


class _Momentum:
    """Stochastic gradient descent with momentum, slower and slower along a cosine."""

    def __init__(self, settings: dict[str, Any]) -> None:
        self._most, self._least = float(settings["w_lr"]), float(settings["w_lr_min"])
        self._momentum, self._decay = (
            float(settings["w_momentum"]),
            float(settings["w_weight_decay"]),
        )
        self._clip, self._rate = float(settings["w_grad_clip"]), self._most
        self._speed: dict[str, Array] = {}

    def begin(self, part: float) -> None:
        """Set the rate for this part of the way."""
        self._rate = self._least + (self._most - self._least) * (1 + math.cos(math.pi * part)) / 2

    def move(self, weights: networks.Weights, slopes: networks.Weights) -> None:
        """Move weights once."""
        length = math.sqrt(sum(float((slopes[name] ** 2).sum()) for name in weights))
        for name, weight in weights.items():
            slope = slopes[name] * min(1.0, self._clip / (length + 1e-9)) + self._decay * weight
            self._speed[name] = self._momentum * self._speed.get(name, 0.0) + slope
            weights[name] = (weight - self._rate * self._speed[name]).astype(weight.dtype)


def main(arguments: list[str] | None = None) -> None:
    """Search, and print what is best."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--algorithm-settings", required=True)
    parser.add_argument("--search-space", required=True)
    parser.add_argument("--num-layers", type=int, required=True)
    parser.add_argument("--seed", type=int, default=0)
    told = parser.parse_args(arguments)
    settings, operations = (
        json.loads(text.replace("'", '"')) for text in (told.algorithm_settings, told.search_space)
    )
    epochs = search(operations, told.num_layers, settings, told.seed)
    for genotype, accuracy in epochs:
        print(f"Validation-Accuracy={accuracy:.4f}", flush=True)
        best = genotype
    print(f"Best-Genotype={best}", flush=True)


if __name__ == "__main__":
    main()
