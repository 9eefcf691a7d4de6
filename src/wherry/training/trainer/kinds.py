"""What users write of a TrainJob, what it says of itself, and how its runtime may be patched.

Source: kubeflow/trainer 2.3 ``pkg/apis/trainer/v1alpha1/trainjob_types.go``. Fields of 2.0 and 2.1
that later releases have replaced (`labels`, `annotations`, `podTemplateOverrides`, a
`numProcPerNode` that is a word) are heeded.
"""

from dataclasses import dataclass
from typing import Any, Final

from wherry.objects.declared import published
from wherry.objects.declared.fields import about
from wherry.objects.declared.structural import CONDITIONS
from wherry.objects.resources import Resource
from wherry.training.jobset.kinds import ReplicatedJobStatus

GROUP: Final = "trainer.kubeflow.org"
VERSION: Final = "v1alpha1"


def _resource(kind: str, *, namespaced: bool = True) -> Resource:
    return Resource(
        group=GROUP,
        version=VERSION,
        plural=f"{kind.lower()}s",
        kind=kind,
        singular=kind.lower(),
        namespaced=namespaced,
        categories=("wherry",),
        subresources=("status",) if kind == "TrainJob" else (),
    )


TRAIN_JOBS: Final = _resource("TrainJob")
RUNTIMES: Final = _resource("TrainingRuntime")
CLUSTER_RUNTIMES: Final = _resource("ClusterTrainingRuntime", namespaced=False)

CONTROLLER: Final = f"{GROUP}/trainjob-controller"
MANAGED_BY: Final = (CONTROLLER, "kueue.x-k8s.io/multikueue")

STEP: Final = f"{GROUP}/trainjob-ancestor-step"
FRAMEWORK: Final = f"{GROUP}/framework"
TRAINER: Final = "trainer"
NODE: Final = "node"
LAUNCHER: Final = "launcher"
DATASET_INITIALIZER: Final = "dataset-initializer"
MODEL_INITIALIZER: Final = "model-initializer"
INITIALIZER_VOLUME: Final = "initializer"
CONTAINERS: Final = {
    TRAINER: NODE,
    DATASET_INITIALIZER: DATASET_INITIALIZER,
    MODEL_INITIALIZER: MODEL_INITIALIZER,
}
PORT: Final = 29500

CREATED: Final = "Created"
SUSPENDED: Final = "Suspended"
COMPLETE: Final = "Complete"
FAILED: Final = "Failed"

_BY_NAME: Final[dict[str, Any]] = {
    "x-kubernetes-list-type": "map",
    "x-kubernetes-list-map-keys": ["name"],
}
_BY_MANAGER: Final[dict[str, Any]] = {
    "x-kubernetes-list-type": "map",
    "x-kubernetes-list-map-keys": ["manager"],
}
_ATOMIC: Final[dict[str, Any]] = {"x-kubernetes-list-type": "atomic"}
_ENV: Final[dict[str, Any]] = {"published": published.ENV_VAR, "maxItems": 128, **_BY_NAME}
_WORD: Final = 253


@dataclass(frozen=True, slots=True)
class RuntimeRef:
    """The runtime that a job is run by."""

    name: str = about("Its name.", "", required=True, minLength=1, maxLength=_WORD)
    api_group: str = about("Its API group.", filled=GROUP, maxLength=_WORD)
    kind: str = about(
        "ClusterTrainingRuntime, or TrainingRuntime for one in the job's namespace.",
        filled=CLUSTER_RUNTIMES.kind,
        maxLength=_WORD,
    )


@dataclass(frozen=True, slots=True)
class SourceInitializer:
    """What is fetched before the training begins."""

    storage_uri: str = about(
        "Where it is: scheme://…",
        "",
        maxLength=2048,
        pattern=r"^([A-Za-z][A-Za-z0-9+.-]*://.+)?$",
    )
    env: tuple[dict[str, Any], ...] = about("Variables of the container.", (), **_ENV)
    secret_ref: dict[str, Any] = about(
        "A Secret whose keys become variables of the container.",
        dict,
        published=published.LOCAL_REFERENCE,
    )


