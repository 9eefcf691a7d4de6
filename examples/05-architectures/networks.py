"""Small convolutional networks on NumPy: layers, handwritten digits of 8 x 8 pixels, and training.

Arrays of images are ``[images, height, width, channels]``. Whoever builds a network asks a
`Maker` for weights by name; a network is a function of weights and images. Autograd makes the gradients.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import autograd.numpy as np
import numpy
from autograd import value_and_grad
from autograd.extend import defvjp, primitive
from numpy.lib.stride_tricks import sliding_window_view
from sklearn.datasets import load_digits

Array = numpy.ndarray
Weights = dict[str, Array]
Network = Callable[["Maker", Any], Any]
"""What says which layers there are; the maker gives it weights."""


class Maker:
    """Gives weights by name, and draws those that are not there yet."""

    def __init__(self, weights: Weights, rng: numpy.random.Generator | None = None) -> None:
        """Without randomness all weights have to be there."""
        self.weights, self._rng = weights, rng

    def __call__(self, name: str, *shape: int) -> Any:
        """Return an array, of the scale that keeps signals as large as they are."""
        if name not in self.weights:
            assert self._rng is not None, f"no weights {name!r}"
            scale = numpy.sqrt(2.0 / max(numpy.prod(shape[:-1]), 1))
            drawn = self._rng.normal(size=shape) * scale
            self.weights[name] = drawn.astype(numpy.float32)
        return self.weights[name]


# Layers


@primitive
def convolve(images: Array, kernel: Array, stride: int = 1) -> Array:
    """Return images under a kernel ``[size, size, channels, filters]``; zeros around them."""
    return numpy.tensordot(
        _patches(images, kernel.shape[0], stride), kernel, ([4, 5, 3], [0, 1, 2])
    )


def _kernel_slope(answer: Array, images: Array, kernel: Array, stride: int = 1) -> Callable:
    patches = _patches(images, kernel.shape[0], stride)
    axes = ([0, 1, 2], [0, 1, 2])
    return lambda slope: numpy.tensordot(patches, slope, axes).transpose(1, 2, 0, 3)


def _images_slope(answer: Array, images: Array, kernel: Array, stride: int = 1) -> Callable:
    return lambda slope: _spread(
        images, kernel.shape[0], stride, lambda i, j: slope @ kernel[i, j].T
    )


defvjp(convolve, _images_slope, _kernel_slope, argnums=(0, 1))


@primitive
def convolve_each(images: Array, kernel: Array, stride: int = 1) -> Array:
    """Return each channel under its own kernel, ``[size, size, channels]``."""
    parts = _shifted(images, kernel.shape[0], stride)
    return sum(part * kernel[i, j] for (i, j), part in parts)


def _each_kernel_slope(answer: Array, images: Array, kernel: Array, stride: int = 1) -> Callable:
    def slope_of(slope: Array) -> Array:
        found = numpy.zeros_like(kernel)
        for (i, j), part in _shifted(images, kernel.shape[0], stride):
            found[i, j] = (part * slope).sum((0, 1, 2))
        return found

    return slope_of


def _each_images_slope(answer: Array, images: Array, kernel: Array, stride: int = 1) -> Callable:
    return lambda slope: _spread(images, kernel.shape[0], stride, lambda i, j: slope * kernel[i, j])


defvjp(convolve_each, _each_images_slope, _each_kernel_slope, argnums=(0, 1))


@primitive
def largest(images: Array, size: int, stride: int = 1) -> Array:
    """Return the largest of each square of pixels."""
    parts = _shifted(images, size, stride, fill=-numpy.inf)
    return numpy.max([part for _, part in parts], axis=0)


def _largest_slope(answer: Array, images: Array, size: int, stride: int = 1) -> Callable:
    parts = dict(_shifted(images, size, stride, fill=-numpy.inf))
    return lambda slope: _spread(images, size, stride, lambda i, j: slope * (parts[i, j] == answer))


defvjp(largest, _largest_slope)


def mean(images: Any, size: int, stride: int = 1) -> Any:
    """Return the mean of each square of pixels."""
    kernel = numpy.full((size, size, images.shape[3]), 1.0 / size**2, numpy.float32)
    return convolve_each(images, kernel, stride)


def normalized(images: Any) -> Any:
    """Return channels with middle 0 and scale 1 over the batch."""
    away = images - np.mean(images, axis=(0, 1, 2), keepdims=True)
    return away / np.sqrt(np.mean(away * away, axis=(0, 1, 2), keepdims=True) + 1e-4)


def positive(values: Any) -> Any:
    """Return values, 0 in place of negative ones."""
    return np.maximum(values, 0.0)


def classified(make: Maker, images: Any) -> Any:
    """Return how much speaks for each digit, from the mean of each channel."""
    means = np.mean(positive(images), axis=(1, 2))
    return means @ make("last", means.shape[1], 10) + make("last/bias", 10)


def _padded(images: Array, size: int, fill: float = 0.0) -> Array:
    before = (size - 1) // 2
    around = (before, size - 1 - before)
    return numpy.pad(images, ((0, 0), around, around, (0, 0)), constant_values=fill)


def _patches(images: Array, size: int, stride: int) -> Array:
    return sliding_window_view(_padded(images, size), (size, size), (1, 2))[:, ::stride, ::stride]


def _places(images: Array, size: int, stride: int) -> Iterator[tuple[int, int, slice, slice]]:
    """Yield where in padded images each place of a square looks."""
    height, width = (-(-length // stride) * stride for length in images.shape[1:3])
    for i, j in numpy.ndindex(size, size):
        yield i, j, slice(i, i + height, stride), slice(j, j + width, stride)


def _shifted(
    images: Array, size: int, stride: int, *, fill: float = 0.0
) -> Iterator[tuple[tuple[int, int], Array]]:
    """Yield the images as each place of a square sees them."""
    padded = _padded(images, size, fill)
    for i, j, rows, columns in _places(images, size, stride):
        yield (i, j), padded[:, rows, columns]


def _spread(images: Array, size: int, stride: int, slope: Callable[[int, int], Array]) -> Array:
    """The slope by the images, from that of each place of a square."""
    padded = numpy.zeros_like(_padded(images, size))
    for i, j, rows, columns in _places(images, size, stride):
        padded[:, rows, columns] += slope(i, j)
    before = (size - 1) // 2
    return padded[:, before : before + images.shape[1], before : before + images.shape[2]]


# Digits


def digits(parts: Sequence[int]) -> list[tuple[Array, Array]]:
    """Return images with their digits: as many as are wanted for each part, always the same."""
    images, labels = load_digits(return_X_y=True)
    order = numpy.random.default_rng(0).permutation(len(images))
    images = (images[order].reshape(-1, 8, 8, 1) / 16.0).astype(numpy.float32)
    ends = numpy.cumsum(parts)
    cuts = [slice(end - part, end) for part, end in zip(parts, ends, strict=True)]
    return [(images[cut], labels[order][cut]) for cut in cuts]


# Training


def loss(scores: Any, labels: Array) -> Any:
    """Return the mean cross entropy."""
    most = np.max(scores, axis=1, keepdims=True)
    logs = scores - most - np.log(np.sum(np.exp(scores - most), axis=1, keepdims=True))
    return -np.mean(logs[numpy.arange(len(labels)), labels])


def accuracy(network: Network, weights: Weights, part: tuple[Array, Array]) -> float:
    """Return which share of images is told rightly."""
    return float((network(Maker(weights), part[0]).argmax(1) == part[1]).mean())


def batches(
    part: tuple[Array, Array], size: int, rng: numpy.random.Generator
) -> Iterator[tuple[Array, Array]]:
    """Yield the images of an epoch in a new order."""
    order = rng.permutation(len(part[1]))
    for begin in range(0, len(order) - size + 1, size):
        chosen = order[begin : begin + size]
        yield part[0][chosen], part[1][chosen]


class Adam:
    """Moves weights down their slopes. Source: Kingma & Ba 2015."""

    def __init__(self, rate: float, decay: float = 0.0) -> None:
        """Begin; `decay` pulls weights to 0."""
        self.rate, self._decay, self._steps = rate, decay, 0
        self._moments: dict[str, tuple[Array, Array]] = {}

    def move(self, weights: Weights, slopes: Weights) -> None:
        """Move them once."""
        self._steps += 1
        for name, weight in weights.items():
            slope = slopes[name] + self._decay * weight
            first, second = self._moments.get(name, (0.0, 0.0))
            first, second = 0.9 * first + 0.1 * slope, 0.999 * second + 0.001 * slope**2
            self._moments[name] = first, second
            even = first / (1 - 0.9**self._steps)
            scale = numpy.sqrt(second / (1 - 0.999**self._steps)) + 1e-8
            weights[name] = (weight - self.rate * even / scale).astype(weight.dtype)


def trained(
    network: Network, part: tuple[Array, Array], *, epochs: int, seed: int, size: int = 32
) -> Iterator[Weights]:
    """Train a network by batches of a size, slower from epoch to epoch; yield its weights after each."""
    rng = numpy.random.default_rng(seed)
    weights: Weights = {}
    network(Maker(weights, rng), part[0][:2])
    slopes = value_and_grad(lambda given, x, y: loss(network(Maker(given), x), y))
    steps = Adam(0.02)
    for epoch in range(epochs):
        steps.rate = 0.02 * (1.0 - epoch / epochs)
        for images, labels in batches(part, size, rng):
            steps.move(weights, slopes(weights, images, labels)[1])
        yield weights
