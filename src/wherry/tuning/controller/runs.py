"""What trials run, in whatever kind: finds the kind, makes, reads and removes the object.

Kinds are named by users and become known one by one: each is watched from its first trial on.
"""

import asyncio
from collections.abc import Callable, Iterable
from typing import Any, Final

from wherry.builtin import served
from wherry.client.client import Client
from wherry.controller import apply, finalizers
from wherry.controller.cache import Cache
from wherry.controller.controller import Watch
from wherry.controller.manager import Manager
from wherry.controller.owners import is_controlled_by
from wherry.controller.requests import Request
from wherry.objects import errors, metadata
from wherry.objects import kinds as core
from wherry.objects.requests import Object
from wherry.objects.resources import Resource
from wherry.tuning import holding, kinds, pods, workloads

TRIAL_CONTROLLER: Final = "trial"

_PODS_OF_TRIAL: Final = "pods of a trial"
_NAMES: Final = (kinds.TRIAL_LABEL, *pods.RUN_LABELS)
_FIELDS: Final = ("uid", "labels", "annotations", "ownerReferences", "deletionTimestamp")
_STATUS: Final = (
    "phase",
    "reason",
    "message",
    "podIP",
    "initContainerStatuses",
    "containerStatuses",
)


class Runs:
    """What the trials of a manager run."""

    def __init__(self, manager: Manager) -> None:
        """Take what it works with.

        Args:
            manager: Gives client and caches, and watches.
        """
        self._manager = manager
        self._client: Client = manager.client
        self._definitions = manager.cache(core.CUSTOM_RESOURCE_DEFINITIONS)
        self._custom: dict[tuple[str, str], Resource] = {}
        self._caches: dict[Resource, Cache] = {}
        self._pods = manager.cache(core.PODS)
        self._pods.add_index(_PODS_OF_TRIAL, _trials_of_pod)

    def resource(self, trial: Object) -> Resource | None:
        """Return the kind that a trial runs; None where the API does not serve it."""
        run = run_spec(trial)
        api_version, kind = str(run.get("apiVersion", "")), str(run.get("kind", ""))
        known = core.by_kind(api_version, kind) or self._custom.get((api_version, kind))
        if known is None:
            # All at once: this is asked at each look at a trial.
            found = served.custom_versions(self._definitions.list())
            self._custom = {(each.api_version, each.kind): each for each in found}
            known = self._custom.get((api_version, kind))
        return known

    async def find(self, trial: Object, resource: Resource) -> Object | None:
        """Return what a trial runs; None where it is not there, or not the trial's."""
        cache = self._caches.get(resource)
        if cache is None:
            self._manager.also_watch(TRIAL_CONTROLLER, Watch(resource, _trial_of))
            cache = self._caches[resource] = self._manager.cache(resource)
        where = metadata.namespaced_name(trial)
        if cache.synced.is_set():
            found = cache.get(*where)
        else:
            found = await self._read(resource, where)
        return found if found is not None and is_controlled_by(found, trial) else None

    async def _read(self, resource: Resource, where: metadata.NamespacedName) -> Object | None:
        try:
            return await self._client.get(resource, where.name, where.namespace)
        except errors.NotFoundError:
            return None

    async def make(self, resource: Resource, wanted: Object) -> bool:
        """Make what a trial runs, unless it is there; return whether it was made now.

        Raises:
            ForeignOwnerError: another object has its name.
            ApiError: the API refused it.
        """
        cache = self._manager.cache(resource)
        known = cache if cache.synced.is_set() else None
        applied = await apply.create_if_absent(self._client, known, resource, wanted)
        return applied.outcome == "created"

    async def remove(self, resource: Resource, run: Object, *, wait: bool) -> bool:
        """Delete what a trial runs; return whether that had to be done.

        Args:
            resource: Its kind.
            run: The object.
            wait: Whether it goes after its pods (they are still at work), or before.
        """
        if metadata.is_deleting(run):
            return False
        where = metadata.namespaced_name(run)
        try:
            await self._client.delete(
                resource,
                where.name,
                where.namespace,
                propagation_policy="Foreground" if wait else "Background",
                uid=metadata.uid(run),
            )
        except (errors.NotFoundError, errors.ConflictError):
            return False
        return True

    async def pods(self, trial: Object, *, hold: bool) -> list[Object]:
        """Return the pods of a trial whose metrics count, labelled as such.

        Args:
            trial: Whose.
            hold: Whether they are to stay until they have been read.
        """
        namespace, name = metadata.namespaced_name(trial)
        primary = workloads.primary_pods(trial, self._all_pods(namespace, name))
        for pod in primary:
            if patch := _missing(pod, name, hold=hold):
                await self._client.patch(core.PODS, metadata.name(pod), patch, namespace)
        return primary

    def _all_pods(self, namespace: str | None, name: str) -> list[Object]:
        return self._pods.by_index(_PODS_OF_TRIAL, f"{namespace}/{name}")

    async def release(self, resource: Resource, run: Object) -> None:
        """Let what a trial runs go, wherever it goes."""
        await finalizers.remove_finalizer(self._client, resource, run, holding.FINALIZER)

    async def release_pods(
        self, where: Request, may_go: Callable[[Object], bool] = lambda _: True
    ) -> bool:
        """Let pods of a trial go; return whether others are held on their way out.

        Args:
            where: The trial, which may be gone.
            may_go: Tells whether a pod may.
        """
        held = [
            pod
            for pod in self._all_pods(*where)
            if finalizers.has_finalizer(pod, holding.FINALIZER)
        ]
        going = [pod for pod in held if may_go(pod)]
        await asyncio.gather(*(self.release(core.PODS, pod) for pod in going))
        return any(metadata.is_deleting(pod) for pod in held if pod not in going)


