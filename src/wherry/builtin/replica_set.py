"""ReplicaSet, and ReplicationController before it: so many pods of one template, always.

Source: `pkg/controller/replicaset` of Kubernetes, which serves both kinds as well.
"""

import itertools

from wherry.builtin import replicas
from wherry.builtin.adoption import Claimant
from wherry.builtin.pod_control import AFTER_REFUSAL_SECONDS, PodControl
from wherry.controller.controller import Controller, Watch
from wherry.controller.manager import Manager
from wherry.controller.requests import Request, Result
from wherry.controller.status import write_status
from wherry.objects import conditions, errors, kinds, metadata, selectors
from wherry.objects.requests import Object
from wherry.objects.resources import Resource
from wherry.objects.selectors import LabelSelector

_BURST = 500


class ReplicaSetReconciler:
    """Keeps the number of a set's pods."""

    def __init__(self, manager: Manager, resource: Resource) -> None:
        self._client = manager.client
        self._clock = manager.clock
        self._resource = resource
        recorder = manager.recorder(f"{resource.kind.lower()}-controller")
        self._control = PodControl(manager.client, recorder)
        self._sets = manager.cache(resource)
        self._pods = manager.cache(kinds.PODS)
        self._claimant = Claimant(manager.client, resource, self._pods)

    async def reconcile(self, request: Request) -> Result | None:
        """Make or delete the pods that are too few or too many; write the status."""
        replica_set = self._sets.get(*request)
        if replica_set is None:
            return None
        claimed = await self._claimant.claim(replica_set, selector_of(replica_set))
        active = [pod for pod in claimed if replicas.is_active(pod)]
        refusal = None
        if not metadata.is_deleting(replica_set):
            refusal = await self._balance(replica_set, claimed, active)
        status = self._status(replica_set, active, refusal)
        await write_status(self._client, self._resource, replica_set, status)
        if refusal is not None:
            return Result(requeue_after_seconds=AFTER_REFUSAL_SECONDS)
        minimum = replica_set["spec"].get("minReadySeconds", 0)
        wait = replicas.next_available(active, minimum, self._clock.now())
        return Result(requeue_after_seconds=wait) if wait is not None else None

    async def _balance(
        self, replica_set: Object, claimed: list[Object], active: list[Object]
    ) -> errors.ApiError | None:
        missing = replica_set["spec"]["replicas"] - len(active)
        if missing < 0:
            doomed = replicas.surplus(active, min(-missing, _BURST))
            await self._control.delete(replica_set, doomed)
            return None
        namespace = metadata.namespace(replica_set)
        fresh = itertools.islice(
            replicas.fresh_names(
                replica_set,
                lambda name: self._pods.get(namespace, name) is not None,
                start=len(claimed),
            ),
            min(missing, _BURST),
        )
        template = replica_set["spec"]["template"]
        pods = [replicas.pod_from_template(replica_set, template, name) for name in fresh]
        return await self._control.create(replica_set, pods)

    def _status(
        self, replica_set: Object, active: list[Object], refusal: errors.ApiError | None
    ) -> Object:
        spec, now = replica_set["spec"], self._clock.now()
        template_labels = ((spec["template"].get("metadata") or {}).get("labels") or {}).items()
        counts = {
            "fullyLabeledReplicas": sum(
                template_labels <= metadata.labels(pod).items() for pod in active
            ),
            "readyReplicas": sum(map(replicas.is_ready, active)),
            "availableReplicas": replicas.count_available(
                active, spec.get("minReadySeconds", 0), now
            ),
        }
        status: Object = {"replicas": len(active)}
        status.update({name: count for name, count in counts.items() if count})
        status["observedGeneration"] = replica_set["metadata"].get("generation", 1)
        present = (replica_set.get("status") or {}).get("conditions") or []
        listed = [dict(one) for one in present if one["type"] != "ReplicaFailure"]
        if refusal is not None:
            listed += [dict(one) for one in present if one["type"] == "ReplicaFailure"]
            conditions.set(
                listed,
                "ReplicaFailure",
                "True",
                reason="FailedCreate",
                message=refusal.message,
                now=now,
            )
        if listed:
            status["conditions"] = listed
        return status


def selector_of(replica_set: Object) -> LabelSelector:
    """Return which pods are a set's; a ReplicationController's selector is a plain map of labels."""
    selector = replica_set["spec"].get("selector") or {}
    if replica_set["kind"] == kinds.REPLICATION_CONTROLLERS.kind:
        return selectors.from_labels(selector)
    return selectors.from_object(selector)


def controller(manager: Manager, resource: Resource = kinds.REPLICA_SETS) -> Controller:
    """Return the controller of ReplicaSets, or of ReplicationControllers."""
    sets = manager.cache(resource)

    def of_orphan(pod: Object) -> list[Request]:
        if metadata.controller_of(pod) is not None or metadata.is_deleting(pod):
            return []
        labels = metadata.labels(pod)
        return [
            Request(*metadata.namespaced_name(one))
            for one in sets.list(metadata.namespace(pod))
            if labels and selector_of(one).matches(labels)
        ]

    return Controller(
        resource.kind.lower(),
        resource,
        ReplicaSetReconciler(manager, resource),
        owns=(kinds.PODS,),
        watches=(Watch(kinds.PODS, of_orphan),),
    )
