"""Binds pods to nodes by what they ask for; what does not fit stays Pending and says why.

Whatever happens that may matter, one pass looks at all waiting pods: `gangs.planning` decides, this
module reads and writes. Bindings that the cache does not show yet are remembered, so that no room is
ever promised twice. All else is read off the API anew in each pass: a gang of which a crash left a
part without node is the first to be placed in the next.
"""

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import TypeVar

from wherry.builtin import placement
from wherry.builtin.gangs import kinds as gang_kinds
from wherry.builtin.gangs import membership, planning
from wherry.builtin.gangs.fitting import Site
from wherry.builtin.gangs.membership import GroupKey
from wherry.builtin.gangs.planning import View
from wherry.builtin.gangs.queues import Queues
from wherry.builtin.gangs.units import Pods, Unit
from wherry.builtin.placement import Demand, Room
from wherry.builtin.settings import BuiltinSettings
from wherry.controller.apply import delete_if_present
from wherry.controller.controller import Controller, Watch
from wherry.controller.manager import Manager
from wherry.controller.requests import Request, Result
from wherry.controller.status import write_status
from wherry.objects import conditions, errors, kinds, metadata
from wherry.objects.copies import copied
from wherry.objects.requests import Object

NAME = membership.DEFAULT_SCHEDULER
_BY_NODE = "node"
_WAITING = "waiting"
_BY_GROUP = "group"
_BATCH = 64
# A pod that does not fit is looked at again even if nothing it waits for is being watched.
_LOOK_AGAIN_SECONDS = 60.0
_TRIES = 5
_PASS = Request("", "pass")


