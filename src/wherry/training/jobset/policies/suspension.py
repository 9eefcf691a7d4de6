"""What suspending and resuming changes in Jobs. Pure."""

from collections.abc import Iterator, Mapping
from typing import Any

from wherry.objects.copies import copied
from wherry.objects.requests import Object
from wherry.training.jobset.counting import Tally, replicated_job
from wherry.training.jobset.job_set import JobSet
from wherry.training.jobset.policies import dependencies, startup


def changes(job_set: JobSet, tally: Tally) -> Iterator[tuple[Object, Object]]:
    """Yield the Jobs to suspend or resume, each with the merge patch that does it."""
    if job_set.spec.suspend:
        for job in tally.active:
            if not job["spec"].get("suspend"):
                yield job, {"spec": {"suspend": True}}
        return
    templates = {
        each.name: (each.template.get("spec") or {}).get("template") or {}
        for each in startup.startable(job_set, tally)
        if dependencies.are_met(job_set, each, tally)
    }
    for job in tally.active:
        name = replicated_job(job)
        if job["spec"].get("suspend") and name in templates:
            template = _placed(templates[name], job["spec"]["template"])
            made: Object = {"suspend": False}
            if template:
                made["template"] = template
            yield job, {"spec": made}


def _placed(wanted: Mapping[str, Any], there: Mapping[str, Any]) -> Object:
    """Return what a queue has written about where pods run since the Job was made.

    Merged, not replaced: others have added labels and tolerations to the Job as well.
    """
    made: Object = {}
    for part, fields in (
        ("metadata", ("labels", "annotations")),
        ("spec", ("nodeSelector", "tolerations", "schedulingGates")),
    ):
        given, present = wanted.get(part) or {}, there.get(part) or {}
        for field in fields:
            value, old = given.get(field), present.get(field)
            merged = _merged(value, old) if value else old
            if merged != old:
                made.setdefault(part, {})[field] = copied({field: merged})[field]
    return made


def _merged(value: Any, old: Any) -> Any:
    if isinstance(value, dict):
        return {**(old or {}), **value}
    return [*(old or ()), *(each for each in value if each not in (old or ()))]
