"""From a ChainerJob to its master's Job, its worker sets, and what lets the one reach the others. Pure.

Source: kubeflow/chainer-operator, ``pkg/controllers/backends``. What init containers generate there
(kubectl, a host list of pods that run) is in place from the start here.
"""

from collections.abc import Mapping
from typing import Any, Final

from wherry.objects import kinds as core
from wherry.objects import metadata
from wherry.objects.copies import copied
from wherry.objects.requests import Object
from wherry.objects.resources import Resource
from wherry.training import build as jobs
from wherry.training.chainer.kinds import CONTAINER, ChainerJob
from wherry.training.mpi import parts

PREFIX: Final = "chainerjob.kubeflow.org/"
NAME, ROLE, SET = f"{PREFIX}name", f"{PREFIX}role", f"{PREFIX}workersetname"
FOLDER: Final = "/kubeflow/chainer-operator"
_SHELL: Final = f"{FOLDER}/assets/kubexec.sh"
_HOSTS: Final = f"{FOLDER}/generated/hostfile"
_HYDRA_HOSTS: Final = f"{_HOSTS}.hydra"
_VOLUME: Final = "chainer-operator-volume-assets"
_FILES: Final = {
    "kubexec.sh": "assets/kubexec.sh",
    "rsh_agent.py": "assets/rsh_agent.py",
    "hostfile": "generated/hostfile",
    "hostfile.hydra": "generated/hostfile.hydra",
}


def labels(job: ChainerJob, role: str, worker_set: str = "") -> dict[str, str]:
    """Return the labels of the pods of a role.

    Args:
        job: Whose.
        role: ``master`` or ``workerset``.
        worker_set: Which.
    """
    # The last is how those find them who follow jobs of all kinds.
    made = {NAME: job.name, ROLE: role, jobs.JOB_NAME: job.name}
    return {**made, SET: worker_set} if worker_set else made


def cluster(job: ChainerJob) -> parts.Cluster:
    """Return the hosts of a job: workers first, as in upstream's list."""
    hosts: dict[str, int] = {}
    pods: list[str] = []
    for name, each in sorted(job.spec.worker_sets.items()):
        domain = f"{job.set_name(name)}.{job.namespace}.svc"
        for worker in job.workers(name):
            hosts[f"{worker}.{domain}"] = each.mpi_config.slots or 1
            pods.append(worker)
    # As it calls itself: Open MPI takes a host for its own by that name.
    hosts[job.master_name] = job.spec.master.mpi_config.slots or 1
    return parts.Cluster(
        owner=job.obj,
        account=f"{job.name}-launcher",
        config=f"{job.name}-assets",
        hosts=hosts,
        pods=pods,
    )


def companions(job: ChainerJob) -> list[Object]:
    """Return host list, remote shell, the master's rights, and Services that give pods their names."""
    if not job.spec.worker_sets:
        return []
    hosts = cluster(job)
    services = [_service(job, job.master_name, labels(job, "master"))]
    services += [
        _service(job, job.set_name(name), labels(job, "workerset", name))
        for name in sorted(job.spec.worker_sets)
    ]
    return [parts.config_map(hosts), *parts.access(hosts), *services]


def _service(job: ChainerJob, name: str, selector: Mapping[str, str]) -> Object:
    spec = {
        "clusterIP": "None",
        "publishNotReadyAddresses": True,
        "selector": dict(selector),
    }
    return {**_head(job, core.SERVICES, name, selector), "spec": spec}


def worker_sets(job: ChainerJob, *, done: bool) -> list[Object]:
    """Return the StatefulSets of the workers.

    Args:
        job: Whose.
        done: Whether the master has ended; nobody needs them then.
    """
    return [_worker_set(job, name, done=done) for name in sorted(job.spec.worker_sets)]


def _worker_set(job: ChainerJob, name: str, *, done: bool) -> Object:
    each, own = job.spec.worker_sets[name], labels(job, "workerset", name)
    template = _template(job, each.template, own)
    # Of a StatefulSet's pods nothing else is taken.
    template["spec"]["restartPolicy"] = "Always"
    for container in template["spec"]["containers"]:
        if container["name"] == CONTAINER:
            parts.wait(container)
    spec = {
        "replicas": 0 if done else len(job.workers(name)),
        "serviceName": job.set_name(name),
        "podManagementPolicy": "Parallel",
        "selector": {"matchLabels": own},
        "template": template,
    }
    return {**_head(job, core.STATEFUL_SETS, job.set_name(name), own), "spec": spec}


def master(job: ChainerJob) -> Object:
    """Return the master's Job."""
    given, own = job.spec.master, labels(job, "master")
    template = _template(job, given.template, own)
    spec = template["spec"]
    spec["hostname"] = job.master_name
    if job.spec.worker_sets:
        spec["subdomain"] = job.master_name
        spec.setdefault("serviceAccountName", cluster(job).account)
    for container in spec["containers"]:
        container.setdefault("terminationMessagePolicy", "FallbackToLogsOnError")
    limits = {
        "backoffLimit": given.backoff_limit,
        "activeDeadlineSeconds": given.active_deadline_seconds,
    }
    wanted = {name: value for name, value in limits.items() if value is not None}
    made = {"completions": 1, "parallelism": 1, **wanted, "template": template}
    return {**_head(job, core.JOBS, job.master_name, own), "spec": made}


def _template(job: ChainerJob, given: Mapping[str, Any], own: Mapping[str, str]) -> Object:
    template: Object = copied(dict(given))
    marks = template.get("metadata") or {}
    template["metadata"] = {**marks, "labels": {**(marks.get("labels") or {}), **own}}
    if job.spec.worker_sets:
        _connect(job, template["spec"])
    return template


def _connect(job: ChainerJob, spec: Object) -> None:
    """Give all containers of a pod host list and remote shell, in place."""
    items = [{"key": key, "path": path} for key, path in _FILES.items()]
    source: dict[str, Any] = {"name": cluster(job).config, "items": items, "defaultMode": 0o555}
    spec.setdefault("volumes", []).append({"name": _VOLUME, "configMap": source})
    for container in (*(spec.get("initContainers") or ()), *spec["containers"]):
        mounted = {"name": _VOLUME, "mountPath": FOLDER}
        container.setdefault("volumeMounts", []).append(mounted)
    for container in spec["containers"]:
        jobs.give(container, _variables(container))


def _variables(container: Object) -> dict[str, str]:
    return {
        **parts.open_mpi(shell=_SHELL, hostfile=_HOSTS),
        **parts.interfaces(container),
        **parts.hydra(shell=_SHELL, hostfile=_HYDRA_HOSTS),
        **parts.intel(shell=_SHELL, hostfile=_HYDRA_HOSTS),
        "OMPI_MCA_orte_keep_fqdn_hostnames": "t",
        parts.CONTAINER: CONTAINER,
    }


def _head(job: ChainerJob, resource: Resource, name: str, own: Mapping[str, str]) -> Object:
    return {
        "apiVersion": resource.api_version,
        "kind": resource.kind,
        "metadata": {
            "name": name,
            "namespace": job.namespace,
            "labels": {**metadata.labels(job.obj), **own},
            "ownerReferences": [metadata.owner_reference(job.obj)],
        },
    }
