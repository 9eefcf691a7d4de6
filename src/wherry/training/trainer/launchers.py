"""Which pods the launcher of a TrainJob with MPI may reach: those that its JobSet has at the moment.

Their names end at random, and a role can name pods by their names only.
"""

from collections.abc import Iterable
from typing import Final

from wherry.controller import apply
from wherry.controller.controller import Controller, Watch
from wherry.controller.errors import ForeignOwnerError
from wherry.controller.manager import Manager
from wherry.controller.requests import Request
from wherry.objects import kinds as core
from wherry.objects import metadata
from wherry.objects.requests import Object
from wherry.training.mpi import parts
from wherry.training.trainer import admission, kinds, train_job
from wherry.training.trainer.policies import mpi

_INDEX: Final = "mpi-workers"
_ENDED: Final = frozenset({"Succeeded", "Failed"})


class LauncherReconciler:
    """Keeps the roles of launchers."""

    def __init__(self, manager: Manager) -> None:
        """Take client, caches and recorder of a manager."""
        self._client = manager.client
        self._recorder = manager.recorder("trainjob-controller")
        self._jobs = manager.cache(kinds.TRAIN_JOBS)
        self._pods = manager.cache(core.PODS)
        self._pods.add_index(_INDEX, _job_of)

    async def reconcile(self, request: Request) -> None:
        """Name the pods of one TrainJob in its launcher's role."""
        stored = self._jobs.get(*request)
        pods = self._pods.by_index(_INDEX, f"{request.namespace}/{request.name}")
        if stored is None or metadata.is_deleting(stored) or not pods:
            return
        job = train_job.read(admission.default(stored))
        names = sorted(metadata.name(pod) for pod in pods if _runs(pod))
        role = parts.role(mpi.access(job, pods=names))
        try:
            await apply.create_or_update(self._client, None, core.ROLES, role)
        except ForeignOwnerError as error:
            message = f"the launcher may not reach its nodes: {error}"
            await self._recorder.event(stored, "Warning", "NameTaken", message)


def _job_of(pod: Object) -> Iterable[str]:
    name = metadata.labels(pod).get(mpi.WORKERS)
    if name:
        yield f"{metadata.namespace(pod)}/{name}"


def _runs(pod: Object) -> bool:
    phase = (pod.get("status") or {}).get("phase")
    return phase not in _ENDED and not metadata.is_deleting(pod)


def _requests(pod: Object) -> Iterable[Request]:
    for key in _job_of(pod):
        namespace, _, name = key.partition("/")
        yield Request(namespace, name)


def controller(manager: Manager) -> Controller:
    """Return the controller of launchers' roles."""
    return Controller(
        name="trainjob-launcher",
        resource=kinds.TRAIN_JOBS,
        reconciler=LauncherReconciler(manager),
        watches=(Watch(core.PODS, _requests),),
    )
