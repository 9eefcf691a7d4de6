"""What may be said of code that runs in pods, whatever it runs for."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypedDict

from wherry.client.connections import Connection


class Common(TypedDict, total=False):
    """Keyword arguments that `train` and `tune` share, all optional."""

    args: Sequence[Any]
    """Arguments of a function, after those it is given anyway; of a script or module the first words
    of its command line."""

    kwargs: Mapping[str, Any]
    """Arguments of a function by name."""

    packages: Sequence[str]
    """What pip should install, such as ``numpy>=2``."""

    resources: Mapping[str, Any]
    """What each pod needs and may use, such as ``{"cpu": 1, "memory": "2Gi", "nvidia.com/gpu": 1}``."""

    env: Mapping[str, str]
    """Environment variables."""

    image: str
    """Container image; by default ``python:X.Y`` as the caller's."""

    name: str
    """Of the object that is made; by default made from the function's."""

    namespace: str
    """Where; by default the connection's."""

    connection: Connection | Path | str | None
    """Which cluster: a connection or a kubeconfig; by default the running Wherry, else kubectl's."""

    timeout: float
    """Seconds after which a run (of `tune`: a trial) is ended, and has failed; no end by default."""

    volumes: Mapping[str, str]
    """PersistentVolumeClaims that each pod sees: path by claim's name."""
