"""What makes processes of several pods one MPI job: host list, remote shell, rights, variables. Pure.

The same for both versions of `MPIJob`; Open MPI, MPICH and Intel MPI each read the variables of their
own and pass over the others'.

Source: kubeflow/training-operator 1.9, ``pkg/controller.v1/mpi``; kubeflow/mpi-operator 0.6,
``pkg/controller``. There the remote shell is kubectl, or ssh with keys and daemons; here it is
`rsh_agent.py`.
"""

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from wherry.objects import kinds as core
from wherry.objects import metadata
from wherry.objects.requests import Object
from wherry.objects.resources import Resource

CONFIG_PATH: Final = "/etc/mpi"
SHELL: Final = f"{CONFIG_PATH}/kubexec.sh"
HOSTFILE: Final = f"{CONFIG_PATH}/hostfile"
HYDRA_HOSTFILE: Final = f"{CONFIG_PATH}/hostfile.hydra"
VOLUME: Final = "mpi-job-config"

WAITING: Final = ("/bin/sh", "-c", 'trap "exit 0" TERM INT; while :; do sleep 3600 & wait $!; done')
"""What a worker does of its own: it is there. As a shell, since a plain sleep that is process 1 of a
container does not hear that it is to end."""

_AGENT: Final = Path(__file__).with_name("rsh_agent.py")
_KUBEXEC: Final = f"""#!/bin/sh
# Called by mpirun in place of ssh: [OPTIONS] HOST COMMAND
command -v python3 >/dev/null || {{
    echo "the launcher's image has no python3, which starts processes in the workers' pods" >&2
    exit 255
}}
exec python3 {CONFIG_PATH}/rsh_agent.py "$@"
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """The hosts of one MPI job.

    Attributes:
        owner: The job; what is made is controlled by it.
        name: Prefix of what is made; the job's name.
        hosts: As `mpirun` is to call them.
        pods: Names of those among them that are reached through the API.
        slots: Processes on each.
    """

    owner: Object
    name: str
    hosts: Sequence[str]
    pods: Sequence[str]
    slots: int

    @property
    def account(self) -> str:
        """Name of the launcher's service account, of its role and of their binding."""
        return f"{self.name}-launcher"

    @property
    def config(self) -> str:
        """Name of the ConfigMap."""
        return f"{self.name}-config"


@functools.cache
def _agent() -> str:
    return _AGENT.read_text(encoding="utf-8")


def config_map(cluster: Cluster) -> Object:
    """Return the ConfigMap with host list and remote shell."""
    hosts = cluster.hosts
    discover = "".join(f"echo {host}:{cluster.slots}\n" for host in hosts)
    data = {
        "hostfile": "".join(f"{host} slots={cluster.slots}\n" for host in hosts),
        "hostfile.hydra": "".join(f"{host}:{cluster.slots}\n" for host in hosts),
        "discover_hosts.sh": f"#!/bin/sh\n{discover}",
        "kubexec.sh": _KUBEXEC,
        "rsh_agent.py": _agent(),
    }
    return {**_head(cluster, core.CONFIG_MAPS, cluster.config), "data": data}


def access(cluster: Cluster) -> list[Object]:
    """Return account, role and binding: the launcher may start processes in its workers' pods.

    Role and binding name those pods one by one: it may reach no others.
    """
    pods = list(cluster.pods)
    # A WebSocket is opened with GET; API servers differ in which verb they take that for.
    verbs = {"pods": ["get"], "pods/exec": ["create", "get"]}
    rules = [
        {"apiGroups": [""], "resources": [what], "resourceNames": pods, "verbs": allowed}
        for what, allowed in verbs.items()
    ]
    account = {
        "kind": "ServiceAccount",
        "name": cluster.account,
        "namespace": metadata.namespace(cluster.owner),
    }
    role = {"apiGroup": core.ROLES.group, "kind": core.ROLES.kind, "name": cluster.account}
    return [
        _head(cluster, core.SERVICE_ACCOUNTS, cluster.account),
        {**_head(cluster, core.ROLES, cluster.account), "rules": rules if pods else []},
        {
            **_head(cluster, core.ROLE_BINDINGS, cluster.account),
            "subjects": [account],
            "roleRef": role,
        },
    ]


def _head(cluster: Cluster, resource: Resource, name: str) -> Object:
    return {
        "apiVersion": resource.api_version,
        "kind": resource.kind,
        "metadata": {
            "name": name,
            "namespace": metadata.namespace(cluster.owner),
            "labels": {"app": cluster.name},
            "ownerReferences": [metadata.owner_reference(cluster.owner)],
        },
    }


def open_mpi() -> dict[str, str]:
    """Return what Open MPI reads: 4 and before by its own names, from 5 by its launcher's."""
    return {
        "OMPI_MCA_plm_rsh_agent": SHELL,
        "PRTE_MCA_plm_ssh_agent": SHELL,
        "OMPI_MCA_orte_default_hostfile": HOSTFILE,
        "PRTE_MCA_prte_default_hostfile": HOSTFILE,
        "OMPI_MCA_orte_keep_fqdn_hostnames": "true",
        "PRTE_MCA_prte_keep_fqdn_hostnames": "true",
    }


def hydra() -> dict[str, str]:
    """Return what MPICH reads."""
    return {
        "HYDRA_HOST_FILE": HYDRA_HOSTFILE,
        "HYDRA_LAUNCHER": "ssh",
        "HYDRA_LAUNCHER_EXEC": SHELL,
    }


def intel() -> dict[str, str]:
    """Return what Intel MPI reads."""
    return {
        "I_MPI_HYDRA_HOST_FILE": HYDRA_HOSTFILE,
        "I_MPI_HYDRA_BOOTSTRAP": "rsh",
        "I_MPI_HYDRA_BOOTSTRAP_EXEC": SHELL,
    }


def mount(cluster: Cluster, spec: Object, container: Object) -> None:
    """Give a container host list and remote shell, in place.

    Workers have them as well: Open MPI's daemons look whether the shell is there.

    Args:
        cluster: Whose.
        spec: The pod's.
        container: One of its containers.
    """
    source: dict[str, Any] = {"name": cluster.config, "defaultMode": 0o555}
    spec.setdefault("volumes", []).append({"name": VOLUME, "configMap": source})
    mounted = {"name": VOLUME, "mountPath": CONFIG_PATH}
    container.setdefault("volumeMounts", []).append(mounted)
