"""Argo's objects as kinds."""

from typing import Final

from wherry.objects.declared.kind import Column, Kind, Version
from wherry.objects.declared.late import Late
from wherry.objects.requests import Object
from wherry.objects.resources import Resource
from wherry.pipelines.workflows import kinds

_ADMISSION: Final = "wherry.pipelines.workflows.admission"


def _kind(
    resource: Resource,
    schema: Object,
    description: str,
    *,
    columns: tuple[Column, ...] = (),
    validate: str = "",
    warnings: str = "",
) -> Kind:
    """Return a kind of one version; `validate` and `warnings` are functions of `admission`, empty: none."""
    version = Version(
        name=kinds.V1ALPHA1,
        schema=schema,
        subresources=resource.subresources,
        columns=columns,
        description=description,
    )
    return Kind(
        resource=resource,
        versions=(version,),
        validate=Late(_ADMISSION, validate) if validate else None,
        warnings=Late(_ADMISSION, warnings) if warnings else None,
    )


KINDS: Final = (
    _kind(
        kinds.WORKFLOWS,
        kinds.SPEC_AND_STATUS,
        "Steps, in an order or a graph, that are run once.",
        columns=kinds.WORKFLOW_COLUMNS,
        validate="validate",
        warnings="warnings",
    ),
    _kind(
        kinds.WORKFLOW_TEMPLATES,
        kinds.SPEC,
        "Templates that workflows of a namespace may use.",
        validate="template",
        warnings="warnings",
    ),
    _kind(
        kinds.CLUSTER_WORKFLOW_TEMPLATES,
        kinds.SPEC,
        "Templates that all workflows may use.",
        validate="template",
        warnings="warnings",
    ),
    _kind(
        kinds.CRON_WORKFLOWS,
        kinds.SPEC_AND_STATUS,
        "Workflows at times of day.",
        validate="cron_workflow",
        warnings="cron_warnings",
    ),
    _kind(kinds.TASK_RESULTS, kinds.RESULT, "What became of a node, as clients may read it."),
    _kind(kinds.TASK_SETS, kinds.SPEC_AND_STATUS, "Tasks of an agent; nothing here makes any."),
    _kind(
        kinds.ARTIFACT_GC_TASKS,
        kinds.SPEC_AND_STATUS,
        "Artifacts that are to be deleted; nothing here makes any.",
    ),
    _kind(kinds.EVENT_BINDINGS, kinds.SPEC, "Events on which workflows are submitted."),
)
