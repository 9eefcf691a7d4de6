"""Schedules as a kind."""

from typing import Final

from wherry.objects.declared.kind import Kind, Version
from wherry.objects.declared.late import Late
from wherry.pipelines.schedules import kinds

KIND: Final = Kind(
    resource=kinds.SCHEDULED_WORKFLOWS,
    versions=(
        Version(
            name=kinds.V1BETA1,
            spec=kinds.ScheduledWorkflowSpec,
            status=kinds.ScheduledWorkflowStatus,
            columns=kinds.COLUMNS,
            spec_required=True,
            description="A schedule: runs of a pipeline, made when they are due.",
        ),
    ),
    validate=Late("wherry.pipelines.schedules.admission", "validate"),
)
