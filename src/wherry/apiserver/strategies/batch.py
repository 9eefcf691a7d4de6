"""Jobs and CronJobs.

Source: ``pkg/apis/batch/v1/defaults.go``, ``pkg/apis/batch/validation``, ``pkg/registry/batch/job``.
"""

import re
import zoneinfo
from typing import Any

import croniter

from wherry.apiserver.strategies import causes, jobpolicies, workloads
from wherry.apiserver.strategies.podspecs import defaults, warnings
from wherry.apiserver.strategies.rules import Rules
from wherry.apiserver.strategy import Context
from wherry.objects import names
from wherry.objects.errors import Cause
from wherry.objects.requests import Object

UID_LABELS = ("batch.kubernetes.io/controller-uid", "controller-uid")
NAME_LABELS = ("batch.kubernetes.io/job-name", "job-name")

_MAX_CRON_JOB_NAME = 52
_COUNTS = (
    "parallelism",
    "completions",
    "activeDeadlineSeconds",
    "backoffLimit",
    "ttlSecondsAfterFinished",
    "backoffLimitPerIndex",
    "maxFailedIndexes",
)
_MACROS = {"@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@hourly"}
_EVERY = re.compile(r"@every ([0-9]+(\.[0-9]+)?(ns|us|ms|s|m|h))+")
_CONCURRENCY = frozenset({"Allow", "Forbid", "Replace"})
_MODES = frozenset({"NonIndexed", "Indexed"})
_MAX_INT = 2**31 - 1


def _default_job(obj: Object) -> None:
    spec = obj["spec"] = obj.get("spec") or {}
    if spec.get("completions") is None and spec.get("parallelism") is None:
        spec["completions"] = 1
    values: dict[str, Any] = {
        "parallelism": 1,
        "backoffLimit": 6 if spec.get("backoffLimitPerIndex") is None else _MAX_INT,
        "completionMode": "NonIndexed",
        "suspend": False,
        "manualSelector": False,
        "podReplacementPolicy": (
            "Failed" if spec.get("podFailurePolicy") else "TerminatingOrFailed"
        ),
    }
    for name, value in values.items():
        if spec.get(name) is None:
            spec[name] = value
    for rule in (spec.get("podFailurePolicy") or {}).get("rules") or ():
        for pattern in rule.get("onPodConditions") or ():
            pattern["status"] = pattern.get("status") or "True"
    template = spec.get("template")
    labels = ((template or {}).get("metadata") or {}).get("labels")
    if labels and not obj["metadata"].get("labels"):
        obj["metadata"]["labels"] = dict(labels)
    defaults.template(template)


def _create_job(obj: Object, context: Context) -> None:
    spec, meta = obj["spec"], obj["metadata"]
    if spec.get("manualSelector"):
        return
    template = spec["template"] = spec.get("template") or {}
    template["metadata"] = template.get("metadata") or {}
    labels = template["metadata"]["labels"] = template["metadata"].get("labels") or {}
    for label in UID_LABELS:
        labels.setdefault(label, meta["uid"])
    for label in NAME_LABELS:
        labels.setdefault(label, meta["name"])
    selector = spec["selector"] = spec.get("selector") or {}
    selector["matchLabels"] = selector.get("matchLabels") or {}
    selector["matchLabels"].setdefault(UID_LABELS[0], meta["uid"])


def _validate_job(obj: Object, old: Object | None, context: Context) -> list[Cause]:
    if context.subresource == "status":
        return []
    spec = obj.get("spec") or {}
    found = check_job_spec("spec", spec)
    found += workloads.check_selector("spec", spec.get("selector"), spec.get("template"))
    found += _indexed_name(obj, spec)
    if old is None:
        return found + ([] if spec.get("manualSelector") else _generated(obj, spec))
    return found + _job_changes(spec, old)


def _indexed_name(obj: Object, spec: dict[str, Any]) -> list[Cause]:
    completions, name = spec.get("completions"), obj["metadata"].get("name", "")
    if spec.get("completionMode") != "Indexed" or not completions:
        return []
    last = f"{name}-{completions - 1}"
    if not names.dns_label(last):
        return []
    why = f"will not able to create pod with invalid DNS label: {last}"
    return [causes.invalid("metadata.name", name, why)]


