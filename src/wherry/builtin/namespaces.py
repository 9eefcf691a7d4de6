"""Namespaces: emptied before they go.

Source: namespace controller of Kubernetes (`pkg/controller/namespace`). Everything in a namespace
that is being deleted is deleted; when nothing is left, `spec.finalizers` is cleared through the
`finalize` subresource. What holds it back stands in its conditions.
"""

from wherry.builtin import served
from wherry.controller.controller import Controller, Watch
from wherry.controller.manager import Manager
from wherry.controller.requests import Request, Result
from wherry.controller.status import write_status
from wherry.objects import conditions, errors, kinds, metadata
from wherry.objects.copies import copied
from wherry.objects.requests import Object

_FINALIZER = "kubernetes"
_LOOK_AGAIN_SECONDS = 0.5


class NamespaceReconciler:
    """Empties a namespace that is to go."""

    def __init__(self, manager: Manager) -> None:
        self._manager = manager
        self._namespaces = manager.cache(kinds.NAMESPACES)
        self._definitions = manager.cache(kinds.CUSTOM_RESOURCE_DEFINITIONS)

    async def reconcile(self, request: Request) -> Result | None:
        """Delete what is left; let the namespace go when nothing is."""
        namespace = self._namespaces.get("", request.name)
        if namespace is None or not metadata.is_deleting(namespace):
            return None
        finalizers = namespace.get("spec", {}).get("finalizers") or []
        if _FINALIZER not in finalizers:
            return None
        left = await self._empty(request.name)
        if left:
            await write_status(
                self._manager.client,
                kinds.NAMESPACES,
                namespace,
                self._status(namespace, left),
            )
            return Result(requeue_after_seconds=_LOOK_AGAIN_SECONDS)
        await self._finalize(namespace)
        return None

    async def _empty(self, name: str) -> dict[str, int]:
        """Ask for the deletion of everything in the namespace; return what is still there."""
        client = self._manager.client
        left: dict[str, int] = {}
        for resource in served.stored_resources(self._definitions.list()):
            if not resource.namespaced:
                continue
            try:
                present = await client.list(resource, name)
                if not present.items:
                    continue
                if any(not metadata.is_deleting(item) for item in present):
                    await client.delete_collection(resource, name, propagation_policy="Background")
                    present = await client.list(resource, name)
            except (errors.NotFoundError, errors.MethodNotAllowedError):
                continue  # its definition has just gone
            if present.items:
                left[resource.key] = len(present.items)
        return left

    def _status(self, namespace: Object, left: dict[str, int]) -> Object:
        status = copied(namespace.get("status") or {})
        status["phase"] = "Terminating"
        listed = ", ".join(f"{key} has {count} resource instances" for key, count in left.items())
        conditions.set(
            status.setdefault("conditions", []),
            "NamespaceContentRemaining",
            "True",
            reason="SomeResourcesRemain",
            message=f"Some resources are remaining: {listed}",
            now=self._manager.clock.now(),
        )
        return status

    async def _finalize(self, namespace: Object) -> None:
        without = copied(namespace)
        without["spec"]["finalizers"] = [
            finalizer for finalizer in without["spec"]["finalizers"] if finalizer != _FINALIZER
        ]
        try:
            await self._manager.client.update(kinds.NAMESPACES, without, subresource="finalize")
        except errors.NotFoundError:
            return


def controller(manager: Manager) -> Controller:
    """Return the namespace controller."""
    # Which definitions there are only matters when a namespace goes, but then it must be known.
    definitions = Watch(kinds.CUSTOM_RESOURCE_DEFINITIONS, lambda _: ())
    reconciler = NamespaceReconciler(manager)
    return Controller("namespace", kinds.NAMESPACES, reconciler, watches=(definitions,), workers=2)
