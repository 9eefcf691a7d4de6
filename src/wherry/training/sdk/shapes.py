"""The kinds of jobs as the SDK sees them: which replicas a framework has, and which kinds there are."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from wherry.objects.resources import Resource
from wherry.training import frameworks
from wherry.training.framework import Framework
from wherry.training.sdk.errors import TrainingError

_BESIDE_WORKERS: Final[Mapping[str, tuple[str, ...]]] = {
    "pytorch": ("Master",),
    "xgboost": ("Master",),
    "tensorflow": (),
    "jax": (),
    "paddle": (),
    "mxnet": ("Scheduler", "Server"),
    "mpi": ("Launcher",),
}
_RANKS_THEMSELVES: Final = frozenset({"Master"})
"""Types that are one of the ranks which the user counts."""

_OTHERS: Final = (
    Resource("kubeflow.org", "v1alpha1", "chainerjobs", "ChainerJob", "chainerjob"),
    Resource("trainer.kubeflow.org", "v1alpha1", "trainjobs", "TrainJob", "trainjob"),
)


@dataclass(frozen=True, slots=True)
class Shape:
    """The replicas of a job.

    Attributes:
        framework: Which.
        replicas: How many pods, by type.
    """

    framework: Framework
    replicas: Mapping[str, int]

    @property
    def launched(self) -> bool:
        """Whether one pod starts the ranks in all the others."""
        return "Launcher" in self.replicas

    def is_rank(self, type_: str) -> bool:
        """Return whether pods of a type do a rank's work, rather than help those that do."""
        return not self.launched or type_ == "Worker"

    def command(self, type_: str, program: Sequence[str]) -> list[str]:
        """Return what pods of a type run; nothing where they wait to be used.

        Args:
            type_: Of replicas.
            program: What each rank runs.
        """
        if not self.launched:
            return [*program]
        if type_ == "Worker":
            return []
        return ["mpirun", "-n", str(self.replicas["Worker"]), *program]

    def first(self, job: str) -> str:
        """Return the pod of rank 0."""
        type_ = next((each for each in self.replicas if each in _RANKS_THEMSELVES), "Worker")
        return f"{job}-{type_.lower()}-0"


def of(name: str, workers: int) -> Shape:
    """Return the shape of a job.

    Args:
        name: Of the framework.
        workers: Ranks.

    Raises:
        TrainingError: there is no such framework.
    """
    known = {each.container: each for each in frameworks.ALL if each.container in _BESIDE_WORKERS}
    if name not in known:
        raise TrainingError(f"framework {name!r}: want one of {', '.join(sorted(known))}")
    beside = dict.fromkeys(_BESIDE_WORKERS[name], 1)
    left = workers - sum(1 for type_ in beside if type_ in _RANKS_THEMSELVES)
    return Shape(known[name], {**beside, **({"Worker": left} if left else {})})


def resources() -> tuple[Resource, ...]:
    """Return all kinds that are trainings, whether or not a cluster has them."""
    return (*(each.resource for each in frameworks.ALL), *_OTHERS)
