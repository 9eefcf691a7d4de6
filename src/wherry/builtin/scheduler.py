"""Binds pods to nodes by what they ask for; what does not fit stays Pending and says why.

Whatever happens that may matter, one pass looks at all waiting pods, the most important and oldest
first. Within a pass each decision sees those before it; bindings that the cache does not show yet
are remembered, so that no room is ever promised twice.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence

from wherry.builtin import placement
from wherry.builtin.placement import Demand, Room
from wherry.builtin.settings import BuiltinSettings
from wherry.controller.controller import Controller, Watch
from wherry.controller.manager import Manager
from wherry.controller.requests import Request, Result
from wherry.controller.status import write_status
from wherry.objects import conditions, errors, kinds, metadata
from wherry.objects.copies import copied
from wherry.objects.requests import Object

NAME = "default-scheduler"
_BY_NODE = "node"
_WAITING = "waiting"
_BATCH = 64
# A pod that does not fit is looked at again even if nothing it waits for is being watched.
_LOOK_AGAIN_SECONDS = 60.0
_REMEMBERED = 20_000
_PASS = Request("", "pass")


class SchedulerReconciler:
    """Finds nodes for pods."""

    def __init__(self, manager: Manager, settings: BuiltinSettings) -> None:
        self._client = manager.client
        self._clock = manager.clock
        self._recorder = manager.recorder(NAME)
        self._overcommit = settings.cpu_overcommit
        self._pods = manager.cache(kinds.PODS)
        self._nodes = manager.cache(kinds.NODES)
        self._claims = manager.cache(kinds.PERSISTENT_VOLUME_CLAIMS)
        self._pods.add_index(_BY_NODE, _node_of)
        self._pods.add_index(_WAITING, _whether_waiting)
        self._demands: dict[str, Demand] = {}
        self._bound: dict[str, tuple[Object, str]] = {}
        """By uid: pods that were bound and which the cache may still show as waiting."""

    async def reconcile(self, request: Request) -> Result | None:
        """Bind what fits, say why the rest does not."""
        self._forget_bound()
        waiting = [
            pod
            for pod in self._pods.by_index(_WAITING, "yes")
            if metadata.uid(pod) not in self._bound
        ]
        if not waiting:
            return None
        rooms = self._rooms()
        refused: list[tuple[Object, str]] = []
        chosen: list[tuple[Object, str]] = []
        hopeless: dict[str, str] = {}
        for pod in sorted(waiting, key=_turn):
            demand = self._demand(pod)
            reason = hopeless.get(demand.likeness) or self._claims_missing(pod)
            room = None
            if not reason:
                room, reason = _find(pod, demand, rooms)
                if room is None:
                    # Room only shrinks within a pass.
                    hopeless[demand.likeness] = reason
            if room is None:
                refused.append((pod, reason))
            else:
                room.take(demand)
                chosen.append((pod, room.name))
        await self._in_batches(self._bind, chosen)
        await self._in_batches(self._refuse, [(pod, _told(why, rooms)) for pod, why in refused])
        return Result(requeue_after_seconds=_LOOK_AGAIN_SECONDS) if refused else None

    def _forget_bound(self) -> None:
        for uid, (pod, _) in list(self._bound.items()):
            known = self._pods.get(*metadata.namespaced_name(pod))
            waits = known is not None and metadata.uid(known) == uid and is_pending(known)
            if not waits:
                del self._bound[uid]

    def _rooms(self) -> list[Room]:
        rooms = [Room(node, self._overcommit) for node in self._nodes.list()]
        for room in rooms:
            for pod in self._pods.by_index(_BY_NODE, room.name):
                room.take(self._demand(pod))
            for pod, node in self._bound.values():
                if node == room.name:
                    room.take(self._demand(pod))
        return rooms

    def _demand(self, pod: Object) -> Demand:
        uid = metadata.uid(pod)
        known = self._demands.get(uid)
        if known is None:
            if len(self._demands) >= _REMEMBERED:
                self._demands.clear()
            known = self._demands[uid] = Demand.of(pod)
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

    async def _in_batches(
        self, act: Callable[[Object, str], Awaitable[None]], pairs: Sequence[tuple[Object, str]]
    ) -> None:
        for start in range(0, len(pairs), _BATCH):
            await asyncio.gather(*(act(*pair) for pair in pairs[start : start + _BATCH]))

    async def _refuse(self, pod: Object, reason: str) -> None:
        status = copied(pod.get("status") or {})
        changed = conditions.set(
            status.setdefault("conditions", []),
            "PodScheduled",
            "False",
            reason="Unschedulable",
            message=reason,
            now=self._clock.now(),
        )
        if not changed:
            return
        try:
            await write_status(self._client, kinds.PODS, pod, status)
        except (errors.NotFoundError, errors.ConflictError):
            return  # it has changed, and that change makes another pass
        await self._recorder.event(pod, "Warning", "FailedScheduling", reason)

    async def _bind(self, pod: Object, node: str) -> None:
        namespace, name = metadata.namespaced_name(pod)
        binding = {
            "apiVersion": "v1",
            "kind": "Binding",
            "metadata": {"name": name, "namespace": namespace, "uid": metadata.uid(pod)},
            "target": {"apiVersion": "v1", "kind": "Node", "name": node},
        }
        self._bound[metadata.uid(pod)] = (pod, node)
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


def _find(pod: Object, demand: Demand, rooms: Sequence[Room]) -> tuple[Room | None, str]:
    """Return the least occupied node that a pod fits on, or why it fits on none."""
    reasons: list[str] = []
    fitting: list[Room] = []
    for room in rooms:
        found = placement.obstacles(pod, room.node) or room.shortages(demand)
        reasons += found
        if not found:
            fitting.append(room)
    if fitting:
        return min(fitting, key=lambda room: (room.pods, room.name)), ""
    return None, placement.refusal(len(rooms), reasons)


def _told(why: str, rooms: Sequence[Room]) -> str:
    total = len(rooms)
    return why if why.startswith(f"0/{total} ") else f"0/{total} nodes are available: {why}."


def _turn(pod: Object) -> tuple[int, str, str]:
    priority = -int(pod["spec"].get("priority") or 0)
    return priority, str(pod["metadata"].get("creationTimestamp", "")), metadata.name(pod)


def is_pending(pod: Object) -> bool:
    """Return whether the pod waits for this scheduler."""
    spec = pod["spec"]
    return (
        not spec.get("nodeName")
        and not spec.get("schedulingGates")
        and spec.get("schedulerName", NAME) == NAME
        and not metadata.is_deleting(pod)
        and not placement.is_finished(pod)
    )


def _node_of(pod: Object) -> Iterable[str]:
    name = pod["spec"].get("nodeName")
    return (name,) if name and not placement.is_finished(pod) else ()


def _whether_waiting(pod: Object) -> Iterable[str]:
    return ("yes",) if is_pending(pod) else ()


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

    return Controller(
        "scheduler",
        kinds.NODES,
        SchedulerReconciler(manager, settings),
        watches=(Watch(kinds.PODS, of_pod), Watch(kinds.PERSISTENT_VOLUME_CLAIMS, always)),
        # One pass at a time.
        workers=1,
    )
