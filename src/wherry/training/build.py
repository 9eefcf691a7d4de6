"""From a job to the objects that should exist for it. Pure.

Names, labels and variables are those of kubeflow/training-operator 1.9 (``pkg/controller.v1``), so
that its SDK and people's scripts find what they look for.
"""

from collections.abc import Mapping
from typing import Final

from wherry.objects import kinds as core
from wherry.objects import metadata
from wherry.objects.copies import copied
from wherry.objects.requests import Object
from wherry.training import kinds
from wherry.training.framework import Framework
from wherry.training.job import ATTEMPT, Job, Replica
from wherry.training.policies import gangs

PREFIX: Final = "training.kubeflow.org/"
OPERATOR_NAME: Final = f"{PREFIX}operator-name"
JOB_NAME: Final = f"{PREFIX}job-name"
JOB_ROLE: Final = f"{PREFIX}job-role"
REPLICA_TYPE: Final = f"{PREFIX}replica-type"
REPLICA_INDEX: Final = f"{PREFIX}replica-index"


def labels(job: Job) -> dict[str, str]:
    """Return the labels that all objects of a job bear."""
    return {OPERATOR_NAME: f"{job.kind.lower()}-controller", JOB_NAME: job.name}


def type_labels(job: Job, type_: str) -> dict[str, str]:
    """Return the labels of all pods of a type."""
    return {**labels(job), REPLICA_TYPE: type_.lower()}


def selector(job: Job, type_: str) -> str:
    """Return the label selector of a type's pods, as text."""
    return ",".join(f"{name}={value}" for name, value in sorted(type_labels(job, type_).items()))


def replica_labels(framework: Framework, replica: Replica) -> dict[str, str]:
    """Return the labels of one replica's pod and Service."""
    made = {**type_labels(replica.job, replica.type), REPLICA_INDEX: str(replica.index)}
    leader = framework.leader(replica.job)
    if leader is not None and (leader.type, leader.index) == (replica.type, replica.index):
        made[JOB_ROLE] = "master"
    return made


def pod(framework: Framework, replica: Replica) -> Object:
    """Return the pod of a replica."""
    template = copied(replica.spec.template)
    meta = template.get("metadata") or {}
    spec = template.setdefault("spec", {})
    policy = replica.spec.restart_policy
    # With ExitCode it is the controller that decides, by the code, whether there is a next pod.
    spec["restartPolicy"] = kinds.NEVER if policy == kinds.EXIT_CODE else policy
    for container in (*(spec.get("initContainers") or ()), *spec["containers"]):
        give(container, framework.environment(replica, container))
        # So that the status of a job that fails can say what its process said last.
        container.setdefault("terminationMessagePolicy", "FallbackToLogsOnError")
    made: Object = {
        "apiVersion": core.PODS.api_version,
        "kind": core.PODS.kind,
        "metadata": {
            "name": replica.name,
            "namespace": replica.job.namespace,
            "labels": {
                **(meta.get("labels") or {}),
                **replica_labels(framework, replica),
                **gangs.labels(replica.job),
            },
            "annotations": {
                **(meta.get("annotations") or {}),
                **gangs.annotations(replica.job, replica.type),
                **_attempt(replica.job),
            },
            "ownerReferences": [metadata.owner_reference(replica.job.obj)],
            **({"finalizers": meta["finalizers"]} if meta.get("finalizers") else {}),
        },
        "spec": spec,
    }
    framework.finish_pod(replica, made)
    return made


def _attempt(job: Job) -> dict[str, str]:
    return {ATTEMPT: str(job.attempt)} if job.attempt else {}


def give(container: Object, variables: Mapping[str, str]) -> None:
    """Set variables of a container, in place of those of the same names."""
    kept = [one for one in container.get("env") or () if one.get("name") not in variables]
    added = [{"name": name, "value": value} for name, value in variables.items()]
    if kept or added:
        container["env"] = kept + added


def service(framework: Framework, replica: Replica) -> Object:
    """Return the headless Service that gives a replica its name."""
    own = replica_labels(framework, replica)
    port = framework.address(replica)
    return {
        "apiVersion": core.SERVICES.api_version,
        "kind": core.SERVICES.kind,
        "metadata": {
            "name": replica.name,
            "namespace": replica.job.namespace,
            "labels": own,
            "ownerReferences": [metadata.owner_reference(replica.job.obj)],
        },
        "spec": {
            "clusterIP": "None",
            # Ranks look for one another while they start, before any of them can be ready.
            "publishNotReadyAddresses": True,
            "selector": {name: own[name] for name in own if name != JOB_ROLE},
            "ports": [{"name": framework.port_name, "port": port, "targetPort": port}],
        },
    }
