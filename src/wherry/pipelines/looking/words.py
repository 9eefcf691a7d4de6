"""Values, times and tasks in a few words. Pure."""

import json
from collections.abc import Iterable
from typing import Any, Final

from wherry.metadata.records import DAG_EXECUTION, Artifact, Execution

RUN_NAME: Final = "runName"
"""Property of executions that the service was asked for: what their run is called, where that is known."""
_ROOT: Final = "root/"
_SYSTEM: Final = "system."
_LONGEST: Final = 80
_MINUTE: Final = 60
_HOUR: Final = 3600
_SHORT: Final = 10


def named(executions: Iterable[Execution]) -> dict[str, str]:
    """Return what the runs of executions are called, by uid; those without a name by a part of it."""
    return {each.run: str(each.properties.get(RUN_NAME) or each.run[:8]) for each in executions}


def path(execution: Execution) -> str:
    """Return a task's place in its graph; that of the whole run is ``root``."""
    return execution.path.removeprefix(_ROOT) or execution.name


def is_step(execution: Execution) -> bool:
    """Return whether it is a step, and not a graph of them."""
    return execution.type != DAG_EXECUTION


def artifact(made: Artifact) -> str:
    """Return an artifact's type and URI."""
    return f"{made.type.removeprefix(_SYSTEM)} {made.uri}".strip()


def value(found: Any) -> str:
    """Return a value on one line, cut where it is long."""
    text = found if isinstance(found, str) else json.dumps(found)
    text = text.replace("\n", "\\n")
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def lasted(execution: Execution) -> float | None:
    """Return how many seconds a task has taken; None: it has not ended, or did not run."""
    if not execution.started or not execution.ended:
        return None
    return max(0, execution.ended - execution.started) / 1000


def duration(seconds: float | None) -> str:
    """Return a duration in its two largest units; empty: there is none."""
    if seconds is None:
        return ""
    if seconds < _SHORT:
        return f"{seconds:.1f}s"
    if seconds < _MINUTE:
        return f"{seconds:.0f}s"
    whole = round(seconds)
    if whole < _HOUR:
        return f"{whole // _MINUTE}m{whole % _MINUTE}s"
    return f"{whole // _HOUR}h{whole % _HOUR // _MINUTE}m"
