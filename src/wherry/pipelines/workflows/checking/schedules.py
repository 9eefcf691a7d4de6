"""When a CronWorkflow makes workflows."""

import zoneinfo
from typing import Final

from wherry.pipelines.ir.reading import shown
from wherry.pipelines.workflows import schedules
from wherry.pipelines.workflows.checking.findings import FORBIDDEN, REQUIRED, Findings
from wherry.pipelines.workflows.expr import program
from wherry.pipelines.workflows.expr.errors import ExprError
from wherry.pipelines.workflows.messages import CronWorkflowSpec

_MOST: Final = 50
_LONGEST: Final = 256


def check(found: Findings, where: str, spec: CronWorkflowSpec) -> None:
    """Check the schedules of a CronWorkflow, and what goes with them."""
    if spec.schedules and spec.schedule:
        found.add(where, "only one of schedules, schedule may be given", FORBIDDEN)
    places = {f"schedules[{place}]": text for place, text in enumerate(spec.schedules)}
    if spec.schedule:
        places["schedule"] = spec.schedule
    if not places:
        found.add(f"{where}.schedules", "at least one schedule is missing", REQUIRED)
    if len(places) > _MOST:
        found.add(f"{where}.schedules", f"{len(places)} schedules; at most {_MOST} may be")
    for place, text in places.items():
        _schedule(found, f"{where}.{place}", text)
    _zone(found, f"{where}.timezone", spec.timezone)
    _numbers(found, where, spec)
    _stop(found, f"{where}.stopStrategy", spec)


def _schedule(found: Findings, where: str, text: str) -> None:
    wanted = "use minute, hour, day of month, month, day of week (*/5 * * * *), or @daily"
    if len(text) > _LONGEST:
        found.add(where, f"{len(text)} characters; at most {_LONGEST} may be")
        return
    try:
        schedules.parse(text)
    except ValueError:
        found.add(where, f"{shown(text)} is no schedule: {wanted}")


def _zone(found: Findings, where: str, name: str) -> None:
    try:
        if name:
            zoneinfo.ZoneInfo(name)
    except (ValueError, OSError, zoneinfo.ZoneInfoNotFoundError):
        found.add(where, f"there is no time zone {shown(name)}; write for example Europe/Berlin")


def _numbers(found: Findings, where: str, spec: CronWorkflowSpec) -> None:
    for name, number in (
        ("startingDeadlineSeconds", spec.starting_deadline_seconds),
        ("successfulJobsHistoryLimit", spec.successful_jobs_history_limit),
        ("failedJobsHistoryLimit", spec.failed_jobs_history_limit),
    ):
        if number is not None and number < 0:
            found.add(f"{where}.{name}", f"{number} is below 0")


def _stop(found: Findings, where: str, spec: CronWorkflowSpec) -> None:
    strategy = spec.stop_strategy
    if strategy is None:
        return
    text = strategy.expression or strategy.condition
    if not text:
        found.add(f"{where}.expression", "an expression is missing, such as failed >= 3", REQUIRED)
        return
    try:
        program.parse(text)
    except ExprError as error:
        found.add(f"{where}.expression", f"{shown(text)} is no expression: {error}")
