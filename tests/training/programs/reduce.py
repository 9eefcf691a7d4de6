"""Adds up the ranks of an MPI job, and tells where each runs."""

import json
import socket
import sys

from mpi4py import MPI

world = MPI.COMM_WORLD
total = world.allreduce(world.rank + 1)
told = {"rank": world.rank, "size": world.size, "total": total, "host": socket.gethostname()}
sys.stdout.write(json.dumps(told) + "\n")
sys.stdout.flush()
