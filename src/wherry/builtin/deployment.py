"""Deployment: rolls a template out over ReplicaSets and keeps their history.

Source: `pkg/controller/deployment` of Kubernetes. What to do is decided in `rollout`; this module
reads, writes and tells.
"""

import dataclasses
from collections.abc import Mapping

from wherry.builtin import deployment_status, placement, rollout
from wherry.builtin.adoption import Claimant
from wherry.controller.apply import delete_if_present
from wherry.controller.controller import Controller, Watch
from wherry.controller.manager import Manager
from wherry.controller.owners import is_controlled_by
from wherry.controller.requests import Request, Result
from wherry.controller.status import write_status
from wherry.objects import errors, kinds, metadata, selectors
from wherry.objects.requests import Object


@dataclasses.dataclass
class _State:
    """What one reconcile works on, each object as of its last write.

    Attributes:
        deployment: The deployment.
        sets: Its sets, the new one included.
        new: The set that runs the present template, once there is one.
    """

    deployment: Object
    sets: list[Object]
    new: Object | None

    @property
    def wanted(self) -> int:
        return int(self.deployment["spec"]["replicas"])

    @property
    def old(self) -> list[Object]:
        return [one for one in self.sets if self.new is None or not _same(one, self.new)]

    def put(self, changed: Object) -> None:
        """Take in the new state of a set."""
        if self.new is not None and _same(changed, self.new):
            self.new = changed
        self.sets = [changed if _same(one, changed) else one for one in self.sets]


def _age(one: Object) -> tuple[str, str]:
    return one["metadata"]["creationTimestamp"], metadata.name(one)


def _same(one: Object, other: Object) -> bool:
    return metadata.uid(one) == metadata.uid(other)


