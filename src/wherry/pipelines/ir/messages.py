"""What a pipeline consists of: components, tasks, and where their values come from.

Each class is one message; `reading` makes them of dictionaries. A field that is not given has its default here, which
is the one of the protocol. ``ONE_OF`` names groups of fields of which at most one may be given.
"""

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, NewType

Json = Any
Seconds = NewType("Seconds", float)
"""A length of time; written as in ``30s``."""

Groups = tuple[tuple[str, ...], ...]


class ParameterType(enum.StrEnum):
    """What a parameter may be."""

    UNSPECIFIED = "PARAMETER_TYPE_ENUM_UNSPECIFIED"
    NUMBER_DOUBLE = "NUMBER_DOUBLE"
    NUMBER_INTEGER = "NUMBER_INTEGER"
    STRING = "STRING"
    BOOLEAN = "BOOLEAN"
    LIST = "LIST"
    STRUCT = "STRUCT"
    TASK_FINAL_STATUS = "TASK_FINAL_STATUS"
    TASK_CONFIG = "TASK_CONFIG"


class PrimitiveType(enum.StrEnum):
    """What a parameter was before `ParameterType`."""

    UNSPECIFIED = "PRIMITIVE_TYPE_UNSPECIFIED"
    INT = "INT"
    DOUBLE = "DOUBLE"
    STRING = "STRING"


class Strategy(enum.StrEnum):
    """What must have become of the tasks before this one."""

    UNSPECIFIED = "TRIGGER_STRATEGY_UNSPECIFIED"
    SUCCEEDED = "ALL_UPSTREAM_TASKS_SUCCEEDED"
    COMPLETED = "ALL_UPSTREAM_TASKS_COMPLETED"


class PassedThrough(enum.StrEnum):
    """A part of a pod's settings that a task may be told of."""

    NONE = "NONE"
    RESOURCES = "RESOURCES"
    ENV = "ENV"
    AFFINITY = "KUBERNETES_AFFINITY"
    TOLERATIONS = "KUBERNETES_TOLERATIONS"
    NODE_SELECTOR = "KUBERNETES_NODE_SELECTOR"
    VOLUMES = "KUBERNETES_VOLUMES"


@dataclass(frozen=True, slots=True)
class Value:
    """Any JSON value; null too, which is something other than no value."""

    json: Json


@dataclass(frozen=True, slots=True)
class TypedValue:
    """A value in the form from before `Value`."""

    ONE_OF: ClassVar[Groups] = (("int_value", "double_value", "string_value"),)
    int_value: int | None = None
    double_value: float | None = None
    string_value: str | None = None


@dataclass(frozen=True, slots=True)
class ValueOrParameter:
    """A value that is written down, or the name of an input that has it."""

    ONE_OF: ClassVar[Groups] = (("constant_value", "runtime_parameter", "constant"),)
    constant_value: TypedValue | None = None
    runtime_parameter: str | None = None
    constant: Value | None = None


@dataclass(frozen=True, slots=True)
class ArtifactType:
    """What an artifact is, e.g. ``system.Dataset``."""

    ONE_OF: ClassVar[Groups] = (("schema_title", "schema_uri", "instance_schema"),)
    schema_title: str | None = None
    schema_uri: str | None = None
    instance_schema: str | None = None
    schema_version: str = ""


@dataclass(frozen=True, slots=True)
class InputArtifact:
    """An artifact that a component takes."""

    artifact_type: ArtifactType = field(default_factory=ArtifactType)
    is_artifact_list: bool = False
    is_optional: bool = False
    description: str = ""


@dataclass(frozen=True, slots=True)
class InputParameter:
    """A parameter that a component takes; ``literals`` are all the values that it may have."""

    type: PrimitiveType = PrimitiveType.UNSPECIFIED
    parameter_type: ParameterType = ParameterType.UNSPECIFIED
    default_value: Value | None = None
    is_optional: bool = False
    description: str = ""
    literals: tuple[Value, ...] = ()


