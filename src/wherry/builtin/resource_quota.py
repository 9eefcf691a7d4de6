"""Quotas: `status.used` says what their namespace takes up.

Admission counts for itself and does not read this status; it is for people, and for clients that
wait until room is there.

Source: `pkg/controller/resourcequota` of Kubernetes.
"""

from collections.abc import Iterable

from wherry.builtin import served
from wherry.controller.cache import Cache
from wherry.controller.controller import Controller, Watch
from wherry.controller.manager import Manager
from wherry.controller.requests import Request, Result
from wherry.controller.status import write_status
from wherry.objects import errors, kinds, metadata, quantities, quotas
from wherry.objects.requests import Object
from wherry.objects.resources import Resource

_WATCHED = (
    kinds.PODS,
    kinds.SERVICES,
    kinds.PERSISTENT_VOLUME_CLAIMS,
    kinds.DEPLOYMENTS,
    kinds.REPLICA_SETS,
    kinds.STATEFUL_SETS,
    kinds.DAEMON_SETS,
    kinds.JOBS,
    kinds.CRON_JOBS,
    kinds.CONFIG_MAPS,
    kinds.REPLICATION_CONTROLLERS,
    kinds.SERVICE_ACCOUNTS,
)
"""What other controllers keep in memory anyway: each change is counted at once."""
_LOOK_AGAIN_SECONDS = 2.0
"""How often all other kinds that a quota names are counted."""


class QuotaReconciler:
    """Counts what a quota bounds."""

    def __init__(self, manager: Manager) -> None:
        self._client = manager.client
        self._clock = manager.clock
        self._quotas = manager.cache(kinds.RESOURCE_QUOTAS)
        self._definitions = manager.cache(kinds.CUSTOM_RESOURCE_DEFINITIONS)
        self._caches: dict[str, Cache] = {each.key: manager.cache(each) for each in _WATCHED}

    async def reconcile(self, request: Request) -> Result | None:
        """Bring the status up to date."""
        quota = self._quotas.get(request.namespace, request.name)
        if quota is None:
            return None
        hard = (quota.get("spec") or {}).get("hard") or {}
        used: dict[str, str] = {}
        named = {quotas.counted_in(name) for name in hard}
        for key in sorted(named):
            names = [name for name in hard if quotas.counted_in(name) == key]
            amounts = await self._count(quota, key, names)
            used |= {name: quantities.format(amounts[name], hard[name]) for name in names}
        ordered = {name: used[name] for name in hard}
        await write_status(
            self._client, kinds.RESOURCE_QUOTAS, quota, {"hard": dict(hard), "used": ordered}
        )
        if self._caches.keys() >= named and not self._leaving(request.namespace):
            return None
        return Result(requeue_after_seconds=_LOOK_AGAIN_SECONDS)

    async def _count(self, quota: Object, key: str, names: list[str]) -> quotas.Amounts:
        now = self._clock.now()
        present = [
            quotas.measure(key, obj, now)
            for obj in await self._present(key, metadata.namespace(quota))
            if quotas.concerns(quota, key, obj)
        ]
        return quotas.total(present, names)

    async def _present(self, key: str, namespace: str) -> list[Object]:
        cache = self._caches.get(key)
        if cache is not None:
            return cache.list(namespace)
        resource = self._resource(key)
        if resource is None:
            return []
        try:
            return (await self._client.list(resource, namespace)).items
        except (errors.NotFoundError, errors.MethodNotAllowedError):
            return []  # its definition has just gone

    def _resource(self, key: str) -> Resource | None:
        found = served.stored_resources(self._definitions.list())
        return next((each for each in found if each.key == key and each.namespaced), None)

    def _leaving(self, namespace: str) -> bool:
        """Return whether a pod may cease to count without any change: when its grace has run out."""
        return any(
            metadata.is_deleting(pod) for pod in self._caches[kinds.PODS.key].list(namespace)
        )


def controller(manager: Manager) -> Controller:
    """Return the controller that keeps the status of quotas."""
    cache = manager.cache(kinds.RESOURCE_QUOTAS)

    def of_namespace(obj: Object) -> Iterable[Request]:
        found = cache.list(metadata.namespace(obj))
        return [Request(*metadata.namespaced_name(quota)) for quota in found]

    watches = (
        *(Watch(resource, of_namespace) for resource in _WATCHED),
        Watch(kinds.CUSTOM_RESOURCE_DEFINITIONS, lambda _: ()),
    )
    reconciler = QuotaReconciler(manager)
    return Controller(
        "resourcequota", kinds.RESOURCE_QUOTAS, reconciler, watches=watches, workers=2
    )
