"""What a search may be told beside what to run and where to look."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypedDict

from wherry.client.connections import Connection
from wherry.tuning.sdk.errors import TuningError


class Settings(TypedDict, total=False):
    """Keyword arguments of `tune`, all optional."""

    objective: str
    """What is searched for: ``maximize accuracy`` or ``minimize loss``; by default ``maximize
    objective``. What the function returns, if it is a number, is its value."""

    goal: float
    """The value of the objective at which the search ends."""

    metrics: Sequence[str]
    """Others that are kept too."""

    algorithm: str
    """``tpe`` (default), ``random``, ``grid``, ``bayesianoptimization``, ``cmaes``, ``hyperband`` …"""

    algorithm_settings: Mapping[str, Any]
    """Of the algorithm, such as ``{"random_state": 1}``."""

    max_trials: int
    """How many trials; 20 by default."""

    parallel: int
    """How many run at once; 2 by default."""

    max_failed: int
    """At how many failed trials the search fails; by default it goes on."""

    early_stopping: str
    """``medianstop`` or ``asha``: ends trials early that come to nothing; for functions that
    `wherry.report` the objective as they go."""

    early_stopping_settings: Mapping[str, Any]
    """Of it, such as ``{"start_step": 5}``."""

    args: Sequence[Any]
    """Further arguments of a function; of a script or module the first words of its command line."""

    kwargs: Mapping[str, Any]
    """Further arguments of a function by name."""

    packages: Sequence[str]
    """What pip should install, such as ``numpy>=2``."""

    resources: Mapping[str, Any]
    """What each trial needs and may use, such as ``{"cpu": 1, "memory": "2Gi"}``."""

    env: Mapping[str, str]
    """Environment variables."""

    image: str
    """Container image; by default ``python:X.Y`` as the caller's."""

    name: str
    """Of the Experiment; by default made from the function's."""

    namespace: str
    """Where; by default the connection's."""

    connection: Connection | Path | str | None
    """Which cluster: a connection or a kubeconfig; by default the running Wherry, else kubectl's."""

    timeout: float
    """Seconds after which a trial is ended, and has failed; no end by default."""

    volumes: Mapping[str, str]
    """PersistentVolumeClaims that each trial sees: path by claim's name."""

    retain: bool
    """Whether what trials ran is kept when they have ended, for its logs; False by default."""


_COUNTS = {"max_trials": 1, "parallel": 1, "max_failed": 0}


def check(settings: Mapping[str, Any]) -> None:
    """Check names and bounds.

    Raises:
        TypeError: there is no such setting.
        TuningError: a value is out of bounds.
    """
    known = Settings.__annotations__
    for name in settings:
        if name not in known:
            raise TypeError(f"tune() has no setting {name!r}; there are {', '.join(sorted(known))}")
    for name, least in _COUNTS.items():
        value = settings.get(name, least)
        if not isinstance(value, int) or isinstance(value, bool) or value < least:
            raise TuningError(f"{name}: {value!r}: want a whole number, {least} at least")
    if settings.get("timeout", 1) <= 0:
        raise TuningError(f"timeout: {settings['timeout']!r}: want seconds, more than 0")


def objective(text: str) -> tuple[str, str]:
    """Return type and metric of an objective.

    Raises:
        TuningError: it cannot be read.
    """
    words = text.split()
    kinds = {"max": "maximize", "maximize": "maximize", "min": "minimize", "minimize": "minimize"}
    if len(words) == 1 and words[0] not in kinds:
        return "maximize", words[0]
    if len(words) == 2 and words[0] in kinds:
        return kinds[words[0]], words[1]
    raise TuningError(f"objective: {text!r}: want such as 'maximize accuracy' or 'minimize loss'")
