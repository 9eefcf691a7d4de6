"""Pods that nobody will ever finish: old ones beyond a bound, and those of nodes that are gone.

Source: `pkg/controller/podgc` of Kubernetes.
"""

from collections.abc import Iterable

from wherry.builtin import placement
from wherry.builtin.settings import BuiltinSettings
from wherry.controller.apply import delete_if_present
from wherry.controller.controller import Controller, Watch
from wherry.controller.manager import Manager
from wherry.controller.requests import Request, Result
from wherry.controller.status import write_status
from wherry.objects import conditions, errors, kinds, metadata
from wherry.objects.copies import copied
from wherry.objects.requests import Object

_FINISHED = "finished"
_PASS = Request("", "pass")
_NODE_ABSENT_SECONDS = 40.0
_LOOK_AGAIN_SECONDS = 60.0


class PodGarbageReconciler:
    """Clears pods away."""

    def __init__(self, manager: Manager, settings: BuiltinSettings) -> None:
        self._client = manager.client
        self._clock = manager.clock
        self._threshold = settings.finished_pods
        self._pods = manager.cache(kinds.PODS)
        self._nodes = manager.cache(kinds.NODES)
        self._pods.add_index(_FINISHED, _whether_finished)
        self._absent_since: dict[str, float] = {}

    async def reconcile(self, request: Request) -> Result | None:
        """Look at all pods once."""
        absent = self._absent_nodes()
        for pod in self._pods.list():
            node = pod["spec"].get("nodeName", "")
            if node in absent:
                await self._fail(pod, f"node {node} no longer exists")
            elif not node and metadata.is_deleting(pod) and not placement.is_finished(pod):
                await self._fail(pod, "the pod was deleted before it had a node")
        finished = self._pods.by_index(_FINISHED, "yes")
        surplus = len(finished) - self._threshold
        if surplus > 0:
            for pod in sorted(finished, key=_age)[:surplus]:
                await delete_if_present(self._client, kinds.PODS, pod)
        return Result(requeue_after_seconds=_LOOK_AGAIN_SECONDS)

    def _absent_nodes(self) -> set[str]:
        """Return the nodes that pods name and that have been gone for a while."""
        present = {metadata.name(node) for node in self._nodes.list()}
        named = {pod["spec"].get("nodeName", "") for pod in self._pods.list()} - {""}
        now = self._clock.monotonic()
        before = self._absent_since
        self._absent_since = {node: before.get(node, now) for node in named - present}
        return {
            node
            for node, since in self._absent_since.items()
            if now - since >= _NODE_ABSENT_SECONDS
        }

    async def _fail(self, pod: Object, message: str) -> None:
        """Say that the pod has ended, for those who count it, and delete it at once."""
        try:
            if not placement.is_finished(pod):
                status = copied(pod.get("status") or {})
                status["phase"] = "Failed"
                conditions.set(
                    status.setdefault("conditions", []),
                    "DisruptionTarget",
                    "True",
                    reason="DeletionByPodGC",
                    message=f"PodGC: {message}",
                    now=self._clock.now(),
                )
                await write_status(self._client, kinds.PODS, pod, status)
            if metadata.is_deleting(pod) and not pod["metadata"].get("deletionGracePeriodSeconds"):
                return  # only finalizers hold it
            namespace, name = metadata.namespaced_name(pod)
            uid = metadata.uid(pod)
            await self._client.delete(kinds.PODS, name, namespace, grace_period_seconds=0, uid=uid)
        except (errors.NotFoundError, errors.ConflictError):
            return  # it has changed; the next pass sees how


def _whether_finished(pod: Object) -> Iterable[str]:
    return ("yes",) if placement.is_finished(pod) else ()


def _age(pod: Object) -> tuple[str, str]:
    return pod["metadata"].get("creationTimestamp", ""), metadata.name(pod)


def controller(manager: Manager, settings: BuiltinSettings) -> Controller:
    """Return the controller that clears pods away."""

    def of_pod(pod: Object) -> Iterable[Request]:
        homeless = not pod["spec"].get("nodeName") and metadata.is_deleting(pod)
        return (_PASS,) if homeless and not placement.is_finished(pod) else ()

    def of_node(_: Object) -> Iterable[Request]:
        return (_PASS,)

    # Nodes are not what it works on, but a change of them is what makes it look.
    watches = (Watch(kinds.PODS, of_pod), Watch(kinds.NODES, of_node))
    reconciler = PodGarbageReconciler(manager, settings)
    return Controller("podgc", kinds.NODES, reconciler, watches=watches, workers=1)