@dataclass(frozen=True, slots=True)
class Inputs:
    """All that a component takes."""

    artifacts: Mapping[str, InputArtifact] = field(default_factory=dict)
    parameters: Mapping[str, InputParameter] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class OutputArtifact:
    """An artifact that a component makes; ``metadata`` is what it has from the beginning."""

    artifact_type: ArtifactType = field(default_factory=ArtifactType)
    properties: Mapping[str, ValueOrParameter] = field(default_factory=dict)
    custom_properties: Mapping[str, ValueOrParameter] = field(default_factory=dict)
    metadata: Mapping[str, Json] = field(default_factory=dict)
    is_artifact_list: bool = False
    description: str = ""


@dataclass(frozen=True, slots=True)
class OutputParameter:
    """A parameter that a component gives."""

    type: PrimitiveType = PrimitiveType.UNSPECIFIED
    parameter_type: ParameterType = ParameterType.UNSPECIFIED
    description: str = ""


@dataclass(frozen=True, slots=True)
class Outputs:
    """All that a component gives."""

    artifacts: Mapping[str, OutputArtifact] = field(default_factory=dict)
    parameters: Mapping[str, OutputParameter] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ArtifactSource:
    """An output artifact of a task."""

    producer_task: str = ""
    output_artifact_key: str = ""


@dataclass(frozen=True, slots=True)
class ParameterSource:
    """An output parameter of a task."""

    producer_task: str = ""
    output_parameter_key: str = ""


@dataclass(frozen=True, slots=True)
class FinalStatusSource:
    """What became of a task."""

    producer_task: str = ""


@dataclass(frozen=True, slots=True)
class TaskArtifact:
    """Where an input artifact of a task comes from."""

    ONE_OF: ClassVar[Groups] = (("task_output_artifact", "component_input_artifact"),)
    task_output_artifact: ArtifactSource | None = None
    component_input_artifact: str | None = None


@dataclass(frozen=True, slots=True)
class TaskParameter:
    """Where an input parameter of a task comes from.

    ``parameter_expression_selector`` is a CEL expression that makes the value of what was found there.
    """

    ONE_OF: ClassVar[Groups] = (
        (
            "task_output_parameter",
            "runtime_value",
            "component_input_parameter",
            "task_final_status",
        ),
    )
    task_output_parameter: ParameterSource | None = None
    runtime_value: ValueOrParameter | None = None
    component_input_parameter: str | None = None
    task_final_status: FinalStatusSource | None = None
    parameter_expression_selector: str = ""


@dataclass(frozen=True, slots=True)
class TaskInputs:
    """Where all inputs of a task come from."""

    parameters: Mapping[str, TaskParameter] = field(default_factory=dict)
    artifacts: Mapping[str, TaskArtifact] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class TaskInfo:
    """What a task is called."""

    name: str = ""


@dataclass(frozen=True, slots=True)
class Caching:
    """Whether an earlier result will do; ``cache_key`` stands for the inputs where it is given."""

    enable_cache: bool = False
    cache_key: str = ""


@dataclass(frozen=True, slots=True)
class ComponentRef:
    """What a task runs."""

    name: str = ""


