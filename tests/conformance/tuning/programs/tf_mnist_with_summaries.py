"""In the place of `tf-mnist-with-summaries`, the old and the new: writes scalars for TensorBoard."""
# ruff: noqa: T201 - what trials print is read

import argparse
import os

from digits import Network, images
from tensorboardX import SummaryWriter

parser = argparse.ArgumentParser()
parser.add_argument("--batch-size", "--batch_size", type=int, default=64)
parser.add_argument("--learning-rate", "--learning_rate", type=float, default=0.001)
parser.add_argument("--epochs", type=int, default=10)
parser.add_argument("--log-path", "--log_dir", default="/tmp/logs")
given = parser.parse_args()

tag = os.environ.get("DIGITS_TAG", "accuracy")
pixels, labels, held_pixels, held_labels = images()
network = Network(64, [32], lr=given.learning_rate * 10, optimizer="adam")
writers = {name: SummaryWriter(f"{given.log_path}/{name}") for name in ("train", "test")}
for epoch in range(given.epochs):
    for _ in network.epoch(pixels, labels, given.batch_size):
        pass
    for name, group in (("train", (pixels, labels)), ("test", (held_pixels, held_labels))):
        loss, accuracy = network.evaluate(*group)
        writers[name].add_scalar("loss", loss, epoch)
        writers[name].add_scalar(tag, accuracy, epoch)
        print(f"{name}: loss {loss:.4f}, accuracy {100 * accuracy:.4f}")
for writer in writers.values():
    writer.close()
