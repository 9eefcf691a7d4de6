"""What users write of a schedule: `ScheduledWorkflow`, its spec and its status.

Source: kubeflow/pipelines 2.17, ``backend/src/crd/pkg/apis/scheduledworkflow/v1beta1``. Beyond it:
`timeZone` of a cron schedule, `pipelineVersionName`, names of pipelines for `pipelineName`, and in
the status `countsFrom` and `observedTrigger`.
"""

from dataclasses import dataclass
from typing import Any, Final

from wherry.objects.declared.fields import about
from wherry.objects.declared.kind import Column
from wherry.objects.resources import Resource

GROUP: Final = "kubeflow.org"
V1BETA1: Final = "v1beta1"

SCHEDULED_WORKFLOWS: Final = Resource(
    group=GROUP,
    version=V1BETA1,
    plural="scheduledworkflows",
    kind="ScheduledWorkflow",
    singular="scheduledworkflow",
    short_names=("swf",),
    categories=("kubeflow", "wherry"),
    subresources=("status",),
)

_LABELS: Final = "scheduledworkflows.kubeflow.org"
NAME_LABEL: Final = f"{_LABELS}/scheduledWorkflowName"
"""Of runs: name of their schedule, cut to what a label may be."""
EPOCH_LABEL: Final = f"{_LABELS}/workflowEpoch"
"""Of runs: the slot they are for, in seconds since 1970 UTC."""
INDEX_LABEL: Final = f"{_LABELS}/workflowIndex"
"""Of runs: their number among the runs of their schedule, from 1."""
DISPLAY_NAME_ANNOTATION: Final = "pipelines.kubeflow.org/display-name"
"""Of schedules: what people call them."""

MAX_CONCURRENCY: Final = 10
MAX_HISTORY: Final = 100
MAX_PARAMETERS: Final = 1000
MAX_PARAMETER: Final = 64 * 1024
"""Characters of a parameter's value."""

ENABLED: Final = "Enabled"
DISABLED: Final = "Disabled"
RUNNING: Final = "Running"
SUCCEEDED: Final = "Succeeded"
ERROR: Final = "Error"
WAITING: Final = "Waiting"
"""Reason of a condition: there are as many runs as there may be."""

_ID: Final = 63
_SECONDS: Final = 2**31 - 1


@dataclass(frozen=True, slots=True)
class CronSchedule:
    """Runs at times of day."""

    cron: str = about(
        "Second, minute, hour, day of month, month, day of week (which may be left out), such as "
        "'0 30 9 * * MON-FRI'; or @hourly, @daily, @weekly, @monthly, @yearly.",
        "",
        maxLength=256,
    )
    time_zone: str = about(
        "Where these are read, such as Europe/Berlin; UTC by default.", "", maxLength=64
    )
    start_time: str = about(
        "Runs are later; by default when the schedule is made.", "", format="date-time"
    )
    end_time: str = about("No run is later.", "", format="date-time")


@dataclass(frozen=True, slots=True)
class PeriodicSchedule:
    """Runs at a distance from one another."""

    interval_second: int | None = about(
        "Seconds from one to the next.", minimum=1, maximum=_SECONDS
    )
    start_time: str = about(
        "They are counted from it; by default from when the schedule is made.",
        "",
        format="date-time",
    )
    end_time: str = about("No run is later.", "", format="date-time")


