"""What a training may be told beside what to run."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypedDict

from wherry.client.connections import Connection
from wherry.training.sdk.errors import TrainingError


class Settings(TypedDict, total=False):
    """Keyword arguments of `train`, all optional."""

    framework: str
    """How ranks find one another: `pytorch` (default), `tensorflow`, `jax`, `xgboost`, `paddle`, `mxnet`
    or `mpi`. Plain Python reads `RANK`, `WORLD_SIZE`, `MASTER_ADDR` and `MASTER_PORT` of `pytorch`. With
    `mpi` the image brings `mpirun`; without `image`, `mpi4py` and `mpich` are added to `packages`."""

    workers: int
    """Ranks, each a pod of its own; 2 by default."""

    args: Sequence[Any]
    """Arguments of a function; of a script or module its command line."""

    kwargs: Mapping[str, Any]
    """Arguments of a function by name."""

    packages: Sequence[str]
    """What pip should install, such as ``numpy>=2``."""

    resources: Mapping[str, Any]
    """What each rank needs and may use, such as ``{"cpu": 1, "memory": "2Gi", "nvidia.com/gpu": 1}``."""

    env: Mapping[str, str]
    """Environment variables."""

    image: str
    """Container image; by default ``python:X.Y`` as the caller's."""

    name: str
    """Of the job; by default made from the function's."""

    namespace: str
    """Where; by default the connection's."""

    connection: Connection | Path | str | None
    """Which cluster: a connection or a kubeconfig; by default the running Wherry, else kubectl's."""

    restarts: int
    """How often ranks that were killed (memory, lost node) are started again; 3 by default. One that
    raises is not."""

    timeout: float
    """Seconds after which the job is ended, and has failed; no end by default."""

    volumes: Mapping[str, str]
    """PersistentVolumeClaims that each rank sees: path by claim's name."""


def check(settings: Mapping[str, Any]) -> None:
    """Check names and bounds.

    Raises:
        TypeError: there is no such setting.
        TrainingError: a value cannot be.
    """
    known = Settings.__annotations__
    for name in settings:
        if name not in known:
            raise TypeError(f"train() has no setting {name!r}; there are {', '.join(known)}")
    for name, least in (("workers", 1), ("restarts", 0), ("timeout", 1)):
        value = settings.get(name, least)
        if isinstance(value, bool) or not isinstance(value, int | float) or value < least:
            raise TrainingError(f"{name}={value!r}: want a number, at least {least}")
