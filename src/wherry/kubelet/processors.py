"""The node's processors, and what a container is told of its share of them.

Libraries of mathematics (OpenBLAS, MKL, OpenMP and what is built on them) start a thread for each
processor of the machine, however many of them a container may use and however many containers do the
same at once. Threads that wait turn in circles: two processes of two threads on two processors take a
third longer to import NumPy alone than two of one thread.
"""

import os
import re
from collections.abc import Iterator

from wherry.kubelet.runtime import ContainerStart
from wherry.objects import metadata, quantities

VARIABLE = "OMP_NUM_THREADS"
"""The one that all of those libraries heed; each has another that goes before it."""

_NUMBER = re.compile(r"[1-9]\d{0,8}", re.ASCII)


def count() -> int:
    """Return how many processors this machine has."""
    return os.cpu_count() or 1


def variables(container: ContainerStart) -> dict[str, str]:
    """Return what tells a container how many threads are worth while; empty: one for each processor.

    It is the smallest of its CPU limit, rounded up, and of its part of the processors where its pod is
    one of many like it (`metadata.PARALLELISM`). What image or pod say themselves goes before it.
    """
    least = min(_shares(container), default=count())
    return {VARIABLE: str(least)} if least < count() else {}


def _shares(container: ContainerStart) -> Iterator[int]:
    limits = (container.spec.get("resources") or {}).get("limits") or {}
    if "cpu" in limits:
        yield max(1, -(-quantities.cpu_millis(limits["cpu"]) // 1000))
    beside = metadata.annotations(container.pod).get(metadata.PARALLELISM, "")
    if _NUMBER.fullmatch(beside):
        yield max(1, count() // int(beside))