class SchedulerReconciler:
    """Finds nodes for pods."""

    def __init__(self, manager: Manager, settings: BuiltinSettings) -> None:
        self._client = manager.client
        self._clock = manager.clock
        self._recorder = manager.recorder(NAME)
        self._overcommit = settings.cpu_overcommit
        self._patience_seconds = settings.patience_seconds
        self._pods = manager.cache(kinds.PODS)
        self._nodes = manager.cache(kinds.NODES)
        self._claims = manager.cache(kinds.PERSISTENT_VOLUME_CLAIMS)
        self._namespaces = manager.cache(kinds.NAMESPACES)
        self._budgets = manager.cache(kinds.POD_DISRUPTION_BUDGETS)
        self._classes = manager.cache(kinds.PRIORITY_CLASSES)
        self._queues = manager.cache(gang_kinds.QUEUES)
        self._groups = [
            manager.cache(each) for each in (gang_kinds.POD_GROUPS, gang_kinds.VOLCANO_POD_GROUPS)
        ]
        self._pods.add_index(_BY_NODE, _node_of)
        self._pods.add_index(_WAITING, _whether_waiting)
        self._pods.add_index(_BY_GROUP, _group_of)
        self._demands: dict[str, Demand] = {}
        self._demands_before: dict[str, Demand] = {}
        """By uid: what the pods that this pass, and the one before, has asked for want."""
        self._bound: dict[str, Object] = {}
        """By uid: pods, with their node, that were bound and that the cache may show as waiting."""

    async def reconcile(self, request: Request) -> Result | None:
        """Bind what fits, make room for what is more important, say why the rest waits."""
        self._forget_bound()
        waiting = [
            pod
            for pod in self._pods.by_index(_WAITING, "yes")
            if metadata.uid(pod) not in self._bound
        ]
        if not waiting:
            return None
        view = self._view(waiting)
        plan = planning.plan(view)
        await _in_batches(self._bind, [*itertools.chain.from_iterable(plan.bindings)])

        async def refuse(pod: Object, why: str) -> None:
            node = plan.nominated.get(metadata.uid(pod), "")
            await self._refuse(pod, _told(why, len(view.site.rooms)), node)

        # For whom room is made is on record before anybody goes for it.
        await _in_batches(refuse, plan.refusals)
        await _in_batches(self._preempt, plan.preempted)
        await _in_batches(self._dissolve, plan.dissolved)
        again = min(_LOOK_AGAIN_SECONDS, max(self._patience_seconds, 1.0))
        return Result(requeue_after_seconds=again) if plan.refusals else None

    def _view(self, waiting: Sequence[Object]) -> View:
        # What no pass asks for any more is of pods that are gone.
        self._demands_before, self._demands = self._demands, {}
        namespaces = {metadata.name(obj): obj for obj in self._namespaces.list()}
        declared = {metadata.name(obj): obj for obj in self._queues.list()}
        groups = [membership.group(obj) for cache in self._groups for obj in cache.list()]
        pods = Pods(
            groups={group.key: group for group in groups},
            of_group=self._of_group,
            demand=self._demand,
            hindrance=self._claims_missing,
            classes={
                metadata.name(obj): int(obj.get("value") or 0) for obj in self._classes.list()
            },
            queues=Queues(declared, namespaces),
        )
        labels = {name: metadata.labels(obj) for name, obj in namespaces.items()}
        return View(
            site=Site(self._rooms(), labels),
            waiting=waiting,
            pods=pods,
            budgets=self._budgets.list(),
            now=self._clock.now(),
            patience_seconds=self._patience_seconds,
        )

    def _of_group(self, key: GroupKey) -> list[Object]:
        known = self._pods.by_index(_BY_GROUP, key.text)
        return [self._bound.get(metadata.uid(pod), pod) for pod in known]

    def _forget_bound(self) -> None:
        for uid, pod in list(self._bound.items()):
            known = self._pods.get(*metadata.namespaced_name(pod))
            waits = known is not None and metadata.uid(known) == uid and is_pending(known)
            if not waits:
                del self._bound[uid]

    def _rooms(self) -> list[Room]:
        rooms = [Room(node, self._overcommit) for node in self._nodes.list()]
        for room in rooms:
            for pod in self._pods.by_index(_BY_NODE, room.name):
                room.take(self._demand(pod), pod)
            for pod in self._bound.values():
                if pod["spec"]["nodeName"] == room.name:
                    room.take(self._demand(pod), pod)
        return rooms

    def _demand(self, pod: Object) -> Demand:
        uid = metadata.uid(pod)
        known = self._demands.get(uid)
        if known is None:
            known = self._demands_before.get(uid) or Demand.of(pod)
            self._demands[uid] = known
        return known

    def _claims_missing(self, pod: Object) -> str:
        """Return why the pod's claims hold it back, empty where they do not."""
        for volume in pod["spec"].get("volumes") or ():
            source = volume.get("persistentVolumeClaim")
            name = source["claimName"] if source else ""
            if volume.get("ephemeral"):
                name = f"{metadata.name(pod)}-{volume['name']}"
            if not name:
                continue
            claim = self._claims.get(metadata.namespace(pod), name)
            if claim is None:
                return f'persistentvolumeclaim "{name}" not found'
            if metadata.is_deleting(claim):
                return f'persistentvolumeclaim "{name}" is being deleted'
            if (claim.get("status") or {}).get("phase") != "Bound":
                return f'pod has unbound immediate PersistentVolumeClaims ("{name}" is not bound)'
        return ""

    async def _refuse(self, pod: Object, reason: str, node: str) -> None:
        status = copied(pod.get("status") or {})
        told = conditions.set(
            status.setdefault("conditions", []),
            "PodScheduled",
            "False",
            reason="Unschedulable",
            message=reason,
            now=self._clock.now(),
        )
        if not told and status.get("nominatedNodeName", "") == node:
            return
        status.pop("nominatedNodeName", None)
        if node:
            status["nominatedNodeName"] = node
        try:
            await write_status(self._client, kinds.PODS, pod, status)
        except (errors.NotFoundError, errors.ConflictError):
            return  # it has changed, and that change makes another pass
        if told:
            await self._recorder.event(pod, "Warning", "FailedScheduling", reason)

    async def _preempt(self, pod: Object, unit: Unit) -> None:
        message = f"{NAME}: preempting to accommodate a higher priority pod"
        if await self._evict(pod, message):
            node = pod["spec"]["nodeName"]
            by = f"Preempted by {unit.name} on node {node}"
            await self._recorder.event(pod, "Normal", "Preempted", by)

    async def _dissolve(self, pod: Object, reason: str) -> None:
        if await self._evict(pod, f"{NAME}: {reason}"):
            await self._recorder.event(pod, "Warning", "GangIncomplete", reason)

    async def _evict(self, pod: Object, message: str) -> bool:
        """Delete a pod, with its grace and a condition that says why; False: it is going anyway."""
        namespace, name = metadata.namespaced_name(pod)
        for _ in range(_TRIES):
            try:
                now = await self._client.get(kinds.PODS, name, namespace)
                if metadata.uid(now) != metadata.uid(pod) or metadata.is_deleting(now):
                    return False
                status = copied(now.get("status") or {})
                conditions.set(
                    status.setdefault("conditions", []),
                    "DisruptionTarget",
                    "True",
                    reason="PreemptionByScheduler",
                    message=message,
                    now=self._clock.now(),
                )
                await write_status(self._client, kinds.PODS, now, status)
            except errors.NotFoundError:
                return False
            except errors.ConflictError:
                continue
            break
        await delete_if_present(self._client, kinds.PODS, pod)
        return True

    async def _bind(self, pod: Object, node: str) -> None:
        namespace, name = metadata.namespaced_name(pod)
        binding = {
            "apiVersion": "v1",
            "kind": "Binding",
            "metadata": {"name": name, "namespace": namespace, "uid": metadata.uid(pod)},
            "target": {"apiVersion": "v1", "kind": "Node", "name": node},
        }
        self._bound[metadata.uid(pod)] = {**pod, "spec": {**pod["spec"], "nodeName": node}}
        try:
            await self._client.create(kinds.PODS, binding, subresource="binding", name=name)
        except (errors.NotFoundError, errors.ConflictError):
            del self._bound[metadata.uid(pod)]  # it is gone, or somebody else was quicker
            return
        except errors.ApiError:
            del self._bound[metadata.uid(pod)]
            raise
        message = f"Successfully assigned {namespace}/{name} to {node}"
        await self._recorder.event(pod, "Normal", "Scheduled", message)