class DeploymentReconciler:
    """Takes one step of a rollout at a time."""

    def __init__(self, manager: Manager) -> None:
        self._client = manager.client
        self._clock = manager.clock
        self._recorder = manager.recorder("deployment-controller")
        self._deployments = manager.cache(kinds.DEPLOYMENTS)
        self._sets = manager.cache(kinds.REPLICA_SETS)
        self._pods = manager.cache(kinds.PODS)
        self._claimant = Claimant(manager.client, kinds.DEPLOYMENTS, self._sets)

    async def reconcile(self, request: Request) -> Result | None:
        """Find or make the new set, scale one step, prune the history, write the status."""
        deployment = self._deployments.get(*request)
        if deployment is None:
            return None
        selector = selectors.from_object(deployment["spec"]["selector"])
        sets = await self._claimant.claim(deployment, selector)
        matching = [one for one in sets if rollout.same_template(one, deployment)]
        oldest = min(matching, key=_age, default=None)
        state = _State(deployment, sets, oldest)
        if not metadata.is_deleting(deployment):
            if deployment["spec"].get("paused") or _was_scaled(state):
                await self._scale(state)
            else:
                await self._roll(state)
        now = self._clock.now()
        status = deployment_status.status(state.deployment, state.new, state.sets, now)
        if rollout.is_complete(state.deployment, status):
            await self._prune(state)
        await write_status(self._client, kinds.DEPLOYMENTS, state.deployment, status)
        wait = deployment_status.deadline_in(deployment, status, now)
        return Result(requeue_after_seconds=wait) if wait is not None else None

    async def _scale(self, state: _State) -> None:
        """Follow a changed number without going on with the rollout."""
        active = [one for one in state.sets if rollout.count(one) > 0]
        new, wanted = state.new, state.wanted
        if len(active) <= 1:
            only = active[0] if active else new
            sizes = {metadata.name(only): wanted} if only is not None else {}
        elif new is not None and rollout.is_saturated(state.deployment, new):
            sizes = {metadata.name(one): 0 for one in active}
            sizes[metadata.name(new)] = wanted
        else:
            sizes = rollout.proportional(state.deployment, state.sets)
        await self._resize(state, sizes)

    async def _roll(self, state: _State) -> None:
        recreate = (state.deployment["spec"].get("strategy") or {}).get("type") == "Recreate"
        if recreate:
            active = {metadata.name(one): 0 for one in state.old if rollout.count(one) > 0}
            if active:
                await self._resize(state, active)
                return
            if self._has_pods(state):
                return
        if state.new is None:
            await self._create_new(state, recreate=recreate)
            return
        await self._renew(state, state.new)
        size = (
            state.wanted
            if recreate
            else rollout.scale_up_new(state.deployment, state.new, state.old)
        )
        if size != rollout.count(state.new):
            await self._resize(state, {metadata.name(state.new): size})
        elif not recreate:
            sizes = rollout.scale_down_old(state.deployment, state.new, state.old)
            await self._resize(state, sizes)

    def _has_pods(self, state: _State) -> bool:
        return any(
            not placement.is_finished(pod)
            for one in state.old
            for pod in self._pods.owned_by(metadata.uid(one))
        )

    async def _create_new(self, state: _State, *, recreate: bool) -> None:
        number = max(map(rollout.revision, state.old), default=0) + 1
        surge = rollout.fence(state.deployment).surge
        room = state.wanted + surge - sum(map(rollout.count, state.old))
        size = state.wanted if recreate else max(0, min(room, state.wanted))
        desired = rollout.new_replica_set(state.deployment, number, size)
        try:
            made = await self._client.create(kinds.REPLICA_SETS, desired)
        except errors.AlreadyExistsError:
            await self._count_collision(state, desired)
            raise
        state.sets = [*state.sets, made]
        state.new = made
        await self._tell_scaled(state, made, 0, size)
        await self._set_revision(state, number)

    async def _count_collision(self, state: _State, desired: Object) -> None:
        """If somebody else's set has the name, ask for another hash the next time."""
        place = metadata.namespaced_name(desired)
        found = await self._client.get(kinds.REPLICA_SETS, place.name, place.namespace)
        ours = is_controlled_by(found, state.deployment)
        if ours and rollout.same_template(found, state.deployment):
            return  # the cache was behind
        status = dict(state.deployment.get("status") or {})
        status["collisionCount"] = status.get("collisionCount", 0) + 1
        await write_status(self._client, kinds.DEPLOYMENTS, state.deployment, status)

    async def _renew(self, state: _State, new: Object) -> None:
        """Give the new set the highest revision, also when a rollback has made an old one new."""
        number = max(map(rollout.revision, state.old), default=0) + 1
        number = max(number, rollout.revision(new))
        notes = rollout.annotations(state.deployment, number) | rollout.history(new, number)
        minimum = state.deployment["spec"].get("minReadySeconds", 0)
        same_minimum = new["spec"].get("minReadySeconds", 0) == minimum
        if not (notes.items() <= metadata.annotations(new).items() and same_minimum):
            patch = {"metadata": {"annotations": notes}, "spec": {"minReadySeconds": minimum}}
            await self._patch_set(state, new, patch)
        await self._set_revision(state, number)

    async def _set_revision(self, state: _State, number: int) -> None:
        if metadata.annotations(state.deployment).get(rollout.REVISION) == str(number):
            return
        namespace, name = metadata.namespaced_name(state.deployment)
        patch = {"metadata": {"annotations": {rollout.REVISION: str(number)}}}
        state.deployment = await self._client.patch(kinds.DEPLOYMENTS, name, patch, namespace)

    async def _resize(self, state: _State, sizes: Mapping[str, int]) -> None:
        surge = rollout.fence(state.deployment).surge
        notes = {
            rollout.DESIRED: str(state.wanted),
            rollout.MAXIMUM: str(state.wanted + surge),
        }
        for one in state.sets:
            before = rollout.count(one)
            size = sizes.get(metadata.name(one))
            noted = notes.items() <= metadata.annotations(one).items()
            if size is None or (size == before and noted):
                continue
            patch = {"metadata": {"annotations": notes}, "spec": {"replicas": size}}
            await self._patch_set(state, one, patch)
            await self._tell_scaled(state, one, before, size)

    async def _patch_set(self, state: _State, one: Object, patch: Object) -> None:
        namespace, name = metadata.namespaced_name(one)
        patch["metadata"]["resourceVersion"] = one["metadata"]["resourceVersion"]
        state.put(await self._client.patch(kinds.REPLICA_SETS, name, patch, namespace))

    async def _tell_scaled(self, state: _State, one: Object, before: int, after: int) -> None:
        if before != after:
            direction = "up" if after > before else "down"
            message = (
                f"Scaled {direction} replica set {metadata.name(one)} from {before} to {after}"
            )
            await self._recorder.event(state.deployment, "Normal", "ScalingReplicaSet", message)

    async def _prune(self, state: _State) -> None:
        limit = state.deployment["spec"].get("revisionHistoryLimit")
        if limit is None or metadata.is_deleting(state.deployment):
            return
        idle = [
            one
            for one in state.old
            if rollout.count(one) == 0
            and (one.get("status") or {}).get("replicas", 0) == 0
            and not metadata.is_deleting(one)
        ]
        for one in sorted(idle, key=rollout.revision)[: max(0, len(idle) - limit)]:
            await delete_if_present(self._client, kinds.REPLICA_SETS, one)


def _was_scaled(state: _State) -> bool:
    wanted = str(state.wanted)
    return any(
        metadata.annotations(one).get(rollout.DESIRED, wanted) != wanted
        for one in state.sets
        if rollout.count(one) > 0
    )


def controller(manager: Manager) -> Controller:
    """Return the Deployment controller."""
    sets, deployments = manager.cache(kinds.REPLICA_SETS), manager.cache(kinds.DEPLOYMENTS)

    def of_orphan(one: Object) -> list[Request]:
        if metadata.controller_of(one) is not None or metadata.is_deleting(one):
            return []
        return [
            Request(*metadata.namespaced_name(deployment))
            for deployment in deployments.list(metadata.namespace(one))
            if selectors.from_object(deployment["spec"]["selector"]).matches(metadata.labels(one))
        ]

    def of_pod(pod: Object) -> list[Request]:
        # A recreate waits for the last old pod to go, which no set's counts tell.
        if not metadata.is_deleting(pod) and not placement.is_finished(pod):
            return []
        reference = metadata.controller_of(pod) or {}
        owner = sets.get(metadata.namespace(pod), reference.get("name", ""))
        above = metadata.controller_of(owner) if owner else None
        if above is None or above.get("kind") != kinds.DEPLOYMENTS.kind:
            return []
        return [Request(metadata.namespace(pod), above["name"])]

    return Controller(
        "deployment",
        kinds.DEPLOYMENTS,
        DeploymentReconciler(manager),
        owns=(kinds.REPLICA_SETS,),
        watches=(Watch(kinds.PODS, of_pod), Watch(kinds.REPLICA_SETS, of_orphan)),
    )
