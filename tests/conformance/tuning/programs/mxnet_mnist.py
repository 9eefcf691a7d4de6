"""In the place of `mxnet-mnist`: its arguments, and lines of the form of its lines."""

import argparse
import logging

from digits import Network, images

parser = argparse.ArgumentParser()
parser.add_argument("--batch-size", type=int, default=64)
parser.add_argument("--num-epochs", type=int, default=10)
parser.add_argument("--num-layers", type=int, default=2)
parser.add_argument("--lr", type=float, default=0.05)
parser.add_argument("--optimizer", choices=["sgd", "adam", "ftrl"], default="sgd")
given = parser.parse_args()

logging.basicConfig(
    format="%(asctime)s %(levelname)-8s %(message)s",
    datefmt="%Y-%m-%dT%H:%M:%SZ",
    level=logging.DEBUG,
)
pixels, labels, held_pixels, held_labels = images()
network = Network(64, [32] * (given.num_layers - 1), lr=given.lr, optimizer=given.optimizer)
for epoch in range(given.num_epochs):
    for _ in network.epoch(pixels, labels, given.batch_size):
        pass
    logging.info("Epoch[%d] Train-accuracy=%f", epoch, network.evaluate(pixels, labels)[1])
    held = network.evaluate(held_pixels, held_labels)[1]
    logging.info("Epoch[%d] Validation-accuracy=%f", epoch, held)