_T = TypeVar("_T")


async def _in_batches(
    act: Callable[[Object, _T], Awaitable[None]], pairs: Sequence[tuple[Object, _T]]
) -> None:
    for start in range(0, len(pairs), _BATCH):
        await asyncio.gather(*(act(*pair) for pair in pairs[start : start + _BATCH]))


def _told(why: str, total: int) -> str:
    if why.startswith((f"0/{total} ", "pod group ")):
        return why
    return f"0/{total} nodes are available: {why}."


def is_pending(pod: Object) -> bool:
    """Return whether the pod waits for this scheduler."""
    spec = pod["spec"]
    return (
        not spec.get("nodeName")
        and not spec.get("schedulingGates")
        and spec.get("schedulerName", NAME) in membership.SCHEDULERS
        and not metadata.is_deleting(pod)
        and not placement.is_finished(pod)
    )


def _node_of(pod: Object) -> Iterable[str]:
    name = pod["spec"].get("nodeName")
    return (name,) if name and not placement.is_finished(pod) else ()


def _whether_waiting(pod: Object) -> Iterable[str]:
    return ("yes",) if is_pending(pod) else ()


def _group_of(pod: Object) -> Iterable[str]:
    key = membership.key_of(pod)
    return (key.text,) if key else ()


def controller(manager: Manager, settings: BuiltinSettings) -> Controller:
    """Return the scheduler."""
    pods = manager.cache(kinds.PODS)

    def of_pod(pod: Object) -> Iterable[Request]:
        if is_pending(pod):
            return (_PASS,)
        # A pod that leaves makes room, which matters only to those who wait for it.
        leaves = (
            placement.is_finished(pod)
            or metadata.is_deleting(pod)
            or pods.get(*metadata.namespaced_name(pod)) is None
        )
        return (_PASS,) if leaves and pods.by_index(_WAITING, "yes") else ()

    def always(_: Object) -> Iterable[Request]:
        return (_PASS,)

    watched = (
        kinds.PERSISTENT_VOLUME_CLAIMS,
        gang_kinds.POD_GROUPS,
        gang_kinds.VOLCANO_POD_GROUPS,
        gang_kinds.QUEUES,
    )

    return Controller(
        "scheduler",
        kinds.NODES,
        SchedulerReconciler(manager, settings),
        watches=(Watch(kinds.PODS, of_pod), *(Watch(each, always) for each in watched)),
        # One pass at a time.
        workers=1,
    )
