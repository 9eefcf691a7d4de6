"""The second document of a compiled file: what Kubernetes is to do for each step, and for the run.

A `TaskParameter` here names outputs of tasks beside the step's, and inputs of the graph around it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from wherry.pipelines.ir.executors import EnvVar
from wherry.pipelines.ir.messages import Groups, Json, ParameterSource, TaskParameter


@dataclass(frozen=True, slots=True)
class SecretAsVolume:
    """The files of a Secret."""

    secret_name: str = ""
    mount_path: str = ""
    optional: bool | None = None
    secret_name_parameter: TaskParameter | None = None


@dataclass(frozen=True, slots=True)
class SecretKey:
    """A key of a Secret and its variable."""

    secret_key: str = ""
    env_var: str = ""


@dataclass(frozen=True, slots=True)
class SecretAsEnv:
    """Keys of a Secret as variables."""

    secret_name: str = ""
    key_to_env: tuple[SecretKey, ...] = ()
    optional: bool | None = None
    secret_name_parameter: TaskParameter | None = None


@dataclass(frozen=True, slots=True)
class ConfigMapAsVolume:
    """The files of a ConfigMap."""

    config_map_name: str = ""
    mount_path: str = ""
    optional: bool | None = None
    config_map_name_parameter: TaskParameter | None = None


@dataclass(frozen=True, slots=True)
class ConfigMapKey:
    """A key of a ConfigMap and its variable."""

    config_map_key: str = ""
    env_var: str = ""


@dataclass(frozen=True, slots=True)
class ConfigMapAsEnv:
    """Keys of a ConfigMap as variables."""

    config_map_name: str = ""
    key_to_env: tuple[ConfigMapKey, ...] = ()
    config_map_name_parameter: TaskParameter | None = None
    optional: bool | None = None


@dataclass(frozen=True, slots=True)
class PvcMount:
    """A claim."""

    ONE_OF: ClassVar[Groups] = (("task_output_parameter", "constant", "component_input_parameter"),)
    task_output_parameter: ParameterSource | None = None
    constant: str | None = None
    component_input_parameter: str | None = None
    mount_path: str = ""
    pvc_name_parameter: TaskParameter | None = None
    sub_path: str = ""


@dataclass(frozen=True, slots=True)
class NodeSelector:
    """Labels that the node must have."""

    labels: Mapping[str, str] = field(default_factory=dict)
    node_selector_json: TaskParameter | None = None


@dataclass(frozen=True, slots=True)
class PodMetadata:
    """Labels and annotations of a pod."""

    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class GenericEphemeralVolume:
    """A claim that lives as long as the pod."""

    volume_name: str = ""
    mount_path: str = ""
    access_modes: tuple[str, ...] = ()
    size: str = ""
    default_storage_class: bool = False
    storage_class_name: str = ""
    metadata: PodMetadata | None = None


@dataclass(frozen=True, slots=True)
class ImagePullSecret:
    """A Secret for the registry."""

    secret_name: str = ""
    secret_name_parameter: TaskParameter | None = None


@dataclass(frozen=True, slots=True)
class FieldPathAsEnv:
    """A field of the pod as a variable."""

    name: str = ""
    field_path: str = ""


@dataclass(frozen=True, slots=True)
class Toleration:
    """A taint that the pod bears."""

    key: str = ""
    operator: str = ""
    value: str = ""
    effect: str = ""
    toleration_seconds: int | None = None
    toleration_json: TaskParameter | None = None


@dataclass(frozen=True, slots=True)
class SelectorRequirement:
    """One condition on labels or fields."""

    key: str = ""
    operator: str = ""
    values: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class NodeAffinityTerm:
    """A condition on nodes; with a weight a preference."""

    match_expressions: tuple[SelectorRequirement, ...] = ()
    match_fields: tuple[SelectorRequirement, ...] = ()
    weight: int | None = None
    node_affinity_json: TaskParameter | None = None


@dataclass(frozen=True, slots=True)
class PodAffinityTerm:
    """A condition on the pods beside; with a weight a preference."""

    match_pod_expressions: tuple[SelectorRequirement, ...] = ()
    match_pod_labels: Mapping[str, str] = field(default_factory=dict)
    topology_key: str = ""
    namespaces: tuple[str, ...] = ()
    match_namespace_expressions: tuple[SelectorRequirement, ...] = ()
    match_namespace_labels: Mapping[str, str] = field(default_factory=dict)
    weight: int | None = None
    anti: bool | None = None


@dataclass(frozen=True, slots=True)
class EnabledSharedMemory:
    """Memory at ``/dev/shm``."""

    volume_name: str = ""
    size: str = ""


@dataclass(frozen=True, slots=True)
class EmptyDirMount:
    """An empty folder that lives as long as the pod."""

    volume_name: str = ""
    mount_path: str = ""
    medium: str | None = None
    size_limit: str | None = None


@dataclass(frozen=True, slots=True)
class SecurityContext:
    """Who the step runs as."""

    run_as_user: int | None = None
    run_as_group: int | None = None
    run_as_non_root: bool | None = None


@dataclass(frozen=True, slots=True)
class InitVolumeMount:
    """A volume of the pod in an init container."""

    volume_name: str = ""
    mount_path: str = ""


@dataclass(frozen=True, slots=True)
class InitResources:
    """What an init container needs."""

    requests: Mapping[str, str] = field(default_factory=dict)
    limits: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class InitContainer:
    """What runs before the step; with ``restart_policy`` Always, beside it."""

    name: str = ""
    image: str = ""
    command: tuple[str, ...] = ()
    args: tuple[str, ...] = ()
    env: tuple[EnvVar, ...] = ()
    volume_mounts: tuple[InitVolumeMount, ...] = ()
    restart_policy: str | None = None
    resources: InitResources | None = None


@dataclass(frozen=True, slots=True)
class KubernetesConfig:
    """What Kubernetes does for one step."""

    secret_as_volume: tuple[SecretAsVolume, ...] = ()
    secret_as_env: tuple[SecretAsEnv, ...] = ()
    pvc_mount: tuple[PvcMount, ...] = ()
    node_selector: NodeSelector | None = None
    pod_metadata: PodMetadata | None = None
    image_pull_secret: tuple[ImagePullSecret, ...] = ()
    image_pull_policy: str = ""
    config_map_as_volume: tuple[ConfigMapAsVolume, ...] = ()
    config_map_as_env: tuple[ConfigMapAsEnv, ...] = ()
    active_deadline_seconds: int = 0
    field_path_as_env: tuple[FieldPathAsEnv, ...] = ()
    tolerations: tuple[Toleration, ...] = ()
    generic_ephemeral_volume: tuple[GenericEphemeralVolume, ...] = ()
    node_affinity: tuple[NodeAffinityTerm, ...] = ()
    pod_affinity: tuple[PodAffinityTerm, ...] = ()
    enabled_shared_memory: EnabledSharedMemory | None = None
    empty_dir_mounts: tuple[EmptyDirMount, ...] = ()
    security_context: SecurityContext | None = None
    init_containers: tuple[InitContainer, ...] = ()


@dataclass(frozen=True, slots=True)
class KubernetesWorkspace:
    """What the workspace's claim has besides its size."""

    pvc_spec_patch: Mapping[str, Json] | None = None


@dataclass(frozen=True, slots=True)
class Workspace:
    """A claim that all steps of a run share."""

    size: str = ""
    kubernetes: KubernetesWorkspace | None = None


@dataclass(frozen=True, slots=True)
class PipelineConfig:
    """What holds for the whole run. Times in seconds; 0: none."""

    resource_ttl_on_completion: int = 0
    workspace: Workspace | None = None
    resource_ttl_on_success: int = 0
    resource_ttl_on_failure: int = 0
    active_deadline_seconds: int = 0


@dataclass(frozen=True, slots=True)
class DeploymentConfig:
    """Settings by executor; each is a `KubernetesConfig`."""

    executors: Mapping[str, KubernetesConfig] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PlatformSpec:
    """What one platform is to do."""

    deployment_spec: DeploymentConfig = field(default_factory=DeploymentConfig)
    platform: str = ""
    config: Mapping[str, Json] = field(default_factory=dict)
    pipeline_config: PipelineConfig = field(default_factory=PipelineConfig)
