"""Who owns whom: the garbage collector's picture of all objects, as pure data.

Source: garbage collector of Kubernetes (`pkg/controller/garbagecollector`). Owners are known by
uid, because a name may be given again; an owner that is named by children but has not been seen
itself is looked up before anything is deleted.
"""

import dataclasses
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Any

from wherry.objects import metadata
from wherry.objects.requests import Object
from wherry.objects.resources import Resource

FOREGROUND = "foregroundDeletion"
ORPHAN = "orphan"


@dataclasses.dataclass(frozen=True, slots=True)
class Item:
    """What the collector remembers of an object.

    Attributes:
        resource: Of which resource.
        namespace: Empty for cluster-scoped objects.
        name: Its name.
        uid: Its identity.
        owners: Its owner references.
        finalizers: Those that matter here, ``foregroundDeletion`` and ``orphan``.
        deleting: Whether deletion has been asked for.
    """

    resource: Resource
    namespace: str
    name: str
    uid: str
    owners: tuple[dict[str, Any], ...] = ()
    finalizers: frozenset[str] = frozenset()
    deleting: bool = False

    @classmethod
    def of(cls, resource: Resource, obj: Object) -> "Item":
        """Return what matters of an object."""
        fields = obj["metadata"]
        return cls(
            resource=resource,
            namespace=fields.get("namespace") or "",
            name=fields["name"],
            uid=fields["uid"],
            owners=tuple(metadata.owner_references(obj)),
            finalizers=frozenset(fields.get("finalizers") or ()) & {FOREGROUND, ORPHAN},
            deleting=metadata.is_deleting(obj),
        )

    def reference_to(self, uid: str) -> dict[str, Any] | None:
        """Return the item's reference to an owner."""
        return next((owner for owner in self.owners if owner.get("uid") == uid), None)


class Graph:
    """All items by uid, and the dependents of each owner."""

    def __init__(self) -> None:
        self._items: dict[str, Item] = {}
        self._dependents: dict[str, set[str]] = defaultdict(set)

    def __len__(self) -> int:
        return len(self._items)

    def get(self, uid: str) -> Item | None:
        """Return an item that has been seen and not gone."""
        return self._items.get(uid)

    def items(self) -> list[Item]:
        """Return all items."""
        return list(self._items.values())

    def dependents(self, uid: str) -> list[Item]:
        """Return the items that name an owner."""
        return [self._items[child] for child in self._dependents.get(uid, ())]

    def with_unknown_owners(self) -> list[str]:
        """Return the uids of items that name an owner which has not been seen."""
        return [
            child
            for owner, children in self._dependents.items()
            if owner not in self._items
            for child in children
        ]

    def put(self, item: Item) -> None:
        """Remember an item, or its new state."""
        self._unlink(item.uid)
        self._items[item.uid] = item
        for owner in item.owners:
            self._dependents[owner.get("uid", "")].add(item.uid)

    def remove(self, uid: str) -> Item | None:
        """Forget an item; return it, or None if it was not known."""
        self._unlink(uid)
        return self._items.pop(uid, None)

    def affected_by(self, item: Item) -> Iterator[str]:
        """Yield the uids to look at after an item has come, changed or gone."""
        yield item.uid
        if item.deleting or self.get(item.uid) is None:
            yield from self._dependents.get(item.uid, ())
        yield from (owner["uid"] for owner in item.owners if owner.get("uid") in self._items)

    def left_by(self, item: Item, before: Item | None) -> list[str]:
        """Return the known owners that an item named before, and names no more."""
        named = [owner.get("uid", "") for owner in before.owners] if before else []
        return [uid for uid in named if uid in self._items and not item.reference_to(uid)]

    def _unlink(self, uid: str) -> None:
        known = self._items.get(uid)
        for owner in known.owners if known else ():
            owned = self._dependents[owner.get("uid", "")]
            owned.discard(uid)
            if not owned:
                del self._dependents[owner.get("uid", "")]


def blocking(dependents: Iterable[Item], owner_uid: str) -> list[Item]:
    """Return the dependents that an owner deleted in the foreground has to wait for."""
    return [
        item
        for item in dependents
        if (item.reference_to(owner_uid) or {}).get("blockOwnerDeletion")
    ]
