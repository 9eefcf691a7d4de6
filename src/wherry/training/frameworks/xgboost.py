"""XGBoost and LightGBM: `XGBoostJob`, whose master tracks the workers.

Source: kubeflow/training-operator 1.9, ``pkg/controller.v1/xgboost/xgboost.go``.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from wherry.objects.declared.fields import about
from wherry.objects.requests import Object
from wherry.training import kinds
from wherry.training.framework import Framework, ReplicaType
from wherry.training.job import Job, Replica
from wherry.training.kinds import ReplicaSpec, RunPolicy

MASTER, WORKER = "Master", "Worker"


@dataclass(frozen=True, slots=True)
class XGBoostJobSpec:
    """An XGBoost or LightGBM job."""

    run_policy: RunPolicy = about("How it is run and cleaned up.", RunPolicy())
    xgb_replica_specs: dict[str, ReplicaSpec] = about(
        "The pods, by type: Master and Worker.", dict, required=True
    )


class XGBoost(Framework):
    """`XGBoostJob`."""

    resource = kinds.resource("XGBoostJob", "xgboostjobs")
    spec = XGBoostJobSpec
    replicas_field = "xgbReplicaSpecs"
    types = (ReplicaType(MASTER, required=True, at_most=1, at_least=1), ReplicaType(WORKER))
    container = "xgboost"
    port_name, port = "xgboostjob-port", 9999
    restart_policy = kinds.NEVER

    def environment(self, replica: Replica, container: Object) -> Mapping[str, str]:
        """Return where the tracker is, and for LightGBM where all workers are."""
        del container
        job = replica.job
        master = next(job.of(MASTER))
        rank = replica.index if replica.type == MASTER else replica.index + job.count(MASTER)
        made = {
            "MASTER_PORT": str(self.address(master)),
            "MASTER_ADDR": master.name,
            "WORLD_SIZE": str(job.total()),
            "RANK": str(rank),
            "PYTHONUNBUFFERED": "1",
        }
        workers = list(job.of(WORKER))
        if job.total() > 1 and workers:
            made["WORKER_PORT"] = str(self.address(workers[0]))
            made["WORKER_ADDRS"] = ",".join(worker.name for worker in workers)
        return made

    def restarts_all(self, job: Job, lost: Collection[Replica]) -> bool:
        """Return True: a process that has lost a peer cannot take in another."""
        del job, lost
        return True
