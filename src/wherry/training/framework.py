"""What a framework is: its kind, its replica types, and how its processes find one another.

A framework is one file below `frameworks/`: it declares the spec that users write, and a subclass
of `Framework` that says what is different from the others. Everything a job of any framework has
in common (names, services, restarts, clean-up, status) is elsewhere and knows no framework.

To add one, see `docs/extending/training-framework.md`.
"""

import abc
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from wherry.objects.declared.kind import Kind, Scale
from wherry.objects.errors import Cause
from wherry.objects.requests import Object
from wherry.objects.resources import Resource
from wherry.training import job as jobs
from wherry.training import kinds
from wherry.training.job import Job, Replica

Counts = Mapping[str, "Count"]
"""By replica type."""


@dataclass(frozen=True, slots=True)
class ReplicaType:
    """A role that pods of a job can have.

    Attributes:
        name: As users write it, such as ``Worker``.
        required: Whether a job must have it.
        at_most: How many replicas it may have; None: any number.
        at_least: How many it has to have where a job has the role.
        restart_policy: Of replicas that say nothing; empty: the framework's.
    """

    name: str
    required: bool = False
    at_most: int | None = None
    at_least: int = 0
    restart_policy: str = ""


@dataclass(frozen=True, slots=True)
class Count:
    """How the pods of a type are doing.

    Attributes:
        wanted: Replicas that the job asks for.
        running: Pods that run.
        succeeded: Pods that ended well.
        failed: Pods that failed and are not restarted.
        succeeded_indexes: Which ended well.
    """

    wanted: int = 0
    running: int = 0
    succeeded: int = 0
    failed: int = 0
    succeeded_indexes: frozenset[int] = frozenset()


class Framework(abc.ABC):
    """What differs between frameworks. Subclasses keep no state; all methods are pure."""

    resource: ClassVar[Resource]
    """Names of its kind."""
    spec: ClassVar[type[Any]]
    """Declared dataclass of its spec, `run_policy` among its fields."""
    replicas_field: ClassVar[str]
    """Where in the spec the replicas are, such as ``pytorchReplicaSpecs``."""
    types: ClassVar[tuple[ReplicaType, ...]]
    """The roles, in the order in which pods are made."""
    container: ClassVar[str]
    """Name of the container that trains; empty: whatever its name, it is the first."""
    container_required: ClassVar[bool] = True
    """Whether every pod must have a container of that name."""
    port_name: ClassVar[str]
    """Name of the port by which replicas meet."""
    port: ClassVar[int]
    """Its number where the job names none."""
    restart_policy: ClassVar[str]
    """Of replicas that say nothing."""
    managers: ClassVar[tuple[str, ...]] = kinds.MANAGED_BY
    """What managedBy may be; the first stands for us."""
    restart_policies: ClassVar[tuple[str, ...]] = kinds.RESTART_POLICIES
    """What a replica's restartPolicy may be."""
    scale: ClassVar[Scale | None] = None
    """Where elastic replicas are."""

    def read(self, obj: Object) -> Job:
        """Return the job that an object with defaults describes."""
        names = tuple(type_.name for type_ in self.types)
        return jobs.read(obj, self.spec, self.replicas_field, names)

    def runs(self, obj: Object) -> bool:
        """Return whether it is this framework that runs an object of its kind."""
        del obj
        return True

    def default(self, obj: Object) -> None:
        """Fill in what only this framework fills in, in place, after what all have in common."""
        del obj

    def validate(self, job: Job) -> Sequence[Cause]:
        """Return what is wrong by this framework's own rules."""
        del job
        return ()

    def leader(self, job: Job) -> Replica | None:
        """Return the replica that the others follow: its label says so; None where there is none."""
        for type_ in self.types:
            if type_.name in {"Master", "Chief", "Launcher"}:
                return next(job.of(type_.name), None)
        return None

    @abc.abstractmethod
    def environment(self, replica: Replica, container: Object) -> Mapping[str, str]:
        """Return the variables by which a replica's container learns of the others.

        Args:
            replica: Whose.
            container: Which of its containers; most frameworks speak to all.
        """

    def succeeded(self, job: Job, counts: Counts) -> bool:
        """Return whether the job has done its work."""
        leader = self.leader(job)
        if leader is not None:
            return bool(counts[leader.type].succeeded)
        return all(count.succeeded >= count.wanted for count in counts.values())

    def running(self, job: Job, counts: Counts) -> bool:
        """Return whether the job counts as running: its leader does, else any replica."""
        leader = self.leader(job)
        if leader is not None:
            return bool(counts[leader.type].running)
        return any(count.running for count in counts.values())

    def tolerates_failure(self, replica_type: str, job: Job) -> bool:
        """Return whether the job goes on when a replica of the type has failed for good."""
        del replica_type, job
        return False

    def restarts_all(self, job: Job, lost: Collection[Replica]) -> bool:
        """Return whether all replicas start anew, and meet anew, when the pods of some do.

        Where processes hold on to one another (all-reduce), those that are left would wait for
        peers that they will never hear of again.

        Args:
            job: The job.
            lost: The replicas whose pods have failed and get successors.
        """
        del job, lost
        return False

    def companions(self, job: Job) -> Sequence[Object]:
        """Return further objects that the job needs, such as a ConfigMap or an autoscaler."""
        del job
        return ()

    def finish_pod(self, replica: Replica, pod: Object) -> None:
        """Change a pod that is about to be made, in place; most leave it as it is."""
        del replica, pod

    def address(self, replica: Replica) -> int:
        """Return the port by which a replica is reached: of its template, else the framework's."""
        for container in (replica.spec.template.get("spec") or {}).get("containers") or ():
            for port in container.get("ports") or ():
                if container.get("name") == self.container and port.get("name") == self.port_name:
                    return int(port["containerPort"])
        return self.port


def declared(framework: Framework, **functions: Any) -> Kind:
    """Return a framework's kind, with the functions of admission."""
    return kinds.declare(framework.resource, framework.spec, scale=framework.scale, **functions)
