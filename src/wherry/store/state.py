"""The committed objects in memory, in the order in which they are listed.

Names are kept in plain sorted lists: inserting into one moves pointers, which at the sizes this
store is made for (10,000s of objects in a namespace) costs less than a balanced tree would.
"""

import bisect
import itertools
from collections.abc import Iterable, Iterator

from wherry.store.records import Change, Key, Record


class Namespace:
    """The objects of one resource in one namespace."""

    __slots__ = ("_names", "_records")

    def __init__(self) -> None:
        self._names: list[str] = []
        self._records: dict[str, Record] = {}

    def __len__(self) -> int:
        return len(self._names)

    def __iter__(self) -> Iterator[Record]:
        return map(self._records.__getitem__, self._names)

    def get(self, name: str) -> Record | None:
        """Return the object, if it is there."""
        return self._records.get(name)

    def put(self, record: Record) -> None:
        """Insert or replace an object."""
        name = record.key.name
        if name not in self._records:
            bisect.insort(self._names, name)
        self._records[name] = record

    def remove(self, name: str) -> None:
        """Remove an object, if it is there."""
        if self._records.pop(name, None) is not None:
            del self._names[bisect.bisect_left(self._names, name)]


class Collection:
    """The objects of one resource."""

    __slots__ = ("_listed", "_namespaces")

    def __init__(self) -> None:
        self._namespaces: dict[str, Namespace] = {}
        # Lists that nobody has changed since they were asked for last.
        self._listed: dict[str | None, tuple[Record, ...]] = {}

    def __bool__(self) -> bool:
        return bool(self._namespaces)

    def get(self, namespace: str, name: str) -> Record | None:
        """Return the object, if it is there."""
        place = self._namespaces.get(namespace)
        return place.get(name) if place is not None else None

    def list(self, namespace: str | None) -> tuple[Record, ...]:
        """Return the objects of a namespace, or of all, sorted by namespace and name."""
        listed = self._listed.get(namespace)
        if listed is None:
            listed = tuple(self._walk(namespace))
            if listed:  # namespaces that do not exist must not fill the memory
                self._listed[namespace] = listed
        return listed

    def apply(self, change: Change) -> None:
        """Take over one committed change."""
        key = change.record.key
        place = self._namespaces.get(key.namespace)
        if place is None:
            place = self._namespaces[key.namespace] = Namespace()
        if change.type == "DELETED":
            place.remove(key.name)
            if not place:
                del self._namespaces[key.namespace]
        else:
            place.put(change.record)
        self._listed.pop(key.namespace, None)
        self._listed.pop(None, None)

    def _walk(self, namespace: str | None) -> Iterator[Record]:
        if namespace is None:
            places = map(self._namespaces.__getitem__, sorted(self._namespaces))
            return itertools.chain.from_iterable(places)
        return iter(self._namespaces.get(namespace, ()))


class State:
    """All committed objects."""

    __slots__ = ("_collections",)

    def __init__(self) -> None:
        self._collections: dict[str, Collection] = {}

    def get(self, key: Key) -> Record | None:
        """Return the object, if it is there."""
        collection = self._collections.get(key.resource)
        return None if collection is None else collection.get(key.namespace, key.name)

    def list(self, resource: str, namespace: str | None) -> tuple[Record, ...]:
        """Return the objects of a resource, sorted by namespace and name."""
        collection = self._collections.get(resource)
        return () if collection is None else collection.list(namespace)

    def resources(self) -> Iterable[str]:
        """Return the keys of the resources that have objects, sorted."""
        return sorted(self._collections)

    def apply(self, change: Change) -> None:
        """Take over one committed change."""
        resource = change.record.key.resource
        collection = self._collections.get(resource)
        if collection is None:
            collection = self._collections[resource] = Collection()
        collection.apply(change)
        if not collection:
            del self._collections[resource]
