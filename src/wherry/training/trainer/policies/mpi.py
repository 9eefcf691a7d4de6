"""MPI: a launcher that runs `mpirun` over nodes that wait.

As in upstream there are two replicated jobs, called launcher and node, each with a container called
node. In place of ssh the launcher has the remote shell of MPI jobs (`wherry.training.mpi`): pods of a
JobSet have names that end at random, so it finds them by label and host name.

Source: kubeflow/trainer 2.3 ``pkg/runtime/framework/plugins/mpi``, which knows Open MPI alone, and
trains on two nodes where a job asks for one that is the launcher.
"""

from collections.abc import Iterator, Sequence
from typing import Any, Final

from wherry.objects import kinds as core
from wherry.objects import metadata
from wherry.objects.errors import Cause
from wherry.objects.requests import Object
from wherry.objects.resources import Resource
from wherry.training.jobset import labels
from wherry.training.mpi import keys, parts
from wherry.training.trainer import draft as drafts
from wherry.training.trainer import kinds
from wherry.training.trainer.draft import Draft
from wherry.training.trainer.policy import Policy
from wherry.training.trainer.runtime import MPIPolicy
from wherry.training.trainer.train_job import TrainJob

WORKERS: Final = "wherry.dev/mpi-workers-of"
"""Label of the pods that a launcher may start processes in: the name of its TrainJob."""
_HOSTS: Final = "mpi-hostfile"
_KEYS: Final = "mpi-ssh-auth"
_KEY_MODES: Final = {keys.PRIVATE: 0o640, keys.PUBLIC: 0o644}


class MPI(Policy):
    """MPI."""

    field = "mpi"
    reserved = frozenset(
        {
            "OMPI_MCA_orte_default_hostfile",
            "OMPI_MCA_plm_rsh_args",
            "OMPI_MCA_orte_keep_fqdn_hostnames",
            "OMPI_MCA_orte_set_default_slots",
        }
    )

    def validate(self, draft: Draft) -> Iterator[Cause]:
        """Check that there are nodes where some are asked for, and how many processes each has."""
        given = draft.job.trainer
        if isinstance(given.num_proc_per_node, str) and not given.num_proc_per_node.isdecimal():
            message = f'"{given.num_proc_per_node}": want a whole number above 0 with MPI'
            yield Cause("spec.trainer.numProcPerNode", message)
        alone = 1 if _settings(draft).run_launcher_as_node else 0
        if (given.num_nodes or 0) > alone and _sent(draft) is None:
            message = (
                f"{given.num_nodes}: runtime {draft.job.spec.runtime_ref.name} has no replicated job "
                f'"{kinds.NODE}" beside the one that launches; want {alone}'
            )
            yield Cause("spec.trainer.numNodes", message)

    def enforce(self, draft: Draft) -> None:
        """Count the nodes, have them wait, and tell the launcher of them."""
        _count(draft)
        hosts = cluster(draft)
        sent = _sent(draft)
        waiting = drafts.container(sent, kinds.NODE) if sent is not None else None
        if sent is not None and waiting is not None:
            pod = sent["template"]["spec"]["template"]
            marks = pod.setdefault("metadata", {})
            marks["labels"] = {**(marks.get("labels") or {}), WORKERS: draft.job.name}
            parts.wait(waiting)
            _mount(draft, hosts, pod["spec"], waiting)
        launches = _launcher(draft)
        launcher = drafts.container(launches, kinds.NODE) if launches is not None else None
        if launches is not None and launcher is not None:
            flavour = _settings(draft).mpi_implementation or parts.OPEN_MPI
            variables = parts.variables(flavour, processes(draft), launcher)
            found = {parts.SELECTOR: f"{WORKERS}={draft.job.name}", parts.CONTAINER: kinds.NODE}
            drafts.give(launcher, {**variables, **found})
            spec = drafts.pod_spec(launches)
            spec.setdefault("serviceAccountName", hosts.account)
            _mount(draft, hosts, spec, launcher)

    def companions(self, draft: Draft) -> Sequence[Object]:
        """Return host list and remote shell, the launcher's rights, and keys for who wants them."""
        hosts = cluster(draft)
        made = [parts.config_map(hosts), *parts.access(hosts), _secret(draft.job)]
        launches = _launcher(draft)
        return made if launches is None else [*made, _service(draft, launches)]


