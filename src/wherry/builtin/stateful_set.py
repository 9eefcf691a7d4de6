"""StatefulSet: numbered pods with names and volumes of their own, made and updated in order.

Source: `pkg/controller/statefulset` of Kubernetes. Deciding is in `stateful_decisions`, what pods
and claims look like in `stateful_pods`; this module reads, writes and tells.
"""

from collections.abc import Iterable

from wherry.builtin import replicas, stateful_decisions, stateful_pods
from wherry.builtin.adoption import Claimant
from wherry.builtin.history import History
from wherry.builtin.pod_control import AFTER_REFUSAL_SECONDS, PodControl
from wherry.builtin.stateful_decisions import Plan, Scene
from wherry.controller.apply import create_if_absent
from wherry.controller.controller import Controller, Watch
from wherry.controller.errors import Retry
from wherry.controller.manager import Manager
from wherry.controller.requests import Request, Result
from wherry.controller.status import write_status
from wherry.objects import errors, kinds, metadata, selectors
from wherry.objects.requests import Object

_CLAIM_AGAIN_SECONDS = 1.0


class StatefulSetReconciler:
    """Takes one step of a set at a time."""

    def __init__(self, manager: Manager) -> None:
        self._client = manager.client
        self._clock = manager.clock
        self._recorder = manager.recorder("statefulset-controller")
        self._control = PodControl(manager.client, self._recorder)
        self._sets = manager.cache(kinds.STATEFUL_SETS)
        self._pods = manager.cache(kinds.PODS)
        self._claims = manager.cache(kinds.PERSISTENT_VOLUME_CLAIMS)
        self._claimant = Claimant(manager.client, kinds.STATEFUL_SETS, self._pods)
        self._history = History(manager, kinds.STATEFUL_SETS)

    async def reconcile(self, request: Request) -> Result | None:
        """Record the template, take a step, write the status."""
        stateful_set = self._sets.get(*request)
        if stateful_set is None:
            return None
        selector = selectors.from_object(stateful_set["spec"]["selector"])
        pods = await self._claimant.claim(
            stateful_set,
            selector,
            suits=lambda pod: stateful_pods.ordinal_of(stateful_set, pod) >= 0,
        )
        if metadata.is_deleting(stateful_set):
            return None
        past = await self._history.sync(stateful_set)
        known = {metadata.name(one): one for one in past.revisions}
        update = metadata.name(past.update)
        current = (stateful_set.get("status") or {}).get("currentRevision", "")
        scene = Scene(
            stateful_set,
            current if current in known else update,
            update,
            {stateful_pods.ordinal_of(stateful_set, pod): pod for pod in pods},
            self._clock.now(),
        )
        step = stateful_decisions.plan(scene)
        await self._keep_claims(scene, step)
        made = [
            stateful_pods.pod(stateful_set, known[scene.wanted_revision(ordinal)], ordinal)
            for ordinal in step.create
        ]
        refusal = await self._control.create(stateful_set, made)
        await self._control.delete(stateful_set, step.delete)
        status = stateful_decisions.status(scene, pods)
        await write_status(self._client, kinds.STATEFUL_SETS, stateful_set, status)
        live = {scene.current, update, *map(stateful_pods.revision_of, pods)}
        await self._history.prune(stateful_set, past, live)
        if refusal is not None:
            return Result(requeue_after_seconds=AFTER_REFUSAL_SECONDS)
        minimum = stateful_set["spec"].get("minReadySeconds", 0)
        wait = replicas.next_available(pods, minimum, scene.now)
        return Result(requeue_after_seconds=wait) if wait is not None else None

    async def _keep_claims(self, scene: Scene, step: Plan) -> None:
        """Make the claims of pods to come, and set who owns those of pods that are there.

        Raises:
            Retry: a claim of a pod to come is still going.
        """
        stateful_set = scene.stateful_set
        if not stateful_set["spec"].get("volumeClaimTemplates"):
            return
        wanted = stateful_pods.ordinals(stateful_set)
        for ordinal, pod in scene.pods.items():
            condemned = None if ordinal in wanted else pod
            for name in stateful_pods.claim_names(stateful_set, ordinal).values():
                await self._own(stateful_set, name, condemned)
        waiting = [ordinal for ordinal, pod in scene.pods.items() if _is_unbound(pod)]
        for ordinal in (*step.create, *(one for one in waiting if one in wanted)):
            for claim in stateful_pods.claims(stateful_set, ordinal):
                await self._make(stateful_set, claim, scene.pods.get(ordinal))

    async def _own(self, stateful_set: Object, name: str, condemned: Object | None) -> None:
        claim = self._claims.get(metadata.namespace(stateful_set), name)
        if claim is None or metadata.is_deleting(claim):
            return
        owners = stateful_pods.claim_owners(stateful_set, claim, condemned)
        if owners == metadata.owner_references(claim):
            return
        version = claim["metadata"]["resourceVersion"]
        patch = {"metadata": {"resourceVersion": version, "ownerReferences": owners or None}}
        await self._client.patch(
            kinds.PERSISTENT_VOLUME_CLAIMS, name, patch, metadata.namespace(stateful_set)
        )

    async def _make(self, stateful_set: Object, claim: Object, pod: Object | None) -> None:
        present = self._claims.get(*metadata.namespaced_name(claim))
        if present is not None and stateful_pods.is_doomed(present, pod):
            name = metadata.name(claim)
            raise Retry(_CLAIM_AGAIN_SECONDS, f"claim {name} of a former pod is still going")
        resource, name = kinds.PERSISTENT_VOLUME_CLAIMS, metadata.name(claim)
        try:
            made = await create_if_absent(self._client, self._claims, resource, claim)
        except errors.ApiError as error:
            message = f"create Claim {name} failed: {error.message}"
            await self._recorder.event(stateful_set, "Warning", "FailedCreate", message)
            raise
        if made.outcome == "created":
            message = f"create Claim {name} success"
            await self._recorder.event(stateful_set, "Normal", "SuccessfulCreate", message)


def _is_unbound(pod: Object) -> bool:
    pending = (pod.get("status") or {}).get("phase", "Pending") == "Pending"
    return pending and not metadata.is_deleting(pod)


def controller(manager: Manager) -> Controller:
    """Return the StatefulSet controller."""
    sets = manager.cache(kinds.STATEFUL_SETS)

    def of_orphan(pod: Object) -> Iterable[Request]:
        name = metadata.name(pod).rpartition("-")[0]
        if metadata.controller_of(pod) is None and sets.get(metadata.namespace(pod), name):
            yield Request(metadata.namespace(pod), name)

    # Claims are watched to be read; a set does not wait for them but through its pods.
    claims = Watch(kinds.PERSISTENT_VOLUME_CLAIMS, lambda _: ())
    return Controller(
        "statefulset",
        kinds.STATEFUL_SETS,
        StatefulSetReconciler(manager),
        owns=(kinds.PODS, kinds.CONTROLLER_REVISIONS),
        watches=(Watch(kinds.PODS, of_orphan), claims),
    )