@dataclass(frozen=True, slots=True)
class TriggerPolicy:
    """When a task runs: both must hold."""

    condition: str = ""
    strategy: Strategy = Strategy.UNSPECIFIED


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often a task is tried again, and when."""

    max_retry_count: int = 0
    backoff_duration: Seconds | None = None
    backoff_factor: float = 0
    backoff_max_duration: Seconds | None = None


@dataclass(frozen=True, slots=True)
class ArtifactItems:
    """The list of artifacts that a loop goes over."""

    input_artifact: str = ""


@dataclass(frozen=True, slots=True)
class ArtifactIterator:
    """A loop over artifacts; each is given to the input ``item_input``."""

    items: ArtifactItems = field(default_factory=ArtifactItems)
    item_input: str = ""


@dataclass(frozen=True, slots=True)
class ParameterItems:
    """The list that a loop goes over: JSON text, or an input that has it."""

    ONE_OF: ClassVar[Groups] = (("raw", "input_parameter"),)
    raw: str | None = None
    input_parameter: str | None = None


@dataclass(frozen=True, slots=True)
class ParameterIterator:
    """A loop over values; each is given to the input ``item_input``."""

    items: ParameterItems = field(default_factory=ParameterItems)
    item_input: str = ""


@dataclass(frozen=True, slots=True)
class IteratorPolicy:
    """How many turns of a loop may run at once; 0: all."""

    parallelism_limit: int = 0


@dataclass(frozen=True, slots=True)
class Task:
    """One node of a graph."""

    ONE_OF: ClassVar[Groups] = (("artifact_iterator", "parameter_iterator"),)
    task_info: TaskInfo = field(default_factory=TaskInfo)
    inputs: TaskInputs = field(default_factory=TaskInputs)
    dependent_tasks: tuple[str, ...] = ()
    caching_options: Caching = field(default_factory=Caching)
    component_ref: ComponentRef = field(default_factory=ComponentRef)
    trigger_policy: TriggerPolicy = field(default_factory=TriggerPolicy)
    artifact_iterator: ArtifactIterator | None = None
    parameter_iterator: ParameterIterator | None = None
    retry_policy: RetryPolicy = field(default_factory=RetryPolicy)
    iterator_policy: IteratorPolicy = field(default_factory=IteratorPolicy)


@dataclass(frozen=True, slots=True)
class ArtifactSelector:
    """An output artifact of a task inside."""

    producer_subtask: str = ""
    output_artifact_key: str = ""


@dataclass(frozen=True, slots=True)
class GraphArtifact:
    """Where an output artifact of a graph comes from: the first of these that there is."""

    artifact_selectors: tuple[ArtifactSelector, ...] = ()


@dataclass(frozen=True, slots=True)
class ParameterSelector:
    """An output parameter of a task inside."""

    producer_subtask: str = ""
    output_parameter_key: str = ""


@dataclass(frozen=True, slots=True)
class ParameterSelectors:
    """Output parameters of which the first that there is counts."""

    parameter_selectors: tuple[ParameterSelector, ...] = ()


@dataclass(frozen=True, slots=True)
class GraphParameter:
    """Where an output parameter of a graph comes from."""

    ONE_OF: ClassVar[Groups] = (("value_from_parameter", "value_from_oneof"),)
    value_from_parameter: ParameterSelector | None = None
    value_from_oneof: ParameterSelectors | None = None


@dataclass(frozen=True, slots=True)
class GraphOutputs:
    """Where all outputs of a graph come from."""

    artifacts: Mapping[str, GraphArtifact] = field(default_factory=dict)
    parameters: Mapping[str, GraphParameter] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Dag:
    """Tasks and what comes out of them."""

    tasks: Mapping[str, Task] = field(default_factory=dict)
    outputs: GraphOutputs = field(default_factory=GraphOutputs)


@dataclass(frozen=True, slots=True)
class Passthrough:
    """Settings of the pod that the task is told of, and whether its own pod has them too."""

    field: PassedThrough = PassedThrough.NONE
    apply_to_task: bool = False


@dataclass(frozen=True, slots=True)
class Component:
    """What a task may run: a graph, or one step."""

    ONE_OF: ClassVar[Groups] = (("dag", "executor_label"),)
    input_definitions: Inputs = field(default_factory=Inputs)
    output_definitions: Outputs = field(default_factory=Outputs)
    dag: Dag | None = None
    executor_label: str | None = None
    single_platform_specs: tuple[Mapping[str, Json], ...] = ()
    task_config_passthroughs: tuple[Passthrough, ...] = ()


@dataclass(frozen=True, slots=True)
class PipelineInfo:
    """What a pipeline is called."""

    name: str = ""
    display_name: str = ""
    description: str = ""


@dataclass(frozen=True, slots=True)
class PipelineSpec:
    """A whole pipeline; ``deployment_spec`` holds its executors, see `executors`."""

    pipeline_info: PipelineInfo = field(default_factory=PipelineInfo)
    deployment_spec: Mapping[str, Json] = field(default_factory=dict)
    sdk_version: str = ""
    schema_version: str = ""
    components: Mapping[str, Component] = field(default_factory=dict)
    root: Component = field(default_factory=Component)
    default_pipeline_root: str = ""
