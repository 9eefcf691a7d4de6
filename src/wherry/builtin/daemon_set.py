"""DaemonSet: one pod on every node that suits.

Source: `pkg/controller/daemon` of Kubernetes. Deciding is in `daemon_decisions`.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence

from wherry.builtin import daemon_decisions, replicas, revisions
from wherry.builtin.adoption import Claimant
from wherry.builtin.daemon_decisions import Scene
from wherry.builtin.history import History
from wherry.builtin.pod_control import AFTER_REFUSAL_SECONDS, PodControl
from wherry.controller.controller import Controller, Watch
from wherry.controller.manager import Manager
from wherry.controller.requests import Request, Result
from wherry.controller.status import write_status
from wherry.objects import kinds, metadata, names, selectors
from wherry.objects.requests import Object


class DaemonSetReconciler:
    """Keeps a pod on each node."""

    def __init__(self, manager: Manager) -> None:
        self._client = manager.client
        self._clock = manager.clock
        self._control = PodControl(manager.client, manager.recorder("daemonset-controller"))
        self._sets = manager.cache(kinds.DAEMON_SETS)
        self._pods = manager.cache(kinds.PODS)
        self._nodes = manager.cache(kinds.NODES)
        self._claimant = Claimant(manager.client, kinds.DAEMON_SETS, self._pods)
        self._history = History(manager, kinds.DAEMON_SETS)

    async def reconcile(self, request: Request) -> Result | None:
        """Record the template, make and replace pods, write the status."""
        daemon_set = self._sets.get(*request)
        if daemon_set is None:
            return None
        selector = selectors.from_object(daemon_set["spec"]["selector"])
        pods = await self._claimant.claim(daemon_set, selector)
        if metadata.is_deleting(daemon_set):
            return None
        past = await self._history.sync(daemon_set)
        scene = self._scene(daemon_set, past.update, pods)
        step = daemon_decisions.plan(scene)
        made = [
            daemon_decisions.pod(daemon_set, past.update, node, self._free_name(daemon_set, node))
            for node in step.create
        ]
        refusal = await self._control.create(daemon_set, made)
        await self._control.delete(daemon_set, step.delete)
        status = daemon_decisions.status(scene)
        await write_status(self._client, kinds.DAEMON_SETS, daemon_set, status)
        used = {metadata.labels(pod).get(revisions.POD_LABEL) for pod in pods}
        live = {metadata.name(one) for one in past.revisions if revisions.hash_of(one) in used}
        await self._history.prune(daemon_set, past, live | {metadata.name(past.update)})
        if refusal is not None:
            return Result(requeue_after_seconds=AFTER_REFUSAL_SECONDS)
        minimum = daemon_set["spec"].get("minReadySeconds", 0)
        wait = replicas.next_available(pods, minimum, scene.now)
        return Result(requeue_after_seconds=wait) if wait is not None else None

    def _scene(self, daemon_set: Object, update: Object, pods: Sequence[Object]) -> Scene:
        nodes = {
            metadata.name(node)
            for node in self._nodes.list()
            if daemon_decisions.is_eligible(daemon_set, node)
        }
        by_node: dict[str, list[Object]] = defaultdict(list)
        for pod in sorted(pods, key=_age):
            by_node[daemon_decisions.node_of(pod)].append(pod)
        hash_value, now = revisions.hash_of(update), self._clock.now()
        return Scene(daemon_set, hash_value, frozenset(nodes), by_node, now)

    def _free_name(self, daemon_set: Object, node: str) -> str:
        namespace, name = metadata.namespaced_name(daemon_set)
        attempt = 0
        while True:
            seed = f"{metadata.uid(daemon_set)}/{node}/{attempt}"
            found = f"{name[:57]}-{names.suffix(seed)}"
            if self._pods.get(namespace, found) is None:
                return found
            attempt += 1


def _age(pod: Object) -> tuple[str, str]:
    return pod["metadata"].get("creationTimestamp", ""), metadata.name(pod)


def controller(manager: Manager) -> Controller:
    """Return the DaemonSet controller."""
    sets = manager.cache(kinds.DAEMON_SETS)

    def every(_: Object) -> Iterable[Request]:
        return [Request(*metadata.namespaced_name(one)) for one in sets.list()]

    def of_orphan(pod: Object) -> Iterable[Request]:
        if metadata.controller_of(pod) is None and not metadata.is_deleting(pod):
            for one in sets.list(metadata.namespace(pod)):
                selector = selectors.from_object(one["spec"]["selector"])
                if selector.matches(metadata.labels(pod)):
                    yield Request(*metadata.namespaced_name(one))

    return Controller(
        "daemonset",
        kinds.DAEMON_SETS,
        DaemonSetReconciler(manager),
        owns=(kinds.PODS, kinds.CONTROLLER_REVISIONS),
        watches=(Watch(kinds.NODES, every), Watch(kinds.PODS, of_orphan)),
    )