@dataclass(frozen=True, slots=True)
class Initializer:
    """What is fetched before the training begins."""

    dataset: SourceInitializer | None = about("The data.")
    model: SourceInitializer | None = about("The model to begin with.")


@dataclass(frozen=True, slots=True)
class Trainer:
    """What trains; what is left out is as the runtime says."""

    image: str = about("Image of the container.", "", maxLength=500)
    command: tuple[str, ...] = about("Its command.", (), maxItems=128, **_ATOMIC)
    args: tuple[str, ...] = about("Its arguments.", (), maxItems=128, **_ATOMIC)
    env: tuple[dict[str, Any], ...] = about("Variables, over the runtime's.", (), **_ENV)
    num_nodes: int | None = about("How many pods train.", minimum=0)
    resources_per_node: dict[str, Any] = about(
        "What each of them needs.", dict, published=published.RESOURCES
    )
    num_proc_per_node: int | str | None = about(
        "Processes of each pod: a number, or auto, cpu or gpu for as many as torchrun finds."
    )


@dataclass(frozen=True, slots=True)
class ContainerPatch:
    """What may be changed of a container that the runtime has."""

    name: str = about("Which.", "", required=True, minLength=1, maxLength=_WORD)
    env: tuple[dict[str, Any], ...] = about(
        "Variables; those of node and of initializers stand in spec.trainer and spec.initializer.",
        (),
        **_ENV,
    )
    volume_mounts: tuple[dict[str, Any], ...] = about(
        "What it mounts, by path.", (), published=published.VOLUME_MOUNT, maxItems=128
    )
    security_context: dict[str, Any] = about(
        "What it may do.", dict, published=published.CONTAINER_SECURITY
    )


@dataclass(frozen=True, slots=True)
class PodSpecPatch:
    """What may be changed of pods."""

    service_account_name: str = about("Their service account.", "", maxLength=_WORD)
    volumes: tuple[dict[str, Any], ...] = about(
        "Volumes, by name.", (), published=published.VOLUME, maxItems=128, **_BY_NAME
    )
    init_containers: tuple[ContainerPatch, ...] = about(
        "Their init containers, by name.", (), maxItems=64, **_BY_NAME
    )
    containers: tuple[ContainerPatch, ...] = about(
        "Their containers, by name.", (), maxItems=64, **_BY_NAME
    )
    image_pull_secrets: tuple[dict[str, Any], ...] = about(
        "Secrets to pull images with.", (), published=published.LOCAL_REFERENCE, maxItems=64
    )
    security_context: dict[str, Any] = about(
        "What their processes may do.", dict, published=published.POD_SECURITY
    )
    node_selector: dict[str, str] = about("Nodes to run on.", dict)
    affinity: dict[str, Any] = about(
        "Nodes and pods to be near to.", dict, published=published.AFFINITY
    )
    tolerations: tuple[dict[str, Any], ...] = about(
        "Taints that they bear.", (), published=published.TOLERATION, maxItems=128, **_ATOMIC
    )
    scheduling_gates: tuple[dict[str, Any], ...] = about(
        "What holds them back.",
        (),
        published=published.SCHEDULING_GATE,
        maxItems=16,
        **_BY_NAME,
    )
    termination_grace_period_seconds: int | None = about(
        "How long they may take to end.", minimum=0
    )


@dataclass(frozen=True, slots=True)
class _TemplatePatch:
    """What may be changed of any template."""

    metadata: dict[str, Any] = about(
        "Labels and annotations.", dict, published=published.OBJECT_META
    )


@dataclass(frozen=True, slots=True)
class PodTemplatePatch(_TemplatePatch):
    """What may be changed of a pod template."""

    spec: PodSpecPatch | None = about("Of the pods.")


@dataclass(frozen=True, slots=True)
class JobSpecPatch:
    """What may be changed of a Job."""

    template: PodTemplatePatch | None = about("Of its pods.")


