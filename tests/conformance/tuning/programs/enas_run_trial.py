"""In the place of `enas-cnn-cifar10`: builds what it is told to, of dense layers, and trains it."""
# ruff: noqa: T201 - what trials print is read

import argparse
import json

from digits import Network, images

parser = argparse.ArgumentParser()
parser.add_argument("--architecture", required=True)
parser.add_argument("--nn_config", required=True)
parser.add_argument("--num_epochs", type=int, default=10)
parser.add_argument("--num_gpus", type=int, default=1)
given = parser.parse_args()

architecture = json.loads(given.architecture.strip('"').replace("'", '"'))
config = json.loads(given.nn_config.strip('"').replace("'", '"'))
assert len(architecture) == config["num_layers"]
hidden = []
for index, (operation, *skips) in enumerate(architecture):
    assert len(skips) == index, "a bit for each layer before it"
    chosen = config["embedding"][str(operation)]
    print(f"layer {index}: {chosen['opt_type']} {chosen['opt_params']}")
    options = chosen["opt_params"]
    hidden.append(int(options.get("num_filter", 32)) // 2 // int(options.get("pool_size", 1)))

pixels, labels, held_pixels, held_labels = images()
network = Network(64, hidden, lr=0.05, momentum=0.5)
for epoch in range(given.num_epochs):
    print(f"\nTotal Epoch {epoch + 1}/{given.num_epochs}")
    for _ in network.epoch(pixels, labels, 128):
        pass
    for name, group in (
        ("Training", (pixels, labels)),
        ("Validation", (held_pixels, held_labels)),
    ):
        loss, accuracy = network.evaluate(*group)
        print(f"{name}-Accuracy={accuracy}")
        print(f"{name}-Loss={loss}")
