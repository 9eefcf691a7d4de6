"""A JobSet as the parts of this package see it, and the names of what it makes. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass

from wherry.objects.declared import reading
from wherry.objects.requests import Object
from wherry.training.jobset.kinds import JobSetSpec, JobSetStatus, ReplicatedJob


@dataclass(frozen=True, slots=True)
class Child:
    """One Job that a JobSet wants.

    Attributes:
        owner: Whose it is.
        replicated: The replicated job that it is of.
        index: From 0 in that.
    """

    owner: "JobSet"
    replicated: ReplicatedJob
    index: int

    @property
    def name(self) -> str:
        """Name of the Job: ``train-worker-0``."""
        return f"{self.owner.name}-{self.replicated.name}-{self.index}"


@dataclass(frozen=True, slots=True)
class JobSet(reading.ReadObject):
    """A JobSet.

    Attributes:
        spec: What is wanted.
        status: As it was written last.
    """

    spec: JobSetSpec
    status: JobSetStatus

    @property
    def has_names(self) -> bool:
        """Whether its pods are found by name."""
        return self.spec.network is not None and bool(self.spec.network.enable_dns_hostnames)

    @property
    def subdomain(self) -> str:
        """Name of the Service under which pods are found."""
        given = self.spec.network.subdomain if self.spec.network is not None else ""
        return given or self.name

    @property
    def total(self) -> int:
        """How many Jobs it wants in all."""
        return sum(replicated.replicas for replicated in self.spec.replicated_jobs)

    def children(self, replicated: ReplicatedJob) -> Iterator[Child]:
        """Yield the Jobs of a replicated job."""
        for index in range(replicated.replicas):
            yield Child(self, replicated, index)


def read(obj: Object) -> JobSet:
    """Return the JobSet that an object with defaults describes."""
    spec = reading.read(JobSetSpec, obj.get("spec"))
    return JobSet(obj, spec, reading.read(JobSetStatus, obj.get("status")))


def pod_host(job_set: JobSet, replicated: str, job_index: int, pod_index: int) -> str:
    """Return the name under which a pod is found in its namespace."""
    return f"{job_set.name}-{replicated}-{job_index}-{pod_index}.{job_set.subdomain}"