def processes(draft: Draft) -> int:
    """Return how many processes each node has."""
    asked, least = draft.job.trainer.num_proc_per_node, _settings(draft).num_proc_per_node
    if asked is not None:
        return int(asked)
    return max(draft.gpus(), 1) if least == 1 else least


def cluster(draft: Draft) -> parts.Cluster:
    """Return the hosts of a draft whose nodes have been counted."""
    found = [] if (sent := _sent(draft)) is None else list(_hosts(draft, sent))
    launches = _launcher(draft)
    if launches is not None and (_settings(draft).run_launcher_as_node or not found):
        # As it calls itself: Open MPI takes a host for its own by that name.
        found.insert(0, _own_name(draft, launches))
    asked = _asked(draft)
    return access(draft.job, dict.fromkeys(found[:asked], processes(draft)))


def access(
    job: TrainJob, hosts: dict[str, int] | None = None, pods: Sequence[str] = ()
) -> parts.Cluster:
    """Return what a launcher may reach.

    Args:
        job: Whose.
        hosts: Processes of each host; None: they do not matter.
        pods: Names of the pods that there are.
    """
    return parts.Cluster(
        owner=job.obj,
        account=f"{job.name}-mpi-launcher",
        config=f"{job.name}-mpi-hostfile",
        hosts=hosts or {},
        pods=pods,
        finds=True,
    )


def _settings(draft: Draft) -> MPIPolicy:
    return draft.policy.mpi or MPIPolicy()


def _launcher(draft: Draft) -> Object | None:
    return draft.called(kinds.LAUNCHER) or draft.step(kinds.TRAINER)


def _sent(draft: Draft) -> Object | None:
    """Return the replicated job whose pods wait; None where only the launcher trains."""
    found = draft.called(kinds.NODE)
    return None if found is _launcher(draft) else found


def _asked(draft: Draft) -> int | None:
    """Return how many nodes are to train; None where it is as the runtime's template says."""
    asked = draft.job.trainer.num_nodes
    # One is what stands in every runtime that says nothing.
    return asked if asked is not None or draft.nodes == 1 else draft.nodes


def _count(draft: Draft) -> None:
    asked, sent = _asked(draft), _sent(draft)
    if asked is None or sent is None:
        return
    if _settings(draft).run_launcher_as_node:
        # The launcher may wait for a node to be ready: there is always one.
        asked = max(asked - 1, 1)
    spec = sent["template"]["spec"]
    spec["parallelism"] = spec["completions"] = asked


def _hosts(draft: Draft, sent: Object) -> Iterator[str]:
    count = int(sent["template"]["spec"].get("parallelism", 1))
    for job in range(int(sent.get("replicas", 1))):
        for index in range(count):
            yield f"{draft.job.name}-{sent['name']}-{job}-{index}.{draft.subdomain}"


def _own_name(draft: Draft, launches: Object) -> str:
    return f"{draft.job.name}-{launches['name']}-0-0"


def _mount(draft: Draft, hosts: parts.Cluster, spec: Object, container: dict[str, Any]) -> None:
    parts.mount(hosts, spec, container, volume=_HOSTS)
    volume = keys.volume(_KEYS, _keys_name(draft.job), mode=0o400, modes=_KEY_MODES)
    keys.mount(spec, container, volume, _settings(draft).ssh_auth_mount_path)


def _service(draft: Draft, launches: Object) -> Object:
    """Return the Service that gives the launcher its bare host name: MPICH's nodes call it so."""
    selector = {labels.JOB_SET_NAME: draft.job.name, labels.REPLICATED_JOB: launches["name"]}
    spec = {"clusterIP": "None", "publishNotReadyAddresses": True, "selector": selector}
    return {**_head(draft.job, core.SERVICES, _own_name(draft, launches)), "spec": spec}


def _secret(job: TrainJob) -> Object:
    content = {"type": keys.TYPE, "immutable": True, "stringData": keys.new()}
    return {**_head(job, core.SECRETS, _keys_name(job)), **content}


def _head(job: TrainJob, resource: Resource, name: str) -> Object:
    return {
        "apiVersion": resource.api_version,
        "kind": resource.kind,
        "metadata": {
            "name": name,
            "namespace": job.namespace,
            "ownerReferences": [metadata.owner_reference(job.obj)],
        },
    }


def _keys_name(job: TrainJob) -> str:
    return f"{job.name}-{_KEYS}"
