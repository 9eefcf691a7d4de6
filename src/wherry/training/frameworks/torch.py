"""PyTorch: `PyTorchJob`, whose replicas meet at the master, or anywhere where they are elastic.

Source: kubeflow/training-operator 1.9, ``pkg/controller.v1/pytorch`` (envvar.go, master.go,
elastic.go).
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from wherry.objects.declared import published
from wherry.objects.declared.fields import about
from wherry.objects.errors import Cause
from wherry.objects.requests import Object
from wherry.training import kinds
from wherry.training.framework import Counts, Framework, ReplicaType
from wherry.training.job import Job, Replica
from wherry.training.kinds import OldPlacement, ReplicaSpec, RunPolicy
from wherry.training.policies import elasticity

MASTER, WORKER = "Master", "Worker"
_WORDS = ("auto", "cpu", "gpu")
_BACKENDS = ("c10d", "etcd", "etcd-v2")


@dataclass(frozen=True, slots=True)
class RendezvousSetting:
    """One setting of the rendezvous backend."""

    key: str = about("Its name.", "", required=True)
    value: str = about("Its value.", "", required=True)


@dataclass(frozen=True, slots=True)
class ElasticPolicy:
    """How many workers a job may do with, and how they find one another."""

    min_replicas: int | None = about("Workers that it needs at least.", minimum=1)
    max_replicas: int | None = about("Workers that it can use at most.", minimum=1)
    rdzv_backend: str = about("Where workers meet.", "", enum=["", *_BACKENDS])
    rdzv_port: int | None = about("Port of the meeting point.", minimum=1, maximum=65535)
    rdzv_host: str = about("Host of the meeting point; the first worker by default.", "")
    rdzv_id: str = about("Name of the meeting; the job's by default.", "")
    rdzv_conf: tuple[RendezvousSetting, ...] = about("Settings of the backend.", ())
    standalone: bool | None = about("Whether each worker is a job of its own, on one node.")
    n_proc_per_node: int | None = about("Deprecated: write spec.nprocPerNode.", minimum=1)
    max_restarts: int | None = about("How often workers may be restarted.", minimum=0)
    metrics: tuple[dict[str, Any], ...] = about(
        "By which the number of workers follows the load (HorizontalPodAutoscaler).",
        (),
        published=published.METRIC_SPEC,
    )


@dataclass(frozen=True, slots=True)
class PyTorchJobSpec(OldPlacement):
    """A PyTorch job."""

    run_policy: RunPolicy = about("How it is run and cleaned up.", RunPolicy())
    elastic_policy: ElasticPolicy | None = about("Bounds of an elastic job.")
    pytorch_replica_specs: dict[str, ReplicaSpec] = about(
        "The pods, by type: Master and Worker.", dict, required=True
    )
    nproc_per_node: str = about(
        "Processes of each pod: a number, or auto, cpu or gpu for as many as torchrun finds.", ""
    )


class Torch(Framework):
    """`PyTorchJob`."""

    resource = kinds.resource("PyTorchJob", "pytorchjobs", scale=True)
    spec = PyTorchJobSpec
    replicas_field = "pytorchReplicaSpecs"
    types = (ReplicaType(MASTER, at_most=1, at_least=1), ReplicaType(WORKER))
    container = "pytorch"
    port_name, port = "pytorchjob-port", 23456
    restart_policy = kinds.ON_FAILURE
    scale = kinds.worker_scale("pytorchReplicaSpecs")

    def default(self, obj: Object) -> None:
        """Count processes as torchrun does, and meet by c10d where the job is elastic."""
        spec = obj["spec"]
        elastic = spec.get("elasticPolicy")
        old = (elastic or {}).get("nProcPerNode")
        spec.setdefault("nprocPerNode", str(old) if old else "auto")
        if elastic is None:
            return
        workers = (spec.get(self.replicas_field) or {}).get(WORKER)
        if workers is not None:
            elastic.setdefault("maxReplicas", workers.get("replicas", 1))
            elastic.setdefault("minReplicas", workers.get("replicas", 1))
        elastic.setdefault("rdzvBackend", _BACKENDS[0])

    def validate(self, job: Job) -> Sequence[Cause]:
        """Return what is wrong with the number of processes and the elastic bounds."""
        causes = []
        spec: PyTorchJobSpec = job.spec
        processes = spec.nproc_per_node
        if processes and processes not in _WORDS and not _is_count(processes):
            message = f'"{processes}": want a whole number above 0, or one of {", ".join(_WORDS)}'
            causes.append(Cause("spec.nprocPerNode", message))
        elastic = spec.elastic_policy
        if elastic is not None and _reversed(elastic):
            causes.append(
                Cause(
                    "spec.elasticPolicy.minReplicas",
                    f"{elastic.min_replicas}: must not be above maxReplicas, {elastic.max_replicas}",
                )
            )
        return causes

    def environment(self, replica: Replica, container: Object) -> Mapping[str, str]:
        """Return what `torchrun` and ``init_method="env://"`` read."""
        del container
        job = replica.job
        spec: PyTorchJobSpec = job.spec
        made = {"PYTHONUNBUFFERED": "1"}
        if spec.nproc_per_node:
            made["PET_NPROC_PER_NODE"] = spec.nproc_per_node
        if spec.elastic_policy is not None:
            return made | self._elastic(job, spec.elastic_policy)
        made["PET_NNODES"] = str(job.total())
        master = next(job.of(MASTER), None)
        if master is not None:
            made |= self._static(replica, master)
        return made

    def _static(self, replica: Replica, master: Replica) -> dict[str, str]:
        job = replica.job
        rank = 0 if replica.type == MASTER else replica.index + 1
        port = str(self.address(master))
        processes = job.spec.nproc_per_node
        each = int(processes) if _is_count(processes) else 1
        return {
            "MASTER_ADDR": master.name,
            "MASTER_PORT": port,
            "PET_MASTER_ADDR": master.name,
            "PET_MASTER_PORT": port,
            "WORLD_SIZE": str(job.total() * each),
            "RANK": str(rank),
            "PET_NODE_RANK": str(rank),
        }

    def _elastic(self, job: Job, elastic: ElasticPolicy) -> dict[str, str]:
        first = next(job.of(WORKER), None)
        host = elastic.rdzv_host or (first.name if first is not None else "localhost")
        port = elastic.rdzv_port or (self.address(first) if first is not None else self.port)
        made = {
            "PET_NNODES": f"{elastic.min_replicas}:{elastic.max_replicas}",
            "PET_RDZV_ENDPOINT": f"{host}:{port}",
            "PET_RDZV_BACKEND": elastic.rdzv_backend,
            "PET_RDZV_ID": _meeting(job, elastic),
        }
        if elastic.rdzv_conf:
            pairs = (f"{setting.key}={setting.value}" for setting in elastic.rdzv_conf)
            made["PET_RDZV_CONF"] = ",".join(pairs)
        if elastic.max_restarts is not None:
            made["PET_MAX_RESTARTS"] = str(elastic.max_restarts)
        if elastic.standalone:
            made["PET_STANDALONE"] = ""
        return made

    def restarts_all(self, job: Job, lost: Collection[Replica]) -> bool:
        """Return True, save where torchrun can go on: it is elastic, and its meeting place is there.

        A torchrun that a peer is lost to may give up with 1: with ExitCode that would end the job.
        """
        elastic: ElasticPolicy | None = job.spec.elastic_policy
        if elastic is None or any(one.spec.restart_policy == kinds.EXIT_CODE for one in lost):
            return True
        hosted = elastic.rdzv_backend == _BACKENDS[0] and not elastic.rdzv_host
        host_lost = any(one.type == WORKER and one.index == 0 for one in lost)
        return (hosted and host_lost) or len(lost) == job.total()

    def companions(self, job: Job) -> Sequence[Object]:
        """Return the autoscaler of an elastic job that names metrics."""
        elastic: ElasticPolicy | None = job.spec.elastic_policy
        if elastic is None:
            return ()
        low, high = elastic.min_replicas, elastic.max_replicas
        made = elasticity.autoscaler(job, least=low, most=high, metrics=elastic.metrics)
        return () if made is None else (made,)

    def succeeded(self, job: Job, counts: Counts) -> bool:
        """Return whether the master, else all workers, else any of an elastic job have ended well."""
        if MASTER not in job.replicas and job.spec.elastic_policy is not None:
            return counts[WORKER].succeeded > 0
        return super().succeeded(job, counts)


def _meeting(job: Job, elastic: ElasticPolicy) -> str:
    """Return the rendezvous' name: one that has ended badly is closed under its name for good."""
    name = elastic.rdzv_id or job.name
    return f"{name}-{job.attempt}" if job.attempt else name


def _is_count(text: str) -> bool:
    return text.isdecimal() and int(text) > 0


def _reversed(elastic: ElasticPolicy) -> bool:
    low, high = elastic.min_replicas, elastic.max_replicas
    return low is not None and high is not None and low > high
