"""TensorFlow: `TFJob`, whose replicas are told of one another in TF_CONFIG.

Source: kubeflow/training-operator 1.9, ``pkg/controller.v1/tensorflow`` (tensorflow.go, status.go).
"""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from wherry.objects.declared.fields import about
from wherry.objects.errors import Cause
from wherry.objects.requests import Object
from wherry.training import kinds
from wherry.training.framework import Counts, Framework, ReplicaType
from wherry.training.job import Job, Replica
from wherry.training.kinds import OldPlacement, ReplicaSpec, RunPolicy

CHIEF, MASTER, WORKER, PS, EVALUATOR = "Chief", "Master", "Worker", "PS", "Evaluator"
ALL_WORKERS: Final = "AllWorkers"

CLUSTER_DOMAIN: Final = "CUSTOM_CLUSTER_DOMAIN"
"""Variable of the controllers' own: a domain that is added to the addresses in TF_CONFIG."""


@dataclass(frozen=True, slots=True)
class TFJobSpec(OldPlacement):
    """A TensorFlow job."""

    run_policy: RunPolicy = about("How it is run and cleaned up.", RunPolicy())
    success_policy: str = about(
        "When it has succeeded: with its chief, master or first worker, or with AllWorkers.",
        "",
        enum=["", ALL_WORKERS],
    )
    tf_replica_specs: dict[str, ReplicaSpec] = about(
        "The pods, by type: Chief, Master, Worker, PS and Evaluator.", dict, required=True
    )
    enable_dynamic_worker: bool = about(
        "Whether workers may come and go: each is told of itself and the parameter servers only.",
        filled=False,
    )


class TensorFlow(Framework):
    """`TFJob`."""

    resource = kinds.resource("TFJob", "tfjobs")
    spec = TFJobSpec
    replicas_field = "tfReplicaSpecs"
    types = (
        ReplicaType(PS),
        ReplicaType(WORKER),
        ReplicaType(CHIEF, at_most=1),
        ReplicaType(MASTER, at_most=1),
        ReplicaType(EVALUATOR),
    )
    container = "tensorflow"
    port_name, port = "tfjob-port", 2222
    restart_policy = kinds.NEVER

    def validate(self, job: Job) -> Sequence[Cause]:
        """Return that a job has two leaders, where it has."""
        if CHIEF in job.replicas and MASTER in job.replicas:
            field = f"spec.{self.replicas_field}"
            return [Cause(field, "Chief and Master are the same role: give one of them")]
        return []

    def leader(self, job: Job) -> Replica | None:
        """Return chief or master, or the first worker where there is neither."""
        return next((replica for name in (CHIEF, MASTER, WORKER) for replica in job.of(name)), None)

    def environment(self, replica: Replica, container: Object) -> Mapping[str, str]:
        """Return TF_CONFIG, for the container that trains, unless it is alone."""
        if container.get("name") != self.container or replica.job.total() == 1:
            return {}
        spec: TFJobSpec = replica.job.spec
        config = self._sparse(replica) if spec.enable_dynamic_worker else self._full(replica)
        return {"TF_CONFIG": json.dumps(config)}

    def _full(self, replica: Replica) -> dict[str, Any]:
        job = replica.job
        cluster = {
            type_.lower(): [self._host(other) for other in job.of(type_)] for type_ in job.replicas
        }
        task = {"type": replica.type.lower(), "index": replica.index}
        return {"cluster": cluster, "task": task, "environment": "cloud"}

    def _sparse(self, replica: Replica) -> dict[str, Any]:
        servers = [self._host(other) for other in replica.job.of(PS)]
        own = self._host(replica)
        cluster: dict[str, Any]
        if replica.type == PS:
            cluster = {"worker": {}, "ps": [own]}
        else:
            cluster = {replica.type.lower(): {str(replica.index): own}, "ps": servers}
        return {"cluster": cluster, "task": {"type": replica.type.lower(), "index": replica.index}}

    def _host(self, replica: Replica) -> str:
        domain = os.environ.get(CLUSTER_DOMAIN, "")
        host = f"{replica.host()}.{domain}" if domain else replica.host()
        return f"{host}:{self.address(replica)}"

    def succeeded(self, job: Job, counts: Counts) -> bool:
        """Return whether chief or master are done; else the first worker, or all of them."""
        for name in (CHIEF, MASTER):
            if name in counts:
                return counts[name].succeeded > 0
        workers = counts.get(WORKER)
        if workers is None:
            return all(count.succeeded >= count.wanted for count in counts.values())
        if job.spec.success_policy == ALL_WORKERS:
            return workers.succeeded >= workers.wanted
        # Of workers that may go, those that have gone do not count.
        failed = workers.failed and not job.spec.enable_dynamic_worker
        return 0 in workers.succeeded_indexes and not failed

    def tolerates_failure(self, replica_type: str, job: Job) -> bool:
        """Return whether it is a worker that may go."""
        return bool(job.spec.enable_dynamic_worker) and replica_type == WORKER
