"""Real training on real images, small enough for a trial: digits of 8 by 8 pixels, and a network of numpy."""

import itertools

import numpy as np
from sklearn import datasets


def images():
    """Return training images and labels, and those that are held back."""
    found = datasets.load_digits()
    order = np.random.default_rng(0).permutation(len(found.target))
    pixels, labels = found.data[order] / 16, found.target[order]
    return pixels[:1400], labels[:1400], pixels[1400:], labels[1400:]


class Network:
    """Dense layers with rectifiers, and a softmax; trained by gradient descent."""

    def __init__(self, inputs, hidden, *, lr, momentum=0.0, optimizer="sgd", seed=1):
        random = np.random.default_rng(seed)
        sizes = [inputs, *hidden, 10]
        self.weights = [
            random.normal(0, (2 / before) ** 0.5, (before + 1, after))
            for before, after in itertools.pairwise(sizes)
        ]
        self.lr, self.momentum, self.optimizer = lr, momentum, optimizer
        self.moves = [np.zeros_like(each) for each in self.weights]
        self.squares = [np.zeros_like(each) for each in self.weights]
        self.random = random

    def epoch(self, pixels, labels, batch):
        """Train on all images once; yield the loss of each batch, and how many images came before."""
        order = self.random.permutation(len(labels))
        for start in range(0, len(order), batch):
            chosen = order[start : start + batch]
            yield start, self._step(pixels[chosen], labels[chosen])

    def evaluate(self, pixels, labels):
        """Return loss and share of the labels that it knows."""
        with np.errstate(all="ignore"):
            scores = self._forward(pixels)[-1]
            return _loss(scores, labels), float((scores.argmax(1) == labels).mean())

    def gradients(self, pixels, labels):
        """Return the loss, and the gradient of each layer's weights."""
        values = self._forward(pixels)
        loss = _loss(values[-1], labels)
        error = values[-1].copy()
        error[np.arange(len(labels)), labels] -= 1
        error /= len(labels)
        found = []
        for weights, value in zip(self.weights[::-1], values[-2::-1], strict=True):
            found.insert(0, value.T @ error)
            error = (error @ weights.T)[:, :-1] * (value[:, :-1] > 0)
        return loss, found

    def apply(self, gradients):
        """Change the weights."""
        layers = zip(self.weights, gradients, self.moves, self.squares, strict=True)
        kept = 0.999 if self.optimizer == "adam" else 1.0
        for weights, gradient, move, square in layers:
            if self.optimizer == "sgd":
                move[:] = self.momentum * move + gradient
                weights[:] -= self.lr * move
            else:
                square[:] = kept * square + (1 - kept or 1) * gradient**2
                weights[:] -= self.lr * gradient / (np.sqrt(square) + 1e-3)

    def _step(self, pixels, labels):
        with np.errstate(all="ignore"):
            loss, gradients = self.gradients(pixels, labels)
            self.apply(gradients)
        return loss

    def _forward(self, pixels):
        values = [_with_bias(pixels)]
        for weights in self.weights[:-1]:
            values.append(_with_bias(np.maximum(values[-1] @ weights, 0)))
        scores = values[-1] @ self.weights[-1]
        powers = np.exp(scores - scores.max(1, keepdims=True))
        return [*values, powers / powers.sum(1, keepdims=True)]


def _with_bias(values):
    return np.hstack([values, np.ones((len(values), 1))])


def _loss(shares, labels):
    return float(-np.log(shares[np.arange(len(labels)), labels] + 1e-12).mean())
