"""Disruption budgets: how many of their pods may be evicted right now.

The API server's eviction reads and lowers the figure; this controller raises it again.

Source: `pkg/controller/disruption` of Kubernetes.
"""

from collections.abc import Iterable

from wherry.builtin import disruption_decisions as decisions
from wherry.builtin import served
from wherry.controller.controller import Controller, Watch
from wherry.controller.manager import Manager
from wherry.controller.requests import Request, Result
from wherry.controller.status import write_status
from wherry.objects import errors, kinds, metadata, selectors
from wherry.objects.requests import Object
from wherry.objects.resources import Resource

_SCALED = (
    kinds.DEPLOYMENTS,
    kinds.REPLICA_SETS,
    kinds.STATEFUL_SETS,
    kinds.REPLICATION_CONTROLLERS,
)


class _NoScaleError(Exception):
    """A pod's controller does not say how many pods it wants."""


class DisruptionReconciler:
    """Keeps the status of budgets."""

    def __init__(self, manager: Manager) -> None:
        self._client = manager.client
        self._clock = manager.clock
        self._recorder = manager.recorder("controllermanager")
        self._budgets = manager.cache(kinds.POD_DISRUPTION_BUDGETS)
        self._pods = manager.cache(kinds.PODS)
        self._definitions = manager.cache(kinds.CUSTOM_RESOURCE_DEFINITIONS)
        self._scaled = {resource.kind: manager.cache(resource) for resource in _SCALED}

    async def reconcile(self, request: Request) -> Result | None:
        """Count the budget's pods."""
        budget = self._budgets.get(request.namespace, request.name)
        if budget is None:
            return None
        now = self._clock.now()
        pods = self._selected(budget)
        try:
            expected = await self._expected(budget, pods)
        except _NoScaleError as error:
            message = str(error)
            await self._recorder.event(
                budget, "Warning", "CalculateExpectedPodCountFailed", message
            )
            status = decisions.failed_status(budget, message, now)
            await write_status(self._client, kinds.POD_DISRUPTION_BUDGETS, budget, status)
            return None
        before = (budget.get("status") or {}).get("disruptedPods") or {}
        disrupted = decisions.still_disrupted(pods, before, now)
        counts = decisions.Counts(
            expected=expected,
            desired=decisions.desired(budget["spec"], expected),
            healthy=decisions.healthy(pods, disrupted),
        )
        status = decisions.status(budget, counts, disrupted, now)
        await write_status(self._client, kinds.POD_DISRUPTION_BUDGETS, budget, status)
        # An eviction whose deletion never came is forgotten after a while.
        return Result(decisions.GRACE.total_seconds()) if disrupted else None

    def _selected(self, budget: Object) -> list[Object]:
        selector = budget["spec"].get("selector")
        if selector is None:
            return []
        found = self._pods.list(metadata.namespace(budget), selectors.from_object(selector))
        return [pod for pod in found if not _is_finished(pod)]

    async def _expected(self, budget: Object, pods: list[Object]) -> int:
        """Return how many pods there should be.

        Raises:
            _NoScaleError: A controller of theirs cannot be asked.
        """
        if not decisions.needs_scale(budget["spec"]):
            return len(pods)
        wanted: dict[str, int] = {}
        for pod in pods:
            reference = metadata.controller_of(pod)
            if reference is None:
                continue  # it belongs to nobody who would replace it
            if reference["uid"] not in wanted:
                uid, replicas = await self._scale(metadata.namespace(pod), reference)
                wanted[uid] = replicas
        return sum(wanted.values())

    async def _scale(self, namespace: str, reference: Object) -> tuple[str, int]:
        """Return the uid and the replicas of what finally decides on a pod's number.

        Raises:
            _NoScaleError: It has no scale.
        """
        kind, name = reference["kind"], reference["name"]
        cache = self._scaled.get(kind)
        if cache is not None and cache.resource.api_version == reference.get("apiVersion"):
            obj = cache.get(namespace, name)
            if obj is None:
                raise _NoScaleError(f"{kind} {name} of a selected pod is not there")
            above = metadata.controller_of(obj)
            if above is not None and above["kind"] in self._scaled:
                return await self._scale(namespace, above)
            return metadata.uid(obj), obj["spec"].get("replicas", 1)
        resource = self._resource(reference)
        if resource is None:
            raise _NoScaleError(f"{kind} {name} is of a kind that is not served")
        try:
            scale = await self._client.get(resource, name, namespace, subresource="scale")
        except errors.NotFoundError as error:
            why = f"{kind} {name} does not implement the scale subresource"
            raise _NoScaleError(why) from error
        return reference["uid"], (scale.get("spec") or {}).get("replicas", 0)

    def _resource(self, reference: Object) -> Resource | None:
        found = kinds.by_kind(reference.get("apiVersion", ""), reference["kind"])
        if found is not None:
            return found
        for definition in self._definitions.list():
            for resource in served.custom_resources((definition,)):
                if (resource.api_version, resource.kind) == (
                    reference.get("apiVersion"),
                    reference["kind"],
                ):
                    return resource
        return None


def _is_finished(pod: Object) -> bool:
    return (pod.get("status") or {}).get("phase") in {"Succeeded", "Failed"}


def controller(manager: Manager) -> Controller:
    """Return the controller of disruption budgets."""
    cache = manager.cache(kinds.POD_DISRUPTION_BUDGETS)

    def of_pod(pod: Object) -> Iterable[Request]:
        return [
            Request(*metadata.namespaced_name(budget))
            for budget in cache.list(metadata.namespace(pod))
            if (selector := budget["spec"].get("selector")) is not None
            and selectors.from_object(selector).matches(metadata.labels(pod))
        ]

    def of_scaled(obj: Object) -> Iterable[Request]:
        found = cache.list(metadata.namespace(obj))
        return [Request(*metadata.namespaced_name(budget)) for budget in found]

    watches = (
        Watch(kinds.PODS, of_pod),
        *(Watch(resource, of_scaled) for resource in _SCALED),
        Watch(kinds.CUSTOM_RESOURCE_DEFINITIONS, lambda _: ()),
    )
    reconciler = DisruptionReconciler(manager)
    return Controller(
        "disruption", kinds.POD_DISRUPTION_BUDGETS, reconciler, watches=watches, workers=2
    )
