"""What makes processes of several pods one MPI job: host list, remote shell, rights, variables. Pure.

The same for both versions of `MPIJob`, for TrainJobs and for ChainerJobs; Open MPI, MPICH and Intel MPI
each read the variables of their own and pass over the others'.

Source: kubeflow/training-operator 1.9, ``pkg/controller.v1/mpi``; kubeflow/mpi-operator 0.6,
``pkg/controller``. There the remote shell is kubectl, or ssh with keys and daemons; here it is
`rsh_agent.py`.
"""

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Final

from wherry.objects import kinds as core
from wherry.objects import metadata
from wherry.objects.requests import Object
from wherry.objects.resources import Resource

OPEN_MPI, INTEL, MPICH = "OpenMPI", "Intel", "MPICH"

CONFIG_PATH: Final = "/etc/mpi"
SHELL: Final = f"{CONFIG_PATH}/kubexec.sh"
HOSTFILE: Final = f"{CONFIG_PATH}/hostfile"
HYDRA_HOSTFILE: Final = f"{CONFIG_PATH}/hostfile.hydra"
VOLUME: Final = "mpi-job-config"

CONTAINER: Final = "WHERRY_MPI_CONTAINER"
"""Variable of launchers: the container of workers that processes are started in."""
SELECTOR: Final = "WHERRY_MPI_SELECTOR"
"""Variable of launchers: labels of the workers' pods, where hosts are not called as their pods are."""

WAITING: Final = ("/bin/sh", "-c", 'trap "exit 0" TERM INT; while :; do sleep 3600 & wait $!; done')
"""What a worker does of its own: it is there. As a shell, since a plain sleep that is process 1 of a
container does not hear that it is to end."""

# Containers are what bounds a process: that it is root's in its own says nothing.
_AS_ROOT: Final = {
    f"{who}_ALLOW_RUN_AS_ROOT{sure}": "1" for who in ("OMPI", "PRTE") for sure in ("", "_CONFIRM")
}
NO_DEVICES: Final = {"NVIDIA_VISIBLE_DEVICES": "", "NVIDIA_DRIVER_CAPABILITIES": ""}
"""Variables of launchers that only launch: they must not take hold of what their workers compute on."""
_INTERFACES: Final = "btl_tcp_if_"
_PATIENCE: Final = "-o ConnectionAttempts=10"
_PROBES: Final = ("readinessProbe", "livenessProbe", "startupProbe")
_AGENT: Final = Path(__file__).with_name("rsh_agent.py")
_KUBEXEC: Final = """#!/bin/sh
# Called by mpirun in place of ssh: [OPTIONS] HOST COMMAND
command -v python3 >/dev/null || {
    echo "the launcher's image has no python3, which starts processes in the workers' pods" >&2
    exit 255
}
exec python3 "${0%/*}/rsh_agent.py" "$@"
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """The hosts of one MPI job.

    Attributes:
        owner: The job; what is made is controlled by it.
        account: Name of the launcher's service account, of its role and of their binding.
        config: Name of the ConfigMap.
        hosts: How many processes there may be on each, by the name that `mpirun` is to call it.
        pods: Names of the pods among them that are reached through the API.
        finds: Whether the launcher finds them by labels (`SELECTOR`): it may list pods then.
    """

    owner: Object
    account: str
    config: str
    hosts: Mapping[str, int]
    pods: Sequence[str]
    finds: bool = False


@functools.cache
def _agent() -> str:
    return _AGENT.read_text(encoding="utf-8")


def config_map(cluster: Cluster) -> Object:
    """Return the ConfigMap with host list and remote shell."""
    hosts = cluster.hosts.items()
    discover = "".join(f"echo {host}:{slots}\n" for host, slots in hosts)
    data = {
        "hostfile": "".join(f"{host} slots={slots}\n" for host, slots in hosts),
        "hostfile.hydra": "".join(f"{host}:{slots}\n" for host, slots in hosts),
        "discover_hosts.sh": f"#!/bin/sh\n{discover}",
        "kubexec.sh": _KUBEXEC,
        "rsh_agent.py": _agent(),
    }
    return {**_head(cluster, core.CONFIG_MAPS, cluster.config), "data": data}


def access(cluster: Cluster) -> list[Object]:
    """Return account, role and binding: the launcher may start processes in its workers' pods.

    The role names those pods one by one: it may reach no others.
    """
    account = {
        "kind": "ServiceAccount",
        "name": cluster.account,
        "namespace": metadata.namespace(cluster.owner),
    }
    return [
        _head(cluster, core.SERVICE_ACCOUNTS, cluster.account),
        role(cluster),
        {
            **_head(cluster, core.ROLE_BINDINGS, cluster.account),
            "subjects": [account],
            "roleRef": {
                "apiGroup": core.ROLES.group,
                "kind": core.ROLES.kind,
                "name": cluster.account,
            },
        },
    ]


def role(cluster: Cluster) -> Object:
    """Return what the launcher may do."""
    pods = list(cluster.pods)
    # A WebSocket is opened with GET; API servers differ in which verb they take that for.
    named = {"pods": ["get"], "pods/exec": ["create", "get"]}
    rules: list[Object] = [
        {"apiGroups": [""], "resources": [what], "resourceNames": pods, "verbs": allowed}
        for what, allowed in named.items()
        # No names would mean all pods.
        if pods
    ]
    if cluster.finds:
        rules.append({"apiGroups": [""], "resources": ["pods"], "verbs": ["list"]})
    return {**_head(cluster, core.ROLES, cluster.account), "rules": rules}


def _head(cluster: Cluster, resource: Resource, name: str) -> Object:
    return {
        "apiVersion": resource.api_version,
        "kind": resource.kind,
        "metadata": {
            "name": name,
            "namespace": metadata.namespace(cluster.owner),
            "labels": {"app": metadata.name(cluster.owner)},
            "ownerReferences": [metadata.owner_reference(cluster.owner)],
        },
    }


def variables(implementation: str, slots: int, launcher: Object) -> dict[str, str]:
    """Return what one implementation reads, as mpi-operator sets it.

    Args:
        implementation: `OPEN_MPI`, `INTEL` or `MPICH`.
        slots: Processes of each host.
        launcher: The container that runs `mpirun`.
    """
    if implementation == MPICH:
        return {**hydra(), "HYDRA_LAUNCH_EXTRA_ARGS": _PATIENCE}
    if implementation == INTEL:
        patience = {"I_MPI_HYDRA_BOOTSTRAP_EXEC_EXTRA_ARGS": _PATIENCE}
        return {**intel(), **patience, "I_MPI_PERHOST": str(slots)}
    own = {"OMPI_MCA_plm_rsh_args": _PATIENCE, "OMPI_MCA_orte_set_default_slots": str(slots)}
    return {**open_mpi(), **interfaces(launcher), **own}


def open_mpi(*, shell: str = SHELL, hostfile: str = HOSTFILE) -> dict[str, str]:
    """Return what Open MPI reads: 4 and before by its own names, from 5 by its launcher's."""
    return {
        "OMPI_MCA_plm_rsh_agent": shell,
        "PRTE_MCA_plm_ssh_agent": shell,
        # With many hosts it would let workers start others, which may not do that.
        "OMPI_MCA_plm_rsh_no_tree_spawn": "1",
        "PRTE_MCA_plm_ssh_no_tree_spawn": "1",
        "OMPI_MCA_orte_default_hostfile": hostfile,
        "PRTE_MCA_prte_default_hostfile": hostfile,
        "OMPI_MCA_orte_keep_fqdn_hostnames": "true",
        "PRTE_MCA_prte_keep_fqdn_hostnames": "true",
        **_AS_ROOT,
    }


