"""JAX: `JAXJob`, whose first worker coordinates.

Source: kubeflow/training-operator 1.9, ``pkg/controller.v1/jax/envvar.go``.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from wherry.objects.declared.fields import about
from wherry.objects.requests import Object
from wherry.training import kinds
from wherry.training.framework import Framework, ReplicaType
from wherry.training.job import Job, Replica
from wherry.training.kinds import ReplicaSpec, RunPolicy

WORKER = "Worker"


@dataclass(frozen=True, slots=True)
class JAXJobSpec:
    """A JAX job."""

    run_policy: RunPolicy = about("How it is run and cleaned up.", RunPolicy())
    jax_replica_specs: dict[str, ReplicaSpec] = about(
        "The pods, by type: Worker.", dict, required=True
    )


class JAX(Framework):
    """`JAXJob`."""

    resource = kinds.resource("JAXJob", "jaxjobs")
    spec = JAXJobSpec
    replicas_field = "jaxReplicaSpecs"
    types = (ReplicaType(WORKER, required=True),)
    container = "jax"
    port_name, port = "jaxjob-port", 6666
    restart_policy = kinds.NEVER

    def environment(self, replica: Replica, container: Object) -> Mapping[str, str]:
        """Return what ``jax.distributed.initialize`` is to be called with."""
        del container
        first = next(replica.job.of(WORKER))
        return {
            "PYTHONUNBUFFERED": "1",
            "COORDINATOR_PORT": str(self.address(first)),
            "COORDINATOR_ADDRESS": first.name,
            "NUM_PROCESSES": str(replica.job.total()),
            "PROCESS_ID": str(replica.index),
        }

    def restarts_all(self, job: Job, lost: Collection[Replica]) -> bool:
        """Return True: a process that has lost a peer cannot take in another."""
        del job, lost
        return True