def _generated(obj: Object, spec: dict[str, Any]) -> list[Cause]:
    meta, where = obj["metadata"], "spec.template.metadata.labels"
    labels = ((spec.get("template") or {}).get("metadata") or {}).get("labels") or {}
    wanted = {label: meta.get("uid") for label in UID_LABELS}
    wanted |= {label: meta.get("name") for label in NAME_LABELS}
    found = [
        causes.invalid(f"{where}[{label}]", labels.get(label), f"must be '{value}'")
        for label, value in wanted.items()
        if labels.get(label) != value
    ]
    chosen = (spec.get("selector") or {}).get("matchLabels") or {}
    if any(wanted.get(label) != value for label, value in chosen.items()):
        found.append(
            causes.invalid("spec.selector", spec["selector"], "`selector` not auto-generated")
        )
    return found


def check_job_spec(path: str, spec: dict[str, Any]) -> list[Cause]:
    """Check a job's spec but for its selector, which templates of jobs do not have."""
    found = workloads.check_counts(path, spec, _COUNTS)
    found += causes.choice(f"{path}.completionMode", spec.get("completionMode"), _MODES)
    found += jobpolicies.check(path, spec)
    template = spec.get("template") or {}
    policy = (template.get("spec") or {}).get("restartPolicy")
    where = f"{path}.template.spec.restartPolicy"
    if policy == "Always":
        found.append(causes.required(where, 'valid values: "OnFailure", "Never"'))
    elif spec.get("podFailurePolicy") and policy != "Never":
        why = 'only "Never" is supported when podFailurePolicy is specified'
        found.append(causes.invalid(where, policy, why))
    accepted = ("OnFailure", "Never", "Always")
    return found + workloads.check_template(path, spec.get("template"), accepted)


def _job_changes(spec: dict[str, Any], old: Object) -> list[Cause]:
    before = old["spec"]
    found: list[Cause] = []
    for name in (
        "selector",
        "completionMode",
        "podFailurePolicy",
        "backoffLimitPerIndex",
        "managedBy",
    ):
        found += causes.unchanged(f"spec.{name}", spec.get(name), before.get(name))
    if spec.get("completions") != before.get("completions"):
        elastic = spec.get("completionMode") == "Indexed" and (
            spec.get("completions") == spec.get("parallelism")
        )
        if not elastic:
            found.append(causes.immutable("spec.completions", spec.get("completions")))
    return found + _template_changes(spec.get("template") or {}, before, old)


_DIRECTIVES = ("nodeSelector", "tolerations", "schedulingGates", "affinity")


def _template_changes(template: dict[str, Any], before: dict[str, Any], old: Object) -> list[Cause]:
    then = before.get("template") or {}
    if template == then:
        return []
    started = (old.get("status") or {}).get("startTime")
    if before.get("suspend") and not started and _undirected(template) == _undirected(then):
        # A job that has not begun may still be told where to run.
        return []
    return [causes.immutable("spec.template", template)]


def _undirected(template: dict[str, Any]) -> dict[str, Any]:
    spec = template.get("spec") or {}
    meta = template.get("metadata") or {}
    return {
        "meta": {k: v for k, v in meta.items() if k not in {"labels", "annotations"}},
        "spec": {k: v for k, v in spec.items() if k not in _DIRECTIVES},
    }


def _warn_job(obj: Object) -> list[str]:
    spec = obj.get("spec") or {}
    found = workloads.warn_template(obj)
    many = (spec.get("completions") or 0) > 100_000 and (spec.get("parallelism") or 0) > 10_000
    if many and spec.get("completionMode") == "Indexed":
        found.append(
            "In Indexed Jobs with a number of completions higher than 10^5 and a parallelism "
            "higher than 10^4, Kubernetes might not be able to track completedIndexes"
        )
    return found


def _job_fields(obj: Object) -> dict[str, str]:
    return {"status.successful": str((obj.get("status") or {}).get("succeeded", 0))}


