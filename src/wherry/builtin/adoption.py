"""Whose children are whose: an owner claims what its selector matches and lets go of what it does not.

Source: `ControllerRefManager` of Kubernetes (`pkg/controller/controller_ref_manager.go`).
"""

from collections.abc import Callable, Iterable

from wherry.client.client import Client
from wherry.controller.cache import Cache
from wherry.controller.owners import is_controlled_by
from wherry.objects import errors, metadata
from wherry.objects.requests import Object
from wherry.objects.resources import Resource
from wherry.objects.selectors import LabelSelector

_ORPHANS = "orphans"


class Claimant:
    """Claims children of one resource for owners of another."""

    def __init__(self, client: Client, owners: Resource, children: Cache) -> None:
        """Prepare to claim.

        Args:
            client: To write with.
            owners: Resource of those who claim.
            children: Cache of what is claimed.
        """
        self._client = client
        self._owners = owners
        self._children = children
        children.add_index(_ORPHANS, _namespace_of_orphan)

    async def claim(
        self,
        owner: Object,
        selector: LabelSelector,
        *,
        suits: Callable[[Object], bool] = lambda _: True,
    ) -> list[Object]:
        """Return the owner's children, having adopted and released those that its selector says.

        Args:
            owner: Who controls the children.
            selector: The owner's; matching children without a controller become its own, and its
                own that match no longer are let go.
            suits: What a child must fulfil besides to be adopted.

        Raises:
            ConflictError: a child has changed since the cache saw it; reconcile again.
        """
        claimed = []
        for child in self._children.owned_by(metadata.uid(owner)):
            if not is_controlled_by(child, owner):
                continue
            if selector.matches(metadata.labels(child)):
                claimed.append(child)
            elif not metadata.is_deleting(child):
                await self._release(owner, child)
        orphans = [
            child
            for child in self._children.by_index(_ORPHANS, metadata.namespace(owner))
            if selector.matches(metadata.labels(child)) and suits(child)
        ]
        if orphans and await self._may_adopt(owner):
            claimed += [await self._adopt(owner, child) for child in orphans]
        return claimed

    async def _may_adopt(self, owner: Object) -> bool:
        # The cache may not know yet that the owner is being deleted and leaves orphans on purpose.
        namespace, name = metadata.namespaced_name(owner)
        try:
            current = await self._client.get(self._owners, name, namespace)
        except errors.NotFoundError:
            return False
        same = metadata.uid(current) == metadata.uid(owner)
        return same and not metadata.is_deleting(current)

    async def _adopt(self, owner: Object, child: Object) -> Object:
        references = [*metadata.owner_references(child), metadata.owner_reference(owner)]
        return await self._set_owners(child, references)

    async def _release(self, owner: Object, child: Object) -> None:
        references = metadata.owner_references(child)
        kept = [one for one in references if one.get("uid") != metadata.uid(owner)]
        await self._set_owners(child, kept or None)

    async def _set_owners(self, child: Object, references: list[Object] | None) -> Object:
        namespace, name = metadata.namespaced_name(child)
        patch = {
            "metadata": {
                "uid": metadata.uid(child),
                "resourceVersion": child["metadata"]["resourceVersion"],
                "ownerReferences": references,
            }
        }
        return await self._client.patch(self._children.resource, name, patch, namespace)


def _namespace_of_orphan(obj: Object) -> Iterable[str]:
    if metadata.controller_of(obj) is None and not metadata.is_deleting(obj):
        yield metadata.namespace(obj)
