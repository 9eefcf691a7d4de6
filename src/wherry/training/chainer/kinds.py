"""What users write of a ChainerJob. Pure.

Source: kubeflow/chainer-operator, ``pkg/apis/chainer/v1alpha1``.
"""

from dataclasses import dataclass
from typing import Any, Final

from wherry.objects.declared import published, reading
from wherry.objects.declared.fields import about
from wherry.objects.declared.structural import CONDITIONS
from wherry.objects.requests import Object
from wherry.objects.resources import Resource

CHAINER_JOBS: Final = Resource(
    group="kubeflow.org",
    version="v1alpha1",
    plural="chainerjobs",
    kind="ChainerJob",
    singular="chainerjob",
    short_names=("chj", "chjs", "chjob", "chjobs"),
    categories=("wherry",),
    subresources=("status",),
)

CONTAINER: Final = "chainer"
MPI: Final = "mpi"
COMPLETE, FAILED = "Complete", "Failed"


@dataclass(frozen=True, slots=True)
class MPIConfig:
    """How MPI uses a pod."""

    slots: int | None = about(
        "Processes of a pod; by default as many as it has GPUs, else 1.", minimum=1
    )


@dataclass(frozen=True, slots=True)
class MasterSpec:
    """The pod that launches."""

    active_deadline_seconds: int | None = about(
        "After how many seconds since its start the job fails.", minimum=0
    )
    backoff_limit: int | None = about("Tries after which the job fails; 6 by default.", minimum=0)
    mpi_config: MPIConfig = about("How MPI uses it.", MPIConfig())
    template: dict[str, Any] = about("The pod.", dict, published=published.POD_TEMPLATE)


@dataclass(frozen=True, slots=True)
class WorkerSetSpec:
    """Pods that wait for processes to be started in them."""

    replicas: int | None = about("How many; 1 by default.", minimum=0)
    mpi_config: MPIConfig = about("How MPI uses each.", MPIConfig())
    template: dict[str, Any] = about("The pod.", dict, published=published.POD_TEMPLATE)


@dataclass(frozen=True, slots=True)
class ChainerJobSpec:
    """A training with Chainer."""

    backend: str = about("How processes talk, where there are workers.", "", enum=["", MPI])
    master: MasterSpec = about("What launches.", MasterSpec(), required=True)
    worker_sets: dict[str, WorkerSetSpec] = about(
        "What it launches over, by name; without any it works alone.", dict
    )


@dataclass(frozen=True, slots=True)
class ChainerJobStatus:
    """How far it is: the status of the master's Job."""

    conditions: tuple[dict[str, Any], ...] = about("Complete or Failed.", (), **CONDITIONS)
    start_time: str = about("When the master was started.", "", format="date-time")
    completion_time: str = about("When it ended well.", "", format="date-time")
    active: int | None = about("Pods of the master that run.")
    ready: int | None = about("Those among them that are ready.")
    succeeded: int | None = about("Pods of the master that ended well.")
    failed: int | None = about("Pods of the master that failed.")


@dataclass(frozen=True, slots=True)
class ChainerJob(reading.ReadObject):
    """A ChainerJob as the parts of this package see it.

    Attributes:
        spec: What is wanted.
    """

    spec: ChainerJobSpec

    @property
    def master_name(self) -> str:
        """Name of the master's Job and its host."""
        return f"{self.name}-master"

    def set_name(self, name: str) -> str:
        """Return the name of a worker set's StatefulSet and of its Service."""
        return f"{self.name}-workerset-{name}"

    def workers(self, name: str) -> list[str]:
        """Return the names of a worker set's pods."""
        count = self.spec.worker_sets[name].replicas
        return [f"{self.set_name(name)}-{index}" for index in range(1 if count is None else count)]


def read(obj: Object) -> ChainerJob:
    """Return the ChainerJob that an object with defaults describes."""
    return ChainerJob(obj, reading.read(ChainerJobSpec, obj.get("spec")))
