"""What a workflow consists of: templates, their steps and tasks, and where values come from.

Each class is one message of ``argoproj.io/v1alpha1``; `reading` makes them of dictionaries. A field that is not given
has its default here. Parts of pods (containers, volumes, affinity …) stay JSON, as the API has them. Classes with
``WRITTEN`` keep what they were read from beside it: variables are filled in there, and what comes of it is read again.

Source: argo-workflows after 4.1.2, ``pkg/apis/workflow/v1alpha1/workflow_types.go``; of versions before it
``synchronization.mutex`` and ``semaphore``, and ``schedule`` of a CronWorkflow.
"""

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final

from wherry.pipelines.workflows.leaves import (
    ContainerSet,
    DataTemplate,
    HttpTemplate,
    ResourceTemplate,
    ScriptTemplate,
    SuspendTemplate,
    UserContainer,
)
from wherry.pipelines.workflows.locations import Artifact, Location, Metadata
from wherry.pipelines.workflows.scalars import AnyText, IntOrText, Names, Object
from wherry.pipelines.workflows.surroundings import (
    Memoize,
    Metrics,
    PodGC,
    RetryStrategy,
    Synchronization,
    TTLStrategy,
    VolumeClaimGC,
    WorkflowArtifactGC,
    WorkflowMetadata,
)


@dataclass(frozen=True, slots=True)
class ValueFrom:
    """Where the value of a parameter is found; ``supplied`` is there if a person gives it."""

    path: str = ""
    json_path: str = ""
    jq_filter: str = ""
    event: str = ""
    parameter: str = ""
    supplied: Object | None = None
    config_map_key_ref: Object | None = None
    default: AnyText | None = None
    expression: str = ""


@dataclass(frozen=True, slots=True)
class Parameter:
    """A text with a name; numbers and booleans are texts too."""

    name: str = ""
    default: AnyText | None = None
    value: AnyText | None = None
    value_from: ValueFrom | None = None
    global_name: str = ""
    enum: tuple[AnyText, ...] | None = None
    description: AnyText | None = None


@dataclass(frozen=True, slots=True)
class Arguments:
    """What a template or a workflow is given."""

    parameters: tuple[Parameter, ...] = ()
    artifacts: tuple[Artifact, ...] = ()


@dataclass(frozen=True, slots=True)
class Inputs:
    """What a template takes."""

    parameters: tuple[Parameter, ...] = ()
    artifacts: tuple[Artifact, ...] = ()


@dataclass(frozen=True, slots=True)
class Outputs:
    """What a template gives."""

    parameters: tuple[Parameter, ...] = ()
    artifacts: tuple[Artifact, ...] = ()
    result: str | None = None
    exit_code: str | None = None


@dataclass(frozen=True, slots=True)
class TemplateRef:
    """A template of a WorkflowTemplate, or of a ClusterWorkflowTemplate."""

    name: str = ""
    template: str = ""
    cluster_scope: bool = False


@dataclass(frozen=True, slots=True)
class WorkflowTemplateRef:
    """A WorkflowTemplate, or a ClusterWorkflowTemplate."""

    name: str = ""
    cluster_scope: bool = False


@dataclass(frozen=True, slots=True)
class Sequence:
    """Numbers that a loop goes over: ``count`` of them, or up to ``end``."""

    count: IntOrText | None = None
    start: IntOrText | None = None
    end: IntOrText | None = None
    format: str = ""


@dataclass(frozen=True, slots=True)
class ContinueOn:
    """After what ends what follows goes on nevertheless."""

    error: bool = False
    failed: bool = False


@dataclass(frozen=True, slots=True)
class Hook:
    """A template that runs when an expression holds; the hook ``exit`` runs at the end."""

    template: str = ""
    arguments: Arguments = field(default_factory=Arguments)
    template_ref: TemplateRef | None = None
    expression: str = ""


EXIT: Final = "exit"
"""The hook that runs at the end."""


