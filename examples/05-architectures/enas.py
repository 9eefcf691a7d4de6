"""A trial of ENAS: builds the network that it is told, trains it on digits, and says how good it is.

The arguments are those of Katib's trial: layers as ``[operation, skip from layer 1, 2 ...]``, and
what the numbers of operations mean.
"""

import argparse
import json
from typing import Any

import autograd.numpy as np
import networks
from networks import Maker

PARTS = (400, 400, 997)
"""How many images are learnt from, decide which network is best, and are never looked at."""

BATCH = 16
"""With larger ones so few images make so few steps that weights drawn by chance decide as much as the layers do."""


def network(architecture: list[list[int]], config: dict[str, Any]) -> networks.Network:
    """Return the network of an architecture."""

    def scores(make: Maker, images: Any) -> Any:
        layers = [images]
        for number, (operation, *skips) in enumerate(architecture):
            inputs = [
                layers[-1],
                *(layer for layer, bit in zip(layers, skips, strict=False) if bit),
            ]
            told = config["embedding"][str(operation)]
            layer = _OPERATIONS[told["opt_type"]]
            layers.append(layer(make, f"{number}", _together(inputs), told["opt_params"]))
        return networks.classified(make, layers[-1])

    return scores


def _together(inputs: list[Any]) -> Any:
    """All channels of some layers; smaller images are put into the middle of larger ones."""
    most = max(images.shape[1] for images in inputs)
    padded = []
    for images in inputs:
        missing = most - images.shape[1]
        around = (missing // 2, missing - missing // 2)
        padded.append(np.pad(images, ((0, 0), around, around, (0, 0)), "constant"))
    return np.concatenate(padded, axis=3)


def _convolution(make: Maker, name: str, images: Any, told: dict[str, Any]) -> Any:
    size, filters = int(told["filter_size"]), int(told["num_filter"])
    kernel = make(name, size, size, images.shape[3], filters)
    stride = int(told.get("stride", 1))
    return networks.normalized(networks.convolve(networks.positive(images), kernel, stride))


def _separable(make: Maker, name: str, images: Any, told: dict[str, Any]) -> Any:
    each = _each(make, name, images, told)
    mix = make(f"{name}/mix", 1, 1, each.shape[3], int(told["num_filter"]))
    return networks.normalized(networks.convolve(each, mix))


def _depthwise(make: Maker, name: str, images: Any, told: dict[str, Any]) -> Any:
    return networks.normalized(_each(make, name, images, told))


def _each(make: Maker, name: str, images: Any, told: dict[str, Any]) -> Any:
    size = int(told["filter_size"])
    kernel = make(name, size, size, images.shape[3])
    return networks.convolve_each(networks.positive(images), kernel, int(told.get("stride", 1)))


def _reduction(make: Maker, name: str, images: Any, told: dict[str, Any]) -> Any:
    if images.shape[1] == 1:
        return images
    pool = networks.largest if told["reduction_type"] == "max_pooling" else networks.mean
    return pool(images, int(told["pool_size"]), 2)


_OPERATIONS = {
    "convolution": _convolution,
    "separable_convolution": _separable,
    "depthwise_convolution": _depthwise,
    "reduction": _reduction,
}


def main(arguments: list[str] | None = None) -> None:
    """Train, and print the accuracy after each epoch."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--architecture", required=True)
    parser.add_argument("--nn_config", required=True)
    parser.add_argument("--num_epochs", type=int, default=4)
    told = parser.parse_args(arguments)
    architecture, config = (
        json.loads(text.replace("'", '"')) for text in (told.architecture, told.nn_config)
    )
    built = network(architecture, config)
    learnt, decides, _ = networks.digits(PARTS)
    for weights in networks.trained(built, learnt, epochs=told.num_epochs, seed=0, size=BATCH):
        print(f"Validation-Accuracy={networks.accuracy(built, weights, decides):.4f}", flush=True)


if __name__ == "__main__":
    main()
