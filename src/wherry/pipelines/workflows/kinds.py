"""What Argo's objects are called, and what is written on them and on their pods.

Source: argo-workflows after 4.1.2, ``pkg/apis/workflow/register.go``, ``workflow/common/common.go`` and
``manifests/base/crds/minimal``. Neither Workflow nor CronWorkflow has a status subresource there, and none here:
clients that resume or stop a workflow write its status with it.
"""

from typing import Final

from wherry.objects.declared.kind import Column
from wherry.objects.requests import Object
from wherry.objects.resources import Resource
from wherry.pipelines import kinds as runs

GROUP: Final = "argoproj.io"
V1ALPHA1: Final = "v1alpha1"
API_VERSION: Final = f"{GROUP}/{V1ALPHA1}"


def _resource(
    kind: str, *short_names: str, namespaced: bool = True, subresources: tuple[str, ...] = ()
) -> Resource:
    return Resource(
        group=GROUP,
        version=V1ALPHA1,
        plural=f"{kind.lower()}s",
        kind=kind,
        singular=kind.lower(),
        namespaced=namespaced,
        short_names=short_names,
        categories=("wherry",),
        subresources=subresources,
    )


WORKFLOWS: Final = runs.WORKFLOWS
WORKFLOW_TEMPLATES: Final = _resource("WorkflowTemplate", "wftmpl")
CLUSTER_WORKFLOW_TEMPLATES: Final = _resource(
    "ClusterWorkflowTemplate", "clusterwftmpl", "cwft", namespaced=False
)
CRON_WORKFLOWS: Final = _resource("CronWorkflow", "cwf", "cronwf")
TASK_RESULTS: Final = _resource("WorkflowTaskResult")
TASK_SETS: Final = _resource("WorkflowTaskSet", "wfts", subresources=("status",))
ARTIFACT_GC_TASKS: Final = _resource("WorkflowArtifactGCTask", "wfat", subresources=("status",))
EVENT_BINDINGS: Final = _resource("WorkflowEventBinding", "wfeb")

_WORKFLOWS: Final = WORKFLOWS.key
COMPLETED_LABEL: Final = runs.COMPLETED_LABEL
PHASE_LABEL: Final = f"{_WORKFLOWS}/phase"
WORKFLOW_LABEL: Final = f"{_WORKFLOWS}/workflow"
"""Of pods, claims …: the workflow's name."""
COMPONENT_LABEL: Final = f"{_WORKFLOWS}/component"
CREATOR_LABEL: Final = f"{_WORKFLOWS}/creator"
RESUBMITTED_LABEL: Final = f"{_WORKFLOWS}/resubmitted-from-workflow"
CRON_WORKFLOW_LABEL: Final = f"{_WORKFLOWS}/cron-workflow"
"""Of workflows: the schedule that made them."""
WORKFLOW_TEMPLATE_LABEL: Final = f"{_WORKFLOWS}/workflow-template"
CLUSTER_WORKFLOW_TEMPLATE_LABEL: Final = f"{_WORKFLOWS}/cluster-workflow-template"
ON_EXIT_LABEL: Final = f"{_WORKFLOWS}/on-exit"
BACKFILL_LABEL: Final = f"{_WORKFLOWS}/backfill"
ARCHIVING_LABEL: Final = f"{_WORKFLOWS}/workflow-archiving-status"
PARALLELISM_LABEL: Final = f"{_WORKFLOWS}/parallelism-limit"
CONFIG_MAP_TYPE_LABEL: Final = f"{_WORKFLOWS}/configmap-type"
"""Of ConfigMaps: ``Cache`` for kept results, ``Parameter`` for values of parameters."""
CONFIG_MAP_CACHE: Final = "Cache"
CRON_COMPLETED_LABEL: Final = f"{CRON_WORKFLOWS.key}/completed"
"""Of schedules that have stopped."""

NODE_ID_ANNOTATION: Final = f"{_WORKFLOWS}/node-id"
NODE_NAME_ANNOTATION: Final = f"{_WORKFLOWS}/node-name"
NODE_TYPE_ANNOTATION: Final = f"{_WORKFLOWS}/node-type"
NODE_START_ANNOTATION: Final = f"{_WORKFLOWS}/node-start-time"
"""Of events: when the node began, in nanoseconds since the epoch."""
PROGRESS_ANNOTATION: Final = f"{_WORKFLOWS}/progress"
SCHEDULED_TIME_ANNOTATION: Final = f"{_WORKFLOWS}/scheduled-time"
"""Of workflows: for when they were meant, RFC 3339."""
LAST_SCHEDULE_ANNOTATION: Final = f"{CRON_WORKFLOWS.key}/last-used-schedule"
"""Of schedules: the schedules, with their time zone, that its status is about."""

POD_FINALIZER: Final = f"{_WORKFLOWS}/status"
"""Holds a pod until what became of it is kept."""

MAX_SPEC_BYTES: Final = 1024 * 1024
"""A spec that is larger, as JSON, is refused: the object has to fit where objects are kept."""

_OPEN: Final[Object] = {
    "type": "object",
    "x-kubernetes-preserve-unknown-fields": True,
    "x-kubernetes-map-type": "atomic",
}
SPEC: Final[Object] = {"required": ["spec"], "properties": {"spec": _OPEN}}
"""The schema of kinds that upstream's API takes as they are; what is wrong with them `admission` says."""
SPEC_AND_STATUS: Final[Object] = {
    "required": ["spec"],
    "properties": {"spec": _OPEN, "status": _OPEN},
}
RESULT: Final[Object] = {
    "properties": {
        "message": {"type": "string"},
        "phase": {"type": "string"},
        "progress": {"type": "string"},
        "outputs": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
    }
}
WORKFLOW_COLUMNS: Final = (
    Column("Status", "string", ".status.phase"),
    Column("Age", "date", ".status.startedAt"),
    Column("Message", "string", ".status.message"),
)
