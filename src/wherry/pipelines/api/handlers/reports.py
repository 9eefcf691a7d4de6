"""What upstream's persistence agent reports: its workflows and schedules.

Here controllers watch these objects themselves, and what they see is what is kept: a report changes
nothing, for anybody who may send one could otherwise have a run be shown as what it is not. It is checked
as upstream does, and answered, so that an agent that is still there goes on in peace.
"""

from collections.abc import Mapping
from typing import Final

from wherry.objects import errors
from wherry.objects.requests import Object
from wherry.pipelines.api import wire
from wherry.pipelines.api.call import Call, Handler

_WANTED: Final = ("name", "namespace", "uid")


async def report_workflow(call: Call, request: Object) -> Object:
    """Take note of a workflow."""
    return await _reported(call, request, "workflow")


async def report_scheduled_workflow(call: Call, request: Object) -> Object:
    """Take note of a schedule."""
    return await _reported(call, request, "scheduled_workflow")


async def _reported(call: Call, request: Object, field: str) -> Object:
    try:
        told = wire.parse(request.get(field, "").encode())
    except (errors.BadRequestError, UnicodeEncodeError) as error:
        raise errors.BadRequestError(f"{field}: want an object, as JSON in a text") from error
    head = told.get("metadata") if isinstance(told, dict) else None
    if not isinstance(head, dict):
        raise errors.BadRequestError(f"{field}: metadata: is wanted")
    for name in _WANTED:
        if not head.get(name) or not isinstance(head[name], str):
            raise errors.BadRequestError(f"{field}: metadata.{name}: is wanted")
    await call.check(head["namespace"])
    return {}


HANDLERS: Final[Mapping[str, Handler]] = {
    "ReportService.ReportWorkflow": report_workflow,
    "ReportService.ReportWorkflowV1": report_workflow,
    "ReportService.ReportScheduledWorkflow": report_scheduled_workflow,
    "ReportService.ReportScheduledWorkflowV1": report_scheduled_workflow,
}
