"""MXNet: `MXJob`, which trains with a parameter server, or tunes with TVM.

Source: kubeflow/training-operator 1.7, ``pkg/controller.v1/mxnet`` (the last release that has it).
"""

import json
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

SCHEDULER, SERVER, WORKER = "Scheduler", "Server", "Worker"
TUNER_TRACKER, TUNER_SERVER, TUNER = "TunerTracker", "TunerServer", "Tuner"
TRAIN: Final = "MXTrain"
TUNE: Final = "MXTune"
_KEY: Final = "tuner-server-key"


@dataclass(frozen=True, slots=True)
class MXJobSpec(OldPlacement):
    """An MXNet job."""

    run_policy: RunPolicy = about("How it is run and cleaned up.", RunPolicy())
    job_mode: str = about("Whether it trains or tunes.", filled=TRAIN, enum=[TRAIN, TUNE])
    mx_replica_specs: dict[str, ReplicaSpec] = about(
        "The pods, by type: Scheduler, Server and Worker; to tune TunerTracker, TunerServer, Tuner.",
        dict,
        required=True,
    )


class MXNet(Framework):
    """`MXJob`."""

    resource = kinds.resource("MXJob", "mxjobs")
    spec = MXJobSpec
    replicas_field = "mxReplicaSpecs"
    types = (
        ReplicaType(SCHEDULER, at_most=1),
        ReplicaType(SERVER),
        ReplicaType(WORKER),
        ReplicaType(TUNER_TRACKER, at_most=1),
        ReplicaType(TUNER_SERVER),
        ReplicaType(TUNER, at_most=1),
    )
    container = "mxnet"
    port_name, port = "mxjob-port", 9091
    restart_policy = kinds.NEVER

    def validate(self, job: Job) -> Sequence[Cause]:
        """Return that the replica which decides over success is missing, where it is."""
        needed = TUNER if job.spec.job_mode == TUNE else SCHEDULER
        if needed in job.replicas:
            return []
        field = f"spec.{self.replicas_field}[{needed}]"
        message = f"must be there with jobMode {job.spec.job_mode}"
        return [Cause(field, message, "FieldValueRequired")]

    def leader(self, job: Job) -> Replica | None:
        """Return the scheduler, or the tuner."""
        return next(job.of(TUNER if job.spec.job_mode == TUNE else SCHEDULER), None)

    def environment(self, replica: Replica, container: Object) -> Mapping[str, str]:
        """Return MX_CONFIG, and what ps-lite reads where the job trains."""
        del container
        job = replica.job
        cluster = {
            type_.lower(): [
                {"url": other.name, "port": self.address(other)} for other in job.of(type_)
            ]
            for type_ in job.replicas
        }
        labels = {type_.lower(): _label(job.replicas[type_]) for type_ in job.replicas}
        task = {"type": replica.type.lower(), "index": replica.index}
        config = {"cluster": cluster, "labels": labels, "task": task}
        made = {"MX_CONFIG": json.dumps(config)}
        return made | self._parameter_server(replica) if job.spec.job_mode == TRAIN else made

    def _parameter_server(self, replica: Replica) -> dict[str, str]:
        job = replica.job
        scheduler = next(job.of(SCHEDULER))
        made = {
            "DMLC_PS_ROOT_PORT": str(self.address(scheduler)),
            "DMLC_PS_ROOT_URI": scheduler.name,
            "DMLC_NUM_SERVER": str(job.count(SERVER)),
            "DMLC_NUM_WORKER": str(job.count(WORKER)),
            "DMLC_ROLE": replica.type.lower(),
            "DMLC_USE_KUBERNETES": "1",
        }
        if replica.type == WORKER:
            made["DMLC_WORKER_ID"] = str(replica.index)
        return made

    def succeeded(self, job: Job, counts: Counts) -> bool:
        """Return whether the scheduler, or the tuner, is done."""
        leader = self.leader(job)
        return leader is not None and counts[leader.type].succeeded > 0


def _label(spec: ReplicaSpec) -> str:
    meta: Mapping[str, Any] = spec.template.get("metadata") or {}
    return str((meta.get("annotations") or {}).get(_KEY, ""))