@dataclass(frozen=True, slots=True)
class Step:
    """One node of a template that consists of others."""

    WRITTEN: ClassVar[str] = "json"
    name: str = ""
    template: str = ""
    inline: "Template | None" = None
    arguments: Arguments = field(default_factory=Arguments)
    template_ref: TemplateRef | None = None
    with_items: tuple[Any, ...] = ()
    with_param: str = ""
    with_sequence: Sequence | None = None
    when: str = ""
    continue_on: ContinueOn = field(default_factory=ContinueOn)
    on_exit: str = ""
    hooks: Mapping[str, Hook] = field(default_factory=dict)
    json: Object = field(default_factory=dict, repr=False)

    @property
    def loops(self) -> bool:
        """Whether it stands for as many nodes as there are items."""
        return bool(self.with_items or self.with_param or self.with_sequence)


@dataclass(frozen=True, slots=True)
class Task(Step):
    """A node of a graph, which starts when what it depends on has ended as it wants."""

    dependencies: tuple[str, ...] = ()
    depends: str = ""


@dataclass(frozen=True, slots=True)
class Dag:
    """Tasks; ``target`` names those that count, by default all on which no other depends."""

    target: str = ""
    tasks: tuple[Task, ...] = ()
    fail_fast: bool | None = None


class TemplateType(enum.StrEnum):
    """What a template is; the value is the field that says so."""

    CONTAINER = "container"
    CONTAINER_SET = "containerSet"
    SCRIPT = "script"
    STEPS = "steps"
    DAG = "dag"
    RESOURCE = "resource"
    SUSPEND = "suspend"
    DATA = "data"
    HTTP = "http"
    PLUGIN = "plugin"


@dataclass(frozen=True, slots=True)
class Template:
    """Something that runs: a pod, a wait, or other templates."""

    WRITTEN: ClassVar[str] = "json"
    name: str = ""
    inputs: Inputs = field(default_factory=Inputs)
    outputs: Outputs = field(default_factory=Outputs)
    node_selector: Mapping[str, str] = field(default_factory=dict)
    affinity: Object | None = None
    metadata: Metadata = field(default_factory=Metadata)
    daemon: bool = False
    steps: tuple[tuple[Step, ...], ...] | None = None
    container: Object | None = None
    container_set: ContainerSet | None = None
    script: ScriptTemplate | None = None
    resource: ResourceTemplate | None = None
    dag: Dag | None = None
    suspend: SuspendTemplate | None = None
    data: DataTemplate | None = None
    http: HttpTemplate | None = None
    plugin: Object | None = None
    volumes: tuple[Object, ...] = ()
    init_containers: tuple[UserContainer, ...] = ()
    sidecars: tuple[UserContainer, ...] = ()
    archive_location: Location | None = None
    active_deadline_seconds: IntOrText | None = None
    retry_strategy: RetryStrategy | None = None
    parallelism: int | None = None
    fail_fast: bool | None = None
    tolerations: tuple[Object, ...] = ()
    scheduler_name: str = ""
    priority_class_name: str = ""
    service_account_name: str = ""
    automount_service_account_token: bool | None = None
    executor: Object | None = None
    host_aliases: tuple[Object, ...] = ()
    security_context: Object | None = None
    pod_spec_patch: str = ""
    metrics: Metrics | None = None
    synchronization: Synchronization | None = None
    memoize: Memoize | None = None
    timeout: str = ""
    annotations: Mapping[str, str] = field(default_factory=dict)
    pending_timeout: str = ""
    pod_resources: Object | None = None
    resource_claims: tuple[Object, ...] = ()
    json: Object = field(default_factory=dict, repr=False)

    @property
    def types(self) -> tuple[TemplateType, ...]:
        """All that it says it is; a template that may be used says one thing."""
        return tuple(
            kind
            for kind, given in (
                (TemplateType.CONTAINER, self.container),
                (TemplateType.CONTAINER_SET, self.container_set),
                (TemplateType.SCRIPT, self.script),
                (TemplateType.STEPS, self.steps),
                (TemplateType.DAG, self.dag),
                (TemplateType.RESOURCE, self.resource),
                (TemplateType.SUSPEND, self.suspend),
                (TemplateType.DATA, self.data),
                (TemplateType.HTTP, self.http),
                (TemplateType.PLUGIN, self.plugin),
            )
            if given is not None
        )