def _missing(pod: Object, trial: str, *, hold: bool) -> Object:
    """Return what a trial's pod is to bear and does not, as a patch; empty: nothing."""
    fields: Object = {}
    if metadata.labels(pod).get(kinds.TRIAL_LABEL) != trial:
        fields["labels"] = {kinds.TRIAL_LABEL: trial}
    if hold and not metadata.is_deleting(pod) and not workloads.is_over(pod):
        held = pod["metadata"].get("finalizers") or []
        if holding.FINALIZER not in held:
            # One write with the label. Lists are replaced as wholes: nobody else's may be lost.
            fields["resourceVersion"] = pod["metadata"]["resourceVersion"]
            fields["finalizers"] = [*held, holding.FINALIZER]
    return {"metadata": fields} if fields else {}


def run_spec(trial: Object) -> Any:
    """Return the object that a trial runs, as its spec has it; empty where it has none."""
    found = (trial.get("spec") or {}).get("runSpec")
    return found if isinstance(found, dict) else {}


def pod_matters(before: Object, after: Object) -> bool:
    """Return whether a change of a pod is one that trials look at."""
    return _looked_at(before) != _looked_at(after)


def _looked_at(pod: Object) -> tuple[Any, ...]:
    # Not: on which node it is, and who else holds it. Each look at a trial costs as much as an event.
    fields, told = pod["metadata"], pod.get("status") or {}
    return (
        *map(fields.get, _FIELDS),
        holding.FINALIZER in (fields.get("finalizers") or ()),
        *map(told.get, _STATUS),
        [each for each in told.get("conditions") or () if each.get("reason") == "Unschedulable"],
    )


def pod_requests(pod: Object) -> Iterable[Request]:
    """Return the trials that a change of a pod concerns."""
    namespace = metadata.namespace(pod)
    return [Request(namespace, name) for name in _names_of(pod)]


def _names_of(pod: Object) -> Iterable[str]:
    labels = metadata.labels(pod)
    return [labels[each] for each in _NAMES if each in labels]


def _trials_of_pod(pod: Object) -> Iterable[str]:
    namespace = metadata.namespace(pod)
    return [f"{namespace}/{name}" for name in _names_of(pod)]


def _trial_of(obj: Object) -> Iterable[Request]:
    reference = metadata.controller_of(obj)
    if reference is None or reference.get("kind") != kinds.TRIALS.kind:
        return ()
    return (Request(metadata.namespace(obj), reference["name"]),)
