"""What parameters may say of the run they are for: ``[[ScheduledTime]]`` and the like. Pure.

Source: kubeflow/pipelines ``backend/src/common/util/parameter_formatter.go``. The run's id is known
only once it is made: `filled` leaves ``[[RunUUID]]`` as it is, and `with_run_id` takes its turn when
the run is read.
"""

import datetime
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from wherry.pipelines.schedules import go_layouts

DEFAULT_LAYOUT: Final = "20060102150405"
_MACRO: Final = re.compile(r"\[\[(ScheduledTime|CurrentTime|Index|RunUUID)(?:\.(.*?))?\]\]")
_RUN_ID: Final = "[[RunUUID]]"


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """What macros speak of; of what is None they stay as they are.

    Attributes:
        now: When the run is made.
        scheduled: The slot that it is for.
        index: Its number among the runs of its schedule, from 1.
    """

    now: datetime.datetime
    scheduled: datetime.datetime | None = None
    index: int | None = None


def filled(parameters: Mapping[str, Any], moment: Moment) -> dict[str, Any]:
    """Return parameters with what macros in their texts mean, also in lists and objects."""

    def meant(match: re.Match[str]) -> str:
        name, layout = match.groups()
        if name == "Index" and moment.index is not None and layout is None:
            return str(moment.index)
        when = {"ScheduledTime": moment.scheduled, "CurrentTime": moment.now}.get(name)
        if when is None or layout == "":
            return match[0]
        return go_layouts.write(when.astimezone(datetime.UTC), layout or DEFAULT_LAYOUT)

    return {
        name: _in_texts(value, lambda text: _MACRO.sub(meant, text))
        for name, value in parameters.items()
    }


def with_run_id(parameters: Mapping[str, Any], run_id: str) -> dict[str, Any]:
    """Return parameters with the run's id for ``[[RunUUID]]``."""
    return {
        name: _in_texts(value, lambda text: text.replace(_RUN_ID, run_id))
        for name, value in parameters.items()
    }


def _in_texts(value: Any, change: Callable[[str], str]) -> Any:
    if isinstance(value, str):
        return change(value)
    if isinstance(value, list):
        return [_in_texts(item, change) for item in value]
    if isinstance(value, dict):
        return {key: _in_texts(item, change) for key, item in value.items()}
    return value