class Shutdown(enum.StrEnum):
    """How a workflow is ended before its time: with its exit handlers (Stop), or without."""

    TERMINATE = "Terminate"
    STOP = "Stop"


@dataclass(frozen=True, slots=True)
class WorkflowSpec:
    """A whole workflow."""

    WRITTEN: ClassVar[str] = "json"
    NAMES: ClassVar[Names] = {
        "pod_gc": "podGC",
        "artifact_gc": "artifactGC",
        "volume_claim_gc": "volumeClaimGC",
    }
    templates: tuple[Template, ...] = ()
    entrypoint: str = ""
    arguments: Arguments = field(default_factory=Arguments)
    service_account_name: str = ""
    automount_service_account_token: bool | None = None
    executor: Object | None = None
    volumes: tuple[Object, ...] = ()
    volume_claim_templates: tuple[Object, ...] = ()
    parallelism: int | None = None
    artifact_repository_ref: Object | None = None
    suspend: bool = False
    node_selector: Mapping[str, str] = field(default_factory=dict)
    affinity: Object | None = None
    tolerations: tuple[Object, ...] = ()
    image_pull_secrets: tuple[Object, ...] = ()
    host_network: bool | None = None
    dns_policy: str = ""
    dns_config: Object | None = None
    on_exit: str = ""
    ttl_strategy: TTLStrategy | None = None
    active_deadline_seconds: int | None = None
    priority: int | None = None
    scheduler_name: str = ""
    pod_gc: PodGC | None = None
    pod_priority_class_name: str = ""
    host_aliases: tuple[Object, ...] = ()
    security_context: Object | None = None
    pod_spec_patch: str = ""
    pod_disruption_budget: Object | None = None
    metrics: Metrics | None = None
    shutdown: Shutdown | None = None
    workflow_template_ref: WorkflowTemplateRef | None = None
    synchronization: Synchronization | None = None
    volume_claim_gc: VolumeClaimGC | None = None
    retry_strategy: RetryStrategy | None = None
    pod_metadata: Metadata | None = None
    template_defaults: Template | None = None
    archive_logs: bool | None = None
    hooks: Mapping[str, Hook] = field(default_factory=dict)
    workflow_metadata: WorkflowMetadata | None = None
    artifact_gc: WorkflowArtifactGC | None = None
    executor_plugins: tuple[Object, ...] = ()
    pod_resources: Object | None = None
    resource_claims: tuple[Object, ...] = ()
    json: Object = field(default_factory=dict, repr=False)


class ConcurrencyPolicy(enum.StrEnum):
    """What a schedule does while a workflow of its goes on."""

    ALLOW = "Allow"
    FORBID = "Forbid"
    REPLACE = "Replace"


@dataclass(frozen=True, slots=True)
class StopStrategy:
    """A schedule makes no more workflows once the expression holds."""

    expression: str = ""
    condition: str = ""


@dataclass(frozen=True, slots=True)
class CronWorkflowSpec:
    """When workflows are made, and of what."""

    workflow_spec: WorkflowSpec = field(default_factory=WorkflowSpec)
    schedules: tuple[str, ...] = ()
    schedule: str = ""
    concurrency_policy: ConcurrencyPolicy | None = None
    suspend: bool = False
    starting_deadline_seconds: int | None = None
    successful_jobs_history_limit: int | None = None
    failed_jobs_history_limit: int | None = None
    timezone: str = ""
    workflow_metadata: Object | None = None
    stop_strategy: StopStrategy | None = None
    when: str = ""