def _default_cron_job(obj: Object) -> None:
    spec = obj["spec"] = obj.get("spec") or {}
    values: dict[str, Any] = {
        "concurrencyPolicy": "Allow",
        "suspend": False,
        "successfulJobsHistoryLimit": 3,
        "failedJobsHistoryLimit": 1,
    }
    for name, value in values.items():
        if spec.get(name) is None:
            spec[name] = value
    job = (spec.get("jobTemplate") or {}).get("spec") or {}
    defaults.template(job.get("template"))


def _validate_cron_job(obj: Object, old: Object | None, context: Context) -> list[Cause]:
    if context.subresource == "status":
        return []
    spec, name = obj.get("spec") or {}, obj["metadata"].get("name", "")
    found: list[Cause] = []
    if len(name) > _MAX_CRON_JOB_NAME:
        why = f"must be no more than {_MAX_CRON_JOB_NAME} characters"
        found.append(causes.invalid("metadata.name", name, why))
    found += check_schedule("spec.schedule", spec.get("schedule", ""))
    if spec.get("timeZone") is not None:
        found += check_time_zone("spec.timeZone", spec["timeZone"])
    policy = spec.get("concurrencyPolicy")
    found += causes.choice("spec.concurrencyPolicy", policy, _CONCURRENCY)
    counts = ("startingDeadlineSeconds", "successfulJobsHistoryLimit", "failedJobsHistoryLimit")
    found += workloads.check_counts("spec", spec, counts)
    job = (spec.get("jobTemplate") or {}).get("spec") or {}
    if job.get("manualSelector"):
        accepted = {"false"}
        where = "spec.jobTemplate.spec.manualSelector"
        found.append(causes.unsupported(where, job["manualSelector"], accepted))
    return found + check_job_spec("spec.jobTemplate.spec", job)


def check_schedule(path: str, schedule: str) -> list[Cause]:
    """Check a schedule: five fields, a macro such as ``@daily``, or ``@every 1h30m``."""
    if not schedule:
        return [causes.required(path)]
    if "TZ" in schedule:
        why = "cannot use TZ or CRON_TZ in schedule, use timeZone field instead"
        return [causes.invalid(path, schedule, why)]
    if schedule in _MACROS or _EVERY.fullmatch(schedule):
        return []
    if len(schedule.split()) == 5 and croniter.croniter.is_valid(schedule.replace("?", "*")):
        return []
    accepted = f"five fields as in '*/5 * * * *', {', '.join(sorted(_MACROS))}, or '@every 1h30m'"
    return [causes.invalid(path, schedule, f"is no schedule; accepted are {accepted}")]


def check_time_zone(path: str, zone: str) -> list[Cause]:
    """Check the name of a time zone, as the IANA database has it."""
    if not zone:
        return [causes.invalid(path, zone, "timeZone must be nil or non-empty string")]
    if zone.lower() == "local":
        why = "timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones"
        return [causes.invalid(path, zone, why)]
    try:
        zoneinfo.ZoneInfo(zone)
    except (ValueError, OSError, zoneinfo.ZoneInfoNotFoundError):
        return [causes.invalid(path, zone, f"unknown time zone {zone}")]
    return []


def _warn_cron_job(obj: Object) -> list[str]:
    spec = obj.get("spec") or {}
    job = (spec.get("jobTemplate") or {}).get("spec") or {}
    found = warnings.of(job.get("template") or {}, "spec.jobTemplate.spec.template.")
    name = obj["metadata"].get("name") or ""
    if names.dns_label(name):
        found.append(
            "metadata.name: this is used in Pod names and hostnames, which can result in surprising "
            f"behavior; a DNS label is recommended: {names.dns_label(name)}"
        )
    return found


STRATEGIES = {
    "jobs.batch": Rules(
        on_default=_default_job,
        on_create=_create_job,
        on_validate=_validate_job,
        on_warn=_warn_job,
        fields=_job_fields,
    ),
    "cronjobs.batch": Rules(
        on_default=_default_cron_job, on_validate=_validate_cron_job, on_warn=_warn_cron_job
    ),
}
