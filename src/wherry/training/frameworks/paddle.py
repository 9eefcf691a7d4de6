"""PaddlePaddle: `PaddleJob`, collective or with parameter servers.

Source: kubeflow/training-operator 1.9, ``pkg/controller.v1/paddlepaddle/envvar.go``.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from wherry.objects.declared import published
from wherry.objects.declared.fields import about
from wherry.objects.errors import Cause
from wherry.objects.requests import Object
from wherry.training import kinds
from wherry.training.framework import Framework, ReplicaType
from wherry.training.job import Job, Replica
from wherry.training.kinds import ReplicaSpec, RunPolicy
from wherry.training.policies import elasticity

MASTER, WORKER = "Master", "Worker"
_ADDRESS: Final = "POD_IP_DUMMY"


@dataclass(frozen=True, slots=True)
class PaddleElasticPolicy:
    """How many workers a job may do with."""

    min_replicas: int | None = about("Workers that it needs at least.", minimum=1)
    max_replicas: int | None = about("Workers that it can use at most.", minimum=1)
    max_restarts: int | None = about("How often workers may be restarted.", minimum=0)
    metrics: tuple[dict[str, Any], ...] = about(
        "By which the number of workers follows the load (HorizontalPodAutoscaler).",
        (),
        published=published.METRIC_SPEC,
    )


@dataclass(frozen=True, slots=True)
class PaddleJobSpec:
    """A PaddlePaddle job."""

    run_policy: RunPolicy = about("How it is run and cleaned up.", RunPolicy())
    elastic_policy: PaddleElasticPolicy | None = about("Bounds of an elastic job.")
    paddle_replica_specs: dict[str, ReplicaSpec] = about(
        "The pods, by type: Master (a parameter server) and Worker.", dict, required=True
    )


class Paddle(Framework):
    """`PaddleJob`."""

    resource = kinds.resource("PaddleJob", "paddlejobs", scale=True)
    spec = PaddleJobSpec
    replicas_field = "paddleReplicaSpecs"
    types = (ReplicaType(MASTER), ReplicaType(WORKER))
    container = "paddle"
    port_name, port = "master", 36543
    restart_policy = kinds.ON_FAILURE
    scale = kinds.worker_scale("paddleReplicaSpecs")

    def validate(self, job: Job) -> Sequence[Cause]:
        """Return what is wrong with the elastic bounds."""
        elastic = job.spec.elastic_policy
        if elastic is None or elastic.min_replicas is None or elastic.max_replicas is None:
            return []
        if elastic.min_replicas <= elastic.max_replicas:
            return []
        message = f"{elastic.min_replicas}: must not be above maxReplicas, {elastic.max_replicas}"
        return [Cause("spec.elasticPolicy.minReplicas", message)]

    def restarts_all(self, job: Job, lost: Collection[Replica]) -> bool:
        """Return whether it trains collectively, or has lost the worker where all meet."""
        if job.count(MASTER):
            return False
        elastic = job.spec.elastic_policy
        return elastic is None or any(one.index == 0 for one in lost)

    def companions(self, job: Job) -> Sequence[Object]:
        """Return the autoscaler of an elastic job that names metrics."""
        elastic: PaddleElasticPolicy | None = job.spec.elastic_policy
        if elastic is None:
            return ()
        low, high = elastic.min_replicas, elastic.max_replicas
        made = elasticity.autoscaler(job, least=low, most=high, metrics=elastic.metrics)
        return () if made is None else (made,)

    def environment(self, replica: Replica, container: Object) -> Mapping[str, str]:
        """Return what ``paddle.distributed.launch`` reads."""
        del container
        job = replica.job
        elastic = job.spec.elastic_policy
        nodes = str(job.total())
        if elastic is not None and elastic.min_replicas is not None:
            nodes = f"{elastic.min_replicas}:{elastic.max_replicas or job.count(WORKER)}"
        made = {
            "PYTHONUNBUFFERED": "1",
            "PADDLE_JOB_ID": job.name,
            "PADDLE_NNODES": nodes,
            "PADDLE_MASTER": self._meeting(replica),
        }
        if elastic is not None and elastic.max_restarts is not None:
            made["PADDLE_MAX_RESTARTS"] = str(elastic.max_restarts)
        if MASTER in job.replicas:
            role = "PADDLE_SERVER_NUM" if replica.type == MASTER else "PADDLE_TRAINER_NUM"
            made[role] = "1"
        return made

    def _meeting(self, replica: Replica) -> str:
        job = replica.job
        first = next(job.of(MASTER), None) or next(job.of(WORKER))
        own = (first.type, first.index) == (replica.type, replica.index)
        # Who keeps the meeting point must bind its own address, not look for its own name.
        host = f"$({_ADDRESS})" if own else first.name
        return f"{host}:{self.address(first)}"

    def finish_pod(self, replica: Replica, pod: Object) -> None:
        """Give the first replica its own address as a variable, before the one that refers to it."""
        for container in pod["spec"]["containers"]:
            if not any(f"$({_ADDRESS})" in one.get("value", "") for one in container["env"]):
                continue
            source = {"fieldRef": {"fieldPath": "status.podIP"}}
            container["env"].insert(0, {"name": _ADDRESS, "valueFrom": source})
