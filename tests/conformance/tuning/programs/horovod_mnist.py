"""In the place of `mpi-horovod-mnist`: ranks that add up their gradients, by MPI."""
# ruff: noqa: T201 - what trials print is read

import argparse
import os
import sys

# The package of Open MPI 4 tells `mpirun` where it is, and nobody that runs on another host.
os.environ.setdefault("OPAL_PREFIX", sys.prefix)

from digits import Network, images
from mpi4py import MPI

parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float, default=0.001)
parser.add_argument("--num-steps", type=int, default=100)
given = parser.parse_args()

world = MPI.COMM_WORLD
pixels, labels, held_pixels, held_labels = images()
mine = slice(world.rank, None, world.size)
pixels, labels = pixels[mine], labels[mine]
network = Network(64, [32], lr=given.lr * world.size, optimizer="adam")
for step in range(given.num_steps):
    chosen = network.random.integers(len(labels), size=32)
    loss, gradients = network.gradients(pixels[chosen], labels[chosen])
    network.apply([world.allreduce(each) / world.size for each in gradients])
    loss = world.allreduce(loss) / world.size
    if step % 10 == 0 and world.rank == 0:
        print(f"INFO:tensorflow:loss = {loss:.5f}, step = {step}", flush=True)