@dataclass(frozen=True, slots=True)
class Trigger:
    """When runs are made: one of both; without either one run is made at once."""

    cron_schedule: CronSchedule | None = about("At times of day.")
    periodic_schedule: PeriodicSchedule | None = about("At a distance from one another.")


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of each run."""

    name: str = about("Its name.", "", required=True, maxLength=_ID * 4)
    value: str = about(
        "Its value, as JSON or as plain text. [[ScheduledTime]], [[CurrentTime]], [[Index]] and "
        "[[RunUUID]] stand for what their names say; [[ScheduledTime.2006-01-02]] says how.",
        "",
        maxLength=MAX_PARAMETER,
    )


@dataclass(frozen=True, slots=True)
class WorkflowResource:
    """What each run is given."""

    parameters: tuple[Parameter, ...] = about(
        "Values of the pipeline's parameters.", (), maxItems=MAX_PARAMETERS
    )
    pipeline_root: str = about("Where artifacts go.", "", maxLength=1024)
    spec: Any = about(
        "The pipeline itself, if it is not one that is kept by name: what the compiler of kfp "
        "writes, as an object, or as text; with platformSpec beside it as {pipelineSpec, platformSpec}."
    )


@dataclass(frozen=True, slots=True)
class ScheduledWorkflowSpec:
    """When runs are made, and of what."""

    enabled: bool = about("Whether runs are made.", filled=False)
    max_concurrency: int | None = about(
        "So many of its runs there are at once.", filled=1, minimum=1, maximum=MAX_CONCURRENCY
    )
    no_catchup: bool = about(
        "Whether of the times that have passed only the last one is made up for; else all are, "
        "one after the other.",
        filled=False,
    )
    max_history: int | None = about(
        "So many runs that have ended the status tells of, and keep their objects; the history has all.",
        filled=10,
        minimum=0,
        maximum=MAX_HISTORY,
    )
    trigger: Trigger | None = about("When.")
    workflow: WorkflowResource | None = about("What each run is given.")
    pipeline_id: str = about("The Pipeline to run, by its uid.", "", maxLength=_ID)
    pipeline_version_id: str = about(
        "The version of it, by its uid; by default the latest at the time.", "", maxLength=_ID
    )
    pipeline_name: str = about(
        "The Pipeline by its name, where pipelineId is not said: in this namespace, else among the "
        "shared ones.",
        "",
        maxLength=253,
    )
    pipeline_version_name: str = about(
        "The version of it, by its name, where pipelineVersionId is not said.", "", maxLength=253
    )
    experiment_id: str = about("The experiment that its runs are in.", "", maxLength=_ID)
    service_account: str = about("ServiceAccount of their pods.", "", maxLength=253)
    plugins_input: dict[str, Any] = about("Kept as it is; nothing here reads it.", dict)


@dataclass(frozen=True, slots=True)
class ScheduledWorkflowCondition:
    """How the schedule stands."""

    type: str = about("Enabled, Disabled, Running, Succeeded or Error.", "")
    status: str = about("True.", "")
    reason: str = about("In one word.", "")
    message: str = about("In a sentence.", "")


@dataclass(frozen=True, slots=True)
class TriggerStatus:
    """How far the schedule is."""

    last_triggered_time: str = about("The last slot that was run.", "", format="date-time")
    next_triggered_time: str = about("The next one, if it is enabled.", "", format="date-time")
    last_workflow_index: int | None = about("Number of the last run, from 1.")
    counts_from: str = about(
        "Since when slots count, where the trigger was changed after the last one.",
        "",
        format="date-time",
    )
    observed_trigger: str = about("Which trigger this speaks of.", "")


@dataclass(frozen=True, slots=True)
class WorkflowStatus:
    """A run."""

    name: str = about("Its name.", "")
    namespace: str = about("Its namespace.", "")
    uid: str = about("Its uid.", "")
    phase: str = about("Its state.", "")
    message: str = about("Why.", "")
    created_at: str = about("When it was made.", "", format="date-time")
    started_at: str = about("When it began.", "", format="date-time")
    finished_at: str = about("When it ended.", "", format="date-time")
    scheduled_at: str = about("Its slot.", "", format="date-time")
    index: int | None = about("Its number among the schedule's runs, from 1.")


@dataclass(frozen=True, slots=True)
class WorkflowHistory:
    """The schedule's runs, the latest first."""

    active: tuple[WorkflowStatus, ...] = about("Those that have not ended.", ())
    completed: tuple[WorkflowStatus, ...] = about("Those that have, as many as maxHistory.", ())


@dataclass(frozen=True, slots=True)
class ScheduledWorkflowStatus:
    """How a schedule stands."""

    conditions: tuple[ScheduledWorkflowCondition, ...] = about("One.", ())
    trigger: TriggerStatus | None = about("How far it is.")
    workflow_history: WorkflowHistory | None = about("Its runs.")


COLUMNS: Final = (
    Column("Enabled", "boolean", ".spec.enabled"),
    Column("Status", "string", ".status.conditions[0].type"),
    Column("Last", "date", ".status.trigger.lastTriggeredTime"),
    Column("Next", "string", ".status.trigger.nextTriggeredTime"),
    Column("Runs", "integer", ".status.trigger.lastWorkflowIndex"),
    Column("Message", "string", ".status.conditions[0].message", priority=1),
)