@dataclass(frozen=True, slots=True)
class JobTemplatePatch(_TemplatePatch):
    """What may be changed of a Job template."""

    spec: JobSpecPatch | None = about("Of the Jobs.")


@dataclass(frozen=True, slots=True)
class ReplicatedJobPatch:
    """What may be changed of a replicated job that the runtime has."""

    name: str = about("Which.", "", required=True, minLength=1, maxLength=_WORD)
    template: JobTemplatePatch | None = about("Of its Jobs.")


@dataclass(frozen=True, slots=True)
class JobSetSpecPatch:
    """What may be changed of a JobSet."""

    replicated_jobs: tuple[ReplicatedJobPatch, ...] = about(
        "By name.", (), maxItems=100, **_BY_NAME
    )


@dataclass(frozen=True, slots=True)
class JobSetTemplatePatch(_TemplatePatch):
    """What may be changed of a JobSet template."""

    spec: JobSetSpecPatch | None = about("Of the JobSet.")


@dataclass(frozen=True, slots=True)
class RuntimeSpecPatch:
    """What may be changed of a runtime."""

    template: JobSetTemplatePatch | None = about("Of what is made of it.")


@dataclass(frozen=True, slots=True)
class RuntimePatch:
    """What somebody changes of the runtime, for this job."""

    manager: str = about(
        "Who: a domain and a path.", "", required=True, minLength=1, maxLength=_WORD
    )
    time: str = about("When it was written.", "", format="date-time")
    training_runtime_spec: RuntimeSpecPatch | None = about("What.")


@dataclass(frozen=True, slots=True)
class TrainJobSpec:
    """A training job."""

    runtime_ref: RuntimeRef = about(
        "The runtime that it is run by. Immutable.", RuntimeRef(), required=True
    )
    initializer: Initializer | None = about("What is fetched first. Immutable.")
    trainer: Trainer | None = about("What trains. Immutable.")
    runtime_patches: tuple[RuntimePatch, ...] = about(
        "What is changed of the runtime. To be changed while the job is suspended.",
        (),
        maxItems=16,
        **_BY_MANAGER,
    )
    pod_template_overrides: tuple[dict[str, Any], ...] = about(
        "Deprecated: write runtimePatches.", (), maxItems=16
    )
    labels: dict[str, str] = about("Deprecated: write runtimePatches.", dict)
    annotations: dict[str, str] = about("Deprecated: write runtimePatches.", dict)
    suspend: bool = about("Whether its pods are removed until this is false again.", filled=False)
    active_deadline_seconds: int | None = about(
        "After how many seconds since its start, or since it was resumed, it fails. Immutable.",
        minimum=1,
    )
    managed_by: str = about(
        "Who runs it; jobs that another controller manages are left to it. Immutable.",
        filled=CONTROLLER,
        maxLength=_WORD,
    )


@dataclass(frozen=True, slots=True)
class Metric:
    """A number that the training has told."""

    name: str = about("Its name.", "", required=True, minLength=1, maxLength=64)
    value: str = about("As text.", "", required=True, minLength=1, maxLength=64)


@dataclass(frozen=True, slots=True)
class TrainerStatus:
    """What the training itself has told."""

    progress_percentage: int | None = about("How much is done.", minimum=0, maximum=100)
    estimated_remaining_seconds: int | None = about("How long it will take.", minimum=0)
    metrics: tuple[Metric, ...] = about("The latest.", (), maxItems=256, **_ATOMIC)
    last_updated_time: str = about("When.", "", required=True, format="date-time")


@dataclass(frozen=True, slots=True)
class TrainJobStatus:
    """How far it is."""

    conditions: tuple[dict[str, Any], ...] = about(
        "Suspended, Complete, Failed; Created, as False, while its runtime is missing.",
        (),
        **CONDITIONS,
    )
    jobs_status: tuple[ReplicatedJobStatus, ...] = about("By step.", (), maxItems=100, **_BY_NAME)
    trainer_status: TrainerStatus | None = about("What the training itself has told.")
