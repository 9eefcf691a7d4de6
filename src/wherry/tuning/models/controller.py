"""A recurrent network that writes architectures, and learns from what became of them.

For each layer it says the operation, then to which earlier layers there are skips. Katib's network
(after ENAS) in NumPy, trained by REINFORCE. Two things differ on purpose. It learns from the
architectures that were tried and what each was worth, where Katib draws new ones and gives them all
the mean of the last round, which teaches nothing. And rewards are taken against those of their
round, in units of their spread, so that it learns alike whatever the metric's scale.

Source: Pham et al. 2018, "Efficient neural architecture search via parameter sharing", section 2;
Kingma & Ba 2015 for the steps.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from wherry.tuning.models.axes import Array

Architectures = npt.NDArray[np.intp]
"""``[architectures, layers, layers]``: the operation, then for each earlier layer whether it skips."""

_START = 0.1
_MOMENTS, _TINY = (0.9, 0.999), 1e-8


@dataclass(frozen=True, slots=True, kw_only=True)
class Manner:
    """The settings; NaN: without.

    Attributes:
        hidden: Size of the network's state.
        temperature: By which logits are divided.
        bound: Between which logits are squeezed by a hyperbolic tangent.
        entropy: How much variety is worth, in rewards.
        skip_target: Which part of the skips should be there.
        skip_weight: How much that counts.
        rate: Of learning.
        decay: How slowly the baseline follows.
    """

    hidden: int
    temperature: float
    bound: float
    entropy: float
    skip_target: float
    skip_weight: float
    rate: float
    decay: float


@dataclass(frozen=True, slots=True)
class _Cell:
    """One step of the network, kept for the way back."""

    joined: Array
    gates: Array
    before: Array
    memory: Array
    state: Array


@dataclass(frozen=True, slots=True)
class _Layer:
    """One layer of a batch, kept for the way back."""

    first: _Cell
    second: _Cell
    operations: Array
    mixed: Array
    skips: Array


class Controller:
    """The network; `sample` and `learn` are all it does."""

    def __init__(self, layers: int, operations: int, manner: Manner, seed: int) -> None:
        self._layers, self._operations, self._manner = layers, operations, manner
        rng = np.random.default_rng(seed)
        size = manner.hidden
        shapes = {
            "cell": (2 * size, 4 * size),
            "start": (1, size),
            "embedding": (operations, size),
            "operation": (size, operations),
            "earlier": (size, size),
            "later": (size, size),
            "skip": (size, 1),
        }
        self._weights = {name: rng.uniform(-_START, _START, s) for name, s in shapes.items()}
        self._moments = {name: np.zeros((2, *s)) for name, s in shapes.items()}
        self._steps = 0

    def sample(self, rng: np.random.Generator) -> Architectures:
        """Return one architecture, ``[1, layers, layers]``."""
        drawn = np.zeros((1, self._layers, self._layers), int)
        self._forward(drawn, rng)
        return drawn

    def learn(self, tried: Architectures, advantages: Array, steps: int) -> None:
        """Make architectures likelier that were better than others.

        Args:
            tried: What was tried.
            advantages: How much better each was, ``[architectures]``, about 0 and of scale 1.
            steps: How often the weights are moved.
        """
        for _ in range(steps):
            self._move(self.gradient(tried, advantages)[1])

    def gradient(self, tried: Architectures, advantages: Array) -> tuple[float, dict[str, Array]]:
        """Return the loss of architectures, and how it changes with the weights."""
        layers = self._forward(tried, None)
        return _Backward(self._weights, self._manner, tried, advantages).run(layers)

    def _move(self, gradient: dict[str, Array]) -> None:
        self._steps += 1
        for name, slope in gradient.items():
            first, second = self._moments[name]
            first += (1 - _MOMENTS[0]) * (slope - first)
            second += (1 - _MOMENTS[1]) * (slope**2 - second)
            even = first / (1 - _MOMENTS[0] ** self._steps)
            scale = np.sqrt(second / (1 - _MOMENTS[1] ** self._steps)) + _TINY
            self._weights[name] = self._weights[name] - self._manner.rate * even / scale

    def _forward(self, tried: Architectures, rng: np.random.Generator | None) -> list[_Layer]:
        """Go through the layers; with randomness, what is said is drawn and written down."""
        weights, count = self._weights, len(tried)
        given = np.repeat(weights["start"], count, axis=0)
        memory = state = np.zeros((count, self._manner.hidden))
        found: list[_Layer] = []
        for layer in range(self._layers):
            first = _cell(weights["cell"], given, memory, state)
            operations = _softmax(_squeezed(first.state @ weights["operation"], self._manner)[0])
            if rng is not None:
                tried[:, layer, 0] = [rng.choice(self._operations, p=row) for row in operations]
            chosen = weights["embedding"][tried[:, layer, 0]]
            second = _cell(weights["cell"], chosen, first.memory, first.state)
            memory, state = second.memory, second.state
            earlier = np.stack([one.second.state for one in found], 1) if found else None
            mixed, skips = self._skips(earlier, state)
            if rng is not None:
                tried[:, layer, 1 : layer + 1] = rng.random(skips.shape) < skips
            found.append(_Layer(first, second, operations, mixed, skips))
            given = np.repeat(weights["start"], count, axis=0)
            if earlier is not None:
                bits = tried[:, layer, 1 : layer + 1]
                given = np.einsum("bj,bjh->bh", bits, earlier) / (1.0 + bits.sum(1))[:, None]
        return found

    def _skips(self, earlier: Array | None, state: Array) -> tuple[Array, Array]:
        """What earlier layers look like from here, and how likely a skip from each is."""
        if earlier is None:
            return np.zeros((len(state), 0, self._manner.hidden)), np.zeros((len(state), 0))
        weights = self._weights
        mixed = np.tanh((state @ weights["later"])[:, None, :] + earlier @ weights["earlier"])
        logits = _squeezed((mixed @ weights["skip"])[:, :, 0], self._manner)[0]
        # The two choices have opposite logits.
        return mixed, _sigmoid(2.0 * logits)


class _Backward:
    """The way back through a batch: losses, and gradients by weight."""

    def __init__(
        self, weights: dict[str, Array], manner: Manner, tried: Architectures, advantages: Array
    ) -> None:
        self._weights, self._manner, self._tried = weights, manner, tried
        self._advantages = advantages[:, None]
        self._slopes = {name: np.zeros_like(weight) for name, weight in weights.items()}
        self._loss = 0.0

    def run(self, layers: Sequence[_Layer]) -> tuple[float, dict[str, Array]]:
        count, hidden = len(self._tried), self._manner.hidden
        states = np.zeros((len(layers), count, hidden))
        memory, state = np.zeros((count, hidden)), np.zeros((count, hidden))
        given: Array | None = None
        for at in range(len(layers) - 1, -1, -1):
            if given is not None:
                self._mixture(layers, at, given, states)
            state = state + states[at] + self._skipping(layers, at, states)
            joined, memory = self._step(layers[at].second, state, memory)
            np.add.at(self._slopes["embedding"], self._tried[:, at, 0], joined[:, :hidden])
            state = joined[:, hidden:] + self._choosing(layers[at], at)
            joined, memory = self._step(layers[at].first, state, memory)
            given, state = joined[:, :hidden], joined[:, hidden:]
        assert given is not None
        self._slopes["start"] += given.sum(0, keepdims=True)
        return self._loss / count, {name: slope / count for name, slope in self._slopes.items()}

    def _mixture(self, layers: Sequence[_Layer], at: int, given: Array, states: Array) -> None:
        """What the layer after this one was given: the mean of what this one skips from."""
        if at == 0:
            self._slopes["start"] += given.sum(0, keepdims=True)
            return
        bits = self._tried[:, at, 1 : at + 1]
        share = bits / (1.0 + bits.sum(1, keepdims=True))
        for earlier in range(at):
            states[earlier] += share[:, earlier, None] * given

    def _choosing(self, layer: _Layer, at: int) -> Array:
        """The operation: likelier where it was good; returns the state's slope."""
        chosen = np.eye(layer.operations.shape[1])[self._tried[:, at, 0]]
        logs = np.log(np.maximum(layer.operations, 1e-30))
        self._loss += float(-(self._advantages * chosen * logs).sum())
        slope = self._advantages * (layer.operations - chosen)
        slope = slope + self._varied(layer.operations, logs)
        slope = slope * _squeezed(layer.first.state @ self._weights["operation"], self._manner)[1]
        self._slopes["operation"] += layer.first.state.T @ slope
        return np.asarray(slope @ self._weights["operation"].T)

    def _varied(self, chances: Array, logs: Array) -> Array:
        """What variety is worth: the negative entropy's slope by logits."""
        if math.isnan(self._manner.entropy):
            return np.zeros_like(chances)
        entropy = -(chances * logs).sum(1, keepdims=True)
        self._loss -= self._manner.entropy * float(entropy.sum())
        return np.asarray(self._manner.entropy * chances * (logs + entropy))

    def _skipping(self, layers: Sequence[_Layer], at: int, states: Array) -> Array:
        """The skips, and how far their number is from what is wanted."""
        if at == 0:
            return np.zeros_like(states[0])
        layer, weights = layers[at], self._weights
        bits, chances = self._tried[:, at, 1 : at + 1], layer.skips
        logs = np.log(np.maximum(np.where(bits == 1, chances, 1.0 - chances), 1e-30))
        self._loss += float(-(self._advantages * logs).sum())
        slope = 2.0 * self._advantages * (chances - bits) + self._kept(chances, len(layers))
        slope = slope * _squeezed((layer.mixed @ weights["skip"])[:, :, 0], self._manner)[1]
        self._slopes["skip"] += np.einsum("bjh,bj->h", layer.mixed, slope)[:, None]
        mixed = slope[:, :, None] * weights["skip"][:, 0] * (1.0 - layer.mixed**2)
        self._slopes["later"] += layer.second.state.T @ mixed.sum(1)
        for earlier in range(at):
            state = layers[earlier].second.state
            self._slopes["earlier"] += state.T @ mixed[:, earlier]
            states[earlier] += mixed[:, earlier] @ weights["earlier"].T
        return np.asarray(mixed.sum(1) @ weights["later"].T)

    def _kept(self, chances: Array, layers: int) -> Array:
        """The divergence from the wanted part of skips: its slope by logits."""
        weight, target = self._manner.skip_weight, self._manner.skip_target
        if math.isnan(weight) or not 0.0 < target < 1.0:
            return np.zeros_like(chances)
        sure = np.clip(chances, 1e-9, 1 - 1e-9)
        apart = sure * np.log(sure / target) + (1 - sure) * np.log((1 - sure) / (1 - target))
        each = weight / max(layers - 1, 1)
        self._loss += each * float(apart.sum())
        odds = np.log(sure / target) - np.log((1 - sure) / (1 - target))
        return np.asarray(each * odds * 2.0 * sure * (1 - sure))

    def _step(self, cell: _Cell, state: Array, memory: Array) -> tuple[Array, Array]:
        """Back through one step: slopes of what it was given with its state, and of its memory."""
        into, forget, out, new = np.split(cell.gates, 4, axis=1)
        bent = np.tanh(cell.memory)
        memory = memory + state * out * (1 - bent**2)
        slopes = [
            memory * new * into * (1 - into),
            memory * cell.before * forget * (1 - forget),
            state * bent * out * (1 - out),
            memory * into * (1 - new**2),
        ]
        slope = np.concatenate(slopes, axis=1)
        self._slopes["cell"] += cell.joined.T @ slope
        return slope @ self._weights["cell"].T, memory * forget


def _cell(weights: Array, given: Array, memory: Array, state: Array) -> _Cell:
    joined = np.concatenate([given, state], axis=1)
    raw = joined @ weights
    size = memory.shape[1]
    gates = np.concatenate([_sigmoid(raw[:, : 3 * size]), np.tanh(raw[:, 3 * size :])], axis=1)
    into, forget, out, new = np.split(gates, 4, axis=1)
    found = into * new + forget * memory
    return _Cell(joined, gates, memory, found, out * np.tanh(found))


def _squeezed(logits: Array, manner: Manner) -> tuple[Array, Array]:
    """Logits within bounds, and their slope by what came in."""
    slope = np.ones_like(logits)
    if not math.isnan(manner.temperature):
        logits, slope = logits / manner.temperature, slope / manner.temperature
    if not math.isnan(manner.bound):
        bent = np.tanh(logits)
        logits, slope = manner.bound * bent, slope * manner.bound * (1 - bent**2)
    return logits, slope


def _sigmoid(values: Array) -> Array:
    return np.asarray(1.0 / (1.0 + np.exp(-values)))


def _softmax(logits: Array) -> Array:
    raised = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(raised / raised.sum(axis=1, keepdims=True))
