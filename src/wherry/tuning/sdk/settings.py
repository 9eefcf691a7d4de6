"""What a search may be told beside what to run and where to look."""

from collections.abc import Mapping, Sequence
from typing import Any

from wherry.client.functions.settings import Common
from wherry.tuning.sdk.errors import TuningError


class Settings(Common, total=False):
    """Keyword arguments of `tune`, all optional, beside those of `Common`."""

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
    timeout = settings.get("timeout", 1)
    if not isinstance(timeout, int | float) or timeout <= 0:
        raise TuningError(f"timeout: {timeout!r}: want seconds, more than 0")


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
