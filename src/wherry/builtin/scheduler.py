"""Binds pods to nodes by what they ask for; what does not fit stays Pending and says why.

One worker: each decision sees the one before it (the manager waits until the cache has seen the
binding), so that no node is ever promised twice.
"""

import copy
from collections.abc import Iterable

from wherry.builtin import placement
from wherry.builtin.settings import BuiltinSettings
from wherry.controller.controller import Controller, Watch
from wherry.controller.manager import Manager
from wherry.controller.requests import Request, Result
from wherry.controller.status import write_status
from wherry.objects import conditions, errors, kinds, metadata
from wherry.objects.requests import Object

NAME = "default-scheduler"
_BY_NODE = "node"
_WAITING = "waiting"
# A pod that does not fit is looked at again even if nothing it waits for is being watched.
_LOOK_AGAIN_SECONDS = 60.0


class SchedulerReconciler:
    """Finds a node for a pod."""

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
        self._asked: dict[str, placement.Amounts] = {}

    async def reconcile(self, request: Request) -> Result | None:
        """Bind the pod, or say why not."""
        pod = self._pods.get(request.namespace, request.name)
        if pod is None or not is_pending(pod):
            return None
        reason = self._claims_missing(pod)
        node = None
        if not reason:
            node, reason = self._find(pod)
        if node is None:
            await self._refuse(pod, reason)
            return Result(requeue_after_seconds=_LOOK_AGAIN_SECONDS)
        await self._bind(pod, node)
        return None

    def _find(self, pod: Object) -> tuple[str | None, str]:
        nodes = self._nodes.list()
        reasons: list[str] = []
        fitting: list[tuple[int, str]] = []
        for node in nodes:
            name = metadata.name(node)
            found = placement.obstacles(pod, node)
            present = self._pods.by_index(_BY_NODE, name)
            if placement.host_ports(pod) & _ports_of(present):
                found.append("node(s) didn't have free ports for the requested pod ports")
            if not found:
                offered = placement.capacity_of(node, self._overcommit)
                found = placement.shortages(pod, offered, map(self._asked_by, present))
            if found:
                reasons += found
            else:
                fitting.append((len(present), name))
        if fitting:
            return min(fitting)[1], ""
        return None, placement.refusal(len(nodes), reasons)

    def _asked_by(self, pod: Object) -> placement.Amounts:
        uid = metadata.uid(pod)
        known = self._asked.get(uid)
        if known is None:
            if len(self._asked) > 20_000:
                self._asked.clear()
            known = self._asked[uid] = placement.requests_of(pod)
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

    async def _refuse(self, pod: Object, reason: str) -> None:
        status = copy.deepcopy(pod.get("status") or {})
        changed = conditions.set(
            status.setdefault("conditions", []),
            "PodScheduled",
            "False",
            reason="Unschedulable",
            message=reason,
            now=self._clock.now(),
        )
        if changed:
            await write_status(self._client, kinds.PODS, pod, status)
            await self._recorder.event(pod, "Warning", "FailedScheduling", reason)

    async def _bind(self, pod: Object, node: str) -> None:
        namespace, name = metadata.namespaced_name(pod)
        binding = {
            "apiVersion": "v1",
            "kind": "Binding",
            "metadata": {"name": name, "namespace": namespace, "uid": metadata.uid(pod)},
            "target": {"apiVersion": "v1", "kind": "Node", "name": node},
        }
        try:
            await self._client.create(kinds.PODS, binding, subresource="binding", name=name)
        except (errors.NotFoundError, errors.ConflictError):
            return  # it is gone, or somebody else was quicker
        message = f"Successfully assigned {namespace}/{name} to {node}"
        await self._recorder.event(pod, "Normal", "Scheduled", message)


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


def _ports_of(pods: Iterable[Object]) -> set[tuple[str, int]]:
    return {port for pod in pods for port in placement.host_ports(pod)}


def controller(manager: Manager, settings: BuiltinSettings) -> Controller:
    """Return the scheduler."""
    pods = manager.cache(kinds.PODS)

    def waiting(_: Object) -> Iterable[Request]:
        found = pods.by_index(_WAITING, "yes")
        return [Request(*metadata.namespaced_name(pod)) for pod in found]

    def when_room_is_made(pod: Object) -> Iterable[Request]:
        leaves = placement.is_finished(pod) or metadata.is_deleting(pod)
        return waiting(pod) if leaves and pod["spec"].get("nodeName") else ()

    return Controller(
        "scheduler",
        kinds.PODS,
        SchedulerReconciler(manager, settings),
        watches=(
            Watch(kinds.PODS, when_room_is_made),
            Watch(kinds.NODES, waiting),
            Watch(kinds.PERSISTENT_VOLUME_CLAIMS, waiting),
        ),
        workers=1,
    )
