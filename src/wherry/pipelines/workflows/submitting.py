"""A workflow from a template that is kept: what a client submits by name, a schedule or an event begins. Pure."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from wherry.objects import errors, metadata
from wherry.objects.requests import Object
from wherry.objects.resources import Resource
from wherry.pipelines.workflows import kinds

_TEMPLATE_LABELS: Final = {
    kinds.WORKFLOW_TEMPLATES.kind: kinds.WORKFLOW_TEMPLATE_LABEL,
    kinds.CLUSTER_WORKFLOW_TEMPLATES.kind: kinds.CLUSTER_WORKFLOW_TEMPLATE_LABEL,
}
_SOURCES: Final[Mapping[str, Resource]] = {
    "workflowtemplate": kinds.WORKFLOW_TEMPLATES,
    "clusterworkflowtemplate": kinds.CLUSTER_WORKFLOW_TEMPLATES,
    "cronworkflow": kinds.CRON_WORKFLOWS,
}
_WORDS: Final = {
    "workflow-template": "workflowtemplate",
    "workflowtemplates": "workflowtemplate",
    "wftmpl": "workflowtemplate",
    "cluster-workflow-template": "clusterworkflowtemplate",
    "clusterworkflowtemplates": "clusterworkflowtemplate",
    "cwft": "clusterworkflowtemplate",
    "cron-workflow": "cronworkflow",
    "cronworkflows": "cronworkflow",
    "cronwf": "cronworkflow",
}
_COPIED: Final = ("labels", "annotations")


def source(word: str, field: str) -> Resource:
    """Return the kind that a submitter names, of which a workflow can be made.

    Args:
        word: As it was said.
        field: Where, for errors.

    Raises:
        BadRequestError: it is none.
    """
    told = word.lower()
    resource = _SOURCES.get(_WORDS.get(told, told))
    if resource is None:
        raise errors.BadRequestError(f"{field}: {told[:50]!r}: want one of {', '.join(_SOURCES)}")
    return resource


def made_of(resource: Resource, found: Object) -> Object:
    """Return a workflow of a template or a schedule.

    Args:
        resource: Its kind.
        found: The template or schedule.
    """
    if resource is kinds.CRON_WORKFLOWS:
        return of_cron(found)
    return of_template({**found, "kind": resource.kind})


def of_template(template: Object) -> Object:
    """Return a workflow that refers to a `WorkflowTemplate` or `ClusterWorkflowTemplate`."""
    kind, name = template["kind"], metadata.name(template)
    reference: Object = {"name": name}
    if kind == kinds.CLUSTER_WORKFLOW_TEMPLATES.kind:
        reference["clusterScope"] = True
    labels = {_TEMPLATE_LABELS[kind]: name}
    return _made(f"{name}-", labels, template["spec"], {"workflowTemplateRef": reference})


def of_cron(cron: Object) -> Object:
    """Return a workflow as a `CronWorkflow` begins one."""
    name, spec = metadata.name(cron), cron["spec"]
    workflow_spec = dict(spec.get("workflowSpec") or {})
    made = _made(f"{name}-", {kinds.CRON_WORKFLOW_LABEL: name}, {}, workflow_spec)
    given = spec.get("workflowMetadata") or {}
    for field in _COPIED:
        if given.get(field):
            made["metadata"][field] = {**given[field], **made["metadata"].get(field, {})}
    return made


def _made(generated: str, labels: Object, template_spec: Object, spec: Object) -> Object:
    head: Object = {"generateName": generated, "labels": labels}
    given = template_spec.get("workflowMetadata") or {}
    for field in _COPIED:
        if given.get(field):
            head[field] = {**given[field], **head.get(field, {})}
    return {
        "apiVersion": kinds.WORKFLOWS.api_version,
        "kind": kinds.WORKFLOWS.kind,
        "metadata": head,
        "spec": spec,
    }


def with_options(workflow: Object, options: Mapping[str, Any]) -> Object:
    """Return a workflow with what its submitter says.

    Args:
        workflow: As it would be without.
        options: Upstream's ``SubmitOpts``: name, generateName, entryPoint, parameters (``name=value``),
            serviceAccount, labels and annotations (``a=b,c=d``), priority, podPriorityClassName, ownerReference.

    Raises:
        BadRequestError: one of them is not what it should be.
    """
    head, spec = {**workflow["metadata"]}, {**workflow["spec"]}
    for key in ("name", "generateName"):
        if options.get(key):
            head.pop("generateName", None)
            head[key] = options[key]
    for key, field in (
        ("entryPoint", "entrypoint"),
        ("serviceAccount", "serviceAccountName"),
        ("podPriorityClassName", "podPriorityClassName"),
    ):
        if options.get(key):
            spec[field] = options[key]
    if options.get("priority") is not None:
        spec["priority"] = options["priority"]
    for field in _COPIED:
        text = options.get(field)
        if text:
            head[field] = {**(head.get(field) or {}), **_pairs(text, f"submitOptions.{field}")}
    if options.get("ownerReference"):
        head["ownerReferences"] = [*(head.get("ownerReferences") or ()), options["ownerReference"]]
    with_parameters(spec, options.get("parameters") or ())
    return {**workflow, "metadata": head, "spec": spec}


def with_parameters(spec: Object, given: Iterable[str]) -> None:
    """Set arguments of a workflow's spec, in place.

    Args:
        spec: Of the workflow; its ``arguments`` are made anew.
        given: Each ``name=value``.

    Raises:
        BadRequestError: one has no ``=``.
    """
    values = {}
    for text in given:
        name, found, value = str(text).partition("=")
        if not found or not name:
            raise errors.BadRequestError(f"parameters: {str(text)[:100]!r}: want name=value")
        values[name] = value
    if not values:
        return
    arguments = dict(spec.get("arguments") or {})
    present = [each for each in arguments.get("parameters") or () if each.get("name") not in values]
    made = [{"name": name, "value": value} for name, value in values.items()]
    spec["arguments"] = {**arguments, "parameters": [*present, *made]}


def _pairs(text: str, where: str) -> dict[str, str]:
    made = {}
    for part in filter(None, str(text).split(",")):
        key, found, value = part.partition("=")
        if not found:
            raise errors.BadRequestError(
                f"{where}: {part[:100]!r}: want key=value, separated by commas"
            )
        made[key.strip()] = value.strip()
    return made
