"""What a training may be told beside what to run."""

from collections.abc import Mapping
from typing import Any

from wherry.client.functions.settings import Common
from wherry.training.sdk.errors import TrainingError


class Settings(Common, total=False):
    """Keyword arguments of `train`, all optional, beside those of `Common`."""

    framework: str
    """How ranks find one another: `pytorch` (default), `tensorflow`, `jax`, `xgboost`, `paddle`, `mxnet`
    or `mpi`. Plain Python reads `RANK`, `WORLD_SIZE`, `MASTER_ADDR` and `MASTER_PORT` of `pytorch`. With
    `mpi` the image brings `mpirun`; without `image`, `mpi4py` and `mpich` are added to `packages`."""

    workers: int
    """Ranks, each a pod of its own; 2 by default."""

    restarts: int
    """How often ranks that were killed (memory, lost node) are started again; 3 by default. One that
    raises is not."""


def check(settings: Mapping[str, Any]) -> None:
    """Check names and bounds.

    Raises:
        TypeError: there is no such setting.
        TrainingError: a value cannot be.
    """
    known = Settings.__annotations__
    for name in settings:
        if name not in known:
            # Those of training first: they are what is looked for here.
            names = sorted(known, key=lambda each: each in Common.__annotations__)
            raise TypeError(f"train() has no setting {name!r}; there are {', '.join(names)}")
    for name, least in (("workers", 1), ("restarts", 0), ("timeout", 1)):
        value = settings.get(name, least)
        if isinstance(value, bool) or not isinstance(value, int | float) or value < least:
            raise TrainingError(f"{name}={value!r}: want a number, at least {least}")
