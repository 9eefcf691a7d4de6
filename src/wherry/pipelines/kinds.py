"""What a run of a pipeline is made of: `PipelineRun`, its spec and its status.

The pipeline itself is Kubeflow's, in the form that the `kfp` compiler writes (`ir`). History is not
here but in the metadata database: the status stays small however large the graph is.
"""

from dataclasses import dataclass
from typing import Any, Final

from wherry.objects.declared.fields import about
from wherry.objects.declared.kind import Column
from wherry.objects.declared.structural import CONDITIONS
from wherry.objects.resources import Resource

GROUP: Final = "wherry.dev"
VERSION: Final = "v1"

PIPELINE_RUNS: Final = Resource(
    group=GROUP,
    version=VERSION,
    plural="pipelineruns",
    kind="PipelineRun",
    singular="pipelinerun",
    short_names=("pr",),
    categories=("all", "kubeflow", "wherry"),
    subresources=("status",),
)

WORKFLOWS: Final = Resource(
    group="argoproj.io",
    version="v1alpha1",
    plural="workflows",
    kind="Workflow",
    singular="workflow",
    short_names=("wf",),
    categories=("wherry",),
)
"""Argo's; runs of what version 1 of KFP has compiled are such objects."""

FINALIZER: Final = "wherry.dev/pipeline-run"
"""Holds a step's pod until its outputs are harvested, and a run until its steps are told to end."""

RUN_LABEL: Final = "wherry.dev/pipeline-run"
"""Of pods and claims: the run's name."""
TASK_LABEL: Final = "wherry.dev/pipeline-task"
"""Of pods: the task's name, cut to what a label may be."""
PATH_ANNOTATION: Final = "wherry.dev/pipeline-path"
"""Of pods: the task's place in the graph, such as ``root/for-loop-1[3]/train``."""
ATTEMPT_ANNOTATION: Final = "wherry.dev/pipeline-attempt"
EXPERIMENT_LABEL: Final = "pipelines.kubeflow.org/experiment-id"
"""Of runs: the experiment that they are in; without it the default one of the namespace."""
RECURRING_RUN_LABEL: Final = "pipelines.kubeflow.org/recurring-run-id"
"""Of runs: uid of the ScheduledWorkflow that made them."""
PIPELINE_LABEL: Final = "pipelines.kubeflow.org/pipeline-id"
"""Of runs: uid of the Pipeline that they were made from."""
PIPELINE_VERSION_LABEL: Final = "pipelines.kubeflow.org/pipeline-version-id"
"""Of runs: uid of its PipelineVersion."""
DESCRIPTION_ANNOTATION: Final = "pipelines.kubeflow.org/description"
SCHEDULED_ANNOTATION: Final = "pipelines.kubeflow.org/scheduled-at"
"""Of runs: for when they were meant, RFC 3339."""
RUN_ID_ANNOTATION: Final = "wherry.dev/pipeline-run-id"
"""Of a run that was made anew once its object was gone: the uid of the first."""
COMPLETED_LABEL: Final = "workflows.argoproj.io/completed"
"""Of workflows and their pods: whether they have ended, ``true`` or ``false``."""
RUN_NAME_ANNOTATION: Final = "pipelines.kubeflow.org/run_name"
"""Of workflows that are runs: what people call them."""
UPSTREAM_RUN_LABEL: Final = "pipeline/runid"
UPSTREAM_COMPONENT_LABEL: Final = "pipelines.kubeflow.org/v2_component"

PENDING: Final = "PENDING"
RUNNING: Final = "RUNNING"
SUCCEEDED: Final = "SUCCEEDED"
FAILED: Final = "FAILED"
CANCELING: Final = "CANCELING"
CANCELED: Final = "CANCELED"
PAUSED: Final = "PAUSED"
FINAL_STATES: Final = (SUCCEEDED, FAILED, CANCELED)

URLS_SECRET: Final = "wherry-pipelines-urls"  # noqa: S105 - the name of a Secret
"""By whose key URLs are signed that whoever has one may read an artifact by."""
CONDITION_RUNNING: Final = "Running"
CONDITION_SUCCEEDED: Final = "Succeeded"
CONDITION_FAILED: Final = "Failed"
CONDITION_CANCELED: Final = "Canceled"

FAIL_SLOW: Final = "FAIL_SLOW"
FAIL_FAST: Final = "FAIL_FAST"
FAILURE_POLICIES: Final = (FAIL_SLOW, FAIL_FAST)

MAX_SPEC_BYTES: Final = 1024 * 1024
"""A spec that is larger, as JSON, is refused: the object has to fit where objects are kept."""
MAX_LISTED: Final = 20
"""So many running and so many failed tasks the status names at most."""
MAX_RETRY_TASKS: Final = 100
"""So many tasks may be named to begin again."""
MAX_OUTPUT_BYTES: Final = 16 * 1024
"""Outputs of the pipeline that are larger, as JSON, are in the database only."""

_ATOMIC: Final[dict[str, Any]] = {"x-kubernetes-list-type": "atomic"}
_TEXT: Final = 1024
_YEAR_SECONDS: Final = 366 * 24 * 3600


