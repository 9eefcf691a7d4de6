"""Whole workflows.

Source: argo-workflows after 4.1.2, ``workflow/validate/validate.go``, whose rules these are.
"""

import enum
from collections.abc import Iterable, Mapping
from typing import Final

from wherry.objects import selectors
from wherry.pipelines.workflows.checking import arguments, measures, named, pods, references
from wherry.pipelines.workflows.checking.findings import FORBIDDEN, REQUIRED, Findings
from wherry.pipelines.workflows.checking.references import Known
from wherry.pipelines.workflows.checking.templates import TemplateCheck
from wherry.pipelines.workflows.messages import WorkflowSpec

_WORKFLOW: Final = (
    *("workflow.name", "workflow.namespace", "workflow.mainEntrypoint", "workflow.uid"),
    *("workflow.serviceAccountName", "workflow.status", "workflow.priority"),
    *("workflow.labels", "workflow.labels.json"),
    *("workflow.annotations", "workflow.annotations.json"),
)


class Role(enum.Enum):
    """What a spec is written for."""

    WORKFLOW = "workflow"
    TEMPLATE = "template"
    """What others run: they say the rest."""


def check(
    found: Findings,
    where: str,
    spec: WorkflowSpec,
    *,
    role: Role,
    notes: Mapping[str, Iterable[str]],
) -> None:
    """Check a spec.

    Args:
        found: Where what is wrong is written down.
        where: Its place.
        spec: The spec.
        role: What it is written for.
        notes: The names of the ``labels`` and ``annotations`` of the workflow.
    """
    named.nodes(found, f"{where}.templates", spec.templates)
    arguments.check(found, f"{where}.arguments", spec.arguments, empty=_may_be_empty(spec, role))
    _selector(found, where, spec)
    measures.check(found, where, spec.metrics)
    pods.check_resources(found, f"{where}.podResources", spec.pod_resources)
    if spec.workflow_template_ref is not None:
        _reference(found, where, spec)
        return
    known = _known(spec, role, notes)
    templates = {template.name: template for template in spec.templates}
    checked = TemplateCheck(found, templates, spec.template_defaults, known)
    if role is Role.WORKFLOW:
        _entrypoint(found, where, spec, checked)
    else:
        checked.named(f"{where}.entrypoint", spec.entrypoint)
    checked.named(f"{where}.onExit", spec.on_exit)
    checked.hooks(f"{where}.hooks", spec.hooks)
    for place, template in enumerate(spec.templates):
        checked.template(f"{where}.templates[{place}]", template)


def _may_be_empty(spec: WorkflowSpec, role: Role) -> bool:
    return role is Role.TEMPLATE or spec.workflow_template_ref is not None


def _reference(found: Findings, where: str, spec: WorkflowSpec) -> None:
    ref = spec.workflow_template_ref
    if ref is not None and not ref.name:
        message = "the name of a WorkflowTemplate is missing"
        found.add(f"{where}.workflowTemplateRef.name", message, REQUIRED)
    if spec.templates:
        message = "a workflow either has templates, or refers to a WorkflowTemplate that has them"
        found.add(f"{where}.templates", message, FORBIDDEN)


def _entrypoint(found: Findings, where: str, spec: WorkflowSpec, checked: TemplateCheck) -> None:
    if not spec.entrypoint:
        message = "the name of the template that is run first is missing"
        found.add(f"{where}.entrypoint", message, REQUIRED)
        return
    template = checked.named(f"{where}.entrypoint", spec.entrypoint)
    if template is not None:
        arguments.check_given(found, f"{where}.arguments", template, spec.arguments)


def _selector(found: Findings, where: str, spec: WorkflowSpec) -> None:
    selector = spec.pod_gc.label_selector if spec.pod_gc else None
    if selector is None:
        return
    try:
        selectors.from_object(selector)
    except ValueError as error:
        found.add(f"{where}.podGC.labelSelector", str(error))


def _known(spec: WorkflowSpec, role: Role, notes: Mapping[str, Iterable[str]]) -> Known:
    known = Known({*_WORKFLOW})
    for parameter in spec.arguments.parameters:
        known.add(f"workflow.parameters.{parameter.name}")
    if spec.arguments.parameters:
        known.add("workflow.parameters", "workflow.parameters.json")
    known.add(*(f"workflow.arguments.artifacts.{each.name}" for each in spec.arguments.artifacts))
    more = spec.workflow_metadata
    labels = (*more.labels, *more.labels_from) if more else ()
    annotations = (*more.annotations,) if more else ()
    for kind, names in (("labels", labels), ("annotations", annotations)):
        every = (*names, *notes.get(kind, ()))
        known.add(*(f"workflow.{kind}.{name}" for name in every))
    if role is Role.TEMPLATE:
        # Whoever uses it may have more of them.
        for start in ("parameters", "labels", "annotations", "arguments"):
            known.add_all(f"workflow.{start}")
    if spec.on_exit or spec.hooks:
        known.add("workflow.failures")
    references.add_global_outputs(known, spec.templates)
    return known
