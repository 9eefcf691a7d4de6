"""What administrators write of a training runtime. Pure.

Source: kubeflow/trainer 2.3 ``pkg/apis/trainer/v1alpha1/trainingruntime_types.go``.
"""

from dataclasses import dataclass
from typing import Any, Final

from wherry.objects.declared import published
from wherry.objects.declared.fields import about
from wherry.training.jobset.kinds import JobSetSpec

_BY_JOB: Final[dict[str, Any]] = {
    "x-kubernetes-list-type": "map",
    "x-kubernetes-list-map-keys": ["jobName"],
}


@dataclass(frozen=True, slots=True)
class InjectionTarget:
    """Containers that are told of the other nodes."""

    job_name: str = about("The replicated job.", "", required=True, minLength=1, maxLength=253)
    container_names: tuple[str, ...] = about(
        "Containers of it, beside the one called node.",
        (),
        required=True,
        minItems=1,
        maxItems=8,
    )


@dataclass(frozen=True, slots=True)
class EnvInjection:
    """Which containers are told of the other nodes, beside the one that trains."""

    targets: tuple[InjectionTarget, ...] = about("By replicated job.", (), maxItems=16, **_BY_JOB)


@dataclass(frozen=True, slots=True)
class TorchPolicy:
    """PyTorch."""

    env_injection: EnvInjection | None = about("Which further containers get the variables.")


@dataclass(frozen=True, slots=True)
class MPIPolicy:
    """MPI."""

    num_proc_per_node: int = about("Processes of each node.", filled=1, minimum=1)
    mpi_implementation: str = about(
        "Whose MPI it is.", filled="OpenMPI", enum=["OpenMPI", "Intel", "MPICH", ""]
    )
    ssh_auth_mount_path: str = about(
        "Where keys of ssh are mounted.",
        filled="/root/.ssh",
        maxLength=4096,
        name="sshAuthMountPath",
    )
    run_launcher_as_node: bool = about("Whether the launcher trains as well.", filled=False)


@dataclass(frozen=True, slots=True)
class FluxPolicy:
    """Flux."""

    num_proc_per_node: int = about("Processes of each node.", filled=1, minimum=1)


@dataclass(frozen=True, slots=True)
class PlainPolicy:
    """A framework of which there is nothing to say."""


@dataclass(frozen=True, slots=True)
class MLPolicy:
    """How the nodes find one another; at most one framework."""

    num_nodes: int | None = about("How many pods train where the job does not say; 1.", minimum=0)
    torch: TorchPolicy | None = about("As torchrun does.")
    mpi: MPIPolicy | None = about("As mpirun does.")
    jax: PlainPolicy | None = about("As jax.distributed does.")
    xgboost: PlainPolicy | None = about("As XGBoost's tracker does.")
    flux: FluxPolicy | None = about("As Flux does; not supported.")


@dataclass(frozen=True, slots=True)
class Coscheduling:
    """A PodGroup of the coscheduling plug-in."""

    schedule_timeout_seconds: int = about(
        "How long the group may wait to be scheduled.", filled=60, minimum=0
    )


@dataclass(frozen=True, slots=True)
class Volcano:
    """A PodGroup of Volcano."""

    network_topology: dict[str, Any] = about("Which nodes are near.", dict)


@dataclass(frozen=True, slots=True)
class PodGroupPolicy:
    """How the pods are scheduled as one; at most one scheduler."""

    coscheduling: Coscheduling | None = about("By the coscheduling plug-in.")
    volcano: Volcano | None = about("By Volcano.")


@dataclass(frozen=True, slots=True)
class JobSetTemplate:
    """The JobSet that is made of it."""

    metadata: dict[str, Any] = about(
        "Its labels and annotations.", dict, published=published.OBJECT_META
    )
    spec: JobSetSpec = about("What it runs.", JobSetSpec())


@dataclass(frozen=True, slots=True)
class RuntimeSpec:
    """How TrainJobs are run."""

    ml_policy: MLPolicy | None = about("How the nodes find one another.")
    pod_group_policy: PodGroupPolicy | None = about("How the pods are scheduled as one.")
    template: JobSetTemplate = about(
        "The JobSet that is made of it.", JobSetTemplate(), required=True
    )
