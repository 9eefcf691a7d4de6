"""A job as the parts of this package see it: its replicas by type, each with its name. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from wherry.objects import metadata
from wherry.objects.declared import reading
from wherry.objects.requests import Object
from wherry.training import kinds
from wherry.training.kinds import ReplicaSpec, RunPolicy

ATTEMPT: Final = "wherry.dev/attempt"
"""Annotation of jobs and pods: how often all replicas have started anew together."""


@dataclass(frozen=True, slots=True)
class Replica:
    """One pod that a job wants.

    Attributes:
        job: Whose it is.
        type: As in the job, such as ``Worker``.
        index: From 0 in its type.
    """

    job: "Job"
    type: str
    index: int

    @property
    def name(self) -> str:
        """Name of its pod, its Service and its host: ``mnist-worker-0``."""
        return f"{self.job.name}-{self.type.lower()}-{self.index}"

    @property
    def spec(self) -> ReplicaSpec:
        """What the job says of its type."""
        return self.job.replicas[self.type]

    def host(self) -> str:
        """Return the name by which other pods find it: of its Service, with its namespace."""
        return f"{self.name}.{self.job.namespace}.svc"


@dataclass(frozen=True, slots=True)
class Job(reading.ReadObject):
    """A job of any framework.

    Attributes:
        spec: Its spec as the framework declares it.
        policy: How it is run.
        replicas: By type, in the order in which the framework names the types.
    """

    spec: Any
    policy: RunPolicy
    replicas: Mapping[str, ReplicaSpec]

    @property
    def kind(self) -> str:
        """Kind of the object, such as ``PyTorchJob``."""
        return str(self.obj["kind"])

    @property
    def attempt(self) -> int:
        """How often all its replicas have started anew together."""
        return attempt_of(self.obj)

    def count(self, type_: str) -> int:
        """Return how many replicas of a type it wants; 0 of a type that it has not."""
        spec = self.replicas.get(type_)
        return 0 if spec is None else replicas_of(spec)

    def total(self) -> int:
        """Return how many replicas it wants in all."""
        return sum(replicas_of(spec) for spec in self.replicas.values())

    def all(self) -> Iterator[Replica]:
        """Yield every replica, types in order."""
        for type_ in self.replicas:
            yield from self.of(type_)

    def of(self, type_: str) -> Iterator[Replica]:
        """Yield the replicas of a type; none of a type that it has not."""
        for index in range(self.count(type_)):
            yield Replica(self, type_, index)


def attempt_of(obj: Object) -> int:
    """Return the attempt that a job is in, or that a pod was made for; 0 where nothing is noted."""
    noted = metadata.annotations(obj).get(ATTEMPT, "")
    return int(noted) if noted.isdecimal() else 0


def replicas_of(spec: ReplicaSpec) -> int:
    """Return how many pods a replica spec means."""
    return 1 if spec.replicas is None else spec.replicas


def read(obj: Object, spec: type[Any], field: str, types: tuple[str, ...]) -> Job:
    """Return the job that an object describes.

    Args:
        obj: With defaults filled in.
        spec: The declared dataclass of its spec.
        field: Where in the spec its replicas are, such as ``pytorchReplicaSpecs``.
        types: The framework's types, in order; others are left out (admission refuses them).
    """
    parts: Mapping[str, Any] = obj.get("spec") or {}
    given: Mapping[str, Any] = parts.get(field) or {}
    return Job(
        obj=obj,
        spec=reading.read(spec, parts),
        policy=reading.read(kinds.RunPolicy, parts.get("runPolicy")),
        replicas={
            type_: reading.read(ReplicaSpec, given[type_]) for type_ in types if type_ in given
        },
    )