@dataclass(frozen=True, slots=True)
class RuntimeConfig:
    """What the pipeline is run with."""

    parameters: dict[str, Any] = about("Values of the pipeline's parameters, by name.", dict)
    artifacts: dict[str, str] = about("URIs of the pipeline's input artifacts, by name.", dict)
    pipeline_root: str = about(
        "Where artifacts go: a URL such as s3://bucket/folder; by default what the pipeline says, "
        "else the namespace's folder.",
        "",
        maxLength=_TEXT,
    )


@dataclass(frozen=True, slots=True)
class Retry:
    """A run that has ended is taken up again."""

    number: int = about(
        "How often it was taken up with this time: one more than status.retries.",
        1,
        minimum=1,
        maximum=1_000_000,
    )
    from_tasks: tuple[str, ...] = about(
        "Places of tasks such as root/train that are done again though they have succeeded, and "
        "what depends on them too. Tasks that failed are done again in any case.",
        (),
        maxItems=MAX_RETRY_TASKS,
        **_ATOMIC,
    )


@dataclass(frozen=True, slots=True)
class PipelineRunSpec:
    """A run of a pipeline."""

    pipeline_spec: dict[str, Any] = about("The pipeline, as the compiler of kfp writes it.", dict)
    platform_spec: dict[str, Any] = about("The compiled file's second document, if any.", dict)
    runtime_config: RuntimeConfig | None = about("What it is run with.")
    display_name: str = about("What people call the run; its name by default.", "", maxLength=256)
    enable_cache: bool | None = about(
        "Whether results of earlier runs are taken: false never, true always; by default as "
        "compiled, task by task."
    )
    cache_expiry_seconds: int | None = about(
        "How old such a result may be; by default any age.", minimum=0, maximum=100 * _YEAR_SECONDS
    )
    service_account_name: str = about("ServiceAccount of its pods.", "", maxLength=253)
    failure_policy: str = about(
        "FAIL_SLOW: what does not depend on a failed task goes on. FAIL_FAST: nothing new begins "
        "after a failure.",
        filled=FAIL_SLOW,
        enum=[*FAILURE_POLICIES],
    )
    timeout_seconds: int | None = about(
        "After so long it fails, and what runs is ended.", minimum=1, maximum=_YEAR_SECONDS
    )
    ttl_seconds_after_finished: int | None = about(
        "So long after its end it is deleted, with its pods; artifacts and history stay.",
        minimum=0,
        maximum=100 * _YEAR_SECONDS,
    )
    pod_ttl_seconds_after_finished: int | None = about(
        "So long after the run's end its pods are deleted; by default they go with the run.",
        name="podTTLSecondsAfterFinished",
        minimum=0,
        maximum=100 * _YEAR_SECONDS,
    )
    suspend: bool = about("While true no task begins; what runs goes on.", filled=False)
    terminate: bool = about("True ends the run: it is CANCELED.", filled=False)
    retry: Retry | None = about("Takes the run up again once it has ended.")


@dataclass(frozen=True, slots=True)
class TaskNote:
    """A task that the status names."""

    path: str = about("Its place in the graph, such as root/for-loop-1[3]/train.", "")
    state: str = about("Its state.", "")
    pod_name: str = about("Its pod, if it has one.", "")
    attempt: int | None = about("Number of the attempt, from 0.")
    message: str = about("What it waits for, or why it failed.", "")


@dataclass(frozen=True, slots=True)
class TaskCounts:
    """Tasks by state; what is not known yet, such as the turns of a loop to come, is not counted."""

    total: int | None = about("All that are known.")
    pending: int | None = about("Not begun.")
    running: int | None = about("Running.")
    succeeded: int | None = about("Succeeded.")
    cached: int | None = about("Taken from an earlier run.")
    failed: int | None = about("Failed.")
    skipped: int | None = about("Not run, for a condition or for what came before.")
    canceled: int | None = about("Ended from outside.")


@dataclass(frozen=True, slots=True)
class PipelineRunStatus:
    """How far a run is."""

    observed_generation: int | None = about("Generation of the spec that this speaks of.")
    state: str = about("PENDING, RUNNING, PAUSED, SUCCEEDED, FAILED, CANCELING or CANCELED.", "")
    conditions: tuple[dict[str, Any], ...] = about(
        "Running, Succeeded, Failed, Canceled.", (), **CONDITIONS
    )
    pipeline_name: str = about("Name of the pipeline.", "")
    start_time: str = about("When it began.", "", format="date-time")
    completion_time: str = about("When it ended.", "", format="date-time")
    retries: int | None = about("How often it was taken up again.")
    retry_time: str = about("When it was last taken up again.", "", format="date-time")
    progress: str = about("Tasks that have ended, of those that are known, such as 7/12.", "")
    tasks: TaskCounts | None = about("Tasks by state.")
    running_tasks: tuple[TaskNote, ...] = about(f"At most {MAX_LISTED}.", (), maxItems=MAX_LISTED)
    failed_tasks: tuple[TaskNote, ...] = about(f"At most {MAX_LISTED}.", (), maxItems=MAX_LISTED)
    outputs: dict[str, Any] = about("Outputs of the pipeline, where they are small.", dict)
    pipeline_root: str = about("Where its artifacts are.", "")
    message: str = about("What it waits for, or why it failed.", "")


COLUMNS: Final = (
    Column("State", "string", ".status.state"),
    Column("Progress", "string", ".status.progress"),
    Column("Pipeline", "string", ".status.pipelineName", priority=1),
    Column("Message", "string", ".status.message", priority=1),
)
