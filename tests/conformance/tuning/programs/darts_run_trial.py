"""In the place of `darts-cnn-cifar10`: tries each operation of the space, and tells the best as a genotype."""
# ruff: noqa: T201 - what trials print is read

import argparse
import json

import numpy as np
from digits import Network, images

parser = argparse.ArgumentParser()
parser.add_argument("--algorithm-settings", required=True)
parser.add_argument("--search-space", required=True)
parser.add_argument("--num-layers", required=True)
given = parser.parse_args()

settings = json.loads(given.algorithm_settings.strip('"').replace("'", '"'))
space = json.loads(given.search_space.strip('"').replace("'", '"'))
layers = int(given.num_layers.strip('"'))
print(f">>> {settings}\n>>> {space}\n>>> {layers} layers")


def applied(operation, pixels):
    """Return images that an operation has gone over."""
    name, _, size = operation.rpartition("_")
    if not size.partition("x")[0].isdigit():
        return pixels  # a connection
    reach = int(size.partition("x")[0]) // 2
    padded = np.pad(pixels.reshape(-1, 8, 8), ((0, 0), (reach, reach), (reach, reach)))
    windows = np.lib.stride_tricks.sliding_window_view(
        padded, (2 * reach + 1, 2 * reach + 1), axis=(1, 2)
    )
    found = windows.max((3, 4)) if name.startswith("max") else windows.mean((3, 4))
    return found.reshape(len(pixels), -1)


pixels, labels, held_pixels, held_labels = images()
found = {}
for operation in space:
    network = Network(64, [16], lr=float(settings["w_lr"]), momentum=float(settings["w_momentum"]))
    for _ in range(int(settings["num_epochs"])):
        for _ in network.epoch(applied(operation, pixels), labels, int(settings["batch_size"])):
            pass
    found[operation] = network.evaluate(applied(operation, held_pixels), held_labels)[1]
    print(f"{operation}: {found[operation]:.3f}")
best = max(found, key=found.__getitem__)
cell = [[(best, each) for each in range(2)] for _ in range(int(settings["num_nodes"]))]
print(f"Best-Genotype=Genotype(normal={cell},normal_concat=[2],reduce={cell},reduce_concat=[2])")
