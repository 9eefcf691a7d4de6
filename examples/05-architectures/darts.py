"""The trial of DARTS: trains all operations of a network in turn, and says which are worth keeping.

The arguments are those of Katib's trial. Each step trains one network: of every node two edges, each with
one operation, drawn by its share. Networks that have the same operation at the same place share its
weights. Weights learn from most of the images, the shares, by turns, from the others (first order,
straight through the draw), after some epochs for the weights alone. Of many networks drawn in the end the
one is kept that loses least on those other images, with the shared weights as they are.

DARTS at first mixed all operations of all edges at once. That costs as much as five networks, and weights
learn to be good together: which single ones are good without the others does not follow from their shares.

Source: Liu et al. 2019, "DARTS: differentiable architecture search"; the draws as Dong & Yang 2019,
"Searching for a robust neural architecture in four GPU hours"; the choice with shared weights as Guo et al.
2020, "Single path one-shot neural architecture search with uniform sampling".
"""

import argparse
import json
import math
import re
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import autograd.numpy as np
import networks
import numpy
from autograd import value_and_grad
from autograd.tracer import getval
from networks import Array, Maker

PARTS = (800, 400, 597)
"""How many images weights learn from, how many shares, and how many are never looked at."""
SHARES = "shares/"
_ALONE = 0.3
"""For this part of the epochs only weights learn: else what learns fastest would be chosen."""
_CANDIDATES = 100
"""So many networks are drawn in the end; after each epoch before but one, to see how far it is."""
_KEPT_EDGES = 2
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


def keeping(genotype: Genotype) -> Node:
    """Return nodes that have but the operations that were found."""

    def node(place: Place, states: list[Any]) -> Any:
        kept = _kept(genotype, place)
        return sum(_operation(place.edge(at), one, states[at]) for one, at in kept)

    return node


def _kept(genotype: Genotype, place: Place) -> list[tuple[str, int]]:
    kept = genotype.reduce if place.kind == "reduce" else genotype.normal
    return kept[place.node]


def _operation(place: Place, told: str, images: Any) -> Any:
    if told == "skip_connection":
        # Of the same scale as all others, or sums would be of whatever is largest.
        return networks.normalized(images[:, :: place.stride, :: place.stride])
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


class Draw(NamedTuple):
    """A network, and the noise that made it of the shares: for each kind ``[edges, operations]``."""

    genotype: Genotype
    noise: dict[str, Array]


class Space:
    """All networks that there may be, with the weights that they share."""

    def __init__(self, operations: list[str], layers: int, nodes: int, channels: int) -> None:
        """Begin without weights."""
        self._operations, self._nodes = operations, nodes
        self._sizes = {"layers": layers, "nodes": nodes, "channels": channels}
        self._edges = [range(2 + number) for number in range(nodes)]

    def weights(self, rng: numpy.random.Generator, images: Array) -> networks.Weights:
        """Return those of all operations on all edges, and shares that are all the same."""
        size = sum(map(len, self._edges)), len(self._operations)
        weights = {SHARES + kind: numpy.zeros(size, numpy.float32) for kind in ("normal", "reduce")}
        for one in self._operations:
            kept: Kept = [[(one, at) for at in edges] for edges in self._edges]
            self.network(self._genotype(kept, kept))(Maker(weights, rng), images)
        return weights

    def draw(self, weights: networks.Weights, rng: numpy.random.Generator) -> Draw:
        """Return a network whose operations are as likely as their shares say, with edges drawn evenly."""
        shares = {kind: weights[SHARES + kind] for kind in ("normal", "reduce")}
        noise = {kind: rng.gumbel(size=of.shape).astype(of.dtype) for kind, of in shares.items()}
        best = {kind: iter((of + noise[kind]).argmax(axis=1)) for kind, of in shares.items()}
        return Draw(self._genotype(*(self._drawn(each, rng) for each in best.values())), noise)

    def network(self, genotype: Genotype) -> networks.Network:
        """Return a network."""
        return network(keeping(genotype), **self._sizes)

    def telling(self, drawn: Draw) -> networks.Network:
        """Return the same network, as a function of the shares too: it tells them what was good."""

        def node(place: Place, states: list[Any]) -> Any:
            begin = sum(map(len, self._edges[: place.node]))
            shares = place.make(SHARES + place.kind) + drawn.noise[place.kind]
            total = 0.0
            for one, at in _kept(drawn.genotype, place):
                raised = np.exp(shares[begin + at] - np.max(shares[begin + at]))
                share = (raised / np.sum(raised))[self._operations.index(one)]
                # It is 1 on the way there, and has the share's slope on the way back.
                part = share - getval(share) + 1.0
                total = total + part * _operation(place.edge(at), one, states[at])
            return total

        return network(node, **self._sizes)

    def _drawn(self, best: Iterator[Any], rng: numpy.random.Generator) -> Kept:
        found: Kept = []
        for edges in self._edges:
            names = [self._operations[next(best)] for _ in edges]
            chosen = sorted(rng.permutation(len(edges))[:_KEPT_EDGES].tolist())
            found.append([(names[at], at) for at in chosen])
        return found

    def _genotype(self, normal: Kept, reduce: Kept) -> Genotype:
        ends = range(2, 2 + self._nodes)
        return Genotype(normal, ends, reduce, ends)


def search(
    operations: list[str], layers: int, settings: dict[str, Any], seed: int = 0
) -> Iterator[tuple[Genotype, float]]:
    """Search; yield the best network that is known, and its accuracy, after each epoch."""
    rng = numpy.random.default_rng(seed)
    space = Space(operations, layers, int(settings["num_nodes"]), int(settings["init_channels"]))
    learnt, decides, _ = networks.digits(PARTS)
    weights = space.weights(rng, learnt[0][:2])
    epochs, size = int(settings["num_epochs"]), int(settings["batch_size"] or 64)
    size = min(size, PARTS[1])
    moving = _Momentum(settings)
    sharing = networks.Adam(float(settings["alpha_lr"]), float(settings["alpha_weight_decay"]))
    for epoch in range(epochs):
        moving.begin(epoch / epochs)
        for part in networks.batches(learnt, size, rng):
            built = space.network(space.draw(weights, rng).genotype)
            _move(moving, weights, _slopes(built, weights, part), shares=False)
        for part in networks.batches(decides, size, rng) if epoch >= _ALONE * epochs else ():
            built = space.telling(space.draw(weights, rng))
            _move(sharing, weights, _slopes(built, weights, part), shares=True)
        count = 1 if epoch < epochs - 1 else _CANDIDATES
        candidates = [space.draw(weights, rng).genotype for _ in range(count)]
        best = _best(space, weights, decides, candidates)
        yield best, networks.accuracy(space.network(best), weights, decides)


def _best(
    space: Space, weights: networks.Weights, part: tuple[Array, Array], candidates: list[Genotype]
) -> Genotype:
    """Return the one that loses least."""

    def lost(genotype: Genotype) -> float:
        return float(networks.loss(space.network(genotype)(Maker(weights), part[0]), part[1]))

    return min(candidates, key=lost)


def _slopes(
    built: networks.Network, weights: networks.Weights, part: tuple[Array, Array]
) -> networks.Weights:
    loss = value_and_grad(lambda given: networks.loss(built(Maker(given), part[0]), part[1]))
    return loss(weights)[1]


def _move(steps: Any, weights: networks.Weights, slopes: networks.Weights, *, shares: bool) -> None:
    """Move either the shares or all other weights."""
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
