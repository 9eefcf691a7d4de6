"""`wherry workflows lint|cron|template`: what workflows are made of, in files and on the cluster."""

import datetime
import sys
from argparse import Namespace
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from wherry.cli import columns, failures, manifests, session
from wherry.cli.session import Session
from wherry.objects import metadata
from wherry.objects.errors import Cause
from wherry.objects.requests import Object
from wherry.pipelines.workflows import admission, kinds

Check = Callable[[Object, Object | None], Sequence[Cause]]
Warn = Callable[[Object], Sequence[str]]
_CHECKS: Final[Mapping[str, tuple[Check, Warn]]] = {
    kinds.WORKFLOWS.kind: (admission.validate, admission.warnings),
    kinds.WORKFLOW_TEMPLATES.kind: (admission.template, admission.warnings),
    kinds.CLUSTER_WORKFLOW_TEMPLATES.kind: (admission.template, admission.warnings),
    kinds.CRON_WORKFLOWS.kind: (admission.cron_workflow, admission.cron_warnings),
}
_CRON_HEADINGS: Final = ["NAME", "SCHEDULE", "SUSPENDED", "LAST", "AGE"]
_TEMPLATE_HEADINGS: Final = ["NAME", "AGE"]


def lint(options: Namespace) -> int:
    """Print what is wrong, and what is doubtful, line by line; only the former is a failure."""
    bad = 0
    for manifest in manifests.read(options.files, generated=True):
        known = _CHECKS.get(str(manifest.obj.get("kind")))
        wrong, doubtful = [manifest.error] if manifest.error else [], []
        if not wrong and known is None:
            wrong = [f"kind: {str(manifest.obj['kind'])[:80]!r}: want one of {', '.join(_CHECKS)}"]
        elif not wrong and known is not None:
            wrong = [f"{each.field}: {each.message}" for each in known[0](manifest.obj, None)]
            doubtful = [] if wrong else [*known[1](manifest.obj)]
        bad += bool(wrong)
        for word, texts in (("error", wrong), ("warning", doubtful)):
            for text in texts:
                print(f"{manifest.place}: {word}: {text}")
        if not wrong and not doubtful:
            print(f"{manifest.place}: ok")
    return failures.FAILURE if bad else failures.SUCCESS


def cron(options: Namespace) -> int:
    """List schedules, hold them, or have them go on."""

    async def work(opened: Session, options: Namespace) -> int:
        if options.deed == "list":
            return await _list(opened, options, _CRON_HEADINGS, _cron_row)
        held = options.deed == "suspend"
        for name in options.names:
            change = {"spec": {"suspend": held}}
            await opened.client.patch(kinds.CRON_WORKFLOWS, name, change, opened.namespace)
            print(f"schedule {name} {'suspended' if held else 'resumed'}")
        return failures.SUCCESS

    return session.run(options, work)


def templates(options: Namespace) -> int:
    """List templates."""

    async def work(opened: Session, options: Namespace) -> int:
        return await _list(opened, options, _TEMPLATE_HEADINGS, _template_row)

    return session.run(options, work)


async def _list(
    opened: Session,
    options: Namespace,
    headings: Sequence[str],
    row: Callable[[Object, datetime.datetime], list[str]],
) -> int:
    schedules = headings is _CRON_HEADINGS
    resource = kinds.CRON_WORKFLOWS if schedules else kinds.WORKFLOW_TEMPLATES
    everywhere = options.all_namespaces
    found = await opened.client.list(resource, None if everywhere else opened.namespace)
    if found.items:
        print("\n".join(columns.newest_first(found, headings, row, everywhere=everywhere)))
    else:
        print(f"there are no {'schedules' if schedules else 'templates'}", file=sys.stderr)
    return failures.SUCCESS


def _cron_row(schedule: Object, now: datetime.datetime) -> list[str]:
    spec, told = schedule["spec"], schedule.get("status") or {}
    last = told.get("lastScheduledTime")
    return [
        metadata.name(schedule),
        columns.cell(", ".join(spec.get("schedules") or [str(spec.get("schedule") or "")])),
        columns.cell(bool(spec.get("suspend"))),
        columns.span(now - metadata.parse_time(last)) if last else "<never>",
        _age(schedule, now),
    ]


def _template_row(template: Object, now: datetime.datetime) -> list[str]:
    return [metadata.name(template), _age(template, now)]


def _age(obj: Object, now: datetime.datetime) -> str:
    return columns.span(now - metadata.parse_time(obj["metadata"]["creationTimestamp"]))
