"""Keeps the status of PodGroups and Queues, and tells in events what a group waits for.

The scheduler says it of each pod; what is said of the group comes from there, so that the two agree.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from wherry.builtin.gangs import kinds as gang_kinds
from wherry.builtin.gangs import membership, statuses
from wherry.builtin.gangs.membership import GroupKey
from wherry.controller.controller import Controller, Watch
from wherry.controller.manager import Manager
from wherry.controller.requests import Request, Result
from wherry.controller.status import write_status
from wherry.objects import errors, kinds, metadata
from wherry.objects.requests import Object
from wherry.objects.resources import Resource

_BY_GROUP = "pod-group"
_PLACED = ("Scheduled", "Running", "Finished", "Completed", "Failed")
_Status = Callable[..., dict[str, Any]]


class PodGroupReconciler:
    """Counts a group's pods."""

    def __init__(self, manager: Manager, resource: Resource, status: _Status) -> None:
        self._client = manager.client
        self._clock = manager.clock
        self._recorder = manager.recorder("podgroup-controller")
        self._resource = resource
        self._status = status
        self._groups = manager.cache(resource)
        self._pods = manager.cache(kinds.PODS)
        self._pods.add_index(_BY_GROUP, _group_of)
        self._told: dict[Request, str] = {}
        """What was said last; forgotten at a restart, after which it is said once more."""

    async def reconcile(self, request: Request) -> Result | None:
        """Write the group's status; tell when what it waits for changes."""
        obj = self._groups.get(request.namespace, request.name)
        if obj is None:
            self._told.pop(request, None)
            return None
        group = membership.group(obj)
        pods = self._pods.by_index(_BY_GROUP, group.key.text)
        status = self._status(obj, group, pods, self._clock.now())
        try:
            await write_status(self._client, self._resource, obj, status)
        except (errors.NotFoundError, errors.ConflictError):
            return None  # it has changed, and that change is another request
        waits_for = statuses.waits_for(group, statuses.count(pods))
        before, self._told[request] = self._told.get(request, ""), waits_for
        if waits_for and waits_for != before:
            await self._recorder.event(obj, "Warning", "Unschedulable", waits_for)
        elif status["phase"] in _PLACED and (obj.get("status") or {}).get("phase") not in _PLACED:
            await self._recorder.event(obj, "Normal", "Scheduled", "all needed pods have a node")
        return None


class QueueReconciler:
    """Counts what a Queue holds."""

    def __init__(self, manager: Manager) -> None:
        self._client = manager.client
        self._queues = manager.cache(gang_kinds.QUEUES)
        self._groups = manager.cache(gang_kinds.VOLCANO_POD_GROUPS)
        self._pods = manager.cache(kinds.PODS)

    async def reconcile(self, request: Request) -> Result | None:
        """Write the queue's status."""
        obj = self._queues.get("", request.name)
        if obj is None:
            return None
        groups = [each for each in self._groups.list() if _queue_of(each) == request.name]
        keys = {membership.group(each).key for each in groups}
        pods = [pod for pod in self._pods.list() if self._is_in(pod, request.name, keys)]
        status = statuses.queue(obj, groups, pods)
        try:
            await write_status(self._client, gang_kinds.QUEUES, obj, status)
        except (errors.NotFoundError, errors.ConflictError):
            return None  # it has changed, and that change is another request
        return None

    def _is_in(self, pod: Object, name: str, keys: set[GroupKey]) -> bool:
        key = membership.key_of(pod)
        if key is not None:
            return key in keys
        return metadata.annotations(pod).get(membership.QUEUE_ANNOTATION) == name


def controllers(manager: Manager) -> Sequence[Controller]:
    """Return the controllers of PodGroups, in both forms, and of Queues."""
    forms: tuple[tuple[str, Resource, _Status], ...] = (
        ("podgroup", gang_kinds.POD_GROUPS, statuses.pod_group),
        ("volcano-podgroup", gang_kinds.VOLCANO_POD_GROUPS, statuses.volcano_pod_group),
    )
    groups = [
        Controller(
            name,
            resource,
            PodGroupReconciler(manager, resource, status),
            watches=(Watch(kinds.PODS, _groups_of(resource)),),
        )
        for name, resource, status in forms
    ]
    return [*groups, _queue_controller(manager)]


def _queue_controller(manager: Manager) -> Controller:
    cached = manager.cache(gang_kinds.VOLCANO_POD_GROUPS)

    def of_group(obj: Object) -> Iterable[Request]:
        name = _queue_of(obj)
        return (Request("", name),) if name else ()

    def of_pod(pod: Object) -> Iterable[Request]:
        key = membership.key_of(pod)
        if key is None:
            name = metadata.annotations(pod).get(membership.QUEUE_ANNOTATION)
            return (Request("", name),) if name else ()
        group = cached.get(key.namespace, key.name)
        return of_group(group) if group is not None else ()

    return Controller(
        "queue",
        gang_kinds.QUEUES,
        QueueReconciler(manager),
        watches=(
            Watch(gang_kinds.VOLCANO_POD_GROUPS, of_group),
            Watch(kinds.PODS, of_pod),
        ),
    )


def _groups_of(resource: Resource) -> Callable[[Object], Iterable[Request]]:
    def requests(pod: Object) -> Iterable[Request]:
        key = membership.key_of(pod)
        if key is None or key.form != resource.group:
            return ()
        return (Request(key.namespace, key.name),)

    return requests


def _group_of(pod: Object) -> Iterable[str]:
    key = membership.key_of(pod)
    return (key.text,) if key else ()


def _queue_of(group: Object) -> str:
    return str((group.get("spec") or {}).get("queue") or "")
