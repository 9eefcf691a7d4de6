"""The pods of runs of one kind, as the cache has them."""

from collections.abc import Iterable
from typing import Final

from wherry.controller import finalizers
from wherry.controller.manager import Manager
from wherry.controller.requests import Request
from wherry.objects import kinds as core
from wherry.objects import metadata
from wherry.objects.requests import Object
from wherry.objects.resources import Resource
from wherry.pipelines.controller.engine import Engine

_OF_RUN: Final = "pods of a {}"
_HELD: Final = "pods of a {}, by its uid, that it has not let go"


class Pods:
    """Finds pods."""

    def __init__(self, manager: Manager, resource: Resource, finalizer: str) -> None:
        """Take what it works with.

        Args:
            manager: Has the cache.
            resource: Of the runs.
            finalizer: Holds pods until they are harvested.
        """
        self._resource = resource
        self._finalizer = finalizer
        self._cache = manager.cache(core.PODS)
        self._of_run, self._held = _OF_RUN.format(resource.kind), _HELD.format(resource.kind)
        self._cache.add_index(self._of_run, self._runs)
        self._cache.add_index(self._held, self._holder)

    def get(self, namespace: str, name: str) -> Object | None:
        """Return a pod; None: there is none."""
        return self._cache.get(namespace, name)

    def all(self, run: Object) -> dict[str, Object]:
        """Return all pods of a run by their names."""
        return {metadata.name(pod): pod for pod in self._cache.owned_by(metadata.uid(run))}

    def left(self, request: Request) -> Iterable[Object]:
        """Return the pods of a run that is gone."""
        return self._cache.by_index(self._of_run, "/".join(request))

    def of_interest(self, engine: Engine, run: Object) -> dict[str, Object]:
        """Return the pods of steps that run, or were not let go: thousands may have ended long ago."""
        namespace, uid = metadata.namespaced_name(run).namespace, metadata.uid(run)
        pods = {metadata.name(pod): pod for pod in self._cache.by_index(self._held, uid)}
        for row in engine.running.values():
            pod = None if row.pod in pods else self._cache.get(namespace, row.pod)
            # Of somebody else, who has taken the name; or without the finalizer, which is anyone's to take.
            if pod is not None and uid == (metadata.controller_of(pod) or {}).get("uid"):
                pods[row.pod] = pod
        return pods

    def _holder(self, pod: Object) -> Iterable[str]:
        owner = metadata.controller_of(pod)
        held = owner is not None and finalizers.has_finalizer(pod, self._finalizer)
        return (owner["uid"],) if owner and held else ()

    def _runs(self, pod: Object) -> Iterable[str]:
        owner = metadata.controller_of(pod)
        if owner is None or owner.get("kind") != self._resource.kind:
            return ()
        return (f"{metadata.namespace(pod)}/{owner['name']}",)
