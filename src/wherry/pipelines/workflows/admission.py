"""What is wrong with Argo's objects, in their own words. Pure.

What a workflow finds in a WorkflowTemplate is checked when it runs: templates come and go.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from wherry.objects import metadata
from wherry.objects.errors import Cause
from wherry.objects.requests import Object
from wherry.pipelines.workflows import engines, kinds, reading
from wherry.pipelines.workflows.checking import schedules, specs
from wherry.pipelines.workflows.checking.findings import Findings
from wherry.pipelines.workflows.checking.specs import Role
from wherry.pipelines.workflows.messages import CronWorkflowSpec, WorkflowSpec

TOO_LONG: Final = "FieldValueTooLong"
LONGEST_NAME: Final = 63
LONGEST_CRON_NAME: Final = 52
"""The names of its workflows end with the time."""


def validate(workflow: Object, old: Object | None) -> Sequence[Cause]:
    """Return what is wrong with a Workflow.

    Args:
        workflow: The object.
        old: As it was before; None: it is new.
    """
    return _checked(workflow, old, LONGEST_NAME, lambda found: _workflow(found, workflow))


def template(obj: Object, old: Object | None) -> Sequence[Cause]:
    """Return what is wrong with a WorkflowTemplate or ClusterWorkflowTemplate; see `validate`."""
    return _checked(obj, old, LONGEST_NAME, lambda found: _template(found, obj))


def cron_workflow(obj: Object, old: Object | None) -> Sequence[Cause]:
    """Return what is wrong with a CronWorkflow; see `validate`."""
    return _checked(obj, old, LONGEST_CRON_NAME, lambda found: _cron(found, obj))


def warnings(obj: Object) -> list[str]:
    """Return which fields of a workflow or template are not known: they are kept, and do nothing."""
    return _unknown(WorkflowSpec, obj)


def cron_warnings(obj: Object) -> list[str]:
    """Return which fields of a CronWorkflow are not known."""
    return _unknown(CronWorkflowSpec, obj)


def _unknown(kind: type[Any], obj: Object) -> list[str]:
    read = reading.read(kind, obj.get("spec"), "spec")
    return [f"{cause.field}: {cause.message}" for cause in read.unknown]


def _checked(
    obj: Object, old: Object | None, longest: int, check: Callable[[Findings], None]
) -> Sequence[Cause]:
    found = Findings()
    _engine(found, obj, old)
    # Whoever writes a status writes the object with it; what runs is not looked at again.
    if old is not None and old.get("spec") == obj.get("spec"):
        return tuple(found.causes)
    name = metadata.name(obj)
    if len(name) > longest:
        message = f"{name!r} has {len(name)} characters; at most {longest} may be"
        found.add("metadata.name", message, TOO_LONG)
    size = len(json.dumps(obj.get("spec")))
    if size > kinds.MAX_SPEC_BYTES:
        message = f"{size} bytes as JSON; at most {kinds.MAX_SPEC_BYTES} can be kept"
        found.add("spec", message, TOO_LONG)
    else:
        check(found)
    return found.causes


def _engine(found: Findings, obj: Object, old: Object | None) -> None:
    """Check who is to run it, which is not changed under way."""
    told = metadata.annotations(obj).get(engines.ANNOTATION)
    field = f"metadata.annotations[{engines.ANNOTATION}]"
    before = told if old is None else metadata.annotations(old).get(engines.ANNOTATION)
    complaint = "may not be changed" if told != before else told and engines.wrong(told)
    if complaint:
        found.add(field, complaint)


def _workflow(found: Findings, obj: Object) -> None:
    _spec(found, obj, Role.WORKFLOW, _notes(obj))


def _template(found: Findings, obj: Object) -> None:
    _spec(found, obj, Role.TEMPLATE, {})


def _cron(found: Findings, obj: Object) -> None:
    read = reading.read(CronWorkflowSpec, obj.get("spec"), "spec", unknown=False)
    for cause in read.causes:
        found.add(cause.field, cause.message, cause.reason)
    if read.causes:
        return
    schedules.check(found, "spec", read.message)
    notes = _notes({"metadata": read.message.workflow_metadata or {}})
    specs.check(
        found,
        "spec.workflowSpec",
        read.message.workflow_spec,
        role=Role.WORKFLOW,
        notes={**notes, "labels": (*notes["labels"], kinds.CRON_WORKFLOW_LABEL)},
    )


def _spec(found: Findings, obj: Object, role: Role, notes: Mapping[str, Sequence[str]]) -> None:
    read = reading.read(WorkflowSpec, obj.get("spec"), "spec", unknown=False)
    for cause in read.causes:
        found.add(cause.field, cause.message, cause.reason)
    if not read.causes:
        specs.check(found, "spec", read.message, role=role, notes=notes)


def _notes(obj: Mapping[str, Any]) -> Mapping[str, Sequence[str]]:
    meta = obj.get("metadata") or {}
    return {
        "labels": (*(meta.get("labels") or ()), *_GIVEN_LABELS),
        "annotations": (*(meta.get("annotations") or ()), kinds.SCHEDULED_TIME_ANNOTATION),
    }


_GIVEN_LABELS: Final = (
    kinds.COMPLETED_LABEL,
    kinds.PHASE_LABEL,
    kinds.CREATOR_LABEL,
    kinds.WORKFLOW_TEMPLATE_LABEL,
    kinds.CLUSTER_WORKFLOW_TEMPLATE_LABEL,
)
"""Labels that a workflow gets after it was made."""
