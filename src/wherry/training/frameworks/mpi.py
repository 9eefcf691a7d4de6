"""MPI: `MPIJob` of ``kubeflow.org/v1``, whose launcher runs `mpirun` over the workers.

The same kind is served as ``kubeflow.org/v2beta1`` (`wherry.training.launched`); a job is run as the
version that it was written in.

Source: kubeflow/training-operator 1.9, ``pkg/controller.v1/mpi``.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from wherry.objects import metadata
from wherry.objects.declared.fields import about
from wherry.objects.requests import Object
from wherry.training import kinds
from wherry.training.framework import Counts, Framework, ReplicaType
from wherry.training.job import Job, Replica
from wherry.training.kinds import ReplicaSpec, RunPolicy
from wherry.training.mpi import parts

LAUNCHER, WORKER = "Launcher", "Worker"
AT_STARTUP, WHEN_READY = "AtStartup", "WaitForWorkersReady"

WRITTEN_AS: Final = "wherry.dev/written-as"
"""Annotation of jobs: the apiVersion that they were written in."""

_ROLE: Final = "mpi-job-role"
"""Label of pods, of mpi-operator when it served this version; experiments know a launcher by it."""


@dataclass(frozen=True, slots=True)
class MPIJobSpec:
    """An MPI job, of either version."""

    slots_per_worker: int | None = about("Processes of each worker; 1 by default.", minimum=1)
    run_policy: RunPolicy = about("How it is run and cleaned up.", RunPolicy())
    mpi_replica_specs: dict[str, ReplicaSpec] = about(
        "The pods, by type: Launcher and Worker.", dict, required=True
    )
    main_container: str = about(
        "v1: the container that processes run in; the one called mpi, else the first, by default.",
        "",
    )
    clean_pod_policy: str = about("v1, deprecated: write spec.runPolicy.cleanPodPolicy.", "")
    run_launcher_as_worker: bool | None = about(
        "v2beta1: whether the launcher runs processes too, as the first host."
    )
    ssh_auth_mount_path: str = about(
        "v2beta1: where the job's ssh keys are; /root/.ssh by default.", ""
    )
    launcher_creation_policy: str = about(
        "v2beta1: whether the launcher starts at once, or when all workers are ready.",
        "",
        enum=["", AT_STARTUP, WHEN_READY],
    )
    mpi_implementation: str = about(
        "v2beta1: which MPI the image has; OpenMPI by default.",
        "",
        enum=["", parts.OPEN_MPI, parts.INTEL, parts.MPICH],
    )


def written_as(obj: Object) -> str:
    """Return the apiVersion that a job was written in first.

    A job that was made before our webhooks were asked bears no note of it; then the oldest of its
    managed fields tells. Whoever keeps it has stored it under another version.
    """
    noted = metadata.annotations(obj).get(WRITTEN_AS)
    if noted:
        return noted
    fields = [one for one in obj["metadata"].get("managedFields") or () if "subresource" not in one]
    oldest = min(fields, key=lambda one: str(one.get("time")), default=obj)
    return str(oldest["apiVersion"])


class MPI(Framework):
    """`MPIJob`, v1."""

    resource = kinds.resource("MPIJob", "mpijobs", scale=True)
    spec = MPIJobSpec
    replicas_field = "mpiReplicaSpecs"
    types = (ReplicaType(WORKER), ReplicaType(LAUNCHER, required=True, at_most=1, at_least=1))
    container = "mpi"
    container_required = False
    port_name, port = "mpi-port", 9999
    restart_policy = kinds.NEVER
    scale = kinds.worker_scale("mpiReplicaSpecs")

    def runs(self, obj: Object) -> bool:
        """Return whether a job was written in this version."""
        return metadata.annotations(obj).get(WRITTEN_AS) == kinds.API_VERSION

    def environment(self, replica: Replica, container: Object) -> Mapping[str, str]:
        """Return what makes every `mpirun` find the workers."""
        if replica.type != LAUNCHER or container.get("name") != self._main(replica.job, LAUNCHER):
            return {}
        reached = self._main(replica.job, WORKER)
        chosen = {parts.CONTAINER: reached} if reached else {}
        open_mpi = {**parts.open_mpi(), **parts.interfaces(container)}
        devices = {} if _computes(replica.job) else parts.NO_DEVICES
        return {**open_mpi, **parts.hydra(), **parts.intel(), **chosen, **devices}

    def _main(self, job: Job, type_: str) -> str:
        """Return the name of the container that does MPI's work; empty of a type that is not there."""
        spec = job.replicas.get(type_)
        held = (
            [] if spec is None else [each["name"] for each in spec.template["spec"]["containers"]]
        )
        wanted = (job.spec.main_container, self.container)
        return next((name for name in wanted if name in held), next(iter(held), ""))

    def companions(self, job: Job) -> Sequence[Object]:
        """Return host list and remote shell, and the launcher's rights."""
        cluster = _cluster(job)
        return [parts.config_map(cluster), *parts.access(cluster)]

    def finish_pod(self, replica: Replica, pod: Object) -> None:
        """Give a launcher the host list; have a worker without a command wait."""
        pod["metadata"]["labels"][_ROLE] = replica.type.lower()
        spec = pod["spec"]
        main = self._main(replica.job, replica.type)
        own = next(each for each in spec["containers"] if each["name"] == main)
        cluster = _cluster(replica.job)
        parts.mount(cluster, spec, own)
        if replica.type == LAUNCHER:
            spec.setdefault("serviceAccountName", cluster.account)
        else:
            parts.wait(own)

    def running(self, job: Job, counts: Counts) -> bool:
        """Return whether launcher and all workers run."""
        workers = counts.get(WORKER)
        ready = workers is None or workers.running >= workers.wanted
        return ready and bool(counts[LAUNCHER].running)


def _computes(job: Job) -> bool:
    """Return whether the launcher is given GPUs: then it computes, too."""
    return any(
        "gpu" in name
        for replica in job.of(LAUNCHER)
        for container in replica.spec.template["spec"]["containers"]
        for name in (container.get("resources") or {}).get("limits") or ()
    )


def _cluster(job: Job) -> parts.Cluster:
    workers = [replica.name for replica in job.of(WORKER)]
    launcher = [replica.name for replica in job.of(LAUNCHER)]
    hosts = [*launcher, *workers] if _computes(job) else workers
    return parts.Cluster(
        owner=job.obj,
        account=f"{job.name}-launcher",
        config=f"{job.name}-config",
        # Without workers the launcher does the work.
        hosts=dict.fromkeys(hosts or launcher, job.spec.slots_per_worker or 1),
        pods=workers,
    )
