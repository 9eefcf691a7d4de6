"""Rows of the ``batch`` group."""

import datetime
from typing import Any

from wherry.apiserver.tables import texts
from wherry.apiserver.tables.layout import AGE, CONTAINERS, IMAGES, NAME, SELECTOR, Layout, column
from wherry.objects import metadata
from wherry.objects.requests import Object

_WIDE = (CONTAINERS, IMAGES, SELECTOR)


def _completions(spec: dict[str, Any], status: dict[str, Any]) -> str:
    done = status.get("succeeded", 0)
    if spec.get("completions") is not None:
        return f"{done}/{spec['completions']}"
    parallelism = spec.get("parallelism") or 0
    return f"{done}/1 of {parallelism}" if parallelism > 1 else f"{done}/1"


def _duration(status: dict[str, Any], now: datetime.datetime) -> str:
    if not status.get("startTime"):
        return ""
    ended = status.get("completionTime")
    end = metadata.parse_time(ended) if ended else now
    return texts.human_duration((end - metadata.parse_time(status["startTime"])).total_seconds())


def _job_state(job: Object) -> str:
    conditions = (job.get("status") or {}).get("conditions")
    true = [c["type"] for c in conditions or () if c.get("status") == "True"]
    for kind in ("Complete", "Failed"):
        if kind in true:
            return kind
    if job["metadata"].get("deletionTimestamp"):
        return "Terminating"
    for kind in ("Suspended", "FailureTarget"):
        if kind in true:
            return kind
    return "Running"


def _job(job: Object, now: datetime.datetime) -> list[Any]:
    spec, status = job.get("spec") or {}, job.get("status") or {}
    return [
        job["metadata"]["name"],
        _job_state(job),
        _completions(spec, status),
        _duration(status, now),
        texts.age(job, now),
        *texts.containers((spec.get("template") or {}).get("spec") or {}),
        texts.selector_or_none(spec.get("selector")),
    ]


def _cron_job(obj: Object, now: datetime.datetime) -> list[Any]:
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    job = (spec.get("jobTemplate") or {}).get("spec") or {}
    last = status.get("lastScheduleTime")
    return [
        obj["metadata"]["name"],
        spec.get("schedule", ""),
        spec.get("timeZone") or texts.NONE,
        texts.truth(spec.get("suspend")),
        len(status.get("active") or ()),
        texts.since(last, now) if last else texts.NONE,
        texts.age(obj, now),
        *texts.containers((job.get("template") or {}).get("spec") or {}),
        texts.selector_or_none(job.get("selector")),
    ]


TABLES = {
    "jobs.batch": Layout(
        (
            NAME,
            column("Status", "What has become of the job."),
            column("Completions", "Pods that succeeded, of those wanted."),
            column("Duration", "Time from start to end, or until now."),
            AGE,
            *_WIDE,
        ),
        _job,
    ),
    "cronjobs.batch": Layout(
        (
            NAME,
            column("Schedule", "When jobs are made, in cron's language."),
            column("Timezone", "Time zone of the schedule."),
            column("Suspend", "Whether no jobs are made for now.", kind="boolean"),
            column("Active", "Jobs that are running.", kind="integer"),
            column("Last Schedule", "Time since the last job was made."),
            AGE,
            *_WIDE,
        ),
        _cron_job,
    ),
}
