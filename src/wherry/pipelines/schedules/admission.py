"""What is wrong with a schedule, in its own words. Pure."""

import datetime
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from wherry.objects import metadata
from wherry.objects.errors import Cause
from wherry.objects.requests import Object
from wherry.pipelines import kinds as runs
from wherry.pipelines import workflow_runs
from wherry.pipelines.definition import Pipeline
from wherry.pipelines.definitions import packages
from wherry.pipelines.ir.documents import PipelineError
from wherry.pipelines.schedules import given
from wherry.pipelines.schedules.trigger import Trigger

REQUIRED: Final = "FieldValueRequired"
TOO_LONG: Final = "FieldValueTooLong"
_YEARS: Final = (1970, 8999)
_SOME_TIME: Final = datetime.datetime(2000, 1, 1, tzinfo=datetime.UTC)
_REFERENCES: Final = ("pipelineId", "pipelineName", "pipelineVersionId")

_Part = Mapping[str, Any]


def validate(obj: Object, old: Object | None) -> Sequence[Cause]:
    """Return what is wrong with a ScheduledWorkflow; all of it may be changed at any time."""
    spec: _Part = obj.get("spec") or {}
    size = len(json.dumps(spec))
    if size > runs.MAX_SPEC_BYTES:
        message = f"{size} bytes as JSON; at most {runs.MAX_SPEC_BYTES}: keep the pipeline by name"
        return [Cause("spec", message, TOO_LONG)]
    return [*_trigger(spec.get("trigger") or {}), *_source(spec)]


def _trigger(trigger: _Part) -> Iterator[Cause]:
    names = [name for name in ("cronSchedule", "periodicSchedule") if trigger.get(name)]
    if len(names) > 1:
        yield Cause("spec.trigger", "there is cronSchedule and periodicSchedule; want one of them")
        return
    for name in names:
        times = [*_times(trigger[name], f"spec.trigger.{name}")]
        yield from times or _timed(trigger, f"spec.trigger.{name}")


def _times(schedule: _Part, field: str) -> Iterator[Cause]:
    for name in ("startTime", "endTime"):
        text = schedule.get(name)
        try:
            year = metadata.parse_time(text).year if text else _YEARS[0]
        except ValueError:
            yield Cause(f"{field}.{name}", f"{text!r} is no time such as 2026-01-31T12:00:00Z")
        else:
            if not _YEARS[0] <= year <= _YEARS[1]:
                yield Cause(f"{field}.{name}", f"want a year from {_YEARS[0]} to {_YEARS[1]}")


def _timed(trigger: _Part, field: str) -> Iterator[Cause]:
    if trigger.get("periodicSchedule") and not trigger["periodicSchedule"].get("intervalSecond"):
        yield Cause(f"{field}.intervalSecond", "say how many seconds, 1 or more", REQUIRED)
        return
    try:
        found = Trigger.of(trigger, _SOME_TIME)
    except ValueError as error:
        yield Cause(f"{field}.cron", str(error))
        return
    if found.start and found.end and found.end <= found.start:
        yield Cause(f"{field}.endTime", "must be later than startTime")
    elif found.times is not None and found.times.next(found.start or _SOME_TIME) is None:
        yield Cause(f"{field}.cron", "there is no such day: it never comes")


def _source(spec: _Part) -> Iterator[Cause]:
    workflow: _Part = spec.get("workflow") or {}
    embedded = workflow.get("spec")
    if embedded:
        yield from _embedded(embedded, workflow.get("parameters") or ())
    elif not any(spec.get(name) for name in _REFERENCES):
        message = (
            "say what is run: pipelineName or pipelineId for a pipeline that is kept by name, or the "
            "pipeline itself as workflow.spec"
        )
        yield Cause("spec", message, REQUIRED)


def _embedded(embedded: Any, parameters: Sequence[_Part]) -> Iterator[Cause]:
    try:
        documents = packages.read(embedded)
        if not workflow_runs.is_workflow(documents.spec):
            Pipeline(documents.spec, documents.platform)
    except PipelineError as error:
        yield from (_below("spec.workflow.spec", cause) for cause in error.causes)
        return
    try:
        given.check(documents, parameters)
    except PipelineError as error:
        yield from (_below("spec", cause) for cause in error.causes)


def _below(field: str, cause: Cause) -> Cause:
    return Cause(f"{field}.{cause.field}" if cause.field else field, cause.message, cause.reason)