def interfaces(launcher: Object) -> dict[str, str]:
    """Return by which network interfaces Open MPI's processes find one another.

    Its own choice leaves out 127.0.0.0/8, where pods have their addresses that are processes of one
    machine. Where a launcher chooses itself, it is left to it: Open MPI refuses two choices.

    Args:
        launcher: The container that runs `mpirun`.
    """
    words = [*(launcher.get("command") or ()), *(launcher.get("args") or ())]
    words += [str(one.get("name")) for one in launcher.get("env") or ()]
    if any(_INTERFACES in str(word) for word in words):
        return {}
    return {f"OMPI_MCA_{_INTERFACES}exclude": "lo,docker0"}


def hydra(*, shell: str = SHELL, hostfile: str = HYDRA_HOSTFILE) -> dict[str, str]:
    """Return what MPICH reads."""
    return {
        "HYDRA_HOST_FILE": hostfile,
        "HYDRA_LAUNCHER": "ssh",
        "HYDRA_LAUNCHER_EXEC": shell,
    }


def intel(*, shell: str = SHELL, hostfile: str = HYDRA_HOSTFILE) -> dict[str, str]:
    """Return what Intel MPI reads."""
    return {
        "I_MPI_HYDRA_HOST_FILE": hostfile,
        "I_MPI_HYDRA_BOOTSTRAP": "rsh",
        "I_MPI_HYDRA_BOOTSTRAP_EXEC": shell,
    }


def mount(cluster: Cluster, spec: Object, container: Object, *, volume: str = VOLUME) -> None:
    """Give a container host list and remote shell, in place.

    Workers have them as well: Open MPI's daemons look whether the shell is there.

    Args:
        cluster: Whose.
        spec: The pod's.
        container: One of its containers.
        volume: What to call the volume.
    """
    source: dict[str, Any] = {"name": cluster.config, "defaultMode": 0o555}
    spec.setdefault("volumes", []).append({"name": volume, "configMap": source})
    mounted = {"name": volume, "mountPath": CONFIG_PATH}
    container.setdefault("volumeMounts", []).append(mounted)


def wait(container: Object) -> None:
    """Have a worker that would do nothing, or run sshd, wait to be used, in place.

    Nothing logs in: processes are started through the API. So nothing listens that could be probed.
    """
    command = [*(container.get("command") or ()), *(container.get("args") or ())]
    if command and PurePosixPath(str(command[0])).name != "sshd":
        return
    container["command"] = list(WAITING)
    for field in ("args", *_PROBES):
        container.pop(field, None)
