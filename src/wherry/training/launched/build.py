"""From a v2beta1 `MPIJob` to workers, host list, keys and the batch Job of its launcher. Pure.

Source: kubeflow/mpi-operator 0.6, ``pkg/controller/mpi_job_controller.go``.
"""

from collections.abc import Mapping
from typing import Final

from wherry.objects import kinds as core
from wherry.objects import metadata
from wherry.objects.copies import copied
from wherry.objects.requests import Object
from wherry.objects.resources import Resource
from wherry.training import build
from wherry.training.frameworks import mpi
from wherry.training.job import Job, Replica
from wherry.training.mpi import keys, parts
from wherry.training.policies import gangs

OPERATOR: Final = "mpi-operator"
_KEYS: Final = "ssh-auth"


def launcher_name(job: Job) -> str:
    """Return the name of the launcher's Job."""
    return f"{job.name}-launcher"


def keys_name(job: Job) -> str:
    """Return the name of the Secret with the ssh keys."""
    return f"{job.name}-ssh"


def labels(job: Job, role: str = "") -> dict[str, str]:
    """Return the labels of a job's objects, those of one role where it is named."""
    made = {build.OPERATOR_NAME: OPERATOR, build.JOB_NAME: job.name}
    return {**made, build.JOB_ROLE: role.lower()} if role else made


def selector(job: Job, role: str) -> str:
    """Return the label selector of a role's pods, as text."""
    return ",".join(f"{name}={value}" for name, value in sorted(labels(job, role).items()))


def cluster(job: Job) -> parts.Cluster:
    """Return the hosts of a job."""
    domain = f"{job.name}.{job.namespace}.svc"
    workers = [replica.name for replica in job.of(mpi.WORKER)]
    hosts = [f"{name}.{domain}" for name in workers]
    if job.spec.run_launcher_as_worker or not workers:
        # As it calls itself: Open MPI takes a host for its own by that name.
        hosts.insert(0, launcher_name(job))
    return parts.Cluster(
        owner=job.obj,
        account=f"{job.name}-launcher",
        config=f"{job.name}-config",
        hosts=dict.fromkeys(hosts, job.spec.slots_per_worker or 1),
        pods=workers,
    )


def head(job: Job, resource: Resource, name: str, marks: Mapping[str, str]) -> Object:
    """Return type and metadata of an object that the job controls."""
    return {
        "apiVersion": resource.api_version,
        "kind": resource.kind,
        "metadata": {
            "name": name,
            "namespace": job.namespace,
            "labels": dict(marks),
            "ownerReferences": [metadata.owner_reference(job.obj)],
        },
    }


def services(job: Job) -> list[Object]:
    """Return the headless Services: one that gives all pods their names, and the launcher's own.

    MPICH and Intel MPI tell workers the launcher's bare host name.
    """
    return [
        _headless(job, job.name, labels(job)),
        _headless(job, launcher_name(job), labels(job, "launcher")),
    ]


def _headless(job: Job, name: str, selected: Mapping[str, str]) -> Object:
    spec = {
        "clusterIP": "None",
        "publishNotReadyAddresses": True,
        "selector": dict(selected),
    }
    return {**head(job, core.SERVICES, name, labels(job)), "spec": spec}


def secret(job: Job, content: Mapping[str, str]) -> Object:
    """Return the Secret with a job's ssh keys, for images that use them."""
    made = head(job, core.SECRETS, keys_name(job), labels(job))
    return {**made, "type": keys.TYPE, "stringData": dict(content)}


def worker(replica: Replica) -> Object:
    """Return the pod of a worker."""
    job = replica.job
    template = _template(replica, role="worker")
    spec = template["spec"]
    spec["hostname"], spec["subdomain"] = replica.name, job.name
    spec["restartPolicy"] = replica.spec.restart_policy
    parts.wait(spec["containers"][0])
    made = head(job, core.PODS, replica.name, template["metadata"]["labels"])
    # A launcher that is a rank is the first one.
    index = replica.index + (1 if job.spec.run_launcher_as_worker else 0)
    made["metadata"]["labels"][build.REPLICA_INDEX] = str(index)
    made["metadata"]["annotations"] = template["metadata"]["annotations"]
    return {**made, "spec": spec}


def launcher(job: Job) -> Object:
    """Return the batch Job of the launcher."""
    replica = next(job.of(mpi.LAUNCHER))
    template = _template(replica, role="launcher")
    spec = template["spec"]
    spec["hostname"], spec["subdomain"] = launcher_name(job), job.name
    spec["restartPolicy"] = replica.spec.restart_policy
    spec.setdefault("serviceAccountName", cluster(job).account)
    if job.spec.run_launcher_as_worker:
        template["metadata"]["labels"][build.REPLICA_INDEX] = "0"
    policy = job.policy
    limits = {
        "backoffLimit": policy.backoff_limit,
        "activeDeadlineSeconds": policy.active_deadline_seconds,
    }
    given = {name: value for name, value in limits.items() if value is not None}
    made = head(job, core.JOBS, launcher_name(job), labels(job, "launcher"))
    return {**made, "spec": {**given, "template": template}}


def _template(replica: Replica, *, role: str) -> Object:
    job = replica.job
    template = copied(replica.spec.template)
    meta = template.get("metadata") or {}
    spec = template.setdefault("spec", {})
    if spec.get("hostNetwork"):
        spec["dnsPolicy"] = "ClusterFirstWithHostNet"
    container = spec["containers"][0]
    parts.mount(cluster(job), spec, container)
    # ssh takes no key that others may read.
    volume = keys.volume(_KEYS, keys_name(job), mode=0o600)
    keys.mount(spec, container, volume, job.spec.ssh_auth_mount_path)
    variables = {"K_MPI_JOB_ROLE": role}
    if role == "launcher":
        flavour, slots = job.spec.mpi_implementation, job.spec.slots_per_worker
        variables |= parts.variables(flavour, slots, container)
        if not job.spec.run_launcher_as_worker:
            variables |= parts.NO_DEVICES
        workers = job.replicas.get(mpi.WORKER)
        if workers is not None:
            variables[parts.CONTAINER] = workers.template["spec"]["containers"][0]["name"]
    build.give(container, variables)
    container.setdefault("terminationMessagePolicy", "FallbackToLogsOnError")
    marks = {**(meta.get("labels") or {}), **labels(job, role), **gangs.labels(job)}
    notes = {**(meta.get("annotations") or {}), **gangs.annotations(job, replica.type)}
    return {"metadata": {"labels": marks, "annotations": notes}, "spec": spec}
