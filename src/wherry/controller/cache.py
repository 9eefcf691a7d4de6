"""The read side of an informer: the objects of one resource, with indexes, as of one revision.

Objects are parsed once per change and shared by everyone who reads: nobody may change them
(`copy.deepcopy` first). Nothing here does I/O; the informer writes, controllers read.
"""

import asyncio
import heapq
import itertools
from collections.abc import Callable, Iterable

from wherry.objects import metadata
from wherry.objects.requests import Object
from wherry.objects.resources import Resource
from wherry.objects.selectors import LabelSelector

IndexFunction = Callable[[Object], Iterable[str]]
Key = tuple[str, str]
# Named, because within the class `list` is the method.
Objects = list[Object]
Keys = list[Key]

_NAMESPACE = "namespace"
_OWNER = "owner"


class _Index:
    """Values an object is found by; buckets keep the order of arrival."""

    __slots__ = ("buckets", "function")

    def __init__(self, function: IndexFunction) -> None:
        self.function = function
        self.buckets: dict[str, dict[Key, Object]] = {}

    def put(self, key: Key, old: Object | None, new: Object | None) -> None:
        values = [*self.function(new)] if new is not None else []
        before = [*self.function(old)] if old is not None else []
        if before != values:  # mostly an object stays where it was
            for value in before:
                if value not in values:
                    self._drop(value, key)
        if new is not None:
            for value in values:
                bucket = self.buckets.get(value)
                if bucket is None:
                    bucket = self.buckets[value] = {}
                bucket[key] = new

    def _drop(self, value: str, key: Key) -> None:
        bucket = self.buckets.get(value)
        if bucket is not None:
            bucket.pop(key, None)
            if not bucket:
                del self.buckets[value]


class Cache:
    """The objects of one resource.

    Attributes:
        resource: Of what.
        revision: The newest revision seen; 0 before the first list.
        synced: Set once the first list is in.
    """

    def __init__(self, resource: Resource) -> None:
        self.resource = resource
        self.revision = 0
        self.synced = asyncio.Event()
        self._objects: dict[Key, Object] = {}
        self._indexes: dict[str, _Index] = {}
        self._waiters: list[tuple[int, int, asyncio.Future[None]]] = []
        self._order = itertools.count()
        self.add_index(_NAMESPACE, lambda obj: (metadata.namespace(obj),))
        self.add_index(_OWNER, _owner_uids)

    def __len__(self) -> int:
        return len(self._objects)

    def get(self, namespace: str | None, name: str) -> Object | None:
        """Return an object, or None. Shared: not to be changed."""
        return self._objects.get((namespace or "", name))

    def list(self, namespace: str | None = None, selector: LabelSelector | None = None) -> Objects:
        """Return objects, of one namespace or of all. Shared: not to be changed."""
        found = self._objects.values() if namespace is None else self._bucket(_NAMESPACE, namespace)
        if selector is None:
            return [*found]
        return [obj for obj in found if selector.matches(metadata.labels(obj))]

    def owned_by(self, uid: str) -> Objects:
        """Return the objects with an owner reference to ``uid``. Shared: not to be changed."""
        return [*self._bucket(_OWNER, uid)]

    def by_index(self, index: str, value: str) -> Objects:
        """Return the objects that the index files under ``value``. Shared: not to be changed.

        Raises:
            KeyError: no index of that name was added.
        """
        return [*self._bucket(index, value)]

    def add_index(self, name: str, function: IndexFunction) -> None:
        """Keep an index over the objects, those already present included; replaces one so named.

        Args:
            name: How `by_index` calls it.
            function: The values of an object; must be pure.
        """
        index = _Index(function)
        for key, obj in self._objects.items():
            index.put(key, None, obj)
        self._indexes[name] = index

    def keys(self) -> Keys:
        """Return namespace and name of every object."""
        return [*self._objects]

    def put(self, key: Key, obj: Object | None) -> Object | None:
        """Store an object, or with None remove it; return what was there. For the informer."""
        old = self._objects.get(key)
        if obj is None:
            self._objects.pop(key, None)
        else:
            self._objects[key] = obj
        for index in self._indexes.values():
            index.put(key, old, obj)
        return old

    def seen(self, revision: int, *, relisted: bool = False) -> None:
        """Note that everything up to ``revision`` is in. For the informer.

        Args:
            revision: Up to where.
            relisted: The cache was filled anew: the revision is right even if it went back, as
                it does when a cluster is restored from a backup.
        """
        self.revision = revision if relisted else max(self.revision, revision)
        while self._waiters and (relisted or self._waiters[0][0] <= self.revision):
            _, _, future = heapq.heappop(self._waiters)
            if not future.done():
                future.set_result(None)

    async def wait_until(self, revision: int) -> None:
        """Return once every change up to ``revision`` is in.

        Only revisions of this resource's own objects are sure to arrive.
        """
        if revision <= self.revision:
            return
        future = asyncio.get_running_loop().create_future()
        heapq.heappush(self._waiters, (revision, next(self._order), future))
        await future

    def _bucket(self, index: str, value: str) -> Iterable[Object]:
        return self._indexes[index].buckets.get(value, {}).values()


def _owner_uids(obj: Object) -> Iterable[str]:
    return [reference.get("uid", "") for reference in metadata.owner_references(obj)]
