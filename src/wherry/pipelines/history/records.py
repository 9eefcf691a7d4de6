"""What the history holds, as values. Pure.

All times are whole milliseconds since 1970 UTC; 0: not yet, or never. Ids are texts that clients see.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Final

from wherry.objects.resources import Resource
from wherry.pipelines import kinds

WORKFLOW_SETTINGS: Final[Mapping[str, Any]] = {"kind": kinds.WORKFLOWS.kind}
"""Of runs that are Argo Workflows, instead of what the spec of a PipelineRun says."""

AVAILABLE: Final = "AVAILABLE"
ARCHIVED: Final = "ARCHIVED"

DEFAULT_EXPERIMENT: Final = "Default"
"""Display name of the experiment of runs that name none; there is one in each namespace."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Experiment:
    """A group of runs. One of a namespace and display name exists once.

    Attributes:
        experiment_id: Given by the history where it is empty.
        namespace: Whose it is.
        display_name: What people call it; at most 256 characters.
        description: For people.
        storage_state: `AVAILABLE` or `ARCHIVED`.
        created_at: Given by the history where it is 0.
        last_run_created_at: When the newest of its runs was created.
    """

    experiment_id: str = ""
    namespace: str = ""
    display_name: str = ""
    description: str = ""
    storage_state: str = AVAILABLE
    created_at: int = 0
    last_run_created_at: int = 0


@dataclass(frozen=True, slots=True)
class Became:
    """A run became something.

    Attributes:
        state: Of the words of `wherry.pipelines.kinds`.
        at: When it was seen.
        error: Why.
    """

    state: str
    at: int
    error: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A run of a pipeline. Its tasks are the executions of `wherry.metadata` with this run id.

    Attributes:
        run_id: The uid of its object; of a run that was made anew, that of the first.
        namespace: Whose it is.
        name: Of its object.
        display_name: What people call it.
        description: For people.
        storage_state: `AVAILABLE` or `ARCHIVED`; set by what archives runs and experiments alone.
        state: Of the words of `wherry.pipelines.kinds`.
        states: All that it has become, oldest first; the history adds what is new.
        error: Why it failed, or what it waits for.
        experiment_id: It is in this one.
        recurring_run_id: Of the schedule that made it; empty: none did.
        pipeline_id: Of the pipeline that it runs; empty: it brought one along.
        pipeline_version_id: Likewise.
        pipeline_name: As the compiled file says.
        pipeline_root: Where its artifacts are.
        service_account: Of its pods.
        created_at: When its (first) object was created.
        scheduled_at: For when it was meant; of runs that no schedule made, `created_at`.
        finished_at: When it ended.
        runtime_config: What it is run with: ``parameters``, ``artifacts``, ``pipelineRoot``.
        outputs: Parameters that the pipeline gave, where they are small.
        settings: The rest of its object's spec, but for the two below; or `WORKFLOW_SETTINGS`.
        labels: Of its object.
        annotations: Of its object.
        object_uid: Of the object that it is now.
        resource_version: Of that object, when this was taken from it.
        retries: How often it was taken up again.
        gone: Whether there is no object any more.
        pipeline_spec: What the compiler wrote; empty in lists that were not asked for it.
        platform_spec: Likewise, the second document.
    """

    run_id: str
    namespace: str
    name: str
    display_name: str = ""
    description: str = ""
    storage_state: str = AVAILABLE
    state: str = ""
    states: tuple[Became, ...] = ()
    error: str = ""
    experiment_id: str = ""
    recurring_run_id: str = ""
    pipeline_id: str = ""
    pipeline_version_id: str = ""
    pipeline_name: str = ""
    pipeline_root: str = ""
    service_account: str = ""
    created_at: int = 0
    scheduled_at: int = 0
    finished_at: int = 0
    runtime_config: Mapping[str, Any] = field(default_factory=dict)
    outputs: Mapping[str, Any] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    object_uid: str = ""
    resource_version: int = 0
    retries: int = 0
    gone: bool = False
    pipeline_spec: Mapping[str, Any] = field(default_factory=dict)
    platform_spec: Mapping[str, Any] = field(default_factory=dict)

    @property
    def resource(self) -> Resource:
        """What its object is: a `PipelineRun`, or an Argo `Workflow`."""
        is_workflow = self.settings.get("kind") == WORKFLOW_SETTINGS["kind"]
        return kinds.WORKFLOWS if is_workflow else kinds.PIPELINE_RUNS


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """What was reported of a run in the first version of the API. One of a node and name exists once.

    Attributes:
        run_id: Of the run.
        node_id: Of the node that has reported it; at most 128 characters.
        name: Of it; likewise.
        number: Its value.
        format: How it is shown.
    """

    run_id: str
    node_id: str
    name: str
    number: float
    format: str = ""


class Reported(Enum):
    """What has become of a metric that was reported."""

    KEPT = "kept"
    DUPLICATE = "duplicate"
    """Its node has reported one of its name."""
    NO_ROOM = "no room"
    """Its run has as many as it may."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Deletion:
    """A run that is being deleted: it is in no list any more, and what it has left goes.

    Attributes:
        run_id: Its id.
        namespace: Whose it was.
        name: Of its object.
        object_uid: Likewise.
        pipeline_name: Of its pipeline.
        pipeline_root: Where its artifacts are; empty: it never had any.
        service_account: Of its pods.
        at: When it was asked for.
        planned: Whether it was found out what goes and what stays.
        remove: URIs of what its steps have made and nobody else uses.
        keep: URIs of what its steps have made and others still use.
    """

    run_id: str
    namespace: str
    name: str
    object_uid: str
    pipeline_name: str
    pipeline_root: str
    service_account: str
    at: int
    planned: bool = False
    remove: tuple[str, ...] = ()
    keep: tuple[str, ...] = ()
