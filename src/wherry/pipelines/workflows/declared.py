"""Argo's objects as kinds."""

from typing import Final

from wherry.objects.declared.kind import Column, Kind, Version
from wherry.objects.declared.late import Late
from wherry.objects.requests import Object
from wherry.objects.resources import Resource
from wherry.pipelines.workflows import kinds

_ADMISSION: Final = "wherry.pipelines.workflows.admission"


def _version(
    schema: Object, resource: Resource, description: str, columns: tuple[Column, ...] = ()
) -> tuple[Version, ...]:
    return (
        Version(
            name=kinds.V1ALPHA1,
            schema=schema,
            subresources=resource.subresources,
            columns=columns,
            description=description,
        ),
    )


KINDS: Final = (
    Kind(
        resource=kinds.WORKFLOWS,
        versions=_version(
            kinds.SPEC_AND_STATUS,
            kinds.WORKFLOWS,
            "Steps, in an order or a graph, that are run once.",
            kinds.WORKFLOW_COLUMNS,
        ),
        validate=Late(_ADMISSION, "validate"),
        warnings=Late(_ADMISSION, "warnings"),
    ),
    Kind(
        resource=kinds.WORKFLOW_TEMPLATES,
        versions=_version(
            kinds.SPEC, kinds.WORKFLOW_TEMPLATES, "Templates that workflows of a namespace may use."
        ),
        validate=Late(_ADMISSION, "template"),
        warnings=Late(_ADMISSION, "warnings"),
    ),
    Kind(
        resource=kinds.CLUSTER_WORKFLOW_TEMPLATES,
        versions=_version(
            kinds.SPEC, kinds.CLUSTER_WORKFLOW_TEMPLATES, "Templates that all workflows may use."
        ),
        validate=Late(_ADMISSION, "template"),
        warnings=Late(_ADMISSION, "warnings"),
    ),
    Kind(
        resource=kinds.CRON_WORKFLOWS,
        versions=_version(
            kinds.SPEC_AND_STATUS, kinds.CRON_WORKFLOWS, "Workflows at times of day."
        ),
        validate=Late(_ADMISSION, "cron_workflow"),
        warnings=Late(_ADMISSION, "cron_warnings"),
    ),
    Kind(
        resource=kinds.TASK_RESULTS,
        versions=_version(
            kinds.RESULT, kinds.TASK_RESULTS, "What became of a node, as clients may read it."
        ),
    ),
    Kind(
        resource=kinds.TASK_SETS,
        versions=_version(
            kinds.SPEC_AND_STATUS, kinds.TASK_SETS, "Tasks of an agent; nothing here makes any."
        ),
    ),
    Kind(
        resource=kinds.ARTIFACT_GC_TASKS,
        versions=_version(
            kinds.SPEC_AND_STATUS,
            kinds.ARTIFACT_GC_TASKS,
            "Artifacts that are to be deleted; nothing here makes any.",
        ),
    ),
    Kind(
        resource=kinds.EVENT_BINDINGS,
        versions=_version(
            kinds.SPEC, kinds.EVENT_BINDINGS, "Events on which workflows are submitted."
        ),
    ),
)
